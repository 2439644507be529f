"""From the user's arrays to scaled batches."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import skdepict
from skdepict._data.layout import find_layout
from skdepict._data.samples import InputFormat, Samples
from skdepict._data.scaling import fit_scaling
from skdepict._training.processes import Processes
from skdepict.metrics import clustering_accuracy
from skdepict.networks import Autoencoder
from tests.conftest import quick

CPU = torch.device("cpu")
ALONE = Processes(CPU)


def as_samples(X, image_shape=None, network="auto"):
    """X as the network sees it, and its format."""
    X = np.asarray(X)
    layout = find_layout(X.shape, image_shape, network)
    rows = X.reshape(len(X), -1)
    scaling = fit_scaling(rows, layout, Autoencoder.input_range, ALONE)
    input_format = InputFormat(X.shape[1:], layout, scaling, layout.shape)
    return Samples(rows, input_format, CPU), input_format


@pytest.mark.parametrize(
    ("X_shape", "image_shape", "network", "kind", "shape", "channels_last"),
    [
        ((5, 7), None, "auto", "table", (7,), False),
        ((5, 8, 9), None, "auto", "image", (1, 8, 9), False),
        ((5, 3, 8, 9), None, "auto", "image", (3, 8, 9), False),
        ((5, 8, 9, 4), None, "auto", "image", (4, 8, 9), True),
        ((5, 1, 8, 1), None, "auto", "image", (1, 8, 1), False),
        ((5, 72), (8, 9), "auto", "image", (1, 8, 9), False),
        ((5, 216), (8, 9, 3), "auto", "image", (3, 8, 9), True),
        ((5, 144), (2, 8, 9), "auto", "image", (2, 8, 9), False),
        ((5, 1, 8, 9), (8, 9), "auto", "image", (1, 8, 9), False),
        ((5, 20), None, "sequence", "series", (1, 20), False),
        ((5, 2, 20), None, "sequence", "series", (2, 20), False),
    ],
)
def test_layout(X_shape, image_shape, network, kind, shape, channels_last):
    layout = find_layout(X_shape, image_shape, network)
    assert (layout.kind, layout.shape) == (kind, shape)
    assert layout.channels_last == channels_last


@pytest.mark.parametrize(
    ("X_shape", "image_shape", "network", "message"),
    [
        ((5, 64), (8, 9), "auto", "a sample has 64 values and image_shape asks for 72"),
        ((5, 64), (64,), "auto", "must be .height, width."),
        ((5, 64), (8.0, 8), "auto", "positive integers"),
        ((5, 64), (-8, -8), "auto", "positive integers"),
        ((5, 9, 8), (8, 9), "auto", "does not fit X of shape"),
        ((5, 3, 8, 4), None, "auto", "could both be its channels"),
        ((5, 480), (10, 6, 8), "auto", "no axis has a legal number of channels"),
        ((5, 2, 8, 9), None, "auto", "no axis has a legal number of channels"),
        ((5, 64), (8, 8), "sequence", "Drop one of the two"),
        ((5, 3, 8, 8), None, "sequence", "reads .n_samples, length."),
        ((5, 2, 2, 8, 8), None, "auto", "X has 5 axes"),
    ],
)
def test_shapes_that_cannot_be_read_are_refused(X_shape, image_shape, network, message):
    with pytest.raises(ValueError, match=message):
        find_layout(X_shape, image_shape, network)


@given(
    images=hnp.arrays(
        st.sampled_from([np.uint8, np.float32, np.float64]),
        st.tuples(st.integers(1, 4), st.integers(5, 6), st.integers(5, 7), st.just(3)),
        elements=st.integers(0, 255),
    )
)
def test_images_fill_the_networks_range_and_come_back(images):
    samples, input_format = as_samples(images)
    batch = samples.batch(slice(None)).numpy()
    assert batch.dtype == np.float32
    assert batch.shape == (len(images), 3, *images.shape[1:3])
    np.testing.assert_allclose(batch.min(), -1, atol=1e-6)
    if images.min() < images.max():
        np.testing.assert_allclose(batch.max(), 1, atol=1e-6)
    np.testing.assert_allclose(
        input_format.restore(samples.batch(slice(None))), images, atol=1e-3
    )
    np.testing.assert_array_equal(
        input_format.scaled_rows(images.reshape(len(images), -1)),
        batch.reshape(len(images), -1),
    )


def test_channels_last_and_first_are_the_same_to_the_network():
    first = np.random.default_rng(0).random((4, 3, 8, 9))
    a, _ = as_samples(first)
    b, _ = as_samples(np.moveaxis(first, 1, -1))
    assert torch.equal(a.batch(slice(None)), b.batch(slice(None)))


@pytest.mark.parametrize(
    ("dtype", "offset", "scale"),
    [
        (np.float64, 0.0, 1.0),
        (np.float64, 1e8, 1.0),
        (np.float64, 0.0, 1e-12),
        (np.float64, 1e38, 1e30),
        (np.float32, 0.0, 1e-12),
        (np.float32, 0.0, 1e30),
        (np.float32, 1e3, 1.0),
    ],
)
def test_tables_are_centred_and_keep_their_geometry(dtype, offset, scale):
    spread = np.random.default_rng(0).normal(size=(500, 4)) * [1, 2, 3, 4]
    rows = as_samples((spread * scale + offset).astype(dtype))[0].rows()
    np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(rows.std(), 1, rtol=1e-3)
    ratios = rows.std(axis=0) / rows.std(axis=0)[0]
    np.testing.assert_allclose(ratios, spread.std(axis=0) / spread.std(axis=0)[0], 1e-3)


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e8 + 0.1])
def test_constant_data_are_scaled_to_almost_zero_and_known_to_be_constant(constant):
    samples, input_format = as_samples(np.full((1000, 3), constant))
    assert input_format.scaling.constant
    np.testing.assert_allclose(samples.rows() / max(1, constant), 0, atol=1e-12)


def test_values_too_close_to_square_are_refused():
    with pytest.raises(ValueError, match="Multiply it by a large number"):
        as_samples([[1e-170, 0.0], [0.0, 1e-170]])


def test_values_too_large_to_square_are_refused():
    with pytest.raises(ValueError, match="Scale it to absolute values below"):
        as_samples([[1e200, 0.0], [0.0, 1.0]])


@given(
    n=st.integers(1, 40),
    index=st.lists(st.integers(0, 39), max_size=10),
    dtype=st.sampled_from([np.uint8, np.float64]),
)
def test_batches_are_rows_of_the_whole(n, index, dtype):
    X = np.random.default_rng(n).integers(0, 256, size=(n, 8, 8)).astype(dtype)
    samples, _ = as_samples(X)
    index = torch.tensor([i % n for i in index], dtype=torch.int64)
    assert len(samples) == n
    assert torch.equal(samples.batch(index), samples.batch(slice(None))[index])


def images_of_groups(n_images=90):
    rng = np.random.default_rng(0)
    groups = np.arange(n_images) % 3
    bars = (np.arange(10) * 3 // 10)[None, None] == groups[:, None, None]
    images = rng.random((n_images, 10, 10)) * 40 + np.where(bars, 180, 0)
    return images, groups


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int32])
def test_one_hot_pixel_does_not_swallow_the_images(sign, dtype, tmp_path):
    images, groups = images_of_groups()
    images[7, 2, 2] = sign * 1e6
    model = quick(3)
    with pytest.warns(UserWarning, match="1 of 90 images have extreme values") as seen:
        model.fit(images.astype(dtype))
    assert seen[0].filename == __file__
    assert clustering_accuracy(groups, model.labels_) == 1
    # What is beyond is the end of the range, also of what comes later.
    other = images.copy()
    other[7, 2, 2] = sign * 9e5
    np.testing.assert_array_equal(
        model.predict_proba(other), model.predict_proba(images)
    )
    model.save(tmp_path / "model")
    loaded = skdepict.load(tmp_path / "model")
    np.testing.assert_array_equal(
        loaded.predict_proba(images), model.predict_proba(images)
    )


def test_bytes_with_an_extreme_image_are_clipped_as_numbers_are():
    images, _ = images_of_groups()
    images = (images / 30).astype(np.uint8)
    images[7, 2, 2] = 255
    models = []
    for X in (images, images.astype(np.float64)):
        with pytest.warns(UserWarning, match="extreme"):
            models.append(quick(3).fit(X))
    np.testing.assert_allclose(
        models[0].embedding_, models[1].embedding_, rtol=1e-3, atol=1e-3
    )


def test_signals_that_are_rare_in_each_image_are_kept():
    """Few bright pixels are what drawings are made of, and no extreme values."""
    images = np.zeros((90, 10, 10))
    images[np.arange(90), np.arange(90) % 10, 3] = 255
    layout = find_layout(images.shape, None, "auto")
    scaling = fit_scaling(
        images.reshape(90, -1), layout, Autoencoder.input_range, ALONE
    )
    assert (scaling.low, scaling.high, scaling.clips) == (0, 255, False)


def test_samples_in_other_units_are_named(tmp_path):
    images, _ = images_of_groups()
    model = quick(3).fit(images)
    for method in (model.predict, model.predict_proba, model.transform, model.score):
        with pytest.warns(UserWarning, match=r"from .* to 0.8\d+, but fit saw.*units"):
            method(images / 255)
    for others in (images * 3, -images, images / 16, images[:1] / 255):
        with pytest.warns(UserWarning, match="units"):
            model.predict(others)
    path = tmp_path / "model.skdepict"
    model.save(path)
    with pytest.warns(UserWarning, match="units"):
        skdepict.load(path).predict(images[:1] / 16)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(images * 1.5)
        model.predict(images * 0.7)
        model.predict(images[:1] * 0)
        model.predict(images[:1])


def test_blank_images_of_the_fit_say_nothing_of_units():
    images, _ = images_of_groups()
    model = quick(3).fit(np.concatenate([images, 0 * images[:20]]))
    with pytest.warns(UserWarning, match="units"):
        model.predict(images / 16)


def test_columns_in_other_units_are_named():
    table = np.random.default_rng(0).normal(size=(60, 3))
    table[:, 1] += 100
    table[:, 0] += 9 * (np.arange(60) % 3)
    model = quick(3).fit(table)
    with pytest.warns(UserWarning, match="in column 1, but fit saw"):
        model.predict(table * [1, 0.001, 1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(table + 1)
