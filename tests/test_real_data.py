"""Real images, with default parameters."""

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, roc_auc_score

from skdepict import DEPICTClustering
from skdepict._training.graphs import path_integral_labels
from skdepict.metrics import clustering_accuracy

from .conftest import load_real


def test_digits_with_default_parameters(digits):
    """Mean of three seeds; KMeans reaches 0.79."""
    images, y = digits
    accuracies = [
        clustering_accuracy(y, DEPICTClustering(10, random_state=k).fit_predict(images))
        for k in range(3)
    ]
    assert np.mean(accuracies) >= 0.95


def test_a_sample_of_mnist_with_default_parameters():
    """500 images at half the resolution; KMeans reaches 0.58 on them."""
    X, y = load_real("mnist_full")
    X, y = X[60_000:60_500], y[60_000:60_500]
    X = X.reshape(len(X), 14, 2, 14, 2).mean(axis=(2, 4), dtype=np.float32)
    kmeans = KMeans(10, n_init=10, random_state=0).fit_predict(X.reshape(len(X), -1))
    labels = DEPICTClustering(10, random_state=0).fit_predict(X)
    assert clustering_accuracy(y, labels) >= clustering_accuracy(y, kmeans) + 0.25


def test_embeddings_of_nothing_are_untypical():
    """Where they are in the embedding alone says less: a mean AUC of 0.66."""
    X, y = load_real("20ng_embedding")
    scores = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        posts = X[y < 6][rng.permutation(np.sum(y < 6))[:800]].astype(np.float32)
        nothing = rng.normal(size=(80, X.shape[1])).astype(np.float32)
        nothing /= np.linalg.norm(nothing, axis=1, keepdims=True)
        model = DEPICTClustering(6, random_state=seed, max_rounds=1)
        model.fit(np.concatenate([posts, nothing[:20]]))
        typical = model.score_samples(posts)
        for part in (nothing[:20], nothing[20:]):
            found = np.concatenate([typical, model.score_samples(part)])
            is_post = np.repeat([1, 0], (len(typical), len(part)))
            scores.append(roc_auc_score(is_post, found))
    assert np.mean(scores) > 0.75


def few_people():
    """20 people of CMU-PIE with 42 images each, at half the resolution."""
    X, y = load_real("cmu_pie")
    return X[y < 20][:, ::2, ::2], y[y < 20]


def test_many_small_clusters_survive_the_joint_phase():
    X, y = few_people()
    scores = []
    for seed in range(3):
        model = DEPICTClustering(20, init=y, fit_epochs=40, random_state=seed).fit(X)
        assert model.n_iter_ > 1
        scores.append(adjusted_rand_score(y, model.labels_))
    assert np.mean(scores) > 0.98


def test_starting_labels_are_those_of_the_graph_that_suits_the_data():
    """Faces want whitening, objects do not: one setting would fail on either."""
    for name, n_clusters in (("cmu_pie", 68), ("coil20_32", 20)):
        X, y = load_real(name)
        prior = np.full(n_clusters, 1 / n_clusters)
        rows = X.reshape(len(X), -1) / np.float32(255)
        labels, divergence = path_integral_labels(rows, prior, torch.device("cpu"))
        assert divergence < 0.001
        assert clustering_accuracy(y, labels) > 0.99


def test_starting_labels_allow_for_sizes_that_differ():
    """Of 0 there are a tenth as many as of 9, and the prior does not say so."""
    X, y = load_real("mnist_full")
    X, y = X[60_000:], y[60_000:]
    kept = np.random.default_rng(0).random(len(X)) < (y + 1) / 10
    X, y = X[kept].reshape(kept.sum(), -1) / np.float32(255), y[kept]
    labels, divergence = path_integral_labels(X, np.full(10, 0.1), torch.device("cpu"))
    assert divergence > 0.1
    assert clustering_accuracy(y, labels) > 0.85
