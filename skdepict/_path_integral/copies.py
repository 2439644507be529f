"""Rows that are equal: one point of the graph, as often as it occurs."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import sparse


@dataclass(frozen=True)
class Copies:
    """Which samples are equal.

    Among more copies than it has neighbours, a row would have no edge to anything else,
    and which of them are its neighbours would be chance.

    Attributes
    ----------
    first : ndarray of shape (n_points,)
        The first sample at each point, in increasing order.
    point : ndarray of shape (n_samples,)
        The point that each sample is at.
    counts : ndarray of shape (n_points,)
        The samples at each point.
    """

    first: np.ndarray
    point: np.ndarray
    counts: np.ndarray

    @classmethod
    def of_rows(cls, X, metric="euclidean"):
        """Find the equal rows of samples.

        Parameters
        ----------
        X : {ndarray, csr_matrix} of shape (n_samples, n_features)
        metric : str or callable
            With "precomputed" X holds distances: all samples are points of their own,
            as they are where all are equal.

        Returns
        -------
        copies : Copies
        """
        n_samples = X.shape[0]
        keys = range(n_samples) if metric == "precomputed" else _keys_of_rows(X)
        names: dict = {}
        point = np.array([names.setdefault(key, len(names)) for key in keys])
        if len(names) == 1:
            point = np.arange(n_samples)
        _, first, counts = np.unique(point, return_index=True, return_counts=True)
        return cls(first, point, counts)

    def edges(self):
        """An edge from each further sample at a point to the first one."""
        further = np.delete(np.arange(len(self.point)), self.first)
        return np.column_stack([self.first[self.point[further]], further])

    def in_groups(self, groups):
        """The samples of each group that are equal to another one."""
        copies = np.where(self.counts > 1, self.counts, 0)
        return np.bincount(groups, weights=copies).astype(np.intp)

    def affinity(self, stays, counted, z):
        """The median of the affinities that the halves of points would have.

        As if every other point were one sample, and not as many as walks lead to there.

        Two rows that each go to the other with probability p, stay with p and go to
        what else there is with 1 - 2 p, merge at twice the difference of what
        (I - z P)^-1 has on its diagonal for both and for one of them.

        Parameters
        ----------
        stays : ndarray of shape (n_points,)
            The probability 2 p that a step leads nowhere else.
        counted : ndarray of shape (n_points,)
            As how many samples a point counts in a step.
        z : float
            The discount of a step.

        Returns
        -------
        affinity : float
            Infinite where there are no copies.
        """
        is_several = self.counts > 1
        if not np.any(is_several):
            return np.inf
        step = z * stays[is_several] / 2
        # That difference, without subtracting what is nearly equal.
        affinities = 2 * step**2 / ((1 - step) * (1 - 2 * step))
        return float(np.median(affinities * counted[is_several] ** 2.0))


def _keys_of_rows(X):
    """One hashable value for each row, equal where the rows are.

    np.unique(X, axis=0) compares value by value, which takes 0.3 to 3 s for 10,000 rows
    of 784.
    """
    if not sparse.issparse(X):
        # 0 for -0, which has other bytes.
        return ((row + 0.0).tobytes() for row in X)
    X = sparse.csr_array(X, copy=True)
    X.eliminate_zeros()
    X.sum_duplicates()
    return (
        X.indices[start:stop].tobytes() + X.data[start:stop].tobytes()
        for start, stop in pairwise(X.indptr.tolist())
    )
