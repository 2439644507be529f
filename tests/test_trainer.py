"""Rounds, and the end of the joint phase."""

import copy

import numpy as np
import pytest
import torch

from skdepict import DEPICTClustering, _trainer

from .conftest import quick


def offer(monkeypatch, labels, divergence):
    """Have the graph of the embedding give these labels, and count how often."""
    asked = []

    def path_integral_labels(points, n_clusters, prior):
        asked.append(points.shape)
        return labels, divergence

    monkeypatch.setattr(_trainer, "path_integral_labels", path_integral_labels)
    return asked


def test_labels_nearer_to_the_prior_start_another_round(monkeypatch, few_digits):
    images, y = few_digits
    asked = offer(monkeypatch, y, 0.0)
    model = quick(10).fit(images)
    assert (model.n_rounds_, model.n_iter_, len(asked)) == (2, 4, 1)
    assert asked[0] == model.embedding_.shape
    phases = [record["phase"] for record in model.history_]
    assert phases == (["initialise"] * 20 + ["joint"] * 2) * 2
    # The second round has learned what it was given.
    assert np.mean(model.labels_ == y) > 0.9
    assert quick(10, max_rounds=5).fit(images).n_rounds_ == 5


def test_no_other_round_where_there_is_no_reason_for_it(monkeypatch, few_digits):
    images, y = few_digits
    asked = offer(monkeypatch, y, 10.0)
    assert quick(10).fit(images).n_rounds_ == 1
    assert len(asked) == 1
    assert quick(10, max_rounds=1).fit(images).n_rounds_ == 1
    assert quick(10, init=y).fit(images).n_rounds_ == 1
    assert quick(10, init="kmeans").fit(images).n_rounds_ == 1
    assert len(asked) == 1


def test_a_round_that_leads_away_from_the_prior_is_undone(monkeypatch, few_digits):
    images, _ = few_digits
    expected = quick(10, max_rounds=1).fit(images)
    offer(monkeypatch, np.arange(300) // 200, 0.0)
    model = quick(10).fit(images)
    assert model.n_rounds_ == 2
    np.testing.assert_array_equal(model.labels_, expected.labels_)
    np.testing.assert_array_equal(model.embedding_, expected.embedding_)


def drift(monkeypatch, divergences):
    """Have KL(f || u) take these values, and keep the weights that Q comes from."""
    weights = []
    original = _trainer.Trainer._target_distribution

    def target_distribution(trainer, model):
        weights.append(copy.deepcopy(model.state_dict()))
        return original(trainer, model)

    values = iter(divergences)
    monkeypatch.setattr(_trainer.Trainer, "_target_distribution", target_distribution)
    monkeypatch.setattr(
        _trainer, "prior_divergence", lambda *args: torch.tensor(next(values))
    )
    return weights


def test_joint_phase_ends_at_drifting_sizes_and_goes_back(monkeypatch, few_digits):
    images, y = few_digits
    values = [0.010, 0.009, 0.008, 0.0115, 0.0118, 0.02, 0.03]
    weights = drift(monkeypatch, values)
    model = quick(10, init=y, max_iter=6).fit(images)
    # 1.4 * 0.008 + 0.0005 = 0.0117
    assert model.n_iter_ == 4
    assert not model.converged_
    for name, value in model.network_.state_dict().items():
        assert torch.equal(value, weights[2][name])
    assert not torch.equal(
        weights[4]["assignment.weight"], weights[2]["assignment.weight"]
    )


def test_joint_phase_goes_on_without_early_stopping(monkeypatch, few_digits):
    images, y = few_digits
    weights = drift(monkeypatch, [0.01, 0.02, 0.04, 0.08])
    model = quick(10, init=y, max_iter=3, early_stopping=False).fit(images)
    assert model.n_iter_ == 3
    for name, value in model.network_.state_dict().items():
        assert torch.equal(value, weights[-1][name])


@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_targets_come_from_an_average_of_the_weights(decay, monkeypatch, few_digits):
    """Against the recursion written out, on the weights after each step."""
    images, y = few_digits
    steps = []
    weights = drift(monkeypatch, [0.01] * 3)
    original = torch.optim.Adam.step

    def step(optimizer, *args):
        result = original(optimizer, *args)
        steps.append([p.detach().clone() for p in optimizer.param_groups[0]["params"]])
        return result

    monkeypatch.setattr(torch.optim.Adam, "step", step)
    quick(10, init=y, fit_epochs=0, max_iter=2, average_decay=decay).fit(images)
    average = list(weights[0].values())
    n_batches = len(steps) // 2
    for epoch in range(2):
        for current in steps[epoch * n_batches : (epoch + 1) * n_batches]:
            average = [
                decay * mean + (1 - decay) * value
                for mean, value in zip(average, current, strict=True)
            ]
        for mean, value in zip(average, weights[epoch + 1].values(), strict=True):
            torch.testing.assert_close(mean, value, rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("ignore:Clusters")
def test_published_configuration_can_be_fitted_and_overridden(few_digits):
    model = DEPICTClustering.as_published(10, random_state=0)
    assert model.embedding_dim == 10
    assert (model.affine_noise, model.elastic_noise) == (False, False)
    model.set_params(pretrain_epochs=5, fit_epochs=5, max_iter=3)
    model.fit(few_digits[0])
    assert model.n_iter_ <= 3
    assert model.history_[0]["reconstruction"] > 0
    assert DEPICTClustering.as_published(3, dropout=0.2).dropout == 0.2
