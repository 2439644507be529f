"""Gradients from captured graphs, on a processor that plays the GPU."""

import warnings
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from skdepict import _captured, _gradients
from skdepict.networks import DenseAutoencoder

from .conftest import quick

# Of 300 images.
BATCH_SIZE, N_BATCHES = 30, 10
# What the host has to wait for: an error while a GPU captures.
WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "is_nonzero")


class Recorder(TorchDispatchMode):
    """Records operations, with the memory that they read and write."""

    def __init__(self):
        super().__init__()
        self.calls = []
        self._own, self._overwritten = set(), {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func.__name__.partition(".")[0] in WAITING:
            raise RuntimeError("operation not permitted when stream is capturing")
        self._keep_what_is_written(func, args, kwargs)
        result = func(*args, **kwargs)
        self._own |= {place_of(tensor) for tensor in tensors_in(result)}
        self.calls.append((func, args, kwargs, result))
        return result

    def _keep_what_is_written(self, func, args, kwargs):
        """A capture runs nothing: what it was not the first to write stays as it is."""
        given = [*args, *kwargs.values()]
        for argument, value in zip(func._schema.arguments, given, strict=False):
            written = argument.alias_info is not None and argument.alias_info.is_write
            # Its schema does not say that it writes.
            written |= "batch_norm" in func.__name__ and "running" in argument.name
            if not written:
                continue
            for tensor in tensors_in(value):
                place = place_of(tensor)
                if place not in self._own and place not in self._overwritten:
                    self._overwritten[place] = (tensor, tensor.clone())

    def undo(self):
        for tensor, value in self._overwritten.values():
            tensor.copy_(value)

    def play(self):
        for func, args, kwargs, recorded in self.calls:
            result = func(*args, **kwargs)
            pairs = zip(tensors_in(result), tensors_in(recorded), strict=True)
            for now, then in pairs:
                # Views, and what is changed in place, are there already.
                if place_of(now) != place_of(then):
                    then.copy_(now)


def place_of(tensor):
    return tensor.untyped_storage()._cdata


def tensors_in(value):
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, (list, tuple)):
        return [tensor for part in value for tensor in tensors_in(part)]
    return []


class PlayedGraph:
    """What `CudaGraph` does, by recorded operations."""

    made: ClassVar[list] = []

    def __init__(self, noise):
        self.noise = noise
        self.n_warm_ups, self.n_captured, self.n_replayed = 0, 0, 0
        self.made.append(self)

    def warm_up(self, function):
        self.n_warm_ups += 1
        return function()

    def capture(self, function):
        noise = self.noise.get_state()
        with Recorder() as self.recorder:
            result = function()
        with torch.no_grad():
            self.recorder.undo()
        self.noise.set_state(noise)
        self.n_captured += 1
        return result

    def replay(self):
        with torch.no_grad():
            self.recorder.play()
        self.n_replayed += 1

    def abandon(self):
        self.recorder = None


class WithoutNoise(PlayedGraph):
    """A graph whose noise does not move on."""

    def replay(self):
        self.noise.manual_seed(0)
        super().replay()


class OfOneBatch(PlayedGraph):
    """A graph that does not see which batch it is given."""

    def replay(self):
        self.n_replayed += 1


class NotCapturing(PlayedGraph):
    """A device that cannot."""

    def capture(self, function):
        raise RuntimeError("CUDA error: operation not permitted")


@pytest.fixture
def use(monkeypatch):
    """A function that has processors capture, and returns the graphs they make."""

    def use(graph):
        monkeypatch.setattr(_gradients, "graph_for", lambda device: graph)
        monkeypatch.setattr(PlayedGraph, "made", [])
        return PlayedGraph.made

    return use


def assert_same_fit(model, expected):
    np.testing.assert_array_equal(model.labels_, expected.labels_)
    np.testing.assert_array_equal(model.embedding_, expected.embedding_)
    assert model.history_ == expected.history_
    state = expected.network_.state_dict()
    for name, value in model.network_.state_dict().items():
        assert torch.equal(value, state[name]), name


