"""Two processes on one machine train what one process trains."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import distributed

from skdepict._training.processes import Processes
from skdepict.metrics import clustering_accuracy

SCRIPT = Path(__file__).with_name("fit_in_group.py")
# The script finds the tests, nobody waits for threads, and no two of a group would have
# one GPU, which NCCL refuses.
IN_THE_GROUP = {
    "OMP_NUM_THREADS": "1",
    "PYTHONPATH": os.pathsep.join(
        filter(None, [str(SCRIPT.parents[2]), os.environ.get("PYTHONPATH")])
    ),
    "CUDA_VISIBLE_DEVICES": "",
}
# Processes that are started again must not meet the addresses of those before in the
# store of torchrun (pytorch/pytorch#135712).
RESTARTABLE = {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
GROUP = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")

pytestmark = pytest.mark.skipif(
    not distributed.is_available(), reason="torch was built without distributed"
)


@pytest.fixture(scope="module")
def folder(digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("group")
    np.savez(folder / "digits.npz", X=digits[0], y=digits[1])
    return folder


def start(n_processes, task, folder, *options):
    """Run the script and return what it did."""
    group = (*GROUP, *options) if n_processes == 2 else ()
    command = [sys.executable, *group, SCRIPT]
    return subprocess.run(
        [*map(str, command), task, str(folder)],
        env=os.environ | IN_THE_GROUP | RESTARTABLE,
        capture_output=True,
        text=True,
        timeout=300,
    )


def fit(n_processes, task, folder):
    """What each process has in the end."""
    run = start(n_processes, task, folder)
    assert run.returncode == 0, run.stderr
    results = []
    for rank in range(n_processes):
        with np.load(folder / f"{task}_{n_processes}_{rank}.npz") as file:
            results.append(dict(file))
    return results


@pytest.mark.parametrize("task", ["exact", "pretrain", "given"])
def test_two_processes_take_the_steps_of_one(task, folder):
    (alone,) = fit(1, task, folder)
    first, second = fit(2, task, folder)
    for name, value in first.items():
        np.testing.assert_array_equal(second[name], value)
    assert len(first["embedding_of_the_fit"]) == 1797
    losses = first["losses_of_the_fit"], alone["losses_of_the_fit"]
    if task == "given":
        # With noise, which differs: from the 2.3 nats of chance down to nearly nothing.
        np.testing.assert_allclose(*losses, rtol=0.01, atol=2e-3)
        return
    np.testing.assert_allclose(*losses, rtol=1e-4)
    for name, value in alone.items():
        if "of_the_fit" not in name and name != "predicted":
            np.testing.assert_allclose(first[name], value, atol=1e-4)
    same = first["labels_of_the_fit"] == alone["labels_of_the_fit"]
    assert same.mean() >= 0.999


@pytest.mark.parametrize("task", ["whole", "part"])
def test_each_process_has_the_labels_of_all_samples(task, folder):
    """With noise, which differs from process to process, and all defaults."""
    (alone,) = fit(1, task, folder)
    first, second = fit(2, task, folder)
    for result in (first, second):
        np.testing.assert_array_equal(result["labels_of_the_fit"], result["predicted"])
    np.testing.assert_array_equal(first["predicted"], second["predicted"])
    # A second round, which noise decides on, numbers clusters anew.
    assert clustering_accuracy(alone["predicted"], first["predicted"]) > 0.95


@pytest.mark.filterwarnings("ignore")
def test_statistics_of_batch_norm_are_the_same_everywhere(folder):
    first, second = fit(2, "batchnorm", folder)
    for name, value in first.items():
        np.testing.assert_array_equal(second[name], value)
    np.testing.assert_array_equal(first["labels_of_the_fit"], first["predicted"])


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("different", "processes of the group were given different data"),
        ("shards", "processes of the group were given different data"),
        ("failing", "clusters in the embedding"),
        ("interrupted", "KeyboardInterrupt"),
    ],
)
def test_what_one_process_cannot_do_ends_all(task, message, folder):
    run = start(2, task, folder)
    assert run.returncode != 0
    assert message in run.stderr


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal")
def test_a_killed_process_ends_the_job(folder):
    run = start(2, "killed", folder)
    assert run.returncode != 0
    assert "Signal 9 (SIGKILL) received" in run.stderr


def test_a_job_that_is_started_again_goes_on_from_its_checkpoint(folder):
    (alone,) = fit(1, "resumed", folder)
    (folder / "killed").unlink(missing_ok=True)
    run = start(2, "resumed", folder, "--max-restarts=1")
    assert run.returncode == 0, run.stderr
    assert (folder / "killed").exists()
    for rank in "01":
        with np.load(folder / f"resumed_2_{rank}.npz") as result:
            np.testing.assert_allclose(
                result["losses_of_the_fit"], alone["losses_of_the_fit"], rtol=1e-3
            )
            same = result["labels_of_the_fit"] == alone["labels_of_the_fit"]
            assert same.mean() >= 0.999
    assert not list((folder / "checkpoints").iterdir())


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal")
def test_a_killed_process_is_an_error_in_the_others(folder):
    """Started by hand, where nothing watches over the processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
    runs = [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), "killed", str(folder)],
            env=os.environ | shared | IN_THE_GROUP | {"RANK": rank},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in "01"
    ]
    errors = [run.communicate(timeout=60)[1] for run in runs]
    assert [run.returncode for run in runs] == [1, -signal.SIGKILL]
    assert "Another process of the group cannot be reached" in errors[0]


@pytest.mark.parametrize("n_samples", [1, 2, 7, 100])
def test_shares_cover_all_samples_once(n_samples, monkeypatch):
    processes = Processes(torch.device("cpu"))
    assert processes.share(n_samples) == slice(0, n_samples)
    processes.size = 3
    parts = []
    for processes.rank in range(3):
        share = processes.share(n_samples)
        parts += range(share.start, share.stop)
        assert abs(share.stop - share.start - n_samples / 3) < 1
    assert parts == list(range(n_samples))
