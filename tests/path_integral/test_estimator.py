"""PathIntegralClustering as a user sees it."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from scipy.cluster.hierarchy import dendrogram, fcluster, is_valid_linkage
from sklearn.base import clone
from sklearn.datasets import make_blobs, make_moons
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import KNeighborsTransformer, kneighbors_graph
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from skdepict import PathIntegralClustering, WhitenedComponents
from skdepict.metrics import clustering_accuracy
from tests.conftest import load_real


@parametrize_with_checks(
    [PathIntegralClustering(), PathIntegralClustering(None, metric="euclidean")]
)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def test_blobs_and_moons_are_found():
    X, y = make_blobs(500, n_features=5, centers=6, cluster_std=0.8, random_state=1)
    assert adjusted_rand_score(y, PathIntegralClustering(6).fit_predict(X)) > 0.98
    X, y = make_moons(500, noise=0.05, random_state=0)
    assert adjusted_rand_score(y, PathIntegralClustering(2).fit_predict(X)) > 0.98


@pytest.mark.parametrize(
    ("name", "at_least"),
    [("cmu_pie", 0.97), ("coil20_32", 0.87), ("usps11000", 0.93)],
)
def test_real_images_with_default_parameters(name, at_least):
    X, y = load_real(name)
    X = X.reshape(len(X), -1) / np.float32(255)
    labels = PathIntegralClustering(len(np.unique(y))).fit_predict(X)
    assert clustering_accuracy(y, labels) >= at_least


def test_digits_with_default_parameters(digits):
    images, y = digits
    labels = PathIntegralClustering(10).fit_predict(images.reshape(len(images), -1))
    assert clustering_accuracy(y, labels) >= 0.89


def test_bytes_give_what_floats_give(digits):
    X = digits[0].reshape(-1, 64)
    of_floats = PathIntegralClustering(10).fit_predict(X)
    of_bytes = PathIntegralClustering(10).fit_predict(X.astype(np.uint8))
    assert adjusted_rand_score(of_floats, of_bytes) > 0.99


# Data of the kinds that break clusterers: grids full of ties and duplicates, one
# feature, and clusters far from each other.
samples = st.builds(
    lambda n_samples, n_features, grid, spread, seed: (
        np.random.default_rng(seed).integers(0, grid, (n_samples, n_features))
        + np.random.default_rng(seed).integers(0, 2, (n_samples, 1)) * spread
    ).astype(float),
    n_samples=st.integers(4, 60),
    n_features=st.integers(1, 3),
    grid=st.sampled_from([1, 2, 20, 10**6]),
    spread=st.sampled_from([0, 10**8]),
    seed=st.integers(0, 1000),
)


@pytest.mark.filterwarnings("ignore:The graph of")
@given(
    X=samples,
    data=st.data(),
    fraction=st.sampled_from([0, 0.1, 0.9]),
    bandwidth=st.sampled_from([1e-6, 0.15, 1e6]),
)
def test_labels_are_a_partition_into_n_clusters(X, data, fraction, bandwidth):
    n_clusters = data.draw(st.integers(1, len(X)))
    model = PathIntegralClustering(
        n_clusters, n_neighbors=5, min_cluster_fraction=fraction, bandwidth=bandwidth
    ).fit(X)
    sizes = np.bincount(model.labels_)
    assert len(sizes) == model.n_clusters_ == n_clusters
    assert np.all(sizes > 0)
    assert np.all(np.diff(sizes) <= 0)


@pytest.mark.filterwarnings("ignore:The graph of")
@given(X=samples, data=st.data(), fraction=st.sampled_from([0, 0.1, 0.9]))
def test_cuts_are_nested_and_start_from_the_labels(X, data, fraction):
    n_clusters = data.draw(st.integers(1, len(X)))
    model = PathIntegralClustering(
        n_clusters, n_neighbors=5, min_cluster_fraction=fraction
    ).fit(X)
    np.testing.assert_array_equal(model.cut(n_clusters), model.labels_)
    for k in range(1, len(X)):
        coarse, fine = model.cut(k), model.cut(k + 1)
        parts = [np.unique(coarse[fine == part]) for part in range(k + 1)]
        assert all(len(part) == 1 for part in parts)
        assert sorted(np.bincount(np.concatenate(parts)))[-2:] in ([2], [1, 2])


@given(
    seed=st.integers(0, 1000),
    shift=st.floats(-100, 100),
    log=st.floats(-3, 3),
    n_features=st.sampled_from([2, 12]),
)
def test_labels_ignore_order_shift_and_scale(seed, shift, log, n_features):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(80, n_features))
    model = PathIntegralClustering(3, n_neighbors=8)
    labels = model.fit_predict(X)
    moved = model.fit_predict(X * 10**log + shift)
    assert adjusted_rand_score(labels, moved) == 1.0
    order = rng.permutation(80)
    permuted = model.fit_predict(X[order])
    assert adjusted_rand_score(labels[order], permuted) == 1.0


@pytest.mark.parametrize("offset", [0, 1e8])
def test_tiny_and_far_away_data_are_clustered_like_others(offset):
    X, y = make_blobs(200, n_features=3, centers=3, random_state=0)
    model = PathIntegralClustering(3)
    for scale in (1, 1e-12, 1e-200, 1e200):
        labels = model.fit_predict((X + offset) * scale)
        assert adjusted_rand_score(y, labels) > 0.9


def test_tiny_single_precision_data_are_clustered_like_others():
    X, y = make_blobs(200, n_features=12, centers=3, random_state=0)
    tiny = (X * 1e-30).astype(np.float32)
    assert adjusted_rand_score(y, PathIntegralClustering(3).fit_predict(tiny)) > 0.9


@pytest.mark.parametrize("seed", range(4))
def test_single_precision_does_not_add_features_that_are_not_there(seed):
    """20 features that are made of 2."""
    Z, _ = make_blobs(500, 2, centers=4, random_state=seed)
    X = Z @ np.random.default_rng(seed).normal(size=(2, 20))
    assert WhitenedComponents().fit(X.astype(np.float32)).n_components_ == 2
    double = PathIntegralClustering(4).fit_predict(X)
    single = PathIntegralClustering(4).fit_predict(X.astype(np.float32))
    assert adjusted_rand_score(double, single) > 0.95


def test_outliers_do_not_use_up_clusters():
    X, y = make_blobs(400, centers=4, cluster_std=0.5, random_state=2)
    outliers = np.array([[100.0, 100.0], [100.1, 100.0], [-90.0, 80.0], [-90.0, 80.1]])
    X = np.concatenate([X, outliers])
    labels = PathIntegralClustering(4).fit_predict(X)
    assert adjusted_rand_score(y, labels[:400]) > 0.98


def test_two_odd_images_are_a_cluster_only_if_asked_for():
    X = load_real("fashion_mnist_test")[0].reshape(10_000, -1)
    model = PathIntegralClustering(10, min_cluster_fraction=0).fit(X)
    assert np.bincount(model.labels_).min() == 2
    model.set_params(min_cluster_fraction=0.1).fit(X)
    assert np.bincount(model.labels_).min() >= 100


def test_cuts_at_other_numbers_do_not_isolate_outliers_either():
    X = make_blobs(400, centers=8, cluster_std=0.3, random_state=4)[0]
    outliers = np.random.default_rng(0).uniform(-60, 60, size=(12, 2))
    model = PathIntegralClustering(4).fit(np.concatenate([X, outliers]))
    for k in (2, 3, 5, 6):
        assert np.bincount(model.cut(k)).min() >= 10


def test_number_of_clusters_is_found_where_groups_are_distinct():
    X, _ = make_blobs(1500, centers=12, n_features=10, random_state=3)
    model = PathIntegralClustering(n_clusters=None).fit(X)
    assert model.n_clusters_ == len(np.unique(model.labels_)) == 12


def test_number_of_people_is_nearly_found():
    X = load_real("cmu_pie")[0]
    model = PathIntegralClustering(n_clusters=None).fit(X.reshape(len(X), -1))
    assert abs(model.n_clusters_ - 68) <= 3


@pytest.mark.filterwarnings("ignore:The graph of")
@given(X=samples)
def test_number_of_clusters_is_always_found(X):
    model = PathIntegralClustering(n_clusters=None, n_neighbors=3).fit(X)
    assert len(np.bincount(model.labels_)) == model.n_clusters_ <= len(X)


@pytest.mark.parametrize("n_samples", [60, 100, 400])
def test_number_of_tight_groups_is_found_in_small_data(n_samples):
    X, y = make_blobs(n_samples, centers=5, cluster_std=0.1, random_state=1)
    model = PathIntegralClustering(n_clusters=None, n_neighbors=8).fit(X)
    assert adjusted_rand_score(y, model.labels_) > 0.85


def test_precomputed_graph_gives_what_the_samples_give(few_digits):
    X = few_digits[0].reshape(300, -1)
    expected = PathIntegralClustering(10).fit(X)
    pipeline = make_pipeline(
        WhitenedComponents(),
        KNeighborsTransformer(n_neighbors=20),
        PathIntegralClustering(10, metric="precomputed"),
    )
    np.testing.assert_array_equal(pipeline.fit_predict(X), expected.labels_)
    np.testing.assert_allclose(pipeline[-1].affinities_, expected.affinities_)
    coordinates = WhitenedComponents().fit_transform(X)
    distances = np.linalg.norm(coordinates[:, None] - coordinates, axis=2)
    dense = PathIntegralClustering(10, metric="precomputed").fit(distances)
    np.testing.assert_array_equal(dense.labels_, expected.labels_)


@pytest.mark.parametrize("include_self", [True, False])
def test_stored_distances_to_itself_make_no_difference(include_self, few_digits):
    X = few_digits[0].reshape(300, -1)
    graph = kneighbors_graph(X, 25, mode="distance", include_self=include_self)
    labels = PathIntegralClustering(10, metric="precomputed").fit_predict(graph)
    expected = PathIntegralClustering(10, metric="euclidean").fit_predict(X)
    np.testing.assert_array_equal(labels, expected)


def test_approximate_neighbors_will_do(digits):
    """Of each row of a graph of 40 neighbours a random fifth is missing."""
    images, y = digits
    coordinates = WhitenedComponents().fit_transform(images.reshape(len(images), -1))
    graph = KNeighborsTransformer(n_neighbors=40).fit_transform(coordinates).tocoo()
    known = (np.random.default_rng(0).random(graph.nnz) < 0.8) | (graph.data == 0)
    approximate = sparse.csr_array(
        (graph.data[known], (graph.row[known], graph.col[known])), shape=graph.shape
    )
    model = PathIntegralClustering(10, metric="precomputed").fit(approximate)
    assert clustering_accuracy(y, model.labels_) > 0.85


def test_sparse_data_give_what_dense_data_give(few_digits):
    X = few_digits[0].reshape(300, -1)
    for metric in ("euclidean", "cosine"):
        model = PathIntegralClustering(10, metric=metric)
        expected = model.fit_predict(X)
        np.testing.assert_array_equal(model.fit_predict(sparse.csr_array(X)), expected)


def test_text_is_clustered_as_sparse_data():
    keys = ("data", "indices", "indptr", "shape", "y")
    *parts, shape, y = load_real("text_20ng_tfidf2000", keys)
    X = sparse.csr_array(tuple(parts), shape=tuple(shape))
    labels = PathIntegralClustering(20).fit_predict(X[:4000])
    assert clustering_accuracy(y[:4000], labels) > 0.25


@pytest.mark.parametrize("metric", ["manhattan", "cosine", "chebyshev"])
def test_other_metrics(metric):
    X, y = make_blobs(200, n_features=5, centers=3, random_state=0)
    labels = PathIntegralClustering(3, metric=metric).fit_predict(X)
    assert adjusted_rand_score(y, labels) > 0.9


def test_metric_may_be_a_function():
    X, y = make_blobs(60, centers=[[0, 0], [9, 0]], random_state=0)
    model = PathIntegralClustering(2, metric=lambda a, b: np.abs(a - b).max())
    assert adjusted_rand_score(y, model.fit_predict(X)) == 1.0


def test_tree_is_in_the_form_of_scikit_learn_and_scipy(few_digits):
    model = PathIntegralClustering(6).fit(few_digits[0].reshape(300, -1))
    assert model.n_leaves_ == 300
    assert model.children_.shape == (299, 2)
    assert sorted(model.children_.ravel()) == list(range(598))
    assert np.all(model.children_.max(axis=1) < np.arange(300, 599))
    matrix = model.linkage_matrix()
    assert is_valid_linkage(matrix)
    assert matrix[-1, 3] == 300
    assert len(dendrogram(matrix, no_plot=True)["leaves"]) == 300
    one = fcluster(matrix, t=matrix[:, 2].max(), criterion="distance")
    assert set(one) == {1}


def test_affinities_are_infinite_before_any_is_computed_and_fall_then(few_digits):
    model = PathIntegralClustering(6).fit(few_digits[0].reshape(300, -1))
    computed = np.isfinite(model.affinities_)
    assert np.all(np.diff(computed.astype(int)) >= 0)
    assert np.all(model.affinities_[computed] > 0)
    assert model.affinities_[computed][-1] < model.affinities_[computed][0]


def test_disconnected_parts_are_joined_with_a_warning():
    X, y = make_blobs(300, centers=[[0, 0], [100, 0], [0, 9000]], random_state=0)
    model = PathIntegralClustering(3, metric="euclidean").fit(X)
    assert model.n_connected_components_ == 3
    assert adjusted_rand_score(y, model.labels_) == 1.0
    with pytest.warns(UserWarning, match=r"into 3 parts .* more than n_clusters=2"):
        labels = clone(model).set_params(n_clusters=2).fit_predict(X)
    # The two that are closest to each other.
    assert adjusted_rand_score(y == 2, labels) == 1.0
    assert model.affinities_[-1] == model.affinities_[-2] == 0


def test_disconnected_precomputed_graphs_are_joined_too():
    X, y = make_blobs([200, 50, 40], centers=[[0, 0], [90, 0], [0, 90]], random_state=0)
    graph = KNeighborsTransformer(n_neighbors=20).fit_transform(X)
    model = PathIntegralClustering(3, metric="precomputed").fit(graph)
    assert adjusted_rand_score(y, model.labels_) == 1.0
    with pytest.warns(UserWarning, match="more than n_clusters=2"):
        labels = clone(model).set_params(n_clusters=2).fit_predict(graph)
    assert np.bincount(labels).tolist() == [250, 40]


@pytest.mark.parametrize(
    ("X", "parameters", "message"),
    [
        (np.zeros((5, 2)), {"n_clusters": 6}, r"n_samples=5 should be >= n_clusters=6"),
        (np.zeros((5, 2)), {"metric": "precomputed"}, r"square .* got shape \(5, 2\)"),
        (np.zeros((5, 2)), {"z": 1.0}, "The 'z' parameter"),
        (np.zeros((5, 2)), {"bandwidth": 0}, "The 'bandwidth' parameter"),
        (np.zeros((5, 2)), {"n_neighbors": 0}, "The 'n_neighbors' parameter"),
        (np.zeros((5, 2)), {"n_clusters": "auto"}, "The 'n_clusters' parameter"),
        (np.zeros((5, 2)), {"metric": "euclid"}, "The 'metric' parameter"),
        (np.zeros((5, 2)), {"min_cluster_fraction": 1}, "min_cluster_fraction"),
        (np.full((5, 2), np.nan), {}, "contains NaN"),
        (np.eye(5), {"metric": lambda a, b: np.nan}, "distances .* not finite"),
        (
            np.array([[1.0, 1.0, 1.0], [1.0, 2.0, 3.0], [3.0, 1.0, 2.0]]),
            {"metric": "correlation"},
            "distances .* not finite. Scale X",
        ),
        (np.zeros((5, 2)), {"z": 1e-9}, "The 'z' parameter"),
        (np.zeros((5, 2)), {"metric": "mahalanobis"}, "The 'metric' parameter"),
        (-np.ones((5, 5)), {"metric": "precomputed"}, "Negative values"),
        (sparse.csr_array(-np.ones((5, 5))), {"metric": "precomputed"}, "Negative"),
        (
            sparse.csr_array(np.eye(5)[[1, 2, 3, 4, 0]]),
            {"metric": "precomputed"},
            "has 1 neighbours beside itself, but n_neighbors=4. Lower",
        ),
    ],
)
def test_bad_input_is_refused_and_says_what_to_do(X, parameters, message):
    model = PathIntegralClustering(**{"n_clusters": 2, **parameters})
    with pytest.raises(ValueError, match=message):
        model.fit(X)
    assert not hasattr(model, "labels_")


@pytest.mark.parametrize("n_clusters", [0, 301, -1, 2.5, 3.0, True, "3", None, [2, 3]])
def test_cut_at_an_impossible_number_is_refused(n_clusters, few_digits):
    model = PathIntegralClustering(6).fit(few_digits[0].reshape(300, -1))
    with pytest.raises(ValueError, match="an integer from 1 to the 300 samples"):
        model.cut(n_clusters)


def test_torch_is_not_imported():
    program = (
        "import sys, numpy as np\n"
        "from skdepict import PathIntegralClustering, WhitenedComponents\n"
        "X = np.random.default_rng(0).normal(size=(50, 9))\n"
        "PathIntegralClustering(3).fit(WhitenedComponents().fit_transform(X))\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("n_copies", [6, 20, 50, 200])
@pytest.mark.parametrize("n_kinds", [4, 6, 8, 12])
def test_copies_are_as_many_clusters_as_there_are_kinds(n_kinds, n_copies):
    kinds = np.random.default_rng(0).normal(size=(n_kinds, 6)) * 9
    X = np.repeat(kinds, n_copies, axis=0)
    for rows in (X, sparse.csr_array(X)):
        model = PathIntegralClustering(n_clusters=None).fit(rows)
        assert model.n_clusters_ == n_kinds
        assert len(np.unique(model.labels_.reshape(n_kinds, n_copies), axis=1).T) == 1


@given(seed=st.integers(0, 1000), n_clusters=st.integers(1, 6))
def test_equal_rows_are_never_parted(seed, n_clusters):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(40, 3))
    place = rng.integers(0, 40, 150)
    model = PathIntegralClustering(n_clusters).fit(rows[place])
    assert model.n_leaves_ == 150
    assert model.children_.shape == (149, 2)
    for labels in (model.labels_, model.cut(min(n_clusters + 2, 20))):
        assert len(np.unique(np.column_stack([place, labels]), axis=0)) == len(
            np.unique(place)
        )


def test_copies_of_all_rows_change_no_label(blobs):
    X, _ = blobs
    once = PathIntegralClustering(3).fit(X).labels_
    twice = PathIntegralClustering(3).fit(np.repeat(X, 2, axis=0)).labels_
    assert clustering_accuracy(np.repeat(once, 2), twice) > 0.99


def test_rows_of_zeros_alone_are_one_cluster():
    X = sparse.csr_array((80, 70))
    model = PathIntegralClustering(1).fit(X)
    assert model.labels_.tolist() == [0] * 80
