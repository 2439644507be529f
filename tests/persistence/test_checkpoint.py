"""Fits that were killed and are resumed."""

import itertools
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import torch
from numpy.random import RandomState
from torch.utils.data import Dataset

from skdepict import DEPICTClustering
from skdepict._training import judge
from skdepict.persistence import CheckpointError, _checkpoint
from tests import conftest


def quick(n_clusters=3, device="cpu", **parameters):
    """An estimator that trains for a moment, where equal results are promised."""
    return conftest.quick(n_clusters, device=device, **parameters)


class Items(Dataset):
    """The rows of an array."""

    def __init__(self, array):
        self.array = array

    def __len__(self):
        return len(self.array)

    def __getitem__(self, i):
        return np.array(self.array[i])


class Killed(BaseException):
    """As sudden as a killed process, but for the test."""


class KillAfter:
    """A callback that kills the fit in some epoch, after its checkpoint."""

    def __init__(self, n_epochs):
        self.n_left = n_epochs

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        if context.task_name == "epoch":
            self.n_left -= 1
            if self.n_left < 0:
                raise Killed

    def on_fit_task_end(self, estimator, context):
        return False


SETTINGS = {
    "images": {},
    "pretrained": {"pretrain_epochs": 2, "reconstruction_weight": 1.0},
    "kmeans": {"init": "kmeans"},
    "as published": {"algorithm": "paper"},
    # Of these images, with five clusters, sizes are uneven: there are fine groups.
    "fine groups": {"prior": None},
    "unknown number": {"prior": None, "n_clusters": "auto"},
}


def killed_and_resumed(folder, X, n_epochs, **parameters):
    """Fit in pieces of some epochs, until one comes to the end."""
    n_pieces = 0
    while True:
        parameters = {"n_clusters": 5} | parameters
        model = quick(checkpoint_dir=folder, **parameters)
        model.set_callbacks(KillAfter(n_epochs))
        n_pieces += 1
        try:
            return model.fit(X), n_pieces
        except Killed:
            assert not hasattr(model, "labels_")
            assert len(list(folder.iterdir())) == 1


