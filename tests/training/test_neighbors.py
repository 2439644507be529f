"""Neighbours as views of what a sample is an example of."""

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import NearestNeighbors

from skdepict import DEPICTClustering, WhitenedComponents, load
from skdepict._training import graphs, neighbors
from skdepict._training.neighbors import (
    Neighbors,
    component_axes,
    embedded_frequencies,
    nearest_rows,
)
from skdepict.networks import DenseAutoencoder
from skdepict.networks._dense import Components
from tests.conftest import quick


@pytest.fixture
def rows(rng):
    return rng.normal(size=(60, 12)) * np.linspace(1, 3, 12)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def predictions(rng, n_samples, n_clusters=4):
    return torch.from_numpy(rng.dirichlet(np.ones(n_clusters), n_samples))


def slow_sums(P, numbers, members):
    """The mean of each sample with its neighbours, and J, as they are defined."""
    means, joint = P.clone(), torch.zeros(P.shape[1], P.shape[1], dtype=P.dtype)
    for place, sample in enumerate(members):
        near = [P[number] for number in numbers[place]]
        means[sample] = torch.stack([P[sample], *near]).mean(dim=0)
        for other in near:
            joint += torch.outer(P[sample], other) + torch.outer(other, P[sample])
    return means, joint


@pytest.mark.parametrize("members", [None, np.array([1, 4, 5, 9, 11])])
def test_means_and_joint_frequencies_are_those_of_the_definition(members, rng):
    P = predictions(rng, 12)
    chosen = np.arange(12) if members is None else members
    numbers = chosen[rng.integers(0, len(chosen), (len(chosen), 3))]
    expected, expected_joint = slow_sums(P, numbers, chosen)
    whole = Neighbors(numbers, members, slice(0, 12), torch.device("cpu"))
    torch.testing.assert_close(whole.means(P, P), expected)
    torch.testing.assert_close(whole.joint_frequencies(P, P), expected_joint)
    # Of two processes each has its own samples, and the predictions of all.
    shares = [slice(0, 5), slice(5, 12)]
    parts = [Neighbors(numbers, members, s, torch.device("cpu")) for s in shares]
    own = list(zip(parts, [P[share] for share in shares], strict=True))
    means = torch.cat([part.means(mine, P) for part, mine in own])
    torch.testing.assert_close(means, expected)
    joint = sum(part.joint_frequencies(mine, P) for part, mine in own)
    torch.testing.assert_close(joint, expected_joint)


def test_neighbors_in_the_embedding_share_groups(rng):
    P, points = predictions(rng, 40), rng.normal(size=(40, 3))
    numbers = NearestNeighbors(n_neighbors=6).fit(points).kneighbors()[1]
    _, expected = slow_sums(P, numbers, range(40))
    found = embedded_frequencies(P, points, 6)
    np.testing.assert_allclose(found, expected / expected.sum())
    assert embedded_frequencies(P, points, 0) is None
    assert embedded_frequencies(P[:1], points[:1], 6) is None


def test_neighbors_are_those_in_whitened_components(rows):
    pca = PCA().fit(rows)
    points = pca.transform(rows) / np.sqrt(pca.explained_variance_) ** 0.3
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    expected = NearestNeighbors(n_neighbors=5).fit(points).kneighbors()[1]
    found = nearest_rows(rows, 5, torch.device("cpu"))
    np.testing.assert_array_equal(found, expected)
    assert nearest_rows(rows[:4], 15, torch.device("cpu")).shape == (4, 3)


