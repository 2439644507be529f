"""Gradients from captured graphs, on a processor that plays the GPU."""

import warnings

import numpy as np
import pytest
import torch

from skdepict import _captured, _gradients, _initialization
from skdepict._gradients import Gradients
from skdepict.networks import DenseAutoencoder

from .conftest import quick
from .played_graph import PlayedGraph

# Of 300 images.
BATCH_SIZE, N_BATCHES = 30, 10


class WithoutNoise(PlayedGraph):
    """A graph whose noise does not move on, and so is the same in each replay."""

    def replay(self):
        noise = self.noise.get_state()
        super().replay()
        self.noise.set_state(noise)


class OfOneBatch(PlayedGraph):
    """A graph that does not see which batch it is given."""

    def replay(self):
        self.n_replayed += 1


class Twice(PlayedGraph):
    """A graph that runs twice."""

    def replay(self):
        super().replay()
        super().replay()


class NotCapturing(PlayedGraph):
    """A device that cannot, and says why before it says that it failed."""

    def capture(self, function):
        try:
            raise RuntimeError("operation not permitted")
        finally:
            raise RuntimeError("previous error during capture")


class OutOfMemory(PlayedGraph):
    """A device that has no memory for a graph."""

    def capture(self, function):
        raise torch.OutOfMemoryError("CUDA out of memory.")


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
    n_direct = _captured.DIRECT_BATCHES + 1
    assert all(graph.n_warm_ups == n_direct for graph in graphs)
    assert all(graph.n_captured == 1 for graph in graphs)
    n_steps = len(model.history_) * N_BATCHES
    n_replayed = sum(graph.n_replayed for graph in graphs)
    assert n_replayed == n_steps - _captured.DIRECT_BATCHES * len(graphs)


def test_batches_of_two_sizes_have_a_graph_each(use, few_digits):
    images, y = (array[:299] for array in few_digits)
    parameters = {"init": y, "batch_size": BATCH_SIZE, "max_iter": 5}
    expected = quick(10, **parameters).fit(images)
    graphs = use(PlayedGraph)
    model = quick(10, **parameters).fit(images)
    assert_same_fit(model, expected)
    # Two phases, with batches of 30 and 29.
    assert len(graphs) == 4


