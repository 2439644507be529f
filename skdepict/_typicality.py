"""How typical samples are of those of the fit, by where their embeddings are."""

import numpy as np
from sklearn.neighbors import KernelDensity, NearestNeighbors

# Added to the variance of each unit of the embedding, which goes from -1 to 1.
LEAST_VARIANCE = 1e-4
# The time grows with the training samples that are looked at.
MAX_SAMPLES = 2000
# A sample is near those of the fit where so many of them are near.
N_NEAREST = 5


def typicality_of(embedding, labels, centers):
    """How typical embeddings are, as the worse of two scores has it.

    One is the logarithm of a kernel density, as wide as clusters are. A cluster of few
    samples has a lower density than others, however tight it is: what belongs nowhere
    may be a cluster of its own. But so wide a density is high between clusters, too,
    where the network puts much of what it has not seen. So the other one is the
    distance to the nearest training samples. Of both 0 is the median of the training
    samples, and -1 their lower quartile.

    Parameters
    ----------
    embedding : ndarray of shape (n_samples, embedding_dim)
    labels : ndarray of shape (n_samples,)
    centers : ndarray of shape (n_clusters, embedding_dim)
        NaN for clusters without samples.

    Returns
    -------
    typicality : callable
        From embeddings to an ndarray of shape (n_samples,).
    """
    embedding = embedding.astype(np.float64)
    within = embedding - centers[labels]
    variance = np.square(within).sum(axis=1).mean()
    width = float(np.sqrt(variance + within.shape[1] * LEAST_VARIANCE))
    if len(embedding) > MAX_SAMPLES:
        generator = np.random.default_rng(0)
        embedding = generator.choice(embedding, MAX_SAMPLES, replace=False)
    density = KernelDensity(bandwidth=width).fit(embedding).score_samples
    density_there = _standardised(density(embedding), 1.0)
    if len(embedding) == 1:
        return lambda points: density_there(density(points))
    n_nearest = min(N_NEAREST, len(embedding) - 1)
    search = NearestNeighbors(n_neighbors=n_nearest).fit(embedding)
    nearness_there = _standardised(-search.kneighbors()[0][:, -1], width)

    def typicality(points):
        nearness = -search.kneighbors(points)[0][:, -1]
        return np.minimum(density_there(density(points)), nearness_there(nearness))

    return typicality


def _standardised(scores, unit):
    """What makes the median of these scores 0, and their lower quartile -1."""
    quartile, middle = np.quantile(scores, (0.25, 0.5))
    # Copies of samples are all as near.
    spread = middle - quartile or unit
    return lambda others: (others - middle) / spread
