"""Real images, with default parameters."""

import numpy as np
from sklearn.cluster import KMeans

from skdepict import DEPICTClustering
from skdepict.metrics import clustering_accuracy

from .conftest import load_real


def test_digits_with_default_parameters(digits):
    """Mean of five seeds; KMeans reaches 0.79."""
    images, y = digits
    accuracies = [
        clustering_accuracy(y, DEPICTClustering(10, random_state=k).fit_predict(images))
        for k in range(5)
    ]
    assert np.mean(accuracies) >= 0.94


def test_a_sample_of_mnist_with_default_parameters():
    """1,500 images; KMeans reaches about 0.5 on them."""
    X, y = load_real("mnist_full")
    X, y = X[60_000:61_500], y[60_000:61_500]
    kmeans = KMeans(10, n_init=10, random_state=0).fit_predict(X.reshape(len(X), -1))
    labels = DEPICTClustering(10, random_state=0).fit_predict(X)
    assert clustering_accuracy(y, labels) >= clustering_accuracy(y, kmeans) + 0.2
