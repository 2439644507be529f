"""How typical samples are: the density of the clusters at their embedding."""

import numpy as np
from scipy.spatial.distance import cdist
from scipy.special import logsumexp

# Added to the variance of each unit of the embedding, which goes from -1 to 1.
LEAST_VARIANCE = 1e-4


def density_of_clusters(embedding, labels, centers):
    """The logarithm of a density: Gaussians of one variance, one for each cluster.

    Parameters
    ----------
    embedding : ndarray of shape (n_samples, embedding_dim)
    labels : ndarray of shape (n_samples,)
    centers : ndarray of shape (n_clusters, embedding_dim)
        NaN for clusters without samples.

    Returns
    -------
    log_density : callable
        From embeddings to an ndarray of shape (n_samples,), up to a constant.
    """
    sizes = np.bincount(labels, minlength=len(centers))
    found = sizes > 0
    within = embedding - centers[labels]
    variance = within.astype(np.float64).var() + LEAST_VARIANCE
    means = centers[found].astype(np.float64)
    log_shares = np.log(sizes[found] / len(labels))

    def log_density(points):
        distances = cdist(points.astype(np.float64), means, "sqeuclidean")
        with np.errstate(under="ignore"):
            return logsumexp(log_shares - distances / (2 * variance), axis=1)

    return log_density
