"""Agglomerative clustering by path integrals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.datasets import make_blobs, make_moons
from sklearn.metrics import adjusted_rand_score

from skdepict._path_integral import (
    _merge_order,
    path_integral_labels,
    spread_components,
    transition_matrix,
)


def slow_affinity(transitions, a, b):
    """The two-step walks out of a cluster and back, summed point by point."""

    def term(inside, outside):
        out = transitions[np.ix_(inside, outside)].sum(axis=0)
        back = transitions[np.ix_(outside, inside)].sum(axis=1)
        return (out * back).sum() / len(inside) ** 2

    return term(a, b) + term(b, a)


def slow_merges(transitions, groups):
    """The affinity of each merge, recomputing all pairs every time."""
    clusters = {k: np.flatnonzero(groups == k) for k in np.unique(groups)}
    affinities = []
    while True:
        pairs = {
            (a, b): slow_affinity(transitions, clusters[a], clusters[b])
            for a in clusters
            for b in clusters
            if a < b
        }
        best = max(pairs, key=pairs.get, default=None)
        if best is None or pairs[best] == 0:
            return affinities, clusters
        a, b = best
        affinities.append(pairs[best])
        clusters[a] = np.concatenate([clusters[a], clusters.pop(b)])


@pytest.mark.parametrize("seed", range(5))
def test_merges_equal_those_of_the_slow_twin(seed):
    X = np.random.default_rng(seed).normal(size=(60, 3))
    transitions, nearest = transition_matrix(X, 6)
    edges = sparse.csr_array((np.ones(60), (np.arange(60), nearest)), shape=(60, 60))
    n_groups, groups = sparse.csgraph.connected_components(edges, directed=False)
    dense = transitions.toarray()
    expected, left = slow_merges(dense, groups)
    clusters = {k: np.flatnonzero(groups == k) for k in range(n_groups)}
    got = []
    for a, b in _merge_order(transitions, groups, n_groups):
        got.append(slow_affinity(dense, clusters[a], clusters[b]))
        clusters[a] = np.concatenate([clusters[a], clusters.pop(b)])
    np.testing.assert_allclose(got, expected, rtol=1e-9)
    assert len(clusters) == len(left)


def test_leading_term_is_the_path_integral_within_two_percent():
    """Against the definition, by dense inverses, at the paper's z = 0.01."""
    z = 0.01
    X = np.random.default_rng(0).normal(size=(60, 3))
    transitions = transition_matrix(X, 8)[0].toarray()
    rows = np.arange(60)
    # The graph's self-loops count in the definition.
    transitions[rows, rows] = 1 - transitions.sum(axis=1)

    def path_integral(of, within):
        walks = np.linalg.inv(np.eye(len(within)) - z * transitions[within][:, within])
        ones = np.isin(within, of).astype(float)
        return ones @ walks @ ones / len(of) ** 2

    a, b = np.argsort(X[:, 0])[:20], np.argsort(X[:, 0])[20:35]
    both = np.concatenate([a, b])
    exact = sum(path_integral(c, both) - path_integral(c, c) for c in (a, b))
    leading = z**2 * slow_affinity(transitions, a, b)
    assert leading == pytest.approx(exact, rel=0.02)


def test_blobs_and_moons_are_found():
    X, y = make_blobs(500, n_features=5, centers=6, cluster_std=0.8, random_state=1)
    assert adjusted_rand_score(y, path_integral_labels(X, 6)) > 0.98
    X, y = make_moons(500, noise=0.05, random_state=0)
    assert adjusted_rand_score(y, path_integral_labels(X, 2)) > 0.98


def test_outliers_do_not_use_up_clusters():
    X, y = make_blobs(400, centers=4, cluster_std=0.5, random_state=2)
    outliers = np.array([[100.0, 100.0], [100.1, 100.0], [-90.0, 80.0], [-90.0, 80.1]])
    labels = path_integral_labels(np.concatenate([X, outliers]), 4)
    assert adjusted_rand_score(y, labels[:400]) > 0.98


@given(
    n_samples=st.integers(4, 60),
    n_clusters=st.integers(1, 30),
    n_features=st.integers(1, 3),
    grid=st.integers(1, 20),
    seed=st.integers(0, 1000),
)
def test_every_cluster_gets_samples_even_with_ties_and_duplicates(
    n_samples, n_clusters, n_features, grid, seed
):
    n_clusters = min(n_clusters, n_samples)
    rng = np.random.default_rng(seed)
    X = rng.integers(0, grid, size=(n_samples, n_features)).astype(float)
    labels = path_integral_labels(X, n_clusters)
    assert sorted(set(labels)) == list(range(n_clusters))


@given(seed=st.integers(0, 1000), shift=st.floats(-100, 100), log=st.floats(-3, 3))
def test_labels_ignore_order_shift_and_scale(seed, shift, log):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(80, 4))
    labels = path_integral_labels(X, 3, n_neighbors=8)
    moved = path_integral_labels(X * 10**log + shift, 3, n_neighbors=8)
    assert adjusted_rand_score(labels, moved) == 1.0
    order = rng.permutation(80)
    permuted = path_integral_labels(X[order], 3, n_neighbors=8)
    assert adjusted_rand_score(labels[order], permuted) == 1.0


def test_spread_components_have_unit_length_and_partly_equal_spread():
    X = np.random.default_rng(0).normal(size=(2000, 20)) * np.logspace(0, 2, 20)
    features = spread_components(X, n_components=10, whitening=1.0)
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1.0)
    np.testing.assert_allclose(features.std(axis=0), 1 / np.sqrt(10), rtol=0.1)
    half = spread_components(X, n_components=10, whitening=0.5)
    assert half.std(axis=0)[0] > 1.5 * half.std(axis=0)[-1]


def test_few_components_keep_their_length():
    X = np.random.default_rng(0).normal(size=(100, 2))
    assert np.linalg.norm(spread_components(X), axis=1).std() > 0.1


def test_constant_columns_take_no_part():
    X = np.random.default_rng(0).normal(size=(100, 9))
    wide = np.column_stack([X, np.full((100, 5), 3.0)])
    np.testing.assert_allclose(
        np.abs(spread_components(wide)), np.abs(spread_components(X)), atol=1e-8
    )
