"""How much memory a fit takes, in processes of their own."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest

from .conftest import quick

pytest.importorskip("resource", reason="peak memory is known on Unix only")
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc")
SIDE = 40
# What does not grow with the data: parts that are read, scaled or converted at a time,
# and the maps of convolutions.
BUFFERS_MIB, CONVOLUTIONS_MIB, PARTS_MIB = 64, 200, 150
SCRIPT = """
import sys
import numpy as np
import torch
torch.set_num_threads(1)
from skdepict import DEPICTClustering
from skdepict.benchmark.processes import peak_memory_mib

path, n_samples, how = sys.argv[1], int(sys.argv[2]), sys.argv[3]
X = np.load(path, mmap_mode="r")[:n_samples]
if how == "memory":
    X = np.array(X)
labels = np.arange(n_samples) % 4
steps = {"fit_epochs": 1, "max_iter": 1, "learning_rate": 1e-6}
plain = {"network": "dense", "distortion": False, "working_size": None}
model = DEPICTClustering(4, init=labels, **plain, **steps)
model.fit(X).predict(X)
print(peak_memory_mib())
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("memory") / "images.npy"
    images = np.lib.format.open_memmap(path, "w+", np.float32, (20_000, SIDE, SIDE))
    rng = np.random.default_rng(0)
    for start in range(0, len(images), 1000):
        images[start : start + 1000] = rng.random((1000, SIDE, SIDE))
    images.flush()
    return path


def peak_mib(path, n_samples, how):
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, path, n_samples, how]
    run = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=True
    )
    return float(run.stdout)


def test_memory_maps_take_no_memory_beyond_their_pages(path):
    """What has been read of the file counts as resident until others need the room."""
    few, many = 2_000, 20_000
    growth = {
        how: peak_mib(path, many, how) - peak_mib(path, few, how)
        for how in ("map", "memory")
    }
    pages = (many - few) * SIDE**2 * 4 / 2**20
    # Buffers of parts of the file grow up to a fixed size, too.
    assert growth["map"] < pages + BUFFERS_MIB
    # The check that this can be seen at all: the array and its scaled copy.
    assert growth["memory"] > pages + BUFFERS_MIB + 20


GROWTH = """
import json, sys
import numpy as np
import torch
from skdepict import DEPICTClustering
from skdepict.networks import DenseAutoencoder

def resident_mib(what):
    with open("/proc/self/status") as file:
        (line,) = (line for line in file if line.startswith(what))
    return int(line.split()[1]) / 1024

torch.set_num_threads(1)
method, shape, dtype, parameters = json.loads(sys.argv[1])
rng = np.random.default_rng(0)
groups = np.arange(shape[0]) % 4
X = rng.integers(0, 60, shape, dtype=np.uint8)
X += rng.integers(0, 190, (4, *shape[1:]), dtype=np.uint8)[groups]
X = X.astype(dtype, copy=False)
labels = np.arange(shape[0]) % parameters["n_clusters"]
parameters = {"fit_epochs": 1, "max_iter": 1} | parameters
if "embedding_dim" in parameters:
    network = DenseAutoencoder(shape[1:], parameters.pop("embedding_dim"))
    parameters["network"] = network

def model(n_samples):
    given = {"init": labels[:n_samples], "learning_rate": 1e-6}
    return DEPICTClustering(
        random_state=0, **(parameters if "init" in parameters else given | parameters)
    )

# What the first calls load is not to count.
n_few = 600
fitted = model(n_few).fit(X[:n_few])
fitted.predict(X[:n_few])
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")
before = resident_mib("VmRSS")
model(len(X)).fit(X) if method == "fit" else getattr(fitted, method)(X)
n_weights = sum(weights.numel() for weights in fitted.network_.parameters())
print(resident_mib("VmHWM") - before, n_weights)
"""


def grown_mib(method, shape, dtype="uint8", **parameters):
    """By how much a call raises the resident memory; and the number of weights."""
    arguments = json.dumps([method, shape, dtype, parameters])
    command = [sys.executable, "-W", "ignore", "-c", GROWTH, arguments]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    grown, n_weights = run.stdout.split()
    return float(grown), int(n_weights)


