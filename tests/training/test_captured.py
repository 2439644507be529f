"""Steps from captured graphs, on a processor that plays the GPU, and on a GPU."""

import warnings

import numpy as np
import pytest
import torch

from skdepict._training import step
from skdepict._training.captured import DIRECT_STEPS, CudaGraphs, graphs_for
from skdepict.networks import DenseAutoencoder
from tests import conftest

from .played_graph import PlayedGraphs

# Of 300 images.
BATCH_SIZE, N_BATCHES = 30, 10


def quick(n_clusters, device="cpu", **parameters):
    """An estimator that trains for a moment, on the processor."""
    return conftest.quick(n_clusters, device=device, **parameters)


class Direct(PlayedGraphs):
    """Has all steps taken one by one, with the same optimiser."""

    def __init__(self, generator):
        super().__init__(generator)
        self.failed = True


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
        monkeypatch.setattr(step, "graphs_for", graphs)
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
    "all phases": {"pretrain_epochs": 30, "reconstruction_weight": 1.0},
    "batch norm": {"network": "sigmoid_conv", "reconstruction_weight": 1.0},
    "dense": {"network": "dense"},
    "no noise": {"dropout": 0.0, "distortion": False},
}


@pytest.mark.parametrize("case", CASES)
def test_replayed_steps_are_those_that_are_taken_one_by_one(case, use, few_digits):
    images, y = few_digits
    parameters = {"init": y, "batch_size": BATCH_SIZE, "max_iter": 12, **CASES[case]}
    use(Direct)
    expected = quick(10, **parameters).fit(images)
    made = use(PlayedGraphs)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        model = quick(10, **parameters).fit(images)
    (graphs,) = made
    assert_same_fit(model, expected)
    # Two for each phase: with and without the decoder, and for the beginning of
    # pretraining.
    assert graphs.n_captured == {"all phases": 6}.get(case, 4)
    assert graphs.n_direct == DIRECT_STEPS * graphs.n_captured
    n_steps = len(model.history_) * N_BATCHES
    assert graphs.n_replayed == n_steps - graphs.n_direct


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_the_default_dtype_is_not_that_of_the_learning_rate(dtype, use, few_digits):
    images, y = few_digits
    use(PlayedGraphs)
    expected = quick(10, init=y).fit(images)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        model = quick(10, init=y).fit(images)
    finally:
        torch.set_default_dtype(before)
    assert_same_fit(model, expected)


def test_batches_of_two_sizes_have_a_graph_each(use, few_digits):
    images, y = (array[:299] for array in few_digits)
    parameters = {"init": y, "batch_size": BATCH_SIZE, "max_iter": 5}
    parameters["reconstruction_weight"] = 0.0
    use(Direct)
    expected = quick(10, **parameters).fit(images)
    made = use(PlayedGraphs)
    model = quick(10, **parameters).fit(images)
    assert_same_fit(model, expected)
    assert made[0].n_captured == 4


@pytest.mark.parametrize(
    ("graphs", "problem"),
    [
        (NotCapturing, "RuntimeError: operation not permitted"),
        (OutOfMemory, "OutOfMemoryError: CUDA out of memory"),
    ],
)
def test_where_there_can_be_no_graph_one_warning_says_so(
    graphs, problem, use, few_digits
):
    images, y = few_digits
    use(Direct)
    expected = quick(10, init=y).fit(images)
    use(graphs)
    with pytest.warns(RuntimeWarning, match=f"captured as a graph .{problem}") as seen:
        model = quick(10, init=y).fit(images)
    assert_same_fit(model, expected)
    assert len(seen) == 1


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


def test_bytes_and_a_part_of_the_samples_are_captured_too(use, few_digits):
    images = few_digits[0].astype(np.uint8)
    parameters = {"batch_size": BATCH_SIZE, "members": np.arange(200)}
    use(Direct)
    expected = quick(10, **parameters).fit(images)
    made = use(PlayedGraphs)
    model = quick(10, **parameters).fit(images)
    assert_same_fit(model, expected)
    assert made[0].n_captured >= 2


# Of weights that are drawn anew each time.
@pytest.mark.filterwarnings("ignore:Clusters")
def test_own_modules_and_files_are_trained_without_a_graph(use, few_digits, tmp_path):
    images, y = few_digits
    made = use(PlayedGraphs)
    own = DenseAutoencoder((64,), embedding_dim=8)
    quick(10, network=own, init=y).fit(images.reshape(300, 64))
    np.save(tmp_path / "X.npy", images)
    quick(10, init=y).fit(tmp_path / "X.npy")
    assert made == []


def test_a_fit_that_was_killed_is_resumed_by_graphs(use, few_digits, tmp_path):
    from tests.persistence.test_checkpoint import killed_and_resumed

    images = few_digits[0]
    parameters = {"fit_epochs": 5, "max_iter": 4, "batch_size": BATCH_SIZE}
    use(Direct)
    expected = quick(5, **parameters).fit(images)
    made = use(PlayedGraphs)
    model, n_pieces = killed_and_resumed(tmp_path, images, 2, **parameters)
    assert n_pieces >= 4
    assert sum(graphs.n_captured for graphs in made) >= 4
    np.testing.assert_array_equal(model.embedding_, expected.embedding_)
    assert model.history_ == expected.history_


def test_no_graphs_on_processors():
    assert graphs_for(torch.Generator("cpu")) is None


def test_a_fitted_network_holds_no_gradients(few_digits):
    network = quick(10, init=few_digits[1]).fit(few_digits[0]).network_
    assert all(parameter.grad is None for parameter in network.parameters())


needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@needs_gpu
def test_graphs_can_be_switched_off(monkeypatch):
    generator = torch.Generator("cuda")
    monkeypatch.delenv("SKDEPICT_CUDA_GRAPHS", raising=False)
    assert isinstance(graphs_for(generator), CudaGraphs)
    monkeypatch.setenv("SKDEPICT_CUDA_GRAPHS", "0")
    assert graphs_for(generator) is None


@needs_gpu
@pytest.mark.parametrize("case", CASES)
def test_a_gpu_replays_what_it_would_do_one_by_one(case, few_digits, monkeypatch):
    monkeypatch.delenv("SKDEPICT_CUDA_GRAPHS", raising=False)
    images, y = (array[:299] for array in few_digits)
    parameters = {"init": y, "batch_size": BATCH_SIZE, "max_iter": 10, **CASES[case]}
    n_replayed, replay = 0, torch.cuda.CUDAGraph.replay

    def counted(graph):
        nonlocal n_replayed
        n_replayed += 1
        replay(graph)

    monkeypatch.setattr(torch.cuda.CUDAGraph, "replay", counted)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        model = quick(10, device="cuda", **parameters).fit(images)
    assert n_replayed > N_BATCHES
    monkeypatch.setenv("SKDEPICT_CUDA_GRAPHS", "0")
    expected = quick(10, device="cuda", **parameters).fit(images)
    for found, wanted in zip(model.history_[:3], expected.history_[:3], strict=True):
        assert found["loss"] == pytest.approx(wanted["loss"], rel=1e-2)
    assert np.mean(model.labels_ == expected.labels_) > 0.99
