"""Gradients from captured graphs, on a processor that plays the GPU."""

import warnings

import numpy as np
import pytest
import torch

from skdepict._training import captured, start, step
from skdepict._training.step import Gradients
from skdepict.networks import DenseAutoencoder
from tests import conftest

from .played_graph import PlayedGraphs

# Of 300 images.
BATCH_SIZE, N_BATCHES = 30, 10


def quick(n_clusters, device="cpu", **parameters):
    """An estimator that trains for a moment, on the processor."""
    return conftest.quick(n_clusters, device=device, **parameters)


class WithoutNoise(PlayedGraphs):
    """Graphs whose noise does not move on, and so is the same in each replay."""

    def replay(self, graph):
        noise = self.noise.get_state()
        super().replay(graph)
        self.noise.set_state(noise)


class OfOneBatch(PlayedGraphs):
    """Graphs that do not see which batch they are given."""

    def replay(self, graph):
        self.n_replayed += 1


class Twice(PlayedGraphs):
    """Graphs that run twice."""

    def replay(self, graph):
        super().replay(graph)
        super().replay(graph)


class NotCapturing(PlayedGraphs):
    """A device that cannot, and says why before it says that it failed."""

    def capture(self, function):
        try:
            raise RuntimeError("operation not permitted")
        finally:
            raise RuntimeError("previous error during capture")


class OutOfMemory(PlayedGraphs):
    """A device that has no memory for a graph."""

    def capture(self, function):
        raise torch.OutOfMemoryError("CUDA out of memory.")


@pytest.fixture
def use(monkeypatch):
    """A function that has processors capture, and returns the graphs they make."""

    def use(graphs):
        monkeypatch.setattr(step, "graphs_for", lambda device: graphs)
        monkeypatch.setattr(PlayedGraphs, "made", [])
        return PlayedGraphs.made

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
    made = use(PlayedGraphs)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        model = quick(10, **parameters).fit(images)
    assert_same_fit(model, expected)
    n_steps = len(model.history_) * N_BATCHES
    n_kinds = sum(len(graphs.captured) for graphs in made)
    # The batch that a graph is checked with is taken both ways.
    n_direct = (captured.DIRECT_BATCHES + 1) * n_kinds
    assert sum(graphs.n_direct for graphs in made) == n_direct
    n_replayed = n_steps - captured.DIRECT_BATCHES * n_kinds
    assert sum(graphs.n_replayed for graphs in made) == n_replayed
    # One for each phase, and in pretraining another for its beginning.
    assert n_kinds == {"all phases": 4}.get(case, 2)


def test_batches_of_two_sizes_have_a_graph_each(use, few_digits):
    images, y = (array[:299] for array in few_digits)
    parameters = {"init": y, "batch_size": BATCH_SIZE, "max_iter": 5}
    expected = quick(10, **parameters).fit(images)
    made = use(PlayedGraphs)
    model = quick(10, **parameters).fit(images)
    assert_same_fit(model, expected)
    assert [len(graphs.captured) for graphs in made] == [2, 2]


