"""What calls leave as they found it, and what they do beside each other."""

import logging
import os
import random
import signal
import threading
import warnings

import matplotlib
import numpy as np
import pytest
import sklearn
import torch
from joblib import Parallel, delayed
from threadpoolctl import threadpool_info

import skdepict
from skdepict import DEPICTClustering, PathIntegralClustering, metrics, plotting
from skdepict.persistence import ModelFileError
from skdepict.report import make_report

from .conftest import BreakingNetwork, quick


def state():
    """Everything of the process that belongs to the user."""
    torch_flags = [
        torch.get_default_dtype(),
        torch.get_num_threads(),
        torch.get_num_interop_threads(),
        torch.are_deterministic_algorithms_enabled(),
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.get_float32_matmul_precision(),
        torch.backends.cudnn.enabled,
        torch.backends.cudnn.benchmark,
        torch.backends.cudnn.deterministic,
        torch.backends.cudnn.allow_tf32,
        torch.backends.cuda.matmul.allow_tf32,
        torch.backends.mkldnn.enabled,
        torch.is_autocast_enabled("cpu"),
    ]
    pools = sorted(
        (pool["filepath"], pool["num_threads"]) for pool in threadpool_info()
    )
    return {
        "torch's generator": torch.get_rng_state().tolist(),
        "numpy's generator": np.random.get_state()[1].tolist(),  # noqa: NPY002
        "python's generator": random.getstate(),
        "torch's flags": torch_flags,
        "pools": pools,
        "numpy's errors": np.geterr(),
        "numpy's printing": np.get_printoptions(),
        "warnings": list(warnings.filters),
        "matplotlib": (matplotlib.get_backend(), dict(matplotlib.rcParams)),
        "scikit-learn": sklearn.get_config(),
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "signals": [signal.getsignal(number) for number in signal.valid_signals()],
        "log": (logging.getLogger().level, list(logging.getLogger().handlers)),
        "threads": threading.active_count(),
    }


def draw_all(model, X):
    """Draw what can be drawn, and close it."""
    import matplotlib.pyplot as plt

    plotting.EmbeddingDisplay.from_estimator(model, reducer="pca")
    plotting.ClusterImagesDisplay.from_estimator(model, X)
    plotting.TrainingHistoryDisplay.from_estimator(model)
    plotting.ClusterSizesDisplay.from_estimator(model)
    plt.close("all")


def search(X):
    """Score fits without classes."""
    model = quick(3).fit(X)
    for scorer in metrics.SCORERS.values():
        scorer(model, X)


# Made here, for that draws from the global generator.
GOOD, BREAKING = BreakingNetwork(64, 10**6), BreakingNetwork(64, 30)

CALLS = {
    "fit": lambda model, X, folder: quick(10).fit(X),
    "fit with checkpoints": lambda model, X, folder: quick(
        10, checkpoint_dir=folder
    ).fit(X),
    "fit of a path": lambda model, X, folder: quick(10).fit(saved(X, folder)),
    "fit by k-means": lambda model, X, folder: quick(
        10, init="kmeans", pretrain_epochs=1
    ).fit(X),
    "fit of the published": lambda model, X, folder: DEPICTClustering.as_published(
        3, fit_epochs=1, max_iter=1, random_state=0
    ).fit(X),
    "fit of a module": lambda model, X, folder: quick(3, network=GOOD).fit(
        X.reshape(len(X), -1)
    ),
    "path integral": lambda model, X, folder: PathIntegralClustering(10).fit(
        X.reshape(len(X), -1)
    ),
    "predict": lambda model, X, folder: model.predict(X),
    "predict_proba": lambda model, X, folder: model.predict_proba(X),
    "transform": lambda model, X, folder: model.transform(X),
    "inverse_transform": lambda model, X, folder: model.inverse_transform(
        model.embedding_
    ),
    "score": lambda model, X, folder: model.score(X),
    "save and load": lambda model, X, folder: (
        model.save(folder / "model.skdepict"),
        skdepict.load(folder / "model.skdepict").predict(X),
    ),
    "report": lambda model, X, folder: make_report(model, X),
    "displays": lambda model, X, folder: draw_all(model, X),
    "scorers": lambda model, X, folder: search(X),
    "onnx": lambda model, X, folder: model.export_onnx(folder / "model.onnx"),
}


