"""Merging by exact affinities, against the definition by dense inverses."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import make_blobs

from skdepict._path_integral.graph import nearest_neighbors, transition_matrix
from skdepict._path_integral.merges import _Sums, merge_order
from skdepict._path_integral.tree import nearest_neighbor_forest

# What the dense inverses leave of a smaller affinity is rounding errors.
LEAST_AFFINITY = 1e-12


def graph_of(X, n_neighbors, bandwidth):
    distances, indices = nearest_neighbors(X, n_neighbors, "euclidean", None)
    groups = nearest_neighbor_forest(indices[:, 0], distances[:, 0])[1]
    return transition_matrix(distances, indices, bandwidth), groups


def path_integral(transitions, z, of, within):
    """The weight of all walks in one set from and to another, per pair of ends."""
    inner = transitions[np.ix_(within, within)]
    ends = np.isin(within, of).astype(float)
    walks = np.linalg.inv(np.eye(len(within)) - z * inner)
    return ends @ walks @ ends / len(of) ** 2


def affinity(transitions, z, a, b):
    """Equations 4 to 6 of Zhang, Zhao and Wang (2013)."""
    both = np.concatenate([a, b])
    return sum(
        path_integral(transitions, z, part, both)
        - path_integral(transitions, z, part, part)
        for part in (a, b)
    )


def slow_merges(transitions, groups, z):
    """Each merge with its affinity and that of the next best, most affine first."""
    clusters = {k: np.flatnonzero(groups == k) for k in np.unique(groups)}
    known = {}
    while len(clusters) > 1:
        for a in clusters:
            for b in clusters:
                if a < b and (a, b) not in known:
                    known[a, b] = affinity(transitions, z, clusters[a], clusters[b])
        order = sorted(known, key=known.get, reverse=True)
        a, b = order[0]
        second = known[order[1]] if len(order) > 1 else 0.0
        yield known[a, b], second, {as_set(clusters[a]), as_set(clusters[b])}
        clusters[a] = np.concatenate([clusters[a], clusters.pop(b)])
        known = {pair: value for pair, value in known.items() if not {a, b} & set(pair)}


def as_set(cluster):
    return frozenset(cluster.tolist())


def random_data(seed):
    rng = np.random.default_rng(seed)
    n_samples = rng.integers(30, 121)
    if seed % 2:
        return make_blobs(n_samples, int(rng.integers(1, 6)), random_state=seed)[0]
    return rng.normal(size=(n_samples, rng.integers(1, 5)))


@pytest.mark.parametrize("z", [0.01, 0.9])
@pytest.mark.parametrize("seed", range(20))
def test_merges_and_affinities_equal_those_of_the_slow_twin(seed, z):
    n_neighbors, bandwidth = 3 + seed % 7, (0.15, 1.0)[seed % 3 > 0]
    transitions, groups = graph_of(random_data(seed), n_neighbors, bandwidth)
    clusters = {k: as_set(np.flatnonzero(groups == k)) for k in np.unique(groups)}
    merges, affinities = merge_order(transitions, groups, z)
    n_compared = 0
    for (a, b), got, (expected, second, pair) in zip(
        merges, affinities, slow_merges(transitions.toarray(), groups, z), strict=False
    ):
        # From a tie on, and among rounding errors, the two may go different ways.
        if expected < LEAST_AFFINITY or second > expected * (1 - 1e-6):
            break
        assert {clusters[a], clusters[b]} == pair
        assert got == pytest.approx(expected, rel=0.005)
        clusters[a] = clusters[a] | clusters.pop(b)
        n_compared += 1
    assert n_compared > 0


def test_affinities_are_precise_where_the_slow_twin_is():
    transitions, groups = graph_of(random_data(0), 8, 1.0)
    merges, affinities = merge_order(transitions, groups, 0.5)
    slow = list(slow_merges(transitions.toarray(), groups, 0.5))
    assert len(slow) == len(merges)
    np.testing.assert_allclose(affinities, [row[0] for row in slow], rtol=1e-8)


def test_large_groups_are_merged_like_small_ones():
    """The same with sparse matrices instead of dense ones."""
    transitions, groups = graph_of(random_data(2), 8, 0.15)
    dense = merge_order(transitions, groups, 0.3)
    summed = merge_order(transitions, groups, 0.3, max_dense_size=0)
    assert summed[0] == dense[0]
    np.testing.assert_allclose(summed[1], dense[1], rtol=1e-8)


def test_merging_ends_where_no_walk_returns():
    X = np.concatenate([np.zeros((5, 1)), np.full((5, 1), 100.0)])
    X += np.random.default_rng(0).normal(size=X.shape)
    transitions, groups = graph_of(X, 3, 1.0)
    merges, affinities = merge_order(transitions, groups, 0.01)
    assert len(merges) == groups.max() + 1 - 2
    assert np.all(np.array(affinities) > 0)


@pytest.mark.parametrize("z", [0.01, 0.5, 0.99])
@pytest.mark.parametrize("seed", range(4))
def test_bounds_are_never_below_the_exact_affinities(seed, z):
    transitions, groups = graph_of(random_data(seed), 6, 0.5)
    sums = _Sums(transitions, groups, z)
    n_compared = 0
    for a, row in enumerate(sums.shared):
        for b in row:
            members = [np.array(sums.members[group]) for group in (a, b)]
            exact = affinity(transitions.toarray(), z, *members)
            if exact > LEAST_AFFINITY:
                assert sums.bound(a, b) >= exact * (1 - 1e-6)
                n_compared += 1
    assert n_compared > 10


@given(seed=st.integers(0, 1000))
@settings(max_examples=20)
def test_a_step_to_a_point_is_one_to_any_of_its_samples(seed):
    """Merging the equal samples of the walk on all of them gives that of points."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 5, 15)
    distances, indices = nearest_neighbors(rng.normal(size=(15, 3)), 6)
    point = np.arange(15).repeat(counts)
    weights = np.zeros((len(point), len(point)))
    for sample, a in enumerate(point):
        weights[sample, point == a] = 1
        scale = 0.5 * np.mean(distances[a] ** 2)
        for b, distance in zip(indices[a], distances[a], strict=True):
            weights[sample, point == b] = np.exp(-(distance**2) / scale)
    weights /= weights.sum(axis=1, keepdims=True)
    merged = weights @ np.eye(15)[point]
    walk = transition_matrix(distances, indices, 0.5, counts).toarray()
    np.testing.assert_allclose(walk[point], merged, atol=1e-12)
