"""Bad input is refused before any training, and says what to do."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.cluster import KMeans
from sklearn.exceptions import NotFittedError

from skdepict import DEPICTClustering

from .conftest import BreakingNetwork, quick

TABLE = np.random.default_rng(0).normal(size=(30, 4)) + 9 * (np.arange(30) % 3)[:, None]
IMAGES = np.random.default_rng(0).random((30, 8, 8))


def with_value(value):
    X = TABLE.copy()
    X[3, 2] = value
    return X


def test_a_class_in_place_of_an_estimator_is_refused():
    with pytest.raises(TypeError, match=r"init=KMeans is a class.*init=KMeans\(\)"):
        DEPICTClustering(3, init=KMeans).fit(TABLE)


BAD_X = {
    "nan": (with_value(np.nan), {}, ValueError, "contains NaN"),
    "nan of a frame": (
        pd.DataFrame(with_value(np.nan), columns=list("abcd")),
        {},
        ValueError,
        "contains NaN: 1 of 120 values, in column 'c'.*SimpleImputer",
    ),
    "nan of an image": (
        np.where(np.arange(30)[:, None, None] == 7, np.nan, IMAGES),
        {},
        ValueError,
        "contains NaN: 64 of 1920 values, in sample 7.*SimpleImputer",
    ),
    "nan of a frame without names": (
        pd.DataFrame(with_value(np.nan)),
        {},
        ValueError,
        "in column 2. Fill",
    ),
    "nan of a flat image": (
        np.where(np.arange(30)[:, None] == 7, np.nan, IMAGES.reshape(30, -1)),
        {"image_shape": (8, 8)},
        ValueError,
        "64 of 1920 values, in sample 7",
    ),
    "inf": (
        with_value(np.inf),
        {},
        ValueError,
        "contains infinity: 1 of 120 values, in column 2. Replace",
    ),
    "huge": (with_value(1e200), {}, ValueError, "Scale it to absolute values"),
    "empty": (np.empty((0, 4)), {}, ValueError, "0 sample.*minimum of 2"),
    "no features": (np.empty((30, 0)), {}, ValueError, "0 feature"),
    "empty images": (np.empty((30, 0, 8)), {}, ValueError, "no values"),
    "one sample": (TABLE[:1], {}, ValueError, "1 sample.*minimum of 2"),
    "few samples": (TABLE[:2], {}, ValueError, "n_samples=2 should be >= n_clusters=3"),
    "complex": (TABLE + 1j, {}, ValueError, "Complex data not supported"),
    "object": (
        np.array([[{}, 1]] * 30, dtype=object),
        {},
        TypeError,
        "must be a string or a real number",
    ),
    "strings": (np.full((30, 2), "a"), {}, ValueError, "X holds strings"),
    "string objects": (
        np.full((30, 2), "a", dtype=object),
        {},
        ValueError,
        "X holds strings",
    ),
    "one axis": (TABLE[:, 0], {}, ValueError, "Expected 2D array, got 1D array"),
    "five axes": (np.zeros((9, 1, 1, 1, 1)), {}, ValueError, "X has 5 axes"),
    "other image_shape": (
        IMAGES,
        {"image_shape": (16, 4)},
        ValueError,
        r"a sample has the shape \(8, 8\) already",
    ),
    "wrong image_shape": (
        TABLE,
        {"image_shape": (8, 8)},
        ValueError,
        "a sample has 4 values and image_shape asks for 64",
    ),
    "image_shape of strings": (
        IMAGES,
        {"image_shape": ("8", "8")},
        ValueError,
        "positive integers",
    ),
    "small images": (
        IMAGES[:, :7],
        {},
        ValueError,
        "at least 8 in each direction, got 7 x 8.*network='dense'",
    ),
    "small series": (
        TABLE,
        {"network": "sequence"},
        ValueError,
        "at least 8 in each direction, got 4",
    ),
    "conv without images": (
        TABLE,
        {"network": "conv"},
        ValueError,
        "needs images, but X has rows of 4 values. Pass image_shape",
    ),
    "constant images": (
        np.full((30, 8, 8), 7),
        {},
        ValueError,
        "All samples in X are equal",
    ),
    "equal samples": (
        np.tile(TABLE[:1], (30, 1)),
        {},
        ValueError,
        "All samples in X are equal",
    ),
    "sparse matrix": (
        sparse.csr_matrix(TABLE),
        {},
        TypeError,
        "Sparse data.*sparse_output=False.*toarray",
    ),
    "sparse array": (sparse.coo_array(TABLE), {}, TypeError, "Sparse data"),
    "short prior": (TABLE, {"prior": [0.5, 0.5]}, ValueError, "prior has 2 entries"),
    "negative prior": (
        TABLE,
        {"prior": [0.6, 0.6, -0.2]},
        ValueError,
        "prior has an entry of -0.2. Pass n_clusters=3 positive",
    ),
    "prior of another sum": (
        TABLE,
        {"prior": [0.5, 0.5, 0.5]},
        ValueError,
        "prior sums to 1.5",
    ),
    "prior of names": (TABLE, {"prior": ["a", "b", "c"]}, ValueError, "prior holds no"),
    "nan prior": (TABLE, {"prior": [np.nan, 0.5, 0.5]}, ValueError, "contains NaN"),
    "unknown network": (
        TABLE,
        {"network": "resnet"},
        ValueError,
        "'network' parameter",
    ),
    "unknown algorithm": (
        TABLE,
        {"algorithm": "best"},
        ValueError,
        "'algorithm' parameter",
    ),
    "unknown device": (TABLE, {"device": "tpu9"}, ValueError, "torch knows.*'auto'"),
    "device without support": (TABLE, {"device": "meta"}, ValueError, "not supported"),
    "no clusters": (TABLE, {"n_clusters": 0}, ValueError, "'n_clusters' parameter"),
    "half a cluster": (TABLE, {"n_clusters": 2.5}, ValueError, "'n_clusters'"),
    "negative epochs": (TABLE, {"max_iter": -1}, ValueError, "'max_iter' parameter"),
    "no fit": (TABLE, {"n_init": 0}, ValueError, "'n_init' parameter"),
    "negative weight": (
        *(TABLE, {"reconstruction_weight": -1.0}, ValueError),
        "'reconstruction_weight' parameter",
    ),
    "no batch": (TABLE, {"batch_size": 0}, ValueError, "'batch_size' parameter"),
}


class NoTraining:
    """A callback that no fit may get to."""

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pytest.fail("training started")

    def on_fit_task_end(self, estimator, context):
        return False


@pytest.mark.parametrize("name", BAD_X)
def test_bad_input_is_refused_before_training(name):
    X, parameters, error, message = BAD_X[name]
    model = DEPICTClustering(3).set_params(**parameters).set_callbacks(NoTraining())
    with pytest.raises(error, match=f"(?s){message}"):
        model.fit(X)
    with pytest.raises(NotFittedError):
        model.predict(TABLE)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_missing_gpu_asked_for_by_name_is_an_error():
    with pytest.raises(ValueError, match=r"device='cuda' was asked for.*device='auto'"):
        quick(3, device="cuda").fit(TABLE)


@pytest.fixture(scope="module")
def fitted_to_table():
    return quick(3).fit(TABLE)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "transform", "score"])
@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (TABLE[:, :3], ValueError, "X has 3 features.*expecting 4 features"),
        (with_value(np.nan), ValueError, "contains NaN"),
        (TABLE[:0], ValueError, "0 sample"),
        (
            TABLE * [np.nan, 1, np.nan, 1],
            ValueError,
            "contains NaN: 60 of 120 values, in columns 0, 2",
        ),
        (TABLE[0], ValueError, "Expected 2D array"),
        (TABLE.reshape(30, 2, 2), ValueError, r"samples of shape \(2, 2\).*\(4,\)"),
        (sparse.csr_array(TABLE), TypeError, "toarray"),
        (np.full((3, 4), "a"), ValueError, "X holds strings"),
    ],
)
def test_bad_input_to_a_fitted_model(method, X, error, message, fitted_to_table):
    with pytest.raises(error, match=f"(?s){message}"):
        getattr(fitted_to_table, method)(X)
    assert fitted_to_table.predict(TABLE).shape == (30,)


def test_one_image_alone_is_refused_by_predict(fitted, few_digits):
    with pytest.raises(ValueError, match=r"shape \(8, 8\) of one.*X\[np.newaxis\]"):
        fitted.predict(few_digits[0][0])
    colours = np.random.default_rng(0).random((30, 8, 8, 3))
    model = quick(2).fit(colours)
    with pytest.raises(ValueError, match=r"shape \(8, 8, 3\) of one sample"):
        model.predict(colours[0])
    # One flat row is legal, whatever the shape of a sample.
    model = quick(2, network="sequence").fit(colours[:, :1, :, 0])
    assert model.predict(colours[:1, 0, :, 0]).shape == (1,)


def test_images_of_another_size_are_refused_by_predict(fitted):
    with pytest.raises(ValueError, match=r"samples of shape \(8, 8\)"):
        fitted.predict(np.zeros((2, 9, 9)))


def test_embedding_of_wrong_width_is_refused_by_inverse_transform(fitted):
    with pytest.raises(ValueError, match="X has 3 columns, but the embedding of this"):
        fitted.inverse_transform(np.zeros((2, 3)))


@pytest.mark.parametrize(
    ("X", "parameters"),
    [
        (TABLE[:, :2] * np.nan, {}),
        (TABLE, {"network": BreakingNetwork(4, 3)}),
    ],
)
def test_failed_fit_keeps_what_an_earlier_one_left(X, parameters):
    model = quick(3).fit(TABLE)
    before = {name: value for name, value in vars(model).items() if name[-1] == "_"}
    with pytest.raises((ValueError, FloatingPointError)):
        model.set_params(**parameters).fit(X)
    after = {name: value for name, value in vars(model).items() if name[-1] == "_"}
    assert after.keys() == before.keys()
    assert all(after[name] is before[name] for name in before)
    np.testing.assert_array_equal(model.predict(TABLE), before["labels_"])


@pytest.mark.parametrize(
    ("parameters", "n_good_passes", "phase", "epoch"),
    [
        # Pretraining makes a noisy and a clean pass for each of its batches of one.
        ({"pretrain_epochs": 5}, 4, "pretrain", 3),
        ({"fit_epochs": 5}, 1, "initialise", 2),
        ({"fit_epochs": 3, "max_iter": 5}, 3, "joint", 1),
    ],
)
def test_loss_that_is_not_finite_stops_the_fit_and_names_the_epoch(
    parameters, n_good_passes, phase, epoch
):
    network = BreakingNetwork(4, n_good_passes)
    model = quick(3, network=network, reconstruction_weight=0.0, **parameters)
    with pytest.raises(
        FloatingPointError,
        match=f"loss became nan in epoch {epoch} of the '{phase}' phase.*learning_rate",
    ):
        model.fit(TABLE)
    with pytest.raises(NotFittedError):
        model.predict(TABLE)
    model.set_params(network="auto", fit_epochs=100).fit(TABLE)
    assert model.labels_.shape == (30,)
