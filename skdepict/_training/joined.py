"""What joins of groups have made of them."""

from typing import NamedTuple

import numpy as np
from scipy.cluster.hierarchy import from_mlab_linkage


class JoinedGroups(NamedTuple):
    """What joins of groups say of clusters, and of their number.

    Attributes
    ----------
    groups : ndarray of shape (n_samples,)
        The group of each sample.
    children, agreements : ndarray
        See `Joins`.
    clusters : ndarray of shape (n_groups,)
        The cluster of each group, as it was chosen; 0 is the largest. If nothing was
        joined, each keeps its name.
    numbers : ndarray of shape (n_numbers, 4)
        Of joins of what is confused most; see `Joins`.
    """

    groups: np.ndarray
    children: np.ndarray
    agreements: np.ndarray
    clusters: np.ndarray
    numbers: np.ndarray

    def labels(self, members=None):
        """The cluster of each sample, or of members."""
        labels = self.clusters[self.groups]
        return labels if members is None else labels[members]

    def linkage(self):
        """The joins in the form of :func:`scipy.cluster.hierarchy.linkage`.

        Heights are agreements, and at least those of all joins before, so that a height
        cuts the tree where a number of joins does. Sizes are numbers of groups.
        """
        heights = np.maximum.accumulate(self.agreements)
        if len(heights) == 0:
            return np.empty((0, 4))
        # In MATLAB's form nodes count from 1, and sizes are left to scipy.
        return from_mlab_linkage(np.column_stack([self.children + 1, heights]))

    def within(self, labels):
        """A group for each sample that is part of the cluster it came to in the end.

        Parameters
        ----------
        labels : ndarray of shape (n_samples,)
            Clusters after further training, named as `clusters`.

        Returns
        -------
        groups : ndarray of shape (n_samples,)
            The largest group of its cluster where training moved a sample.
        """
        sizes = np.bincount(self.groups, minlength=len(self.clusters))
        largest = np.full(max(self.clusters.max(), labels.max()) + 1, -1)
        order = np.argsort(sizes, kind="stable")
        largest[self.clusters[order]] = order
        moved = (self.clusters[self.groups] != labels) & (largest[labels] >= 0)
        return np.where(moved, largest[labels], self.groups)


def check_joined(joined, n_samples):
    """Refuse arrays that are no joins of groups.

    Raises
    ------
    ValueError
    """
    n_groups = len(joined.clusters)
    nodes = np.sort(joined.children, axis=None)
    made = np.arange(n_groups, n_groups + len(joined.children))
    if (
        joined.groups.shape != (n_samples,)
        or any(array.dtype.kind != "i" for array in (joined.groups, joined.clusters))
        or not 0 <= joined.groups.min() <= joined.groups.max() < n_groups
        or not 0 <= joined.clusters.min() <= joined.clusters.max() < n_groups
        or joined.children.shape != (n_groups - 1, 2)
        or not np.array_equal(nodes, np.arange(2 * n_groups - 2))
        # A node is made of earlier ones.
        or np.any(joined.children >= made[:, None])
        or joined.agreements.shape != (n_groups - 1,)
        or joined.numbers.ndim != 2
        or joined.numbers.shape[1] != 4
    ):
        raise ValueError("these are no joins of groups")
