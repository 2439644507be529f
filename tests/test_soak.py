"""Many fits in one process."""

import json
import subprocess
import sys

import numpy as np
import pytest

SCRIPT = """
import json, os, sys, tempfile
import numpy as np
from sklearn.datasets import load_digits
from skdepict import DEPICTClustering, load
import torch

torch.set_num_threads(1)
images = load_digits().images[:int(sys.argv[2])]
for _ in range(int(sys.argv[1])):
    with tempfile.TemporaryDirectory() as folder:
        model = DEPICTClustering(
            10, fit_epochs=4, max_iter=2, random_state=0, checkpoint_dir=folder
        ).fit(images)
        model.save(f"{folder}/model.skdepict")
        load(f"{folder}/model.skdepict").predict_proba(images)
    with open("/proc/self/statm") as file:
        resident = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    n_files = len(os.listdir("/proc/self/fd"))
    n_threads = len(os.listdir("/proc/self/task"))
    print(json.dumps([resident, n_files, n_threads]), flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc")
def test_nothing_grows(n_of):
    """Resident memory stays within 5 %; files, sockets and threads are given back."""
    n_fits, n_images = n_of(24, 200), n_of(300, 1797)
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT, str(n_fits), str(n_images)],
        capture_output=True,
        text=True,
        check=True,
    )
    values = np.array([json.loads(line) for line in run.stdout.splitlines()])
    assert len(values) == n_fits
    # The first fits fill the pools of the allocators.
    settled = values[n_fits // 4 :]
    early, late = np.array_split(settled, 3)[::2]
    resident = [np.median(part[:, 0]) for part in (early, late)]
    print(f"resident {resident[0] / 2**20:.0f} and {resident[1] / 2**20:.0f} MiB")
    assert resident[1] <= 1.05 * resident[0]
    assert (settled[:, 1:] == settled[0, 1:]).all()
