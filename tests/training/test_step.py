"""What one step computes, against the definition."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy.special import rel_entr, softmax
from torch import nn

from skdepict._training.noise import Dropout
from skdepict._training.step import LossWeights, loss_weights, losses
from skdepict.networks import DenseAutoencoder
from skdepict.networks._model import ClusteringModel
from tests.conftest import settings_of


class NoNoise:
    """Leaves batches as they are."""

    def distort(self, x):
        return x

    def drop(self, x):
        return x


def problem(network, n_units=8):
    """A model with a softmax layer that is sure of something, samples, and Q."""
    generator = torch.Generator().manual_seed(0)
    model = ClusteringModel(network, n_units, 3)
    model.set_centers(torch.randn(3, n_units, generator=generator))
    x = torch.randn(5, 64, generator=generator)
    return model, x, torch.rand(5, 3, generator=generator).softmax(dim=1)


@pytest.fixture
def single_precision(monkeypatch):
    """Processors that compute bfloat16 would round more than the tests allow."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict, raising=False)
    from skdepict.networks import _device

    _device._computes_bfloat16.cache_clear()
    yield
    _device._computes_bfloat16.cache_clear()


@pytest.mark.parametrize("within_batch", [False, True])
@pytest.mark.parametrize(
    ("weights", "n_decoded"),
    [(LossWeights(0.0), 0), (LossWeights(0.7), 5), (LossWeights(0.7, share=0.5), 2)],
)
def test_losses_are_the_terms_of_the_objective(
    weights, n_decoded, within_batch, single_precision
):
    torch.manual_seed(0)
    model, x, targets = problem(DenseAutoencoder((64,), embedding_dim=8))
    predicted = []

    def target_of_batch(probabilities):
        predicted.append(probabilities)
        return targets

    given = target_of_batch if within_batch else targets
    reconstruction, clustering = losses(model, x, given, weights, NoNoise())
    with torch.no_grad():
        *hidden, embedding = model.autoencoder.encode(x, lambda layer: layer)
        decoded = model.autoencoder.decode(embedding)
        logits = model.assignment(embedding).numpy()
    errors = [
        np.mean((ours - theirs)[: n_decoded or 5].numpy() ** 2)
        for ours, theirs in zip(decoded, [*hidden[::-1], x], strict=True)
    ]
    expected = weights.reconstruction * (errors[-1] + 0.1 * sum(errors[:-1]))
    assert reconstruction.item() == pytest.approx(expected, rel=1e-5)
    divergence = rel_entr(targets.numpy(), softmax(logits, axis=1)).sum() / len(x)
    for probabilities in predicted:
        # Q within the batch is of all its samples.
        np.testing.assert_allclose(probabilities, softmax(logits, axis=1), rtol=1e-4)
    assert len(predicted) == within_batch
    assert clustering.item() == pytest.approx(divergence, rel=1e-4)


def test_the_encoder_learns_from_the_decoder_only_where_it_is_said():
    torch.manual_seed(0)
    model, x, _ = problem(DenseAutoencoder((64,), embedding_dim=8))
    for in_encoder in (False, True):
        model.zero_grad()
        terms = losses(model, x, None, LossWeights(1.0, in_encoder), NoNoise())
        sum(terms).backward()
        of_encoder = [p.grad for p in model.autoencoder.encoder.parameters()]
        assert all((grad is not None) == in_encoder for grad in of_encoder)
        assert all(p.grad is not None for p in model.autoencoder.decoder.parameters())
        assert terms[1].item() == 0


def test_as_published_the_gradient_flows_through_all_layers():
    torch.manual_seed(0)
    model, x, targets = problem(DenseAutoencoder((64,), embedding_dim=8))
    weights = LossWeights(0.7, as_published=True)
    sum(losses(model, x, targets, weights, NoNoise())).backward()
    found = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    # Without noise both pathways are one, which appears on both sides of each error.
    *hidden, embedding = model.autoencoder.encode(x, lambda layer: layer)
    decoded = model.autoencoder.decode(embedding)
    pairs = zip(decoded, [*hidden[::-1], x], strict=True)
    *of_hidden, of_input = [(ours - theirs).square().mean() for ours, theirs in pairs]
    log_p = model.assignment(embedding).log_softmax(dim=1)
    clustering = (targets * (targets.log() - log_p)).sum(dim=1).mean()
    (0.7 * (of_input + 0.1 * sum(of_hidden)) + clustering).backward()
    for gradient, parameter in zip(found, model.parameters(), strict=True):
        torch.testing.assert_close(gradient, parameter.grad)