CASES = {
    "conv": {},
    "all phases": {"pretrain_epochs": 8, "reconstruction_weight": 1.0},
    "batch norm": {"network": "sigmoid_conv", "reconstruction_weight": 1.0},
    "dense": {"network": "dense"},
    "no noise": {"dropout": 0.0, "affine_noise": False, "elastic_noise": False},
}


@pytest.mark.parametrize("case", CASES)
def test_replayed_steps_are_those_that_are_taken_one_by_one(case, use, few_digits):
    images, y = few_digits
    parameters = {"init": y, "batch_size": BATCH_SIZE, "max_iter": 3, **CASES[case]}
    expected = quick(10, **parameters).fit(images)
    graphs = use(PlayedGraph)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        model = quick(10, **parameters).fit(images)
    assert_same_fit(model, expected)
    # The batch that a graph is checked with is taken both ways.
    n_direct = _captured.WARM_UP_BATCHES + 1
    assert all(graph.n_warm_ups == n_direct for graph in graphs)
    assert all(graph.n_captured == 1 for graph in graphs)
    n_steps = len(model.history_) * N_BATCHES
    n_replayed = sum(graph.n_replayed for graph in graphs)
    assert n_replayed == n_steps - _captured.WARM_UP_BATCHES * len(graphs)


def test_batches_of_two_sizes_have_a_graph_each(use, few_digits):
    images, y = (array[:299] for array in few_digits)
    parameters = {"init": y, "batch_size": BATCH_SIZE, "max_iter": 5}
    expected = quick(10, **parameters).fit(images)
    graphs = use(PlayedGraph)
    model = quick(10, **parameters).fit(images)
    assert_same_fit(model, expected)
    # Two phases, with batches of 30 and 29.
    assert len(graphs) == 4


@pytest.mark.parametrize(
    ("graph", "problem"),
    [
        (WithoutNoise, "its (losses|gradients) differ by"),
        (OfOneBatch, "its (losses|gradients) differ by"),
        (NotCapturing, "RuntimeError: CUDA error: operation not permitted"),
    ],
)
def test_a_graph_that_is_wrong_is_not_used(graph, problem, use, few_digits):
    images, y = few_digits
    expected = quick(10, init=y).fit(images)
    use(graph)
    with pytest.warns(RuntimeWarning, match=f"captured as a graph .{problem}"):
        model = quick(10, init=y).fit(images)
    assert_same_fit(model, expected)


def test_a_step_that_waits_for_the_device_is_taken_without_a_graph(
    use, few_digits, monkeypatch
):
    images, y = few_digits
    loss = _gradients.clustering_loss

    def waiting(targets, log_probabilities):
        assert targets.sum().item() > 0
        return loss(targets, log_probabilities)

    monkeypatch.setattr(_gradients, "clustering_loss", waiting)
    expected = quick(10, init=y).fit(images)
    use(PlayedGraph)
    with pytest.warns(RuntimeWarning, match="not permitted when stream is capturing"):
        model = quick(10, init=y).fit(images)
    assert_same_fit(model, expected)


def test_own_modules_and_files_are_trained_without_a_graph(use, few_digits, tmp_path):
    images, y = few_digits
    graphs = use(PlayedGraph)
    own = DenseAutoencoder((64,), embedding_dim=8)
    quick(10, network=own, embedding_dim=8, init=y).fit(images.reshape(300, 64))
    np.save(tmp_path / "X.npy", images)
    quick(10, init=y).fit(tmp_path / "X.npy")
    assert graphs == []


def test_processors_capture_nothing():
    assert _captured.graph_for(torch.device("cpu")) is None
    assert _captured.graph_for(torch.device("mps")) is None
    assert _captured.graph_for(torch.device("cuda")) is _captured.CudaGraph


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_replays_what_it_would_do_one_by_one(few_digits, monkeypatch):
    images, y = few_digits
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        model = quick(10, init=y, max_iter=10).fit(images)
    monkeypatch.setattr(_gradients, "graph_for", lambda device: None)
    expected = quick(10, init=y, max_iter=10).fit(images)
    assert np.mean(model.labels_ == expected.labels_) > 0.99
