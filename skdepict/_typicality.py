"""How typical samples are of those of the fit."""

import numpy as np
from scipy.special import logsumexp
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.utils import gen_batches

from skdepict._data.rows import reference_samples

# Added to the variance of each unit of the embedding, which goes from -1 to 1, and of
# each component, whose squares are 1 in the mean.
LEAST_VARIANCE = 1e-4
LEAST_SPREAD = 1e-6
# Samples whose distances to those of the fit are held at once.
BATCH = 512
# Of the two kernels, relative to the width of clusters.
WIDTHS = (1.0, 0.5)
# Which of the nearest rows says how far they are.
NEIGHBOR = 10


def typicality_of(model):
    """The `Typicality` of a fitted DEPICTClustering."""
    # A pickle of before has no components.
    components = getattr(model, "_components", None)
    fitted = model.embedding_, model.labels_, model.cluster_centers_
    return Typicality(*fitted, components)


class Typicality:
    """How typical samples are, as the lowest of two or three logarithms has it.

    Two are kernel densities in the embedding. One is as wide as clusters are. A cluster
    of few samples has a lower density than others, however tight it is: what belongs
    nowhere may be a cluster of its own. But so wide a density is high between clusters,
    too, where the network puts much of what it has not seen. So the other one is half
    as wide.

    Of rows, whose nearest ones mean something, their distance is the third: a network
    may put a row that is like no other next to many.

    Parameters
    ----------
    embedding : ndarray of shape (n_samples, embedding_dim)
    labels : ndarray of shape (n_samples,)
    centers : ndarray of shape (n_clusters, embedding_dim)
        NaN for clusters without samples.
    components : ndarray of shape (n_references, n_components), default=None
        What a network of rows sees of the `reference_samples`.

    Attributes
    ----------
    of_fit : ndarray of shape (n_references,)
        The typicality of these samples.
    """

    def __init__(self, embedding, labels, centers, components=None):
        embedding = embedding.astype(np.float64)
        within = embedding - centers[labels]
        variance = np.square(within).sum(axis=1).mean()
        self._variance = variance + within.shape[1] * LEAST_VARIANCE
        self._embedding = embedding[reference_samples(len(embedding))]
        self._components, self._least = components, 0.0
        if components is not None:
            self._components = components.astype(np.float64)
            self._least = components.shape[1] * LEAST_VARIANCE
        left_out, lowest = self._logarithms_of_fit()
        self._standardised = _standardiser(left_out)
        lowest = self._standardised(lowest).min(axis=1)
        self._rescaled = _standardiser(lowest)
        self.of_fit = self._rescaled(lowest)

    def __call__(self, points):
        """The typicality of samples.

        Parameters
        ----------
        points : ndarray of shape (n_points, embedding_dim + n_components)
            Embeddings, and components if there are such of the fit.

        Returns
        -------
        typicality : ndarray of shape (n_points,)
            0 is the median of `of_fit`, and -1 the lower quartile.
        """
        points = points.astype(np.float64)
        found = np.concatenate(
            [
                self._logarithms(*self._distances(points[part]))
                for part in gen_batches(len(points), BATCH)
            ]
        )
        return self._rescaled(self._standardised(found).min(axis=1))

    def _distances(self, points):
        """Squared ones, to the samples of the fit; of components, if there are any."""
        dim = self._embedding.shape[1]
        embedded = euclidean_distances(points[:, :dim], self._embedding, squared=True)
        if self._components is None:
            return embedded, None
        seen = euclidean_distances(points[:, dim:], self._components, squared=True)
        return embedded, seen

    def _logarithms(self, embedded, seen, n_left_out=0):
        """Up to constants, from squared distances; each as a column."""
        exponents = embedded / (-2 * self._variance)
        found = [logsumexp(exponents / width**2, axis=1) for width in WIDTHS]
        if seen is not None:
            place = min(NEIGHBOR, seen.shape[1] - n_left_out) - 1
            near = np.partition(seen, place, axis=1)[:, place]
            found.append(-np.log(near + self._least))
        return np.stack(found, axis=1)

    def _logarithms_of_fit(self):
        """Where each sample of the fit is left out of its own, and where it is not."""
        own = self._embedding
        if self._components is not None:
            own = np.concatenate([own, self._components], axis=1)
        left_out, whole = [], []
        for part in gen_batches(len(own), BATCH):
            embedded, seen = self._distances(own[part])
            whole.append(self._logarithms(embedded, seen))
            if len(own) == 1:
                return whole[0], whole[0]
            rows = np.arange(len(embedded))
            embedded[rows, rows + part.start] = np.inf
            if seen is not None:
                seen[rows, rows + part.start] = np.inf
            left_out.append(self._logarithms(embedded, seen, 1))
        return np.concatenate(left_out), np.concatenate(whole)


def _standardiser(values):
    """What brings the median of the values to 0, and their lower quartile to -1."""
    quartile, middle = np.quantile(values, (0.25, 0.5), axis=0)
    # Where most samples are copies they differ by rounding: a logarithm by itself.
    spread = np.where(middle - quartile < LEAST_SPREAD, 1.0, middle - quartile)
    return lambda found: (found - middle) / spread
