"""Devices with too little memory for a batch."""

import numpy as np
import pytest
import torch

from skdepict.networks import DenseAutoencoder
from skdepict.networks._inference import inference_batch
from skdepict.networks._model import ClusteringModel
from tests.conftest import quick

FULL = [
    torch.OutOfMemoryError("CUDA out of memory."),
    RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"),
    RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    MemoryError(),
]


class Limited(DenseAutoencoder):
    """A network on a device that in training fails at more samples."""

    def __init__(self, n_samples, error):
        torch.manual_seed(0)
        super().__init__((10,), embedding_dim=8)
        self.n_samples, self.error = n_samples, error

    def encode(self, x, corrupt):
        if self.training and len(x) > self.n_samples:
            raise self.error
        return super().encode(x, corrupt)


def limited(n_samples, error):
    """An estimator for such a device; its noise is none, for it would differ."""
    network = Limited(n_samples, error)
    return quick(3, network=network, batch_size=32, dropout=0.0, max_rounds=1)


@pytest.mark.parametrize("error", FULL, ids=lambda error: str(error)[:12])
def test_batches_are_halved_until_they_fit(error, blobs):
    X, _ = blobs
    expected = limited(32, error).fit(X)
    with pytest.warns(UserWarning, match="out of memory: from now on a batch") as seen:
        model = limited(10, error).fit(X)
    # 32 samples are taken as 16 twice, then as 8 four times, and stay so.
    assert len(seen) == 2
    np.testing.assert_array_equal(model.labels_, expected.labels_)
    # In bfloat16 sums of parts are rounded otherwise.
    np.testing.assert_allclose(model.embedding_, expected.embedding_, atol=0.1)
    for ours, theirs in zip(model.history_, expected.history_, strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=0.05, abs=1e-3)


@pytest.mark.parametrize("error", FULL, ids=lambda error: str(error)[:12])
def test_predictions_are_the_same_in_smaller_batches(error, monkeypatch, fitted):
    X = np.random.default_rng(0).integers(0, 16, (2500, 8, 8)).astype(np.float32)
    expected = fitted.transform(X)
    embed = ClusteringModel.embed

    def embed_few(model, x):
        if len(x) > 100:
            raise error
        return embed(model, x)

    monkeypatch.setattr(ClusteringModel, "embed", embed_few)
    with pytest.warns(UserWarning, match="samples at a time are embedded") as seen:
        found = fitted.transform(X)
    # Of 1,024, and 512, 256 and 128.
    assert len(seen) == 4
    # A GPU adds up products of other heights in another order.
    atol = 1e-5 if torch.cuda.is_available() else 0
    np.testing.assert_allclose(found, expected, rtol=0, atol=atol)


def test_a_device_without_room_for_one_sample_is_an_error(blobs):
    model = limited(0, FULL[0])
    with (
        pytest.warns(UserWarning, match="out of memory"),
        pytest.raises(torch.OutOfMemoryError),
    ):
        model.fit(blobs[0])
    assert not hasattr(model, "labels_")


def test_other_errors_are_not_taken_for_it(blobs):
    error = RuntimeError("mat1 and mat2 shapes cannot be multiplied")
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        limited(10, error).fit(blobs[0])


@pytest.mark.parametrize("n_features", [1, 64, 784, 3 * 256**2, 10**9])
@pytest.mark.parametrize(("device", "n_values"), [("cpu", 2**18), ("cuda", 2**24)])
def test_batches_of_predictions_are_bounded(n_features, device, n_values):
    n_samples = inference_batch(n_features, torch.device(device))
    assert n_samples % 32 == 0
    assert 32 <= n_samples <= 1024
    assert n_samples == 32 or n_samples * n_features <= n_values
