"""The equations against scipy: a numerical minimiser, its KL, its gradients."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import rel_entr, softmax
from torch.nn.functional import binary_cross_entropy, mse_loss

from skdepict._training.objectives import (
    chance,
    class_means,
    clustering_loss,
    estimated_prior,
    prior_divergence,
    target_distribution,
)
from skdepict.networks._losses import reconstruction_loss

FORMS = ("square-root", "squared")


def random_problem(seed, n_samples=6, n_clusters=3):
    """A random prediction P and prior u."""
    rng = np.random.default_rng(seed)
    probabilities = softmax(rng.normal(scale=2, size=(n_samples, n_clusters)), axis=1)
    return probabilities, rng.dirichlet(np.full(n_clusters, 3.0))


def objective(targets, probabilities, prior):
    """KL(Q || P) + KL(f || u) by scipy, per sample."""
    frequencies = targets.mean(axis=0)
    divergence = rel_entr(targets, probabilities).sum() / len(targets)
    return divergence + rel_entr(frequencies, prior).sum()


def closed_form(probabilities, prior, form):
    return target_distribution(
        torch.from_numpy(probabilities), torch.from_numpy(prior), form
    ).numpy()


def minimise_with_free_rows(probabilities, prior):
    """The least objective over all Q >= 0 whose entries add up to n_samples.

    Q is written as n_samples times a softmax over all its entries, so that scipy's
    unconstrained minimiser sees the whole feasible set and nothing else.
    """

    def value(logits):
        targets = len(probabilities) * softmax(logits).reshape(probabilities.shape)
        return objective(targets, probabilities, prior)

    start = np.log(probabilities).ravel()
    best = minimize(value, start, method="BFGS", options={"gtol": 1e-9})
    return len(probabilities) * softmax(best.x).reshape(probabilities.shape)


def minimise_with_row_constraints(probabilities, prior):
    """The least objective over all Q whose rows sum to 1."""

    def value(logits):
        targets = softmax(logits.reshape(probabilities.shape), axis=1)
        return objective(targets, probabilities, prior)

    best = minimize(value, np.log(probabilities).ravel(), options={"gtol": 1e-9})
    return softmax(best.x.reshape(probabilities.shape), axis=1)


@pytest.mark.parametrize("seed", range(5))
def test_square_root_form_is_the_minimiser_with_free_rows_normalised(seed):
    probabilities, prior = random_problem(seed)
    best = minimise_with_free_rows(probabilities, prior)
    expected = best / best.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(
        closed_form(probabilities, prior, "square-root"), expected, atol=1e-5
    )


@pytest.mark.parametrize("seed", range(5))
def test_square_root_form_lowers_the_constrained_objective_most_of_the_way(seed):
    probabilities, prior = random_problem(seed, n_samples=12)
    before = objective(probabilities, probabilities, prior)
    best = objective(
        minimise_with_row_constraints(probabilities, prior), probabilities, prior
    )
    reached = objective(
        closed_form(probabilities, prior, "square-root"), probabilities, prior
    )
    assert best <= reached < before
    assert before - reached > 0.8 * (before - best)


@pytest.mark.parametrize("seed", range(5))
def test_squared_form_is_the_published_one_under_a_uniform_prior(seed):
    probabilities, _ = random_problem(seed)
    expected = np.empty_like(probabilities)
    for i, row in enumerate(probabilities):
        weights = [p**2 / probabilities[:, k].sum() for k, p in enumerate(row)]
        expected[i] = np.array(weights) / sum(weights)
    uniform = np.full(3, 1 / 3)
    np.testing.assert_allclose(
        closed_form(probabilities, uniform, "squared"), expected, rtol=1e-12
    )


@given(
    seed=st.integers(0, 10_000),
    n_samples=st.integers(1, 30),
    n_clusters=st.integers(1, 8),
    form=st.sampled_from(FORMS),
)
def test_targets_are_distributions_and_ignore_the_order_of_samples(
    seed, n_samples, n_clusters, form
):
    probabilities, prior = random_problem(seed, n_samples, n_clusters)
    targets = closed_form(probabilities, prior, form)
    assert np.all(targets >= 0)
    np.testing.assert_allclose(targets.sum(axis=1), 1.0)
    order = np.random.default_rng(seed).permutation(n_samples)
    np.testing.assert_allclose(
        closed_form(probabilities[order], prior, form), targets[order], atol=1e-12
    )


@given(seed=st.integers(0, 10_000))
def test_square_root_targets_are_nearer_to_the_prior_than_predictions(seed):
    probabilities, prior = random_problem(seed, n_samples=50)
    targets = closed_form(probabilities, prior, "square-root")
    before = rel_entr(probabilities.mean(axis=0), prior).sum()
    assert rel_entr(targets.mean(axis=0), prior).sum() <= before + 1e-12


@pytest.mark.parametrize("form", FORMS)
def test_a_cluster_without_mass_gives_no_nan(form):
    probabilities = np.array([[1.0, 0.0], [1.0, 0.0]])
    targets = closed_form(probabilities, np.array([0.5, 0.5]), form)
    np.testing.assert_array_equal(targets, probabilities)


def test_prediction_with_the_priors_sizes_is_left_by_the_square_root_form():
    probabilities = np.array([[0.9, 0.1], [0.1, 0.9]])
    np.testing.assert_allclose(
        closed_form(probabilities, np.array([0.5, 0.5]), "square-root"), probabilities
    )


@pytest.mark.parametrize("seed", range(3))
def test_divergences_equal_scipys(seed):
    probabilities, prior = random_problem(seed)
    targets, _ = random_problem(seed + 100)
    q, p = torch.from_numpy(targets), torch.from_numpy(probabilities)
    divergence = clustering_loss(q, p.log())
    expected = rel_entr(targets, probabilities).sum() / len(targets)
    assert divergence.item() == pytest.approx(expected, rel=1e-12)
    expected = rel_entr(targets.mean(axis=0), prior).sum()
    got = prior_divergence(q.mean(dim=0), torch.from_numpy(prior)).item()
    assert got == pytest.approx(expected, rel=1e-12)


def test_gradient_of_the_clustering_loss():
    targets = torch.from_numpy(random_problem(0)[0])
    logits = torch.randn(
        6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    ).requires_grad_()

    def loss(logits):
        return clustering_loss(targets, logits.log_softmax(dim=1))

    assert torch.autograd.gradcheck(loss, logits)


@pytest.mark.parametrize("at_input", [mse_loss, binary_cross_entropy])
def test_gradient_and_value_of_the_reconstruction_losses(at_input):
    generator = torch.Generator().manual_seed(0)

    def values(*shape):
        return torch.rand(shape, dtype=torch.float64, generator=generator) * 0.8 + 0.1

    clean = [values(4, 3), values(4, 5)]
    hidden, output = values(4, 5).requires_grad_(), values(4, 3).requires_grad_()

    def loss(hidden, output):
        return reconstruction_loss([hidden, output], clean, 0.3, at_input)

    assert torch.autograd.gradcheck(loss, (hidden, output))
    x, y = clean[0].numpy(), output.detach().numpy()
    expected = {
        mse_loss: np.mean((x - y) ** 2),
        binary_cross_entropy: -np.mean(x * np.log(y) + (1 - x) * np.log(1 - y)),
    }[at_input]
    at_hidden = np.mean((clean[1].numpy() - hidden.detach().numpy()) ** 2)
    expected += 0.3 * at_hidden
    assert loss(hidden, output).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_gradients_of_reconstructed_maps_have_their_order_in_memory(order):
    generator = torch.Generator().manual_seed(0)
    shape = 4, 3, 5, 6
    images, clean, maps = (torch.rand(shape, generator=generator) for _ in range(3))
    decoded = maps.to(memory_format=order).requires_grad_()
    clean = clean.to(memory_format=order)
    reconstruction_loss([decoded, images], [images, clean]).backward()
    assert decoded.grad.stride() == decoded.stride()
    torch.testing.assert_close(decoded.grad, 0.1 * 2 * (maps - clean) / maps.numel())


@pytest.mark.parametrize(("n_samples", "n_clusters"), [(300, 10), (5000, 3)])
def test_chance_is_the_mean_divergence_of_sizes_that_are_drawn(n_samples, n_clusters):
    rng = np.random.default_rng(0)
    prior = rng.dirichlet(np.full(n_clusters, 5.0))
    frequencies = rng.multinomial(n_samples, prior, size=4000) / n_samples
    mean = rel_entr(frequencies, prior).sum(axis=1).mean()
    assert chance(n_samples, n_clusters) == pytest.approx(mean, rel=0.05)


@given(
    seed=st.integers(0, 10_000),
    n_clusters=st.integers(2, 6),
    strength=st.floats(0.01, 10.0),
)
def test_estimated_prior_is_where_a_numerical_minimiser_ends(
    seed, n_clusters, strength
):
    rng = np.random.default_rng(seed)
    frequencies, guess = rng.dirichlet(np.full(n_clusters, 2.0), size=2)

    def value(logits):
        prior = softmax(logits)
        towards = rel_entr(frequencies, prior).sum()
        return towards + strength * rel_entr(guess, prior).sum()

    best = minimize(value, np.log(guess), method="BFGS", options={"gtol": 1e-9})
    found = estimated_prior(frequencies, guess, strength)
    assert found.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(found, softmax(best.x), atol=1e-5)


def test_estimated_prior_never_gives_up_a_cluster():
    found = estimated_prior(np.array([1.0, 0.0]), np.array([0.9, 0.1]), 1.0)
    np.testing.assert_allclose(found, [0.95, 0.05])


@given(labels=st.lists(st.integers(0, 4), min_size=5, max_size=60))
def test_class_means_equal_the_slow_ones(labels):
    labels = np.array(labels)
    points = np.random.default_rng(0).normal(size=(len(labels), 3))
    means = class_means(points, labels, 5)
    for k in range(5):
        if np.any(labels == k):
            np.testing.assert_allclose(means[k], points[labels == k].mean(axis=0))
        else:
            assert np.all(np.isnan(means[k]))
