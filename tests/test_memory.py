"""How much memory a fit takes, in processes of their own."""

import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("resource", reason="peak memory is known on Unix only")
SIDE = 40
BUFFERS_MIB = 64
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
model = DEPICTClustering(
    4, init=labels, embedding_dim=4, network="dense", **steps
)
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