def test_a_killed_fit_remembers_that_clusters_lie_apart(tmp_path):
    X, _ = conftest.images_apart([60, 20, 10])
    expected = DEPICTClustering(3, random_state=0).fit(X)
    assert {record["phase"] for record in expected.history_} == {"initialise"}
    model = DEPICTClustering(3, random_state=0, checkpoint_dir=tmp_path)
    with pytest.raises(Killed):
        model.set_callbacks(KillAfter(len(expected.history_) // 2)).fit(X)
    model.set_callbacks().fit(X)
    assert model.history_ == expected.history_


@pytest.mark.parametrize("name", SETTINGS)
def test_a_killed_fit_ends_as_an_undisturbed_one(name, few_digits, tmp_path):
    images = few_digits[0]
    parameters = {"fit_epochs": 5, "max_iter": 4, **SETTINGS[name]}
    expected = quick(**({"n_clusters": 5} | parameters)).fit(images)
    model, n_pieces = killed_and_resumed(tmp_path, images, 2, **parameters)
    assert n_pieces >= 4
    np.testing.assert_array_equal(model.labels_, expected.labels_)
    np.testing.assert_array_equal(model.embedding_, expected.embedding_)
    assert model.history_ == expected.history_
    for attribute in ("n_iter_", "n_rounds_", "best_round_", "converged_"):
        assert getattr(model, attribute) == getattr(expected, attribute)
    assert model.n_rounds_ > 1 or name != "fine groups"
    for attribute in ("prior_", "linkage_", "groups_", "number_evidence_"):
        np.testing.assert_equal(getattr(model, attribute), getattr(expected, attribute))
    assert not list(tmp_path.iterdir())


def test_a_round_of_finer_groups_is_gone_on_with(many_blobs, tmp_path):
    X, _ = many_blobs
    parameters = {"n_clusters": "auto", "fit_epochs": 5, "max_iter": 2}
    expected = quick(**parameters).fit(X)
    assert expected.n_rounds_ == 3
    model, _ = killed_and_resumed(tmp_path, X, 3, **parameters, prior=None)
    assert model.history_ == expected.history_
    np.testing.assert_array_equal(model.linkage_, expected.linkage_)
    np.testing.assert_array_equal(model.labels_, expected.labels_)


def test_a_second_round_is_gone_on_with(monkeypatch, few_digits, tmp_path):
    images, y = few_digits

    def path_integral_labels(points, prior, device):
        return y % 5, 0.0

    monkeypatch.setattr(judge, "path_integral_labels", path_integral_labels)
    parameters = {"fit_epochs": 3, "max_iter": 2, "max_rounds": 3}
    # From which these images are far.
    parameters["prior"] = np.arange(1, 6) / 15
    expected = quick(5, **parameters).fit(images)
    assert expected.n_rounds_ > 1
    model, _ = killed_and_resumed(tmp_path, images, 1, **parameters)
    assert model.history_ == expected.history_
    assert model.best_round_ == expected.best_round_
    np.testing.assert_array_equal(model.labels_, expected.labels_)


class OwnNetwork(torch.nn.Module):
    """Draws from torch's global generator, and keeps statistics of batches."""

    def __init__(self):
        super().__init__()
        self.down = torch.nn.Sequential(
            torch.nn.Linear(64, 16), torch.nn.BatchNorm1d(16), torch.nn.Dropout(0.2)
        )
        self.up = torch.nn.Linear(16, 64)

    def encode(self, x, corrupt):
        return [torch.tanh(self.down(corrupt(x)))]

    def decode(self, embedding):
        return [self.up(embedding)]


def test_a_module_that_draws_by_itself(few_digits, tmp_path):
    rows = few_digits[0].reshape(300, 64)
    torch.manual_seed(3)
    network = OwnNetwork()
    state = torch.get_rng_state()
    expected = quick(5, network=network).fit(rows)
    model, _ = killed_and_resumed(tmp_path, rows, 5, network=network)
    np.testing.assert_array_equal(model.embedding_, expected.embedding_)
    assert torch.equal(state, torch.get_rng_state())


def test_a_seed_that_was_drawn_is_kept(few_digits, tmp_path):
    parameters = {"max_iter": 4, "max_rounds": 1, "random_state": None}
    model, n_pieces = killed_and_resumed(tmp_path, few_digits[0], 13, **parameters)
    assert n_pieces >= 2
    # Sizes may drift with some seeds, which ends "joint" early.
    n_joint = len(model.history_) - 20
    assert 1 <= n_joint <= 4
    assert [(record["phase"], record["epoch"]) for record in model.history_] == [
        *(("initialise", epoch) for epoch in range(20)),
        *(("joint", epoch) for epoch in range(n_joint)),
    ]


def test_a_random_state_is_what_it_holds(few_digits, tmp_path):
    """The same program, started again, has the same one; a later fit has another."""
    images = few_digits[0]

    def parameters():
        return {"max_iter": 4, "max_rounds": 1, "random_state": RandomState(0)}

    killed(tmp_path, images, **parameters())
    moved = parameters()
    moved["random_state"].rand()
    quick(5, checkpoint_dir=tmp_path, **moved).fit(images)
    assert len(list(tmp_path.iterdir())) == 1
    resumed = quick(5, checkpoint_dir=tmp_path, **parameters()).fit(images)
    assert not list(tmp_path.iterdir())
    expected = quick(5, **parameters()).fit(images)
    np.testing.assert_array_equal(resumed.embedding_, expected.embedding_)


def killed(folder, X, **parameters):
    model = quick(5, checkpoint_dir=folder, **parameters).set_callbacks(KillAfter(3))
    with pytest.raises(Killed):
        model.fit(X)
    (path,) = folder.iterdir()
    return path


@pytest.mark.parametrize(
    "damage", ["cut", "flip weights", "flip text", "empty", "pickle", "other fit"]
)
def test_a_damaged_or_foreign_checkpoint_is_refused_and_kept(
    damage, few_digits, tmp_path
):
    images = few_digits[0]
    path = killed(tmp_path, images)
    content = bytearray(path.read_bytes())
    if damage == "cut":
        content = content[: len(content) // 2]
    elif damage == "flip weights":
        content[-5] ^= 1
    elif damage == "flip text":
        place = content.index(b"n_iter") + len(b'n_iter\\": ')
        content[place] = ord("7")
    elif damage == "empty":
        content = b""
    elif damage == "pickle":
        content = b"\x80\x04\x95"
    elif damage == "other fit":
        (tmp_path / "other").mkdir()
        content = killed(tmp_path / "other", images, max_rounds=2).read_bytes()
    path.write_bytes(content)
    message = "other parameters or other data" if damage == "other fit" else "damaged"
    with pytest.raises(CheckpointError, match=message) as raised:
        quick(5, checkpoint_dir=tmp_path).fit(images)
    assert str(path) in str(raised.value)
    assert path.read_bytes() == content


def test_other_parameters_and_other_data_are_other_fits(few_digits, tmp_path):
    images = few_digits[0]
    path = killed(tmp_path, images)
    before = path.read_bytes()
    changed = images.copy()
    changed[2] += 1  # One of 300.
    for X, parameters in (
        (changed, {}),
        (images, {"max_rounds": 2}),
        (images[:200], {}),
        (images, {"random_state": 1}),
        (images, {"init": np.arange(300) % 5}),
    ):
        quick(5, checkpoint_dir=tmp_path, **parameters).fit(X)
    assert path.read_bytes() == before
    # These change nothing of what comes out.
    of_torch = torch.device("cpu")
    model = quick(5, of_torch, checkpoint_dir=str(tmp_path), verbose=0).fit(images)
    assert len(model.history_) == 22
    assert not path.exists()


@pytest.mark.parametrize("kind", ["memory map", "path", "dataset"])
def test_data_that_were_changed_on_the_disk_are_other_data(kind, few_digits, tmp_path):
    images, folder, path = few_digits[0], tmp_path / "checkpoints", tmp_path / "X.npy"

    def X():
        if kind == "path":
            return path
        array = np.load(path, mmap_mode="r")
        return array if kind == "memory map" else Items(array)

    np.save(path, images)
    before = killed(folder, X())
    changed = images.copy()
    changed[2] += 1
    np.save(path, changed)
    after = quick(5, checkpoint_dir=folder).fit(X())
    np.testing.assert_array_equal(
        after.embedding_, quick(5).fit(changed).embedding_.astype(np.float64)
    )
    np.save(path, images)
    quick(5, checkpoint_dir=folder).fit(X())
    assert not before.exists()


@pytest.mark.filterwarnings("ignore:Clusters")
def test_fits_beside_each_other_have_checkpoints_of_their_own(few_digits, tmp_path):
    """Three of them without a seed, of the same data, in one folder."""
    images, inside = few_digits[0], threading.Barrier(3)

    class Meet(KillAfter):
        def on_fit_task_end(self, estimator, context, **arguments):
            if context.task_name == "epoch" and context.task_id == 2:
                inside.wait(60)
                names.update(path.name for path in tmp_path.glob("*.checkpoint"))
                inside.wait(60)

    def fit(place):
        model = quick(5, checkpoint_dir=tmp_path, random_state=None, max_rounds=1)
        embeddings[place] = model.set_callbacks(Meet(99)).fit(images).embedding_

    names, embeddings = set(), {}
    threads = [threading.Thread(target=fit, args=(place,)) for place in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names) == 3
    for a, b in itertools.combinations(embeddings.values(), 2):
        assert not np.array_equal(a, b)
    assert not list(tmp_path.iterdir())


def test_a_lock_that_a_killed_process_left_holds_nobody_up(few_digits, tmp_path):
    path = killed(tmp_path, few_digits[0])
    path.with_suffix(".lock").touch()
    expected = quick(5).fit(few_digits[0])
    model = quick(5, checkpoint_dir=tmp_path).fit(few_digits[0])
    np.testing.assert_array_equal(model.embedding_, expected.embedding_)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_reported_and_training_goes_on(
    monkeypatch, few_digits, tmp_path
):
    def fsync(descriptor):
        raise OSError(28, "No space left on device")

    expected = quick(5).fit(few_digits[0])
    monkeypatch.setattr(_checkpoint.os, "fsync", fsync)
    with pytest.warns(UserWarning, match="No space left on device.*continues without"):
        model = quick(5, checkpoint_dir=tmp_path).fit(few_digits[0])
    np.testing.assert_array_equal(model.labels_, expected.labels_)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_a_file_that_may_not_grow_is_reported(few_digits, tmp_path):
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
        with pytest.warns(UserWarning, match="No checkpoint could be written"):
            quick(5, checkpoint_dir=tmp_path).fit(few_digits[0])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_is_refused_before_training(few_digits, tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OSError, match="file"):
        quick(5, checkpoint_dir=tmp_path / "file").fit(few_digits[0])


def test_ctrl_c_keeps_the_checkpoint(few_digits, tmp_path):
    expected = quick(5).fit(few_digits[0])

    class Interrupt(KillAfter):
        def on_fit_task_begin(self, estimator, context):
            try:
                super().on_fit_task_begin(estimator, context)
            except Killed:
                raise KeyboardInterrupt from None

    model = quick(5, checkpoint_dir=tmp_path).set_callbacks(Interrupt(10))
    with pytest.raises(KeyboardInterrupt, match="interrupted after 10 epochs"):
        model.fit(few_digits[0])
    resumed = quick(5, checkpoint_dir=tmp_path).fit(few_digits[0])
    assert resumed.history_ == expected.history_
    np.testing.assert_array_equal(resumed.labels_, expected.labels_)


FIT = """
import signal
import sys
import numpy as np, torch
from sklearn.datasets import load_digits
from skdepict import DEPICTClustering

signal.signal(signal.SIGINT, signal.default_int_handler)  # Even in the background.
torch.set_num_threads(1)
model = DEPICTClustering(
    10, fit_epochs=30, max_iter=30, random_state=0, checkpoint_dir=sys.argv[1] or None
)
print("begins", flush=True)
np.save(sys.argv[2], model.fit(load_digits().images[:300]).labels_)
"""


def start(folder, labels):
    command = [sys.executable, "-c", FIT, str(folder), str(labels)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    with process.stdout:
        assert process.stdout.readline() == "begins\n"
    return process


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize("sent", ["SIGKILL", "SIGINT"])
def test_signals_at_random_moments(sent, tmp_path, n_of):
    expected = tmp_path / "expected.npy"
    process, begun = start("", expected), time.perf_counter()
    assert process.wait(timeout=300) == 0
    seconds = time.perf_counter() - begun
    labels, folder = tmp_path / "labels.npy", tmp_path / "checkpoints"
    generator = np.random.default_rng(0)
    for _ in range(n_of(3, 30)):
        process = start(folder, labels)
        time.sleep(generator.uniform(0, seconds / 2))
        process.send_signal(signal.Signals[sent])
        if process.wait(timeout=300) == 0:
            # It had come to its end.
            assert np.load(labels).shape == (300,)
    assert start(folder, labels).wait(timeout=300) == 0
    np.testing.assert_array_equal(np.load(labels), np.load(expected))
    assert not list(folder.iterdir())


def test_a_parameter_that_is_no_path_is_refused(few_digits):
    with pytest.raises(ValueError, match="checkpoint_dir"):
        DEPICTClustering(5, checkpoint_dir=3).fit(few_digits[0])