WRONG = {
    "without noise": (WithoutNoise, "its noise does not go on as it should", "conv"),
    "of one batch": (OfOneBatch, "its (losses|gradients) differ by", "conv"),
    "twice": (Twice, "its running statistics count something else", "batch norm"),
    "not capturing": (NotCapturing, "RuntimeError: operation not permitted", "conv"),
    "no memory": (OutOfMemory, "OutOfMemoryError: CUDA out of memory", "conv"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_graph_that_is_wrong_is_not_used(case, use, few_digits):
    graphs, problem, network = WRONG[case]
    images, y = few_digits
    parameters = {"init": y, "max_iter": 3, **CASES[network]}
    if graphs is Twice:
        parameters |= CASES["no noise"]
    expected = quick(10, **parameters).fit(images)
    made = use(graphs)
    with pytest.warns(RuntimeWarning, match=f"captured as a graph .{problem}") as seen:
        model = quick(10, **parameters).fit(images)
    assert_same_fit(model, expected)
    assert len(seen) == 1
    # Not tried again in other phases.
    assert len(made) == 1


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


def test_graphs_make_room_for_a_batch_that_does_not_fit_beside_them(
    use, few_digits, monkeypatch
):
    """Batches of 29 find no memory while there is a graph for those of 30."""
    images, y = (array[:299] for array in few_digits)
    parameters = {"init": y, "batch_size": BATCH_SIZE}
    expected = quick(10, **parameters).fit(images)
    made = use(PlayedGraphs)
    losses = Gradients._losses

    def losses_in_little_memory(self, phase, x, targets):
        result = losses(self, phase, x, targets)
        kept = [graph for graphs in made for graph in graphs.captured if graph()]
        if len(x) == 29 and kept:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return result

    monkeypatch.setattr(Gradients, "_losses", losses_in_little_memory)
    with pytest.warns(RuntimeWarning, match=r"a graph \(out of memory\)") as seen:
        model = quick(10, **parameters).fit(images)
    assert_same_fit(model, expected)
    # And batches are not halved: they fit now.
    assert len(seen) == 1
    assert [len(graphs.captured) for graphs in made] == [1]


def test_bytes_and_a_part_of_the_samples_are_captured_too(use, few_digits, monkeypatch):
    monkeypatch.setattr(start, "MAX_LABELLED", 200)
    images = few_digits[0].astype(np.uint8)
    expected = quick(10, batch_size=BATCH_SIZE).fit(images)
    made = use(PlayedGraphs)
    model = quick(10, batch_size=BATCH_SIZE).fit(images)
    assert_same_fit(model, expected)
    assert sum(len(graphs.captured) for graphs in made) >= 2


def test_one_small_tensor_that_is_wrong_is_seen():
    good = [torch.ones(1000), torch.full((3,), 0.1)]
    bad = [torch.ones(1000), torch.tensor([0.1, 0.1, 0.0])]
    rounded = [tensor * 1.01 for tensor in good]
    assert captured._difference("gradients", good, rounded) == ""
    found = captured._difference("gradients", bad, good)
    assert found == "its gradients differ by 0.1 from 0.173"
    assert "differ" in captured._difference("losses", [good[1] * np.nan], [good[1]])
    assert "elsewhere" in captured._difference("gradients", [good[0], None], good)


def test_a_large_count_hides_no_other_difference():
    """Batch norm counts its batches beside its running statistics."""
    good = [torch.tensor([0.1]), torch.tensor(5000)]
    bad = [torch.tensor([0.2]), torch.tensor(5000)]
    counted_twice = [torch.tensor([0.1]), torch.tensor(5001)]
    assert captured._difference("running statistics", good, good) == ""
    assert "differ by 0.1" in captured._difference("running statistics", bad, good)
    found = captured._difference("running statistics", counted_twice, good)
    assert found == "its running statistics count something else"


def test_a_step_that_waits_for_the_device_is_taken_without_a_graph(
    use, few_digits, monkeypatch
):
    images, y = few_digits
    loss = step.clustering_loss

    def waiting(targets, log_probabilities):
        assert targets.sum().item() > 0
        return loss(targets, log_probabilities)

    monkeypatch.setattr(step, "clustering_loss", waiting)
    expected = quick(10, init=y).fit(images)
    use(PlayedGraphs)
    with pytest.warns(RuntimeWarning, match="not permitted when stream is capturing"):
        model = quick(10, init=y).fit(images)
    assert_same_fit(model, expected)


# Of weights that are drawn anew each time.
@pytest.mark.filterwarnings("ignore:Clusters")
def test_own_modules_and_files_are_trained_without_a_graph(use, few_digits, tmp_path):
    images, y = few_digits
    made = use(PlayedGraphs)
    own = DenseAutoencoder((64,), embedding_dim=8)
    quick(10, network=own, embedding_dim=8, init=y).fit(images.reshape(300, 64))
    np.save(tmp_path / "X.npy", images)
    quick(10, init=y).fit(tmp_path / "X.npy")
    assert made == []


def test_graphs_are_for_cuda_and_can_be_switched_off(monkeypatch):
    monkeypatch.delenv("SKDEPICT_CUDA_GRAPHS", raising=False)
    assert captured.graphs_for(torch.device("cpu")) is None
    assert captured.graphs_for(torch.device("mps")) is None
    assert captured.graphs_for(torch.device("cuda")) is captured.CudaGraphs
    monkeypatch.setenv("SKDEPICT_CUDA_GRAPHS", "0")
    assert captured.graphs_for(torch.device("cuda")) is None


def test_a_program_in_which_a_capture_failed_makes_no_more_of_them(monkeypatch):
    monkeypatch.delenv("SKDEPICT_CUDA_GRAPHS", raising=False)
    monkeypatch.setattr(captured.CudaGraphs, "can_capture", False)
    assert captured.graphs_for(torch.device("cuda")) is None


def test_a_fitted_network_holds_no_gradients(few_digits):
    network = quick(10, init=few_digits[1]).fit(few_digits[0]).network_
    assert all(parameter.grad is None for parameter in network.parameters())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_replays_what_it_would_do_one_by_one(few_digits, monkeypatch):
    monkeypatch.delenv("SKDEPICT_CUDA_GRAPHS", raising=False)
    images, y = (array[:299] for array in few_digits)
    parameters = {"init": y, "batch_size": BATCH_SIZE, "max_iter": 10}
    n_replayed, replay = 0, captured.CudaGraphs.replay

    def counted(self, graph):
        nonlocal n_replayed
        n_replayed += 1
        replay(self, graph)

    monkeypatch.setattr(captured.CudaGraphs, "replay", counted)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        model = quick(10, device="cuda", **parameters).fit(images)
    assert n_replayed > N_BATCHES
    monkeypatch.setenv("SKDEPICT_CUDA_GRAPHS", "0")
    expected = quick(10, device="cuda", **parameters).fit(images)
    first, first_expected = model.history_[0], expected.history_[0]
    assert first["loss"] == pytest.approx(first_expected["loss"], rel=1e-3)
    assert np.mean(model.labels_ == expected.labels_) > 0.99
