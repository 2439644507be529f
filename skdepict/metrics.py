"""Scores of a clustering."""

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.metrics.cluster import contingency_matrix


def clustering_accuracy(labels_true, labels_pred):
    """The share of samples that agree under the best one-to-one map of the labels.

    Each cluster is matched with at most one class, and each class with at most one
    cluster, so that the most samples agree (the Hungarian method). Samples of clusters
    or classes without a match count as wrong.

    Parameters
    ----------
    labels_true : array-like of shape (n_samples,)
        Class labels.
    labels_pred : array-like of shape (n_samples,)
        Cluster labels; their names do not matter.

    Returns
    -------
    accuracy : float in (0, 1]

    See Also
    --------
    sklearn.metrics.normalized_mutual_info_score : Needs no matching.
    sklearn.metrics.adjusted_rand_score : Corrected for chance.

    Examples
    --------
    >>> from skdepict.metrics import clustering_accuracy
    >>> clustering_accuracy([0, 0, 1, 1], [1, 1, 0, 0])
    1.0
    >>> clustering_accuracy(["a", "a", "b", "b"], [0, 0, 0, 1])
    0.75
    """
    counts = contingency_matrix(labels_true, labels_pred)
    classes, clusters = linear_sum_assignment(counts, maximize=True)
    return float(counts[classes, clusters].sum() / np.sum(counts))
