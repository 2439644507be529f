"""Large images are reduced, and nothing else about them changes."""

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import skdepict
from skdepict._data.layout import Layout
from skdepict._data.reduction import average_areas, enlarge, working_shape
from skdepict._data.rows import check_rows
from skdepict._data.samples import Samples
from skdepict.networks import ConvAutoencoder
from skdepict.networks._base import initialise_weights
from tests.conftest import quick


def averaged_slowly(image, n_reduced, axis):
    """Go through all pixels along an axis, a hundredth of a reduced one at a time."""
    image = np.moveaxis(image, axis, 0)
    n_steps = 100 * len(image)
    places = (np.arange(n_reduced * n_steps) + 0.5) * len(image) / n_reduced / n_steps
    fine = image[places.astype(int)].reshape(n_reduced, n_steps, *image.shape[1:])
    return np.moveaxis(fine.mean(axis=1), 0, axis)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 30), st.integers(1, 30), st.data())
def test_pixels_are_means_of_the_areas_that_they_cover(height, width, data):
    sides = data.draw(st.integers(1, height)), data.draw(st.integers(1, width))
    image = np.random.default_rng(height * 31 + width).random((2, height, width))
    expected = averaged_slowly(averaged_slowly(image, sides[0], 1), sides[1], 2)
    found = average_areas(torch.from_numpy(image[None]), sides)[0]
    np.testing.assert_allclose(found, expected, atol=2e-2 / min(sides))
    whole = average_areas(torch.from_numpy(image[None]), (1, 1)).flatten()
    np.testing.assert_allclose(whole, image.mean(axis=(1, 2)), rtol=1e-5)


@pytest.mark.parametrize(
    ("shape", "size", "expected"),
    [
        ((1, 28, 28), 32, (1, 28, 28)),
        ((3, 224, 224), 32, (3, 32, 32)),
        ((3, 224, 224), None, (3, 224, 224)),
        ((1, 128, 32), 32, (1, 64, 16)),
        ((1, 40, 30), 32, (1, 37, 28)),
        ((1, 2000, 10), 32, (1, 453, 8)),
        ((1, 2000, 5), 32, (1, 640, 5)),
    ],
)
def test_proportions_stay(shape, size, expected):
    assert working_shape(Layout("image", shape), size) == expected


def test_tables_and_series_are_not_reduced():
    assert working_shape(Layout("table", (5000,)), 32) == (5000,)
    assert working_shape(Layout("series", (1, 5000)), 32) == (1, 5000)


@pytest.fixture(scope="module")
def large_digits(few_digits):
    """Digits of 64x48 pixels in colour, as bytes."""
    grey = few_digits[0].repeat(8, axis=1).repeat(6, axis=2) * 15
    return np.stack([grey, grey, 255 - grey], axis=-1).astype(np.uint8)


@pytest.fixture(scope="module")
def of_large_digits(large_digits):
    return quick(10, working_size=16).fit(large_digits)


def test_large_images_come_back_in_their_own_size(large_digits, of_large_digits):
    model = of_large_digits
    assert model.network_.autoencoder.encoder[0][0].weight.shape[1] == 3
    assert model.cluster_prototypes_.shape == (10, 64, 48, 3)
    decoded = model.inverse_transform(model.embedding_[:5])
    assert decoded.shape == (5, 64, 48, 3)
    # The colours are those of the images: the third channel is the inverse.
    assert np.corrcoef(decoded[..., 0].ravel(), decoded[..., 2].ravel())[0, 1] < -0.9


def test_large_images_are_read_alike_from_anywhere(
    large_digits, of_large_digits, tmp_path
):
    model = of_large_digits
    np.save(tmp_path / "images.npy", large_digits)
    expected = model.predict_proba(large_digits)
    np.testing.assert_array_equal(model.predict(large_digits), model.labels_)
    for X in (
        large_digits.astype(float),
        large_digits.reshape(300, -1),
        tmp_path / "images.npy",
    ):
        np.testing.assert_allclose(model.predict_proba(X), expected, atol=1e-5)
    from_file = quick(10, working_size=16).fit(tmp_path / "images.npy")
    np.testing.assert_array_equal(from_file.labels_, model.labels_)


def test_other_numbers_than_bytes_stay_as_they_are(large_digits, of_large_digits):
    model, beyond = of_large_digits, large_digits[:20] * 2.0 - 100
    with pytest.warns(UserWarning, match="units that fit had"):
        wild = model.predict_proba(np.concatenate([beyond, beyond + 5000]))
    assert np.isfinite(wild).all()
    rows = check_rows(model, beyond, model._input_format.sample_shape)[0]
    samples = Samples(rows, model._input_format, torch.device("cpu"))
    first, again = (samples.batch(slice(0, 20)) for _ in range(2))
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    # Twice the contrast, from the scaled images themselves.
    inside = Samples(rows * 0.5 + 50, model._input_format, torch.device("cpu"))
    expected = (inside.batch(slice(0, 20)) + 1) * 2 - 1 - 100 / 127.5
    torch.testing.assert_close(first, expected, rtol=0, atol=2 / 127.5)


def test_reduced_images_may_be_too_many_to_keep(large_digits, tmp_path, monkeypatch):
    np.save(tmp_path / "images.npy", large_digits)
    model = quick(10, working_size=16)
    kept = model.fit(tmp_path / "images.npy").labels_
    monkeypatch.setattr("skdepict._data.samples.KEPT_BYTES", 0)
    np.testing.assert_array_equal(model.fit(tmp_path / "images.npy").labels_, kept)


def test_a_model_of_large_images_is_saved_whole(
    large_digits, of_large_digits, tmp_path
):
    of_large_digits.save(tmp_path / "model.skdepict")
    loaded = skdepict.load(tmp_path / "model.skdepict")
    np.testing.assert_array_equal(loaded.predict(large_digits), of_large_digits.labels_)
    np.testing.assert_allclose(
        loaded.cluster_prototypes_, of_large_digits.cluster_prototypes_, rtol=1e-4
    )


@pytest.mark.parametrize("as_bytes", [True, False])
def test_large_images_are_reduced_in_onnx_too(large_digits, as_bytes, tmp_path):
    X = large_digits if as_bytes else large_digits / np.float32(255)
    model = quick(10, working_size=16).fit(X)
    model.export_onnx(tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    labels, embedding = session.run(
        ["labels", "embedding"], {"samples": X.astype(np.float32)}
    )
    np.testing.assert_array_equal(labels, model.labels_)
    np.testing.assert_allclose(embedding, model.embedding_, atol=1e-4)


def test_centres_to_start_from_are_reduced_too(large_digits):
    centres = large_digits[:10].astype(float)
    model = quick(10, working_size=16, init=centres, fit_epochs=30).fit(large_digits)
    assert len(np.unique(model.labels_)) > 5


def test_a_module_of_the_users_own_gets_images_as_they_are(large_digits):
    network = ConvAutoencoder((3, 64, 48), 16)
    initialise_weights(network, torch.Generator().manual_seed(0))
    model = quick(2, network=network, init="kmeans", learning_rate=3e-4, fit_epochs=60)
    model.fit(large_digits[:40])
    assert model.transform(large_digits[:2]).shape == (2, 16)


def test_enlarging_keeps_smooth_images():
    y, x = torch.meshgrid(torch.arange(60) / 60, torch.arange(90) / 90, indexing="ij")
    images = torch.stack([x + y, x * y])[None]
    again = enlarge(average_areas(images, (20, 30)), (60, 90))
    assert (again - images).abs().max() < 0.03
