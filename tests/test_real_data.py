"""Real images, with default parameters."""

import numpy as np

from skdepict import DEPICTClustering
from skdepict.metrics import clustering_accuracy

from .conftest import load_real


def test_digits_are_found_with_default_parameters(digits):
    images, y = digits
    labels = DEPICTClustering(10, random_state=0).fit_predict(images)
    assert clustering_accuracy(y, labels) >= 0.92


def test_a_sample_of_mnist_is_clustered_far_better_than_by_kmeans():
    """KMeans reaches 0.5 on these rows."""
    X, y = load_real("mnist_full")
    rows = np.arange(60_000, 63_000)
    labels = DEPICTClustering(10, random_state=0).fit_predict(X[rows])
    assert clustering_accuracy(y[rows], labels) >= 0.8
