"""What labellings agree on."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from skdepict._training.votes import agreed_labels, labels_of
from tests.conftest import quick


@given(seed=st.integers(0, 10_000), n_clusters=st.integers(1, 6))
def test_names_do_not_matter(seed, n_clusters):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, n_clusters, 40)
    labels[:n_clusters] = np.arange(n_clusters)
    renamed = [rng.permutation(n_clusters)[labels] for _ in range(4)]
    agreed, number, votes = agreed_labels(renamed)
    np.testing.assert_array_equal(agreed, renamed[number])
    np.testing.assert_array_equal(votes, [agreed] * 4)


@pytest.mark.parametrize("seed", range(5))
def test_most_are_right_where_each_is_wrong_now_and_then(seed):
    rng = np.random.default_rng(seed)
    truth = np.arange(300) % 6
    labellings = [
        rng.permutation(6)[np.where(rng.random(300) < 0.2, rng.integers(0, 6), truth)]
        for _ in range(7)
    ]
    agreed, _, votes = agreed_labels(labellings)
    # One in six of the wrong ones is right by chance.
    assert 0.75 < np.mean(votes == agreed) < 0.92
    singles = [adjusted_rand_score(truth, labels) for labels in labellings]
    assert adjusted_rand_score(truth, agreed) > max(singles)


def test_even_votes_go_to_the_labels_that_are_most_like_the_others():
    first = np.repeat([0, 1, 2], 20)
    second = first.copy()
    second[:8] = 1
    agreed, number, votes = agreed_labels([first, second, first, second])
    assert np.all(np.mean(votes == agreed, axis=0)[:8] == 0.5)
    np.testing.assert_array_equal(agreed, (first, second, first, second)[number])
    agreed, number, _ = agreed_labels([first, second, first])
    assert number == 0
    np.testing.assert_array_equal(agreed, first)


def test_votes_on_an_unknown_number_are_on_the_median(blobs):
    X, y = blobs
    # One blob in two parts, which are alike.
    halved = np.where((y == 0) & (np.arange(len(y)) % 2 == 0), 3, y)
    models = [quick(4, init=halved), quick(3), quick(2)]
    models = [model.fit(X) for model in models]
    four, three, two = (labels_of(model, 3) for model in models)
    assert adjusted_rand_score(y, four) > 0.99
    np.testing.assert_array_equal(three, models[1].labels_)
    # That fit has no finer groups.
    assert len(np.unique(two)) == 2
    agreed, _, _ = agreed_labels([four, three, two])
    assert adjusted_rand_score(y, agreed) > 0.99
    assert quick("auto", n_init=2).fit(X).n_clusters_ == 3
