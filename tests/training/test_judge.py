"""When sizes drift, and whether another round may be better."""

import numpy as np
import pytest
import torch

from skdepict._training import judge
from tests.conftest import settings_of
from tests.training.test_loop import EVEN, offer


def test_many_points_get_a_graph_only_where_a_part_of_them_gives_hope(
    monkeypatch, few_digits
):
    images, y = few_digits
    rows = images.reshape(300, -1)
    settings = settings_of(n_samples=300, n_clusters=10)

    def better_labels():
        cpu = torch.device("cpu")
        return judge.better_labels(
            lambda: rows, settings, EVEN, 1.0, cpu, max_screened=100
        )

    asked = offer(monkeypatch, y, 10.0)
    assert better_labels() is None
    assert asked == [(100, 64)]
    asked = offer(monkeypatch, y, 0.0)
    assert len(np.unique(better_labels())) == 10
    assert asked == [(100, 64), (300, 64)]


@pytest.mark.parametrize(
    ("n_samples", "divergence", "is_looked_for"),
    # Chance is 9 / 2n, a quarter of what a split would make of it 0.0077.
    [
        (10_000, 0.0081, False),
        (10_000, 0.0082, True),
        (300, 0.0226, False),
        (300, 0.0228, True),
        # Less than chance could not be told from chance.
        (30, 0.16, False),
    ],
)
def test_no_graph_of_the_embedding_where_sizes_are_those_of_the_prior(
    n_samples, divergence, is_looked_for
):
    class Asked(Exception):
        pass

    def points():
        raise Asked

    settings = settings_of(n_samples=n_samples, n_clusters=10)
    given = points, settings, EVEN, divergence, torch.device("cpu")
    if is_looked_for:
        with pytest.raises(Asked):
            judge.better_labels(*given)
    else:
        assert judge.better_labels(*given) is None


@pytest.mark.parametrize(
    ("n_samples", "lowest", "allowed"),
    [(300, 0.0, 0.00375), (300, 0.1, 0.14375), (70_000, 0.01, 0.014016)],
)
def test_sizes_drift_where_they_leave_the_prior_by_a_part_of_chance(
    n_samples, lowest, allowed
):
    settings = settings_of(n_samples=n_samples, n_clusters=10)
    assert not judge.has_drifted(allowed * 0.999, lowest, False, settings, 10)
    assert judge.has_drifted(allowed * 1.001, lowest, False, settings, 10)
    settings = settings_of(n_samples=n_samples, n_clusters=10, algorithm="paper")
    assert not judge.has_drifted(10.0, lowest, False, settings, 10)


def test_sizes_that_are_only_a_guess_may_change_by_a_part_of_a_split():
    settings = settings_of(n_samples=10**9, n_clusters=10)
    split = (1 - np.log(2)) / 10
    assert not judge.has_drifted(split / 4.01, 0.0, True, settings, 10)
    assert judge.has_drifted(split / 3.99, 0.0, True, settings, 10)


@pytest.mark.parametrize(
    ("moved", "epoch", "has_converged"),
    [
        # 20 of 40 epochs are left: each may change a 20th of 0.2 % of the samples.
        (0.99e-4, 19, True),
        (1.01e-4, 19, False),
        # The rate has only climbed.
        (0.0, 9, False),
        (0.0, 10, True),
        # The last one counts as if another one followed.
        (1.9e-3, 39, True),
        (2.1e-3, 39, False),
    ],
)
def test_q_has_converged_where_too_few_samples_would_still_change(
    moved, epoch, has_converged
):
    settings = settings_of(n_samples=1000, n_clusters=10)
    assert judge.has_converged(1.0, moved, epoch, 40, settings) == has_converged


def test_the_published_algorithms_converge_as_in_the_paper():
    settings = settings_of(n_samples=1000, n_clusters=10, algorithm="paper")
    assert judge.has_converged(0.99e-7, 1.0, 0, 4000, settings)
    assert not judge.has_converged(1.01e-7, 0.0, 3999, 4000, settings)
