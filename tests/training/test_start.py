"""Starting labels."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.cluster import DBSCAN, AgglomerativeClustering, KMeans
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import NearestNeighbors

from skdepict import DEPICTClustering, PathIntegralClustering, WhitenedComponents
from skdepict._data.layout import Layout
from skdepict._path_integral.cuts import cut_children, unevenness_of_cuts
from skdepict._path_integral.tree import children_of_edges
from skdepict._training.device_neighbors import device_neighbors
from skdepict._training.graphs import (
    UNMIXED_ROWS,
    even_number,
    is_even,
    labels_apart,
    merged_graphs,
    nearest_labels,
    number_apart,
    number_of_kinds,
    partitions_by_graphs,
    path_integral_labels,
    uniform,
)
from skdepict._training.information import score
from skdepict._training.objectives import size_divergence, sizes_of
from skdepict._training.settings import Settings
from skdepict._training.start import (
    order_by_prior,
    start_apart,
    start_of_joined,
    start_of_more_apart,
    starting_labels,
    with_prior,
)
from tests.conftest import quick


def labels_of(init, blobs, **parameters):
    X, y = blobs
    model = quick(3, init=init, fit_epochs=30, max_iter=0, **parameters).fit(X)
    return adjusted_rand_score(y, model.labels_)


@pytest.mark.parametrize(
    "init",
    [
        "path-integral",
        "kmeans",
        KMeans(n_clusters=7, n_init=3),
        AgglomerativeClustering(),
        GaussianMixture(),
        DBSCAN(eps=1.5),
    ],
    ids=str,
)
def test_every_init_finds_well_separated_blobs(init, blobs):
    assert labels_of(init, blobs, pretrain_epochs=60) > 0.9


# In the embedding of 20 epochs two of the blobs are one to DBSCAN with eps=2.0 or 2.5,
# by the processor, and with 1.0 all are many.
@pytest.mark.parametrize("n_clusters", [3, "auto"])
@pytest.mark.parametrize(
    "init",
    ["path-integral", "kmeans", AgglomerativeClustering(), DBSCAN(eps=1.5)],
    ids=str,
)
def test_every_init_finds_blobs_of_unequal_size(init, n_clusters):
    X, y = blobs_of([240, 60, 30])
    model = quick(n_clusters, init=init, prior=None, pretrain_epochs=20).fit(X)
    assert adjusted_rand_score(y, model.labels_) > 0.9
    assert model.n_clusters_ == 3


@pytest.mark.parametrize("n_clusters", [1, 2, 9, 40])
def test_clusters_of_a_graph_are_those_that_its_tree_is_cut_into(
    n_clusters, few_digits
):
    rows = few_digits[0].reshape(300, -1)
    # Some rows are there twice or more.
    rows = np.concatenate([rows, rows[:20], rows[:5]])
    for merges in merged_graphs(rows, torch.device("cpu")).values():
        expected = cut_children(merges.tree(n_clusters).children, n_clusters)
        np.testing.assert_array_equal(merges.labels(n_clusters), expected)


def test_given_clusterer_is_not_changed(blobs):
    clusterer = KMeans(n_clusters=7)
    labels_of(clusterer, blobs)
    assert clusterer.n_clusters == 7
    assert clusterer.random_state is None
    assert not hasattr(clusterer, "labels_")


def test_clusterer_with_too_many_clusters_is_refused(blobs):
    with pytest.raises(ValueError, match=r"found \d+ clusters in the embedding, where"):
        labels_of(DBSCAN(eps=1e-6, min_samples=1), blobs)


def test_labels_are_learned_with_their_names(blobs):
    X, y = blobs
    model = quick(3, init=y, fit_epochs=30, max_iter=0).fit(X)
    np.testing.assert_array_equal(model.labels_, y)


def test_centers_are_in_the_units_of_X(blobs):
    X, y = blobs
    centers = np.stack([X[y == k].mean(axis=0) for k in range(3)])
    model = quick(3, init=centers * 5 + 7, fit_epochs=30, max_iter=0).fit(X * 5 + 7)
    np.testing.assert_array_equal(model.labels_, y)


def test_centers_may_be_images(digits):
    images, y = digits[0][:600], digits[1][:600]
    centers = np.stack([images[y == k].mean(axis=0) for k in range(10)])
    model = quick(10, init=centers, fit_epochs=20, max_iter=0).fit(images)
    assert np.mean(model.labels_ == y) > 0.85


@pytest.mark.parametrize(
    ("init", "message"),
    [
        (np.zeros(5, dtype=int), "5 labels, but X has 200 samples"),
        (np.full(200, 3), "Pass integers from 0 to n_clusters - 1 = 2"),
        (np.full(200, -1), "Pass integers from 0"),
        (np.full(200, 0.5), "Pass integers from 0"),
        (np.zeros((3, 4)), r"array of shape \(3, 4\)"),
        (np.zeros((2, 10)), r"centres of shape \(3, 10\)"),
        (np.full(200, np.nan), "contains NaN"),
        ("k-means", "The 'init' parameter"),
        (7, "The 'init' parameter"),
    ],
)
def test_init_that_does_not_fit_is_refused(init, message, blobs):
    with pytest.raises(ValueError, match=message):
        quick(3, init=init).fit(blobs[0])


@given(
    labels=st.lists(st.integers(0, 3), min_size=1, max_size=60),
    seed=st.integers(0, 100),
)
def test_order_by_prior_renames_and_ranks(labels, seed):
    labels = np.array(labels)
    prior = np.random.default_rng(seed).dirichlet(np.ones(4))
    renamed = order_by_prior(labels, prior)
    assert adjusted_rand_score(labels, renamed) == 1.0
    sizes = np.bincount(renamed, minlength=4)
    assert np.all(np.diff(sizes[np.argsort(-prior)]) <= 0)


def test_number_of_clusters_is_found_when_asked_for(blobs):
    X, y = blobs
    model = quick("auto").fit(X)
    assert model.n_clusters_ == 3
    assert model.predict_proba(X).shape == (200, 3)
    assert adjusted_rand_score(y, model.labels_) > 0.9
    assert quick("auto", init="kmeans", pretrain_epochs=20).fit(X).n_clusters_ == 3


def test_given_labels_and_centers_tell_the_number_of_clusters(blobs):
    X, y = blobs
    assert quick("auto", init=y.tolist()).fit(X).n_clusters_ == 3
    assert quick("auto", init=y.astype(float)).fit(X).n_clusters_ == 3
    centers = np.stack([X[y == k].mean(axis=0) for k in range(3)])
    assert quick("auto", init=centers).fit(X).n_clusters_ == 3


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"prior": [0.5, 0.5]}, r"n_clusters='auto'. Pass n_clusters=len\(prior\)"),
        ({"init": np.full(200, 0.5)}, "Pass integers from 0"),
        ({"init": np.zeros(5, dtype=int)}, "5 labels, but X has 200 samples"),
        ({"init": np.full(200, -3)}, "Pass integers from 0"),
        ({"init": []}, "array"),
    ],
)
def test_number_of_clusters_that_cannot_be_found_is_refused(parameters, message, blobs):
    with pytest.raises(ValueError, match=message):
        quick("auto", **parameters).fit(blobs[0])


def test_fitted_model_can_be_cloned_with_the_number_still_open(blobs):
    model = quick("auto").fit(blobs[0])
    assert clone(model).n_clusters == model.n_clusters == "auto"


@given(seed=st.integers(0, 10_000), n_samples=st.integers(2, 14))
def test_unevenness_of_cuts_is_that_of_their_labels(seed, n_samples):
    rng = np.random.default_rng(seed)
    edges = np.array([(rng.integers(i + 1), i + 1) for i in range(n_samples - 1)])
    children = children_of_edges(rng.permutation(edges))
    numbers = np.arange(1, n_samples + 1)
    expected = [
        divergence_of(cut_children(children, number), np.full(number, 1 / number))
        for number in numbers
    ]
    found = unevenness_of_cuts(children, numbers)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def divergence_of(labels, prior):
    return size_divergence(sizes_of(labels, len(prior)), prior)


def test_size_divergence_compares_sizes_whatever_their_names():
    labels = np.repeat([0, 1, 2], [10, 60, 30])
    assert divergence_of(labels, np.array([0.3, 0.1, 0.6])) == pytest.approx(0.0)
    expected = 0.6 * np.log(1.8) + 0.3 * np.log(0.9) + 0.1 * np.log(0.3)
    assert divergence_of(labels, np.full(3, 1 / 3)) == pytest.approx(expected)
    assert divergence_of(np.zeros(5, dtype=int), np.full(2, 0.5)) == pytest.approx(
        np.log(2)
    )


@pytest.mark.parametrize("skew", [0.0, 0.2])
def test_starting_labels_are_the_nearest_to_the_prior_of_all_graphs(skew, few_digits):
    rows = few_digits[0].reshape(300, -1)
    prior = np.exp(-skew * np.arange(10))
    prior /= prior.sum()
    divergences = []
    for whitening in (0.0, 0.3, 0.6, 1.0):
        coordinates = WhitenedComponents(whitening=whitening).fit_transform(rows)
        labels = PathIntegralClustering(10, metric="euclidean").fit_predict(coordinates)
        divergences.append(divergence_of(labels, prior))
    labels, divergence = path_integral_labels(rows, prior, torch.device("cpu"))
    assert divergence == pytest.approx(divergence_of(labels, prior))
    assert len(np.unique(labels)) == 10
    assert divergence == pytest.approx(min(divergences))


@pytest.mark.parametrize("n_clusters", [8, 10, 100])
def test_sizes_are_even_far_below_one_that_is_split(n_clusters):
    n_samples = 10**9
    sizes = np.full(n_clusters + 1, 2 * n_samples // n_clusters)
    sizes[:2] //= 2
    split = size_divergence(sizes, uniform(n_clusters + 1))
    assert not is_even(split, n_samples, n_clusters + 1)
    assert is_even(split / 5, n_samples, n_clusters + 1)
    # In few samples chance makes more of it.
    assert is_even(split, 10 * n_clusters, n_clusters + 1)


@given(seed=st.integers(0, 10_000), n_copies=st.integers(0, 3))
@settings(max_examples=20)
def test_steps_between_clusters_are_those_of_a_walk(seed, n_copies):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(30, 3))
    points = rng.permutation(np.concatenate([points] + [points[:5]] * n_copies))
    graphs = merged_graphs(points, torch.device("cpu"))
    labels = rng.integers(4, size=30)
    merges = graphs[0.6]
    labels[:4] = range(4)
    of_samples = labels[merges.copies.point]
    expected, sizes = np.zeros((4, 4)), np.bincount(of_samples)
    probabilities = merges.transitions.toarray()
    for a in merges.copies.point:
        counts, steps = merges.copies.counts, probabilities[a].copy()
        # A walk that stays at a point goes to each of its samples alike.
        steps[a] *= (counts[a] - 1) / counts[a]
        # A cluster has room for so many points beside this one.
        others = [b for b in np.argsort(-steps, kind="stable") if b != a]
        n_others = max(sizes[labels[a]] - counts[a], 1)
        for b in [a, *others[:n_others]]:
            step = steps[b] / steps[[a, *others[:n_others]]].sum()
            expected[labels[a], labels[b]] += step
    expected = (expected + expected.T) / (2 * len(points))
    np.testing.assert_allclose(merges.step_frequencies(of_samples), expected)


def test_small_clusters_lie_apart_though_they_have_few_neighbors():
    """Of 20 neighbours of a sample in a cluster of four, 17 are in others."""
    X, y = blobs_of([4, 4, 5, 60])
    graphs = merged_graphs(X, torch.device("cpu"))
    for of_images in (True, False):
        assert adjusted_rand_score(y, labels_apart(graphs, 4, of_images)) == 1


def test_clusters_that_lie_apart_are_started_from_as_they_are():
    # Of unequal size, in as many dimensions as pixels, far from each other.
    sizes = [100, 40, 25, 15, 12]
    X, y = blobs_of(sizes)
    graphs = merged_graphs(X, torch.device("cpu"))
    labels = labels_apart(graphs, len(sizes))
    assert adjusted_rand_score(y, labels) == 1
    mixed = np.random.default_rng(0).permutation(labels)
    frequencies = graphs[0.3].step_frequencies(mixed)
    assert score(frequencies, len(X))[0] < 0.5
    parameters = DEPICTClustering(len(sizes)).get_params()
    found = {"prior": None, "init": "path-integral", "seed": 0}
    for layout in (Layout("image", (1, 4, 5)), Layout("table", (20,))):
        of_fit = Settings.of(parameters, layout, len(X), len(sizes), None, **found)
        start = starting_labels(of_fit, lambda: X, None, lambda: graphs)
        assert start.final is start.estimated is start.apart is True
        assert adjusted_rand_score(y, start.labels) == 1
        # With sizes that the user gave, wrongly, too.
        found["prior"] = np.array([0.1, 0.3, 0.2, 0.25, 0.15])
        of_fit = Settings.of(parameters, layout, len(X), len(sizes), None, **found)
        start = starting_labels(of_fit, lambda: X, None, lambda: graphs)
        assert start.prior is found["prior"]
        assert start.apart
        assert np.array_equal(np.bincount(start.labels), [12, 100, 25, 40, 15])
        found["prior"] = None


def test_uneven_sizes_ask_for_fine_groups():
    X = np.random.default_rng(0).normal(size=(400, 10)).astype(np.float32)
    graphs = merged_graphs(X, torch.device("cpu"))
    layout, parameters = Layout("table", (10,)), DEPICTClustering(4).get_params()

    def start_of(prior):
        found = {"prior": np.array(prior), "init": "path-integral", "seed": 0}
        of_fit = Settings.of(parameters, layout, 400, 4, None, **found)
        return starting_labels(of_fit, lambda: X, None, lambda: graphs)

    sizes = np.sort(np.bincount(graphs[0.3].labels(4)))
    assert sizes[-1] > 1.2 * sizes[0]
    # Wrong labels may have uneven sizes, in some order, by chance.
    assert not start_of(sizes / 400).final
    assert not start_of([0.4, 0.3, 0.2, 0.1]).final
    # Equal sizes are a wish.
    assert start_of([0.25] * 4).final
    joined = start_of_joined(
        np.repeat([0, 1, 2], [1, 3, 2]), 3, np.r_[0.3, 0.2, 0.5], 0
    )
    np.testing.assert_array_equal(np.bincount(joined.labels), [2, 1, 3])
    assert not joined.estimated


@pytest.mark.parametrize(
    ("spread", "apart_as_images", "apart_as_rows"),
    [(0.1, True, True), (0.25, True, False), (0.5, False, False)],
)
def test_rows_have_to_lie_farther_apart_than_images(
    spread, apart_as_images, apart_as_rows
):
    y = np.repeat(np.arange(3), [200, 70, 40])
    noise = np.random.default_rng(0).normal(size=(310, 3))
    X = (np.eye(3)[y] + spread * noise).astype(np.float32)
    graphs = merged_graphs(X, torch.device("cpu"))
    for of_images, is_apart in ((True, apart_as_images), (False, apart_as_rows)):
        start = start_apart(graphs, 3, of_images)
        assert (start is not None) == is_apart
        if is_apart:
            assert start.apart
            assert adjusted_rand_score(y, start.labels) > 0.97


@pytest.mark.parametrize("seed", range(4))
def test_parts_of_a_curve_do_not_lie_apart(seed):
    rng = np.random.default_rng(seed)
    times, waves = np.sort(rng.random((1200, 1)), axis=0), np.arange(1, 6)
    X = np.sin(2 * np.pi * waves * times + rng.uniform(0, 6, 5)) / waves
    X = (X + 0.01 * rng.normal(size=X.shape)).astype(np.float32)
    graphs = merged_graphs(X, torch.device("cpu"))
    # Though a step of the walk hardly leaves any.
    agreements = [
        score(merges.step_frequencies(merges.labels(7)), len(X))[0]
        for merges in graphs.values()
    ]
    assert max(agreements) > UNMIXED_ROWS
    assert labels_apart(graphs, 7, of_images=False) is None
    # Of images one graph is believed.
    assert labels_apart(graphs, 7) is not None


def test_clusters_that_no_step_leaves_lie_apart_though_graphs_differ():
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(5, 6)) * [60, 40, 20, 20, 10, 10]
    X = centers.repeat(60, axis=0) + rng.normal(size=(300, 6))
    graphs = merged_graphs(X.astype(np.float32), torch.device("cpu"))
    graphs = {whitening: graphs[whitening] for whitening in (0.0, 1.0)}
    found, others = (merges.labels(2) for merges in graphs.values())
    assert adjusted_rand_score(found, others) < 0.1
    np.testing.assert_array_equal(labels_apart(graphs, 2, of_images=False), found)


@pytest.mark.parametrize("levels", [2, 4])
def test_rows_of_few_values_do_not_lie_apart_for_their_copies(levels):
    """Groups of rows lie apart, but no parts of them, however many rows are equal."""
    rng = np.random.default_rng(0)
    kinds, y = rng.integers(0, levels, (2, 9)), rng.integers(0, 2, 600)
    drawn = rng.integers(0, levels, (600, 9))
    rows = np.where(rng.random((600, 9)) < 0.95, kinds[y], drawn)
    X = np.eye(levels)[rows].reshape(600, -1)
    graphs = merged_graphs(X, torch.device("cpu"))
    assert len(np.unique(X, axis=0)) < len(X) / 2
    for some in (graphs, *({0.0: merges} for merges in graphs.values())):
        labels = labels_apart(some, 2, of_images=False)
        assert labels is None or adjusted_rand_score(y, labels) > 0.98
    assert number_apart(graphs, of_images=False) in (0, 2)


def test_kinds_of_equal_rows_lie_apart():
    X = np.random.default_rng(0).normal(size=(6, 5)).repeat(30, axis=0)
    graphs = merged_graphs(X, torch.device("cpu"))
    assert number_apart(graphs, of_images=False) == number_of_kinds(graphs) == 6


def test_kinds_of_equal_rows_are_counted_beside_a_rare_one():
    kinds = np.random.default_rng(0).normal(size=(21, 6))
    counted = merged_graphs(kinds.repeat([50] * 20 + [2], axis=0), torch.device("cpu"))
    assert number_of_kinds(counted) == 21
    assert number_of_kinds(merged_graphs(kinds, torch.device("cpu"))) is None


def test_rows_of_few_values_are_no_kinds():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 500)
    X = (rng.random((500, 8)) < np.where(y[:, None], 0.9, 0.1)).astype(float)
    assert len(np.unique(X, axis=0)) < len(X) / 2
    assert number_of_kinds(merged_graphs(X, torch.device("cpu"))) is None


def test_more_clusters_may_lie_apart_than_neighbors_tell():
    sizes = [60, 50, 45, 40, 36, 33, 30, 28, 26, 24]
    X, _ = blobs_of(sizes)
    graphs = merged_graphs(X, torch.device("cpu"))
    assert number_apart(graphs) == 10

    def found(graphs, n_told, n_distinct=2):
        # Two views agree on all clusters up to so many, and on no more of them.
        numbers, all_agree = np.arange(2, 21), np.full(19, 0.9)
        least = np.where(numbers <= n_distinct, 0.9, 0.1)
        of_joins = np.column_stack([numbers, all_agree, least, least])
        start = start_of_more_apart(graphs, of_joins, n_told)
        return None if start is None else int(start.labels.max()) + 1

    assert found(graphs, 4) == 10
    assert found(graphs, 10) == 10
    # Where trees tell of fewer, that they are distinct counts.
    coarse = {0.3: graphs[0.3]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("skdepict._training.start.number_apart", lambda graphs: 3)
        assert found(coarse, 4, n_distinct=9) == 9
        assert found(coarse, 4) == 4
    # Parts of blobs do not lie apart, even if views say that they are distinct.
    assert found(graphs, 4, n_distinct=20) == 10
    # And none are joined that neighbours tell from each other.
    assert found(graphs, 20) is None
    mixed = np.random.default_rng(0).normal(size=(200, 20)).astype(np.float32)
    mixed = merged_graphs(mixed, torch.device("cpu"))
    assert number_apart(mixed) == 0
    assert found(mixed, 4) is None
    # Where two trees differ, one of them is believed, and not their mean.
    graphs = merged_graphs(blobs_of([100, 40, 25, 15, 12])[0], torch.device("cpu"))
    two = {whitening: graphs[whitening] for whitening in (0.6, 1.0)}
    assert {merges.tree(None).n_clusters for merges in two.values()} == {2, 4}
    assert number_apart(two) == 4


def test_of_two_clusters_nobody_knows_whether_they_are_even():
    assert not is_even(0.001, 1000, 2)
    # Nor of the most even ones that four graphs have.
    assert not is_even(0.0, 500, 2)
    assert is_even(0.0, 1000, 4)
    assert not is_even(0.0, 1000, 4, most_probable=1e-6)


def blobs_of(sizes):
    """Blobs that are far apart, in 20 dimensions."""
    centers = 40 * np.eye(20)[: len(sizes)]
    X, y = make_blobs(list(sizes), 20, centers=centers, random_state=0)
    return X.astype(np.float32), y


def test_even_sizes_tell_how_many_clusters_there_are():
    def number_of(sizes):
        X, _ = blobs_of(sizes)
        return even_number(merged_graphs(X, torch.device("cpu")), len(X))

    assert number_of([100] * 12) == 12
    assert number_of([95, 105, 98, 102, 91, 109, 100, 103, 97, 100]) == 10
    assert number_of([400, 300, 200, 150, 100, 50, 40, 30, 20, 10]) is None
    # Two halves are no evidence: most data could be halved.
    assert number_of([500, 500]) is None


def test_graphs_join_groups_to_what_most_of_their_samples_are_in():
    X, y = blobs_of([90, 70, 50])
    graphs = {0.3: merged_graphs(X, torch.device("cpu"))[0.3]}
    groups = 2 * y + np.random.default_rng(0).integers(0, 2, len(y))
    # Samples on the wrong side change nothing.
    groups[0] = (groups[0] + 2) % 6
    (partition,) = partitions_by_graphs(graphs, groups, 6, 3)
    assert adjusted_rand_score([0, 0, 1, 1, 2, 2], partition) == 1.0


def test_frequencies_are_estimated_where_starting_labels_are_uneven():
    labels = np.repeat([0, 1, 2], [50, 30, 20])
    start = with_prior(labels, None, 3)
    assert start.estimated
    np.testing.assert_allclose(start.prior, np.array([50.5, 30.5, 20.5]) / 101.5)
    even = with_prior(np.repeat([0, 1, 2], [340, 330, 330]), None, 3)
    assert not even.estimated
    np.testing.assert_allclose(even.prior, 1 / 3)
    given = with_prior(labels, np.array([0.2, 0.3, 0.5]), 3)
    assert not given.estimated
    np.testing.assert_allclose(given.prior, [0.2, 0.3, 0.5])


@pytest.mark.parametrize("block_entries", [1, 5000, 2**25])
def test_neighbors_on_the_device_are_those_of_scikit_learn(block_entries, few_digits):
    rows = WhitenedComponents().fit_transform(few_digits[0].reshape(300, -1))
    expected = NearestNeighbors(n_neighbors=20).fit(rows).kneighbors()
    found = device_neighbors(rows, 20, torch.device("cpu"), block_entries)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-6)
    np.testing.assert_array_equal(found[1], expected[1])


def test_neighbors_on_the_device_of_few_and_of_equal_samples():
    cpu = torch.device("cpu")
    distances, indices = device_neighbors(np.array([[0.0], [3.0], [4.0]]), 20, cpu)
    assert indices.tolist() == [[1, 2], [2, 0], [1, 0]]
    assert distances.tolist() == [[3.0, 4.0], [1.0, 3.0], [1.0, 4.0]]
    distances, indices = device_neighbors(np.full((5, 2), 1e6), 2, cpu)
    assert not distances.any()
    assert all(sample not in row for sample, row in enumerate(indices))


def test_starting_labels_do_not_depend_on_the_device(few_digits):
    asked = []

    def on_the_processor(points, n_neighbors, device):
        asked.append(device.type)
        return device_neighbors(points, n_neighbors, torch.device("cpu"))

    rows, prior = few_digits[0].reshape(300, -1), np.full(10, 0.1)
    on_cuda, on_cpu = (
        nearest_labels(
            merged_graphs(rows, torch.device(name), on_the_processor), prior
        )[0]
        for name in ("cuda", "cpu")
    )
    np.testing.assert_array_equal(on_cuda, on_cpu)
    assert asked == ["cuda"] * 4
