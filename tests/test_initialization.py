"""Starting labels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.cluster import DBSCAN, AgglomerativeClustering, KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

from skdepict._initialization import class_means, order_by_prior

from .conftest import quick


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
    assert labels_of(init, blobs, pretrain_epochs=5) > 0.9


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
    assert quick("auto", init="kmeans", pretrain_epochs=5).fit(X).n_clusters_ == 3


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
