"""How typical samples are of those of the fit, by where their embeddings are."""

import numpy as np
from scipy.special import logsumexp
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.utils import gen_batches

# Added to the variance of each unit of the embedding, which goes from -1 to 1.
LEAST_VARIANCE = 1e-4
# The time grows with the training samples that are looked at.
MAX_SAMPLES = 2000
LEAST_SPREAD = 1e-6
# Embeddings whose distances to these are held at once.
BATCH = 512
# Of the two kernels, relative to the width of clusters.
WIDTHS = (1.0, 0.5)


def typicality_of(embedding, labels, centers):
    """How typical embeddings are, as the lower one of two kernel densities has it.

    One is as wide as clusters are. A cluster of few samples has a lower density than
    others, however tight it is: what belongs nowhere may be a cluster of its own. But
    so wide a density is high between clusters, too, where the network puts much of what
    it has not seen. So the other one is half as wide.

    Parameters
    ----------
    embedding : ndarray of shape (n_samples, embedding_dim)
    labels : ndarray of shape (n_samples,)
    centers : ndarray of shape (n_clusters, embedding_dim)
        NaN for clusters without samples.

    Returns
    -------
    typicality : callable
        From embeddings to an ndarray of shape (n_samples,), the lower one of both
        logarithms. Of either of them 0 is the median of the training samples, each of
        which is left out of its own density, and -1 their lower quartile.
    """
    embedding = embedding.astype(np.float64)
    within = embedding - centers[labels]
    variance = np.square(within).sum(axis=1).mean()
    variance += within.shape[1] * LEAST_VARIANCE
    if len(embedding) > MAX_SAMPLES:
        generator = np.random.default_rng(0)
        embedding = generator.choice(embedding, MAX_SAMPLES, replace=False)

    def log_densities(points, is_own=False):
        """But for what all have in common; of shape (n_points, 2)."""
        found = np.empty((len(points), len(WIDTHS)))
        for part in gen_batches(len(points), BATCH):
            distances = euclidean_distances(points[part], embedding, squared=True)
            if is_own:
                rows = np.arange(len(distances))
                distances[rows, rows + part.start] = np.inf
            for column, width in enumerate(WIDTHS):
                exponents = distances / (-2 * width**2 * variance)
                found[part, column] = logsumexp(exponents, axis=1)
        return found

    of_fit = log_densities(embedding, is_own=len(embedding) > 1)
    quartile, middle = np.quantile(of_fit, (0.25, 0.5), axis=0)
    spread = middle - quartile
    # Where most samples are copies they differ by rounding: a logarithm by itself.
    spread[spread < LEAST_SPREAD] = 1.0
    return lambda points: ((log_densities(points) - middle) / spread).min(axis=1)
