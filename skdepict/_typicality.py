"""How typical samples are: the density of the training samples at their embedding."""

import numpy as np
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.utils import gen_batches

# Added to the variance of each unit of the embedding, which goes from -1 to 1.
LEAST_VARIANCE = 1e-4
# More training samples than these tell hardly more of a density this smooth.
MAX_SAMPLES = 2000
BATCH_SIZE = 1000


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
        From embeddings to an ndarray of shape (n_samples,), up to a constant.
    """
    within = (embedding - centers[labels]).astype(np.float64)
    width = np.square(within).sum(axis=1).mean() + within.shape[1] * LEAST_VARIANCE
    chosen = np.arange(len(embedding))
    if len(chosen) > MAX_SAMPLES:
        chosen = np.random.default_rng(0).choice(chosen, MAX_SAMPLES, replace=False)
    chosen = embedding[chosen].astype(np.float64)

    def of_part(points):
        distances = euclidean_distances(points.astype(np.float64), chosen, squared=True)
        nearest = distances.min(axis=1)
        distances -= nearest[:, None]
        distances /= -2 * width
        with np.errstate(under="ignore"):
            shares = np.exp(distances, out=distances).mean(axis=1)
        return np.log(shares) - nearest / (2 * width)

    def log_density(points):
        parts = gen_batches(len(points), BATCH_SIZE)
        return np.concatenate([of_part(points[part]) for part in parts])

    return log_density
