"""How typical samples are of those of the fit, by where their embeddings are."""

import numpy as np
from scipy.special import logsumexp
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.utils import gen_batches

# Added to the variance of each unit of the embedding, which goes from -1 to 1, and of
# each component, whose squares are 1 in the mean.
LEAST_VARIANCE = 1e-4
# The time grows with the training samples that are looked at.
MAX_SAMPLES = 2000
LEAST_SPREAD = 1e-6
# Embeddings whose distances to these are held at once.
BATCH = 512
# Of the two kernels, relative to the width of clusters.
WIDTHS = (1.0, 0.5)
# Which of the nearest rows says how far they are.
NEIGHBOR = 10


def looked_at(n_samples):
    """Numbers of the training samples that others are compared with, increasing."""
    if n_samples <= MAX_SAMPLES:
        return np.arange(n_samples)
    generator = np.random.default_rng(0)
    return np.sort(generator.choice(n_samples, MAX_SAMPLES, replace=False))


def typicality_of(model):
    """The `Typicality` of a fitted DEPICTClustering."""
    fitted = model.embedding_, model.labels_, model.cluster_centers_
    return Typicality(*fitted, model._components)


class Typicality:
    """How typical embeddings are, as the lowest of two or three logarithms has it.

    Two are kernel densities. One is as wide as clusters are. A cluster of few samples
    has a lower density than others, however tight it is: what belongs nowhere may be a
    cluster of its own. But so wide a density is high between clusters, too, where the
    network puts much of what it has not seen. So the other one is half as wide.

    Of rows, whose nearest ones mean something, their distance is the third: a network
    may put a row that is like no other next to many.

    Parameters
    ----------
    embedding : ndarray of shape (n_samples, embedding_dim)
    labels : ndarray of shape (n_samples,)
    centers : ndarray of shape (n_clusters, embedding_dim)
        NaN for clusters without samples.
    rows : ndarray of shape (n_looked_at, n_components), default=None
        The samples that are `looked_at`, as a network sees them that sees components.

    Attributes
    ----------
    of_fit : ndarray of shape (n_looked_at,)
        The typicality of these samples.
    """

    def __init__(self, embedding, labels, centers, rows=None):
        embedding = embedding.astype(np.float64)
        within = embedding - centers[labels]
        variance = np.square(within).sum(axis=1).mean()
        self._variance = variance + within.shape[1] * LEAST_VARIANCE
        self._embedding = embedding[looked_at(len(embedding))]
        self._rows = rows
        of_fit = self._embedding, rows
        is_one_of_many = len(self._embedding) > 1
        self._standardised = _standardiser(self._logarithms(*of_fit, is_one_of_many))
        lowest = self._standardised(self._logarithms(*of_fit)).min(axis=1)
        self._rescaled = _standardiser(lowest)
        self.of_fit = self._rescaled(lowest)

    def __call__(self, embedding, rows=None):
        """The typicality of embeddings.

        Parameters
        ----------
        embedding : ndarray of shape (n_points, embedding_dim)
        rows : ndarray of shape (n_points, n_components), default=None
            Of the same samples, if there are rows of the fit.

        Returns
        -------
        typicality : ndarray of shape (n_points,)
            0 is the median of `of_fit`, and -1 the lower quartile.
        """
        found = self._logarithms(embedding.astype(np.float64), rows)
        return self._rescaled(self._standardised(found).min(axis=1))

    def _logarithms(self, embedding, rows, left_out=False):
        """But for what all have in common; each sample may be left out of its own."""
        found = np.empty((len(embedding), len(WIDTHS) + (self._rows is not None)))
        for part in gen_batches(len(embedding), BATCH):
            own = np.arange(len(embedding))[part] if left_out else None
            distances = _squared_distances(embedding[part], self._embedding, own)
            for column, width in enumerate(WIDTHS):
                exponents = distances / (-2 * width**2 * self._variance)
                found[part, column] = logsumexp(exponents, axis=1)
            if self._rows is not None:
                distances = _squared_distances(rows[part], self._rows, own)
                place = min(NEIGHBOR, len(self._rows) - left_out) - 1
                near = np.partition(distances, place, axis=1)[:, place]
                found[part, -1] = -np.log(near + rows.shape[1] * LEAST_VARIANCE)
        return found


def _squared_distances(points, others, own):
    """Without that of each point to itself, if it is one of the others."""
    distances = euclidean_distances(points, others, squared=True)
    if own is not None:
        distances[np.arange(len(own)), own] = np.inf
    return distances


def _standardiser(values):
    """What brings the median of the values to 0, and their lower quartile to -1."""
    quartile, middle = np.quantile(values, (0.25, 0.5), axis=0)
    # Where most samples are copies they differ by rounding: a logarithm by itself.
    spread = np.where(middle - quartile < LEAST_SPREAD, 1.0, middle - quartile)
    return lambda found: (found - middle) / spread
