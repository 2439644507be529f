"""How typical samples are: the density of the training samples at their embedding."""

import numpy as np
from sklearn.neighbors import KernelDensity

# Added to the variance of each unit of the embedding, which goes from -1 to 1.
LEAST_VARIANCE = 1e-4
# The time grows with the training samples that are looked at.
MAX_SAMPLES = 2000


def density_of_samples(embedding, labels, centers):
    """The logarithm of a kernel density, as wide as clusters are.

    A cluster of few samples has a lower density than others, however tight it is: what
    belongs nowhere may be a cluster of its own.

    Parameters
    ----------
    embedding : ndarray of shape (n_samples, embedding_dim)
    labels : ndarray of shape (n_samples,)
    centers : ndarray of shape (n_clusters, embedding_dim)
        NaN for clusters without samples.

    Returns
    -------
    log_density : callable
        From embeddings to an ndarray of shape (n_samples,).
    """
    within = (embedding - centers[labels]).astype(np.float64)
    variance = np.square(within).sum(axis=1).mean()
    width = np.sqrt(variance + within.shape[1] * LEAST_VARIANCE)
    if len(embedding) > MAX_SAMPLES:
        generator = np.random.default_rng(0)
        embedding = generator.choice(embedding, MAX_SAMPLES, replace=False)
    return KernelDensity(bandwidth=float(width)).fit(embedding).score_samples