@given(
    n_copies=hnp.arrays(np.int64, st.integers(21, 40), elements=st.integers(1, 30)),
    n_neighbors=st.integers(1, 12),
)
@settings(max_examples=30)
def test_neighbors_of_equal_rows_are_other_rows_too(n_copies, n_neighbors):
    assume(n_copies.max() > 1)
    n_points, cpu = len(n_copies), torch.device("cpu")
    points = np.random.default_rng(0).normal(size=(n_points, 4))
    place = np.arange(n_points).repeat(n_copies)
    found = place[nearest_rows(points[place], n_neighbors, cpu)]
    assert found.shape == (len(place), n_neighbors)
    # Rows that are equal have equal neighbours, and never more than are near.
    assert len(np.unique(np.column_stack([place, found]), axis=0)) == n_points
    # Of few different rows that are common most are not near.
    n_near = min(n_neighbors, n_points // (4 if 2 * n_points < len(place) else 1))
    components = WhitenedComponents(whitening=0.3).fit(points[place])
    search = NearestNeighbors(n_neighbors=n_near).fit(components.transform(points))
    near = np.column_stack([np.arange(n_points), search.kneighbors()[1]])
    of_point = found[np.unique(place, return_index=True)[1]]
    for others, drawn in zip(near, of_point, strict=True):
        assert set(drawn) <= set(others)
        own, n_own = np.sum(drawn == others[0]), n_copies[others[0]] - 1
        share = n_own / (n_own + n_copies[others[1:]].sum())
        # One more or less, as shares of few neighbours are whole numbers.
        least = min(n_own, n_neighbors // 2)
        assert own >= max(least - 1, int(share * n_neighbors) - 1)
        assert own <= max(least, share * n_neighbors) + 1


@pytest.mark.parametrize("n_doubled", [0, 1])
def test_few_equal_rows_change_no_neighbor_of_others(rows, n_doubled):
    """But the copy, which is as near as the other row."""
    X = np.concatenate([rows, rows[:n_doubled]])
    components = WhitenedComponents(whitening=0.3).fit(X)
    search = NearestNeighbors(n_neighbors=20).fit(components.transform(X))
    place = np.r_[np.arange(60), np.arange(n_doubled)]
    expected = np.sort(place[search.kneighbors()[1]], axis=1)
    found = np.sort(place[nearest_rows(X, 20, torch.device("cpu"))], axis=1)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("n_columns", "n_levels", "n_groups"), [(8, 2, 2), (6, 2, 2), (6, 5, 4)]
)
def test_groups_of_rows_of_few_values_are_found(n_columns, n_levels, n_groups, rng):
    centers = (np.arange(n_groups)[:, None] + np.arange(n_columns)) % n_levels
    y = rng.integers(0, n_groups, 600)
    drawn = rng.integers(0, n_levels, (600, n_columns))
    values = np.where(rng.random((600, n_columns)) < 0.8, centers[y], drawn)
    X = np.eye(n_levels)[values].reshape(600, -1)
    by_means = KMeans(n_groups, n_init=10, random_state=0).fit_predict(X)
    found = DEPICTClustering(n_groups, random_state=0).fit_predict(X)
    least = adjusted_rand_score(y, by_means) - 0.1
    assert adjusted_rand_score(y, found) > least > 0.5


@pytest.mark.parametrize("n_features", [3, 12])
def test_a_network_sees_the_coordinates_of_the_neighbors(n_features, rows):
    rows = (rows[:, :n_features] - rows[:, :n_features].mean(axis=0)).astype(np.float32)
    axes = component_axes(rows)
    assert axes.dtype == np.float32
    seen = Components(*axes.shape)
    seen.axes.copy_(torch.from_numpy(axes))
    points = seen(torch.from_numpy(rows)).numpy()
    assert np.mean(points**2) == pytest.approx(1.0, rel=1e-4)
    found = NearestNeighbors(n_neighbors=5).fit(points).kneighbors()[1]
    np.testing.assert_array_equal(found, nearest_rows(rows, 5, torch.device("cpu")))


def test_of_rows_that_do_not_vary_there_is_one_axis():
    assert np.isfinite(component_axes(np.zeros((5, 3), dtype=np.float32))).all()


@pytest.mark.parametrize("n_components", [None, 2])
def test_axes_are_not_trained(n_components):
    network = DenseAutoencoder((6,), 3, n_components)
    names = {name for name, _ in network.named_parameters()}
    assert not any("axes" in name for name in names)
    decoded = network.decode(torch.zeros(2, 3))
    assert decoded[-1].shape == (2, 6)


def test_what_neighbors_say_is_what_outliers_among_labels_are_corrected_by(blobs):
    X, y = blobs
    wrong = np.random.default_rng(0).random(len(y)) < 0.2
    start = np.where(wrong, (y + 1) % 3, y)
    model = DEPICTClustering(3, init=start, random_state=0, max_iter=20).fit(X)
    assert adjusted_rand_score(y, model.labels_) > 0.95


def test_without_neighbors_a_network_sees_the_columns(blobs):
    X, y = blobs
    with_them, without = (quick(init=y, n_neighbors=n).fit(X) for n in (15, 0))
    first = without.network_.autoencoder.encoder[0][0]
    assert first.in_features == X.shape[1]
    assert isinstance(with_them.network_.autoencoder.encoder[0][0], Components)
    published = DEPICTClustering.as_published(3)
    assert published.n_neighbors == 0


def test_images_and_series_are_not_averaged_over_neighbors(few_digits, monkeypatch):
    images, y = few_digits
    monkeypatch.setattr(neighbors, "nearest_rows", None)
    quick(10, init=y).fit(images)
    quick(10, init=y, network="sequence").fit(images.reshape(300, 64))


@pytest.mark.parametrize("n_neighbors", [-1, 1.5, None])
def test_a_number_of_neighbors_that_is_none_is_refused(n_neighbors, blobs):
    with pytest.raises(ValueError, match="'n_neighbors' parameter"):
        quick(n_neighbors=n_neighbors).fit(blobs[0])


@pytest.mark.parametrize("n_features", [1, 2, 20])
def test_models_of_tables_can_be_kept(n_features, blobs, tmp_path):
    X, y = blobs[0][:, :n_features], blobs[1]
    model = quick(init=y).fit(X)
    model.save(tmp_path / "model")
    opened = load(tmp_path / "model")
    np.testing.assert_array_equal(opened.transform(X), model.embedding_)
    np.testing.assert_array_equal(opened.predict(X[::-1]), model.labels_[::-1])


@pytest.mark.parametrize(("spread", "is_asked"), [(0.05, True), (1.0, False)])
def test_graphs_join_clusters_that_lie_apart_and_no_others(
    spread, is_asked, monkeypatch, rng
):
    sizes = [200, 70, 40]
    y = np.repeat(np.arange(3), sizes)
    X = np.eye(3)[y] + spread * rng.normal(size=(len(y), 3))
    # Otherwise labels of a graph would be kept.
    monkeypatch.setattr(graphs, "UNMIXED_ROWS", 2.0)
    asked = []

    def proposals(_, groups, n_groups, n_clusters):
        asked.append(n_clusters)
        return [np.arange(n_groups) % n_clusters]

    monkeypatch.setattr(graphs, "partitions_by_graphs", proposals)
    model = quick(3, prior=None, fit_epochs=40).fit(X)
    assert (asked == [3]) == is_asked
    # Where they overlap, no cluster is to grow at the cost of others.
    assert np.ptp(model.prior_) < 1e-12 or is_asked
