"""Data and settings that the tests share."""

import os
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings
from sklearn.datasets import load_digits, make_blobs
from threadpoolctl import threadpool_limits
from torch import nn

from skdepict import DEPICTClustering
from skdepict._data.layout import Layout
from skdepict._training.settings import Settings

settings.register_profile(
    "skdepict",
    deadline=None,
    max_examples=50,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
settings.load_profile("skdepict")

# Each worker of pytest-xdist has a core for itself: threads of several would only wait
# for each other.
if "PYTEST_XDIST_WORKER" in os.environ:
    threadpool_limits(1)
    torch.set_num_threads(1)
    # What it starts shares that core.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Predictions on a GPU as exact as on a processor: by torch's default, convolutions are
# in TF32 there.
torch.backends.cudnn.allow_tf32 = False

DATA_DIR = Path(
    os.environ.get("SKDEPICT_DATA_DIR", Path(__file__).parents[2] / "shared" / "data")
)


def pytest_addoption(parser):
    """Add an option to repeat some tests more often."""
    parser.addoption(
        "--thorough",
        action="store_true",
        help="try bad input and faults as often as docs/reliability.rst says",
    )


@pytest.fixture
def n_of(request):
    """How often to try something: the first number, or with --thorough the second."""
    thorough = request.config.getoption("--thorough")
    return lambda usual, many: many if thorough else usual


def load_real(name, keys=("X", "y")):
    """Arrays of a benchmark set, or a skip that says what is missing."""
    path = DATA_DIR / f"{name}.npz"
    if not path.exists():
        pytest.skip(f"{path} is missing; set SKDEPICT_DATA_DIR to the folder it is in")
    with np.load(path) as data:
        return tuple(data[key] for key in keys)


@pytest.fixture(scope="session")
def digits():
    """All 1,797 digit images and their classes."""
    data = load_digits()
    return data.images, data.target


@pytest.fixture(scope="session")
def few_digits(digits):
    """300 digit images and their classes."""
    images, classes = digits
    return images[:300], classes[:300]


@pytest.fixture(scope="session")
def blobs():
    """Three blobs in 10 dimensions and their labels."""
    return make_blobs(200, n_features=10, centers=3, random_state=0)


@pytest.fixture(scope="session")
def many_blobs():
    """Forty blobs of 60 to 20 samples, and their labels."""
    sizes = np.geomspace(60, 20, 40).round().astype(int)
    return make_blobs(sizes, n_features=10, random_state=0)


def images_apart(sizes):
    """Images of some kinds, so many of each, that differ little within one."""
    generator = np.random.default_rng(0)
    kinds = generator.random((len(sizes), 8, 8))
    y = np.repeat(np.arange(len(sizes)), sizes)
    return kinds[y] + 0.05 * generator.normal(size=(len(y), 8, 8)), y


@pytest.fixture(scope="session")
def fitted(few_digits):
    """A briefly trained model of 300 digits; tests must not change it."""
    return quick(10).fit(few_digits[0])


class Tuned(DEPICTClustering):
    """Trains with other settings than those that its parameters stand for."""

    changes: ClassVar[dict] = {}

    def _settings(self, *args, **kwargs):
        return replace(super()._settings(*args, **kwargs), **self.changes)


# Of `skdepict._training.settings.Settings`, what no parameter sets by itself.
TUNED = {"target", "schedule", "average_decay", "early_stopping", "tol", "members"}
TUNED |= {"pretrain_epochs", "dropout"}


def tuned(**changes):
    """The class of estimators that train with such settings."""
    return type("DEPICTClustering", (Tuned,), {"changes": changes})


def quick(n_clusters=3, **parameters):
    """An estimator that trains for a moment."""
    changes = {name: parameters.pop(name) for name in TUNED & parameters.keys()}
    kind = tuned(**changes) if changes else DEPICTClustering
    # With a prior that is estimated, there may be more rounds than one.
    defaults = {"fit_epochs": 20, "max_iter": 2, "random_state": 0, "prior": "uniform"}
    if n_clusters == "auto":
        del defaults["prior"]
    return kind(n_clusters, **(defaults | parameters))


def settings_of(n_samples, n_clusters, **parameters):
    """The settings of a fit of images."""
    parameters = DEPICTClustering(n_clusters, **parameters).get_params()
    prior = np.full(n_clusters, 1 / n_clusters)
    found = {"prior": prior, "init": parameters["init"], "seed": 0}
    layout = Layout("image", (1, 8, 8))
    return Settings.of(parameters, layout, n_samples, n_clusters, None, **found)


class BreakingNetwork(nn.Module):
    """A module whose embedding is NaN from some training pass on."""

    def __init__(self, n_features, n_good_passes):
        super().__init__()
        self.down = nn.Linear(n_features, 8)
        self.up = nn.Linear(8, n_features)
        self.n_left = n_good_passes

    def encode(self, x, corrupt):
        self.n_left -= self.training
        good = 1.0 if self.n_left >= 0 else float("nan")
        return [torch.tanh(self.down(corrupt(x))) * good]

    def decode(self, embedding):
        return [self.up(embedding)]
