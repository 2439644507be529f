"""Devices with too little memory for a batch."""

from contextlib import nullcontext

import numpy as np
import pytest
import torch

from skdepict._training import step
from skdepict._training.step import Gradients
from skdepict.networks._model import ClusteringModel, inference_batch
from tests.conftest import quick

FULL = [
    torch.OutOfMemoryError("CUDA out of memory."),
    RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"),
    RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    MemoryError(),
]


def with_room_for(n_samples, method, error):
    """The same method on a device that fails at more samples."""

    def limited(self, *arguments):
        x = next(part for part in arguments if isinstance(part, torch.Tensor))
        if len(x) > n_samples:
            raise error
        return method(self, *arguments)

    return limited


@pytest.mark.parametrize("error", FULL, ids=lambda error: str(error)[:12])
def test_batches_are_halved_until_they_fit(error, monkeypatch, blobs):
    X, _ = blobs
    # In bfloat16 sums of parts differ by more than rounding of single precision.
    monkeypatch.setattr(step, "training_precision", lambda device: nullcontext())
    parameters = {"batch_size": 32, "dropout": 0.0, "max_rounds": 1}
    expected = quick(3, **parameters).fit(X)
    monkeypatch.setattr(
        Gradients, "_losses", with_room_for(10, Gradients._losses, error)
    )
    with pytest.warns(UserWarning, match="out of memory: from now on a batch") as seen:
        model = quick(3, **parameters).fit(X)
    # 32 samples are taken as 16 twice, then as 8 four times, and stay so.
    assert len(seen) == 2
    np.testing.assert_array_equal(model.labels_, expected.labels_)
    np.testing.assert_allclose(model.embedding_, expected.embedding_, atol=1e-3)
    for ours, theirs in zip(model.history_, expected.history_, strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("error", FULL, ids=lambda error: str(error)[:12])
def test_predictions_are_the_same_in_smaller_batches(error, monkeypatch, fitted):
    X = np.random.default_rng(0).integers(0, 16, (2500, 8, 8)).astype(np.float32)
    expected = fitted.transform(X)
    embed = with_room_for(100, ClusteringModel.embed, error)
    monkeypatch.setattr(ClusteringModel, "embed", embed)
    with pytest.warns(UserWarning, match="samples at a time are embedded") as seen:
        found = fitted.transform(X)
    # Of 1,024, and 512, 256 and 128.
    assert len(seen) == 4
    np.testing.assert_array_equal(found, expected)


def test_a_device_without_room_for_one_sample_is_an_error(monkeypatch, blobs):
    error = FULL[0]
    monkeypatch.setattr(
        Gradients, "_losses", with_room_for(0, Gradients._losses, error)
    )
    model = quick(3)
    with (
        pytest.warns(UserWarning, match="out of memory"),
        pytest.raises(torch.OutOfMemoryError),
    ):
        model.fit(blobs[0])
    assert not hasattr(model, "labels_")


def test_other_errors_are_not_taken_for_it(monkeypatch, blobs):
    error = RuntimeError("mat1 and mat2 shapes cannot be multiplied")
    monkeypatch.setattr(
        Gradients, "_losses", with_room_for(10, Gradients._losses, error)
    )
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        quick(3).fit(blobs[0])


@pytest.mark.parametrize("n_features", [1, 64, 784, 3 * 256**2, 10**9])
def test_batches_of_predictions_are_bounded(n_features):
    n_samples = inference_batch(n_features)
    assert n_samples % 32 == 0
    assert 32 <= n_samples <= 1024
    assert n_samples == 32 or n_samples * n_features <= 2**24