class InPlace(nn.Module):
    """A module that changes its input."""

    def __init__(self):
        super().__init__()
        self.down, self.up = nn.Linear(64, 8), nn.Linear(8, 64)

    def encode(self, x, corrupt):
        return [torch.tanh(self.down(corrupt(x).relu_().sub_(0.1)))]

    def decode(self, embedding):
        return [self.up(embedding)]


class OutOfPlace(InPlace):
    """The same function, that leaves its input as it is."""

    def encode(self, x, corrupt):
        return super().encode(x.clone(), corrupt)


def test_what_is_reconstructed_is_the_input_before_the_network_changed_it():
    found = []
    for kind in (InPlace, OutOfPlace):
        torch.manual_seed(0)
        network = kind()
        network.reconstruction_loss = lambda decoded, clean: nn.functional.mse_loss(
            decoded[-1], clean[0]
        )
        model, x, targets = problem(network)
        terms = losses(model, x, targets, LossWeights(1.0), NoNoise())
        found.append([term.item() for term in terms])
    assert found[0] == found[1]


def test_noise_reaches_the_noisy_pathway_alone():
    torch.manual_seed(0)
    model, x, targets = problem(DenseAutoencoder((64,), embedding_dim=8))
    noise = NoNoise()
    noise.drop = Dropout(0.5, torch.Generator().manual_seed(0))
    seen = []
    model.autoencoder.reconstruction_loss = lambda decoded, clean: (
        seen.append(clean) or decoded[-1].sum()
    )
    losses(model, x, targets, LossWeights(1.0), noise)
    with torch.no_grad():
        clean = model.autoencoder.encode(x, lambda layer: layer)
    for ours, theirs in zip(seen[0][1:], clean[:-1], strict=True):
        torch.testing.assert_close(ours, theirs, atol=0.05, rtol=0.05)


def test_half_of_one_batch_of_eight_is_reconstructed_and_counts_for_all():
    settings = settings_of(1000, 10, reconstruction_weight=0.5)
    for phase, in_encoder in (("initialise", False), ("joint", True)):
        weights = [loss_weights(settings, phase, number, 64) for number in range(64)]
        reconstructed = [w for w in weights if w.reconstruction]
        assert len(reconstructed) == 8
        assert np.mean([w.reconstruction for w in weights]) == 0.5
        assert {w.in_encoder for w in reconstructed} == {in_encoder}
        assert {w.share for w in reconstructed} == {0.5}
    table = dataclasses.replace(settings, is_table=True)
    assert loss_weights(table, "joint", 0, 64).share == 1.0
    alone = [loss_weights(settings, "pretrain", number, 64) for number in range(64)]
    assert {(w.reconstruction, w.share) for w in alone} == {(1.0, 1.0)}
    settings = settings_of(1000, 10, algorithm="paper", reconstruction_weight=0.5)
    for phase, weight in (("pretrain", 1.0), ("initialise", 0.5), ("joint", 0.5)):
        found = {loss_weights(settings, phase, number, 64) for number in range(64)}
        assert found == {LossWeights(weight, as_published=True)}


@pytest.mark.parametrize("share", [0.5, 1.0])
@pytest.mark.parametrize("owner", ["shuffled", "last halves are another's", "one each"])
def test_processes_reconstruct_together_what_one_would(share, owner):
    rng = np.random.default_rng(0)
    owners = {
        "shuffled": rng.integers(3, size=31),
        "last halves are another's": np.repeat([0, 1], [16, 15]),
        "one each": np.arange(5),
    }[owner]
    whole, errors = LossWeights(8.0, share=share), rng.random(len(owners))
    expected = 8.0 * errors[: whole.n_decoded(len(owners))].mean()
    summed = 0.0
    for process in np.unique(owners):
        is_own = owners == process
        weights = whole.of_own(torch.from_numpy(is_own))
        if weights.reconstruction:
            own = errors[is_own][: weights.n_decoded(is_own.sum())]
            summed += weights.reconstruction * own.mean() * is_own.mean()
    assert summed == pytest.approx(expected)