def saved(X, folder):
    """The path of X as a file."""
    np.save(folder / "images.npy", X)
    return folder / "images.npy"


def compare(before):
    after = state()
    for name, value in before.items():
        assert after[name] == value, name


@pytest.fixture
def quiet():
    """Warnings of a short training are none of these tests' business."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize("name", CALLS)
def test_calls_change_nothing_that_is_the_users(
    name, fitted, few_digits, tmp_path, quiet
):
    # What is imported, and pools that start, on the first call are no change.
    CALLS[name](fitted, few_digits[0], tmp_path)
    before = state()
    CALLS[name](fitted, few_digits[0], tmp_path)
    compare(before)


class Stop(Exception):
    """Raised in the middle of a fit."""


class StopAfter:
    """A callback that ends the fit by an error."""

    def __init__(self, n_tasks):
        self.n_left = n_tasks

    def setup(self, estimator, context):
        """Nothing to prepare."""

    def teardown(self, estimator, context):
        """Nothing to clean up."""

    def on_fit_task_begin(self, estimator, context):
        """Count down."""
        self.n_left -= 1
        if self.n_left < 0:
            raise Stop

    def on_fit_task_end(self, estimator, context, **arguments):
        """Nothing to do."""


def failing_load(folder):
    (folder / "model.skdepict").write_bytes(b"no model")
    skdepict.load(folder / "model.skdepict")


FAILURES = {
    "bad input": (ValueError, lambda model, X, folder: quick(10).fit(X * np.nan)),
    "bad parameter": (ValueError, lambda model, X, folder: quick(0).fit(X)),
    "a loss that is not finite": (
        FloatingPointError,
        lambda model, X, folder: quick(3, network=BREAKING).fit(X.reshape(len(X), -1)),
    ),
    "an error in a callback": (
        Stop,
        lambda model, X, folder: quick(10).set_callbacks(StopAfter(8)).fit(X),
    ),
    "bad input to predict": (
        ValueError,
        lambda model, X, folder: model.predict(X[:, :5]),
    ),
    "no file": (
        FileNotFoundError,
        lambda model, X, folder: skdepict.load(folder / "no"),
    ),
    "a damaged file": (ModelFileError, lambda model, X, folder: failing_load(folder)),
    "path integral": (
        ValueError,
        lambda model, X, folder: PathIntegralClustering(10).fit(X[:3, 0]),
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_errors_change_nothing_that_is_the_users(
    name, fitted, few_digits, tmp_path, quiet
):
    error, call = FAILURES[name]
    with pytest.raises(error):
        call(fitted, few_digits[0], tmp_path)
    before = state()
    with pytest.raises(error):
        call(fitted, few_digits[0], tmp_path)
    compare(before)


def labels_of(seed, X):
    """The labels of a fit, in whatever thread or process this is called."""
    return quick(5, random_state=seed).fit(X).labels_


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_fits_beside_each_other_are_those_alone(backend, few_digits):
    X = few_digits[0]
    before = state()
    alone = [labels_of(seed, X) for seed in range(6)]
    together = Parallel(n_jobs=3, backend=backend)(
        delayed(labels_of)(seed, X) for seed in range(6)
    )
    np.testing.assert_array_equal(alone, together)
    after = state()
    for name in ("torch's generator", "numpy's generator", "torch's flags", "warnings"):
        assert after[name] == before[name], name


def test_predictions_beside_each_other_are_those_alone(fitted, few_digits):
    expected = fitted.predict_proba(few_digits[0])
    together = Parallel(n_jobs=4, backend="threading")(
        delayed(fitted.predict_proba)(few_digits[0]) for _ in range(12)
    )
    for probabilities in together:
        np.testing.assert_array_equal(probabilities, expected)


def test_the_number_of_threads_changes_nothing(digits):
    """Sums in another order would round otherwise, which training makes larger."""
    n_threads = torch.get_num_threads()
    models = []
    try:
        for number in (1, 2, 3):
            torch.set_num_threads(number)
            model = DEPICTClustering(10, random_state=0, fit_epochs=20, max_iter=20)
            # Batches of 48, of which 2 and 3 threads have whole parts.
            models.append(model.fit(digits[0][:384]))
    finally:
        torch.set_num_threads(n_threads)
    for model in models[1:]:
        np.testing.assert_array_equal(model.labels_, models[0].labels_)
        np.testing.assert_array_equal(model.embedding_, models[0].embedding_)
