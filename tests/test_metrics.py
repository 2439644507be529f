"""Scores of a clustering."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score
from sklearn.model_selection import GridSearchCV, ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdepict.metrics import (
    SCORERS,
    clustering_accuracy,
    confidence,
    silhouette,
    stability,
)

from .conftest import quick


@given(
    pairs=st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30
    )
)
def test_accuracy_equals_the_best_of_all_maps(pairs):
    y, labels = map(np.array, zip(*pairs, strict=True))
    expected = max(
        np.mean(np.array(names)[labels] == y) for names in permutations(range(4))
    )
    assert clustering_accuracy(y, labels) == pytest.approx(expected)


def test_more_clusters_than_classes_count_as_wrong():
    assert clustering_accuracy([0, 0, 0, 0], [0, 1, 2, 2]) == 0.5


def test_lengths_that_differ_are_refused():
    with pytest.raises(ValueError, match="has length 2 and labels_pred has length 3"):
        clustering_accuracy([0, 1], [0, 1, 1])


def test_scorers_by_name_in_a_parallel_grid_search_over_a_pipeline(blobs):
    X, _ = blobs
    search = GridSearchCV(
        make_pipeline(StandardScaler(), quick()),
        {"depictclustering__n_clusters": [2, 3]},
        scoring=SCORERS,
        refit="stability",
        cv=ShuffleSplit(1, test_size=0.5, random_state=0),
        n_jobs=2,
    ).fit(X)
    for name in SCORERS:
        assert np.all(np.isfinite(search.cv_results_[f"mean_test_{name}"]))
    assert search.best_params_ == {"depictclustering__n_clusters": 3}


def test_silhouette_is_that_of_the_embedding(fitted, few_digits):
    images, _ = few_digits
    expected = silhouette_score(fitted.transform(images), fitted.predict(images))
    assert silhouette(fitted, images) == pytest.approx(expected)
    # Of a part, near to that of all.
    part = silhouette(fitted, images, max_samples=200)
    assert part == pytest.approx(expected, abs=0.1)
    assert part != expected
    assert part == silhouette(fitted, images, max_samples=200)


def test_silhouette_of_one_cluster_is_the_least_there_is(blobs):
    X, _ = blobs
    assert silhouette(KMeans(1).fit(X), X) == -1.0
    assert silhouette(KMeans(5, n_init=1).fit(X[:5]), X[:5]) == -1.0


def test_confidence_is_the_mean_of_the_largest_probabilities(fitted, few_digits):
    images, _ = few_digits
    expected = np.mean(fitted.predict_proba(images).max(axis=1))
    assert confidence(fitted, images) == pytest.approx(expected)


class ByOrder(ClusterMixin, BaseEstimator):
    """Labels that depend on nothing but the fit."""

    fits = 0

    def fit(self, X, y=None):
        type(self).fits += 1
        self.seed_ = type(self).fits
        return self

    def predict(self, X):
        return np.random.default_rng(self.seed_).integers(0, 3, len(X))


def test_stability_is_one_for_real_clusters_and_chance_for_made_up_ones(blobs):
    X, _ = blobs
    model = KMeans(3, n_init=10, random_state=0).fit(X)
    centers = model.cluster_centers_.copy()
    assert stability(model, X) == 1.0
    np.testing.assert_array_equal(model.cluster_centers_, centers)
    assert abs(stability(ByOrder().fit(X), X)) < 0.05


def test_one_cluster_is_not_stable(blobs):
    assert stability(KMeans(1), blobs[0]) == 0.0


def test_stability_works_on_frames(blobs):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(blobs[0])
    assert stability(KMeans(3, n_init=10, random_state=0), frame) == 1.0