WRONG = {
    "without noise": (WithoutNoise, "its noise does not go on as it should", "conv"),
    "of one batch": (OfOneBatch, "its (losses|gradients) differ by", "conv"),
    "twice": (Twice, "its running statistics differ by", "batch norm"),
    "not capturing": (NotCapturing, "RuntimeError: operation not permitted", "conv"),
    "no memory": (OutOfMemory, "OutOfMemoryError: CUDA out of memory", "conv"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_graph_that_is_wrong_is_not_used(case, use, few_digits):
    graph, problem, network = WRONG[case]
    images, y = few_digits
    parameters = {"init": y, "max_iter": 3, **CASES[network]}
    if graph is Twice:
        parameters |= CASES["no noise"]
    expected = quick(10, **parameters).fit(images)
    graphs = use(graph)
    with pytest.warns(RuntimeWarning, match=f"captured as a graph .{problem}") as seen:
        model = quick(10, **parameters).fit(images)
    assert_same_fit(model, expected)
    assert len(seen) == 1
    # Not tried again for other batches and phases.
    assert len(graphs) == 1


def test_an_error_that_a_fit_is_the_answer_to_is_not_named(use, few_digits):
    images, y = few_digits
    use(NotCapturing)

    def fit_while_handling_an_error():
        try:
            raise KeyError("of the user's own")
        except KeyError:
            quick(10, init=y).fit(images)

    with pytest.warns(RuntimeWarning, match="RuntimeError: operation not permitted"):
        fit_while_handling_an_error()


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_whoever_ends_a_fit_while_it_captures_ends_it(interrupt, use, few_digits):
    images, y = few_digits

    class Ended(PlayedGraph):
        abandoned = 0

        def capture(self, function):
            raise interrupt

        def abandon(self):
            Ended.abandoned += 1

    use(Ended)
    model = quick(10, init=y)
    if interrupt is SystemExit:
        with pytest.raises(SystemExit):
            model.fit(images)
    else:
        with pytest.warns(UserWarning, match="interrupted"):
            model.fit(images)
    assert Ended.abandoned == 1


def test_graphs_make_room_for_a_batch_that_does_not_fit_beside_them(
    use, few_digits, monkeypatch
):
    """Batches of 29 find no memory while there is a graph for those of 30."""
    images, y = (array[:299] for array in few_digits)
    parameters = {"init": y, "batch_size": BATCH_SIZE}
    expected = quick(10, **parameters).fit(images)
    losses, n_failed = Gradients._losses, 0

    def losses_in_little_memory(self, phase, x, targets):
        nonlocal n_failed
        if len(x) == 29 and self._new_graph is not None and n_failed == 0:
            n_failed += 1
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return losses(self, phase, x, targets)

    monkeypatch.setattr(Gradients, "_losses", losses_in_little_memory)
    graphs = use(PlayedGraph)
    with pytest.warns(RuntimeWarning, match=r"a graph \(out of memory\)") as seen:
        model = quick(10, **parameters).fit(images)
    assert_same_fit(model, expected)
    # And batches are not halved: they fit now.
    assert len(seen) == 1
    assert [graph.n_captured for graph in graphs] == [1, 0]


def test_graphs_of_a_phase_share_memory(use, few_digits):
    images, y = (array[:299] for array in few_digits)
    graphs = use(PlayedGraph)
    quick(10, init=y, batch_size=BATCH_SIZE, max_iter=5).fit(images)
    assert [graph.beside for graph in graphs] == [None, graphs[0], None, graphs[2]]


def test_bytes_and_a_part_of_the_samples_are_captured_too(use, few_digits, monkeypatch):
    monkeypatch.setattr(_initialization, "MAX_LABELLED", 200)
    images = few_digits[0].astype(np.uint8)
    expected = quick(10, batch_size=BATCH_SIZE).fit(images)
    graphs = use(PlayedGraph)
    model = quick(10, batch_size=BATCH_SIZE).fit(images)
    assert_same_fit(model, expected)
    assert sum(graph.n_captured for graph in graphs) >= 2


def test_one_small_tensor_that_is_wrong_is_seen():
    good = [torch.ones(1000), torch.full((3,), 0.1)]
    bad = [torch.ones(1000), torch.tensor([0.1, 0.1, 0.0])]
    rounded = [tensor * 1.01 for tensor in good]
    assert _captured._difference("gradients", good, rounded) == ""
    found = _captured._difference("gradients", bad, good)
    assert found == "its gradients differ by 0.1 from 0.173"
    assert "differ" in _captured._difference("losses", [good[1] * np.nan], [good[1]])
    assert "elsewhere" in _captured._difference("gradients", [good[0], None], good)


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


def test_graphs_can_be_switched_off(monkeypatch):
    monkeypatch.setenv("SKDEPICT_CUDA_GRAPHS", "0")
    assert _captured.graph_for(torch.device("cuda")) is None


def test_a_fitted_network_holds_no_gradients(few_digits):
    network = quick(10, init=few_digits[1]).fit(few_digits[0]).network_
    assert all(parameter.grad is None for parameter in network.parameters())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_replays_what_it_would_do_one_by_one(few_digits, monkeypatch):
    images, y = few_digits
    n_replayed, replay = 0, _captured.CudaGraph.replay

    def counted(self):
        nonlocal n_replayed
        n_replayed += 1
        replay(self)

    monkeypatch.setattr(_captured.CudaGraph, "replay", counted)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        model = quick(10, init=y, max_iter=10).fit(images)
    assert n_replayed > 20
    monkeypatch.setattr(_gradients, "graph_for", lambda device: None)
    expected = quick(10, init=y, max_iter=10).fit(images)
    assert np.mean(model.labels_ == expected.labels_) > 0.99