MANY = (60_000, 8)
FITS = {
    "clusters": (MANY, "uint8", {"n_clusters": 100}),
    "embedding": (MANY, "uint8", {"embedding_dim": 512}),
    "table": ((40_000, 600), "float64", {}),
    "images": ((30_000, 32, 32), "uint8", {"network": "dense"}),
    "images of floats": ((30_000, 32, 32), "float32", {"network": "dense"}),
    "convolutions": ((4096, 32, 32), "uint8", {}),
    "search": ((6_000, 28, 28), "uint8", {"network": "dense", "init": "path-integral"}),
}


@linux
@pytest.mark.parametrize("case", FITS)
def test_fit_keeps_to_the_documented_memory(case):
    shape, dtype, given = FITS[case]
    parameters = {"n_clusters": 4, "batch_size": 256} | given
    grown, n_weights = grown_mib("fit", shape, dtype, **parameters)
    n_samples, n_values = shape[0], math.prod(shape[1:])
    k = parameters["n_clusters"]
    e = given.get("embedding_dim", max(64, k))
    has_maps = len(shape) == 3 and "network" not in given
    buffers = CONVOLUTIONS_MIB if has_maps else BUFFERS_MIB
    # Batches are as large as they are asked to be.
    assert parameters["batch_size"] <= n_samples // 8
    is_copied = dtype != "uint8" or len(shape) == 2
    # Of a table, whatever it starts from.
    n_searched = n_samples if "init" in given or case == "table" else 0
    bound = (
        is_copied * 4 * n_values * n_samples
        + (36 * k + 4 * e + 24) * n_samples
        + (12 * n_values + 6000) * n_searched
        + (360 if has_maps else 72) * n_values * parameters["batch_size"]
        + 28 * n_weights
    ) / 2**20
    print(f"{case}: {grown:.0f} MiB, bound {bound:.0f} + {buffers}")
    assert grown < bound + buffers
    # A bound far above what is needed would tell nobody anything.
    assert bound < 2 * grown + buffers


PREDICTIONS = {
    "predict": (MANY, "uint8", {"n_clusters": 500}, 8),
    "predict_proba": (MANY, "uint8", {"n_clusters": 500}, 4 * 500),
    "predict_proba in double precision": (
        MANY,
        "float64",
        {"n_clusters": 500},
        8 * 500,
    ),
    "transform": (MANY, "uint8", {"embedding_dim": 512}, 4 * 512),
    "transform a table": ((40_000, 600), "float32", {}, 4 * 64),
    "predict images": ((30_000, 32, 32), "float32", {}, 8),
    "score": (MANY, "uint8", {"n_clusters": 500}, 8),
}


@linux
@pytest.mark.parametrize("case", PREDICTIONS)
def test_predictions_keep_to_the_documented_memory(case):
    shape, dtype, given, result_bytes = PREDICTIONS[case]
    parameters = {"n_clusters": 4} | given
    grown, _ = grown_mib(case.split()[0], shape, dtype, **parameters)
    bound = result_bytes * shape[0] / 2**20
    print(f"{case}: {grown:.0f} MiB, bound {bound:.0f} + {PARTS_MIB}")
    assert grown < bound + PARTS_MIB


def test_one_sample_and_a_million():
    """A row's label does not depend on how many come with it."""
    X = np.random.default_rng(0).normal(size=(1_000_000, 2)).astype(np.float32)
    X[:, 0] += 5 * (np.arange(len(X)) % 3)
    model = quick(3).fit(X[:300])
    labels = model.predict(X)
    assert labels.shape == (len(X),)
    for row in (0, 1, 123_456, len(X) - 1):
        assert model.predict(X[row : row + 1]) == labels[row]
    assert model.predict_proba(X[-1:]).shape == (1, 3)
    assert model.transform(X[-1:]).shape == (1, model.embedding_.shape[1])
