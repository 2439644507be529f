"""Labels from merge trees, and trees in the form of scipy.

Trees are arrays `children` of shape (n_samples - 1, 2), as in scikit-learn: nodes 0 to
n_samples - 1 are samples, and merge i makes node n_samples + i.
"""

import numpy as np
from scipy.cluster.hierarchy import fcluster, from_mlab_linkage, maxdists
from scipy.special import xlogy


def cut_children(children, n_clusters):
    """Labels of the samples when n_clusters are left in a merge tree.

    Parameters
    ----------
    children : ndarray of shape (n_samples - 1, 2)
    n_clusters : int
        At most n_samples.

    Returns
    -------
    labels : ndarray of shape (n_samples,)
        0 is the largest cluster, n_clusters - 1 the smallest.
    """
    undone = np.arange(len(children)) >= len(children) + 1 - n_clusters
    tree = linkage_of_children(children, np.ones(len(children)))
    return by_size(fcluster(tree, 0, "monocrit", monocrit=undone.astype(np.float64)))


def by_size(found):
    """Labels from 0 for the largest cluster on, from labels with any names."""
    _, first, labels, sizes = np.unique(
        found, return_index=True, return_inverse=True, return_counts=True
    )
    # Of equal sizes that of the first sample comes first.
    rank = np.lexsort((first, -sizes)).argsort()
    return rank[labels]


def unevenness_of_cuts(children, numbers):
    """KL(f || u) in nats of cluster sizes from equal ones, at several cuts.

    Parameters
    ----------
    children : ndarray of shape (n_samples - 1, 2)
    numbers : sequence of int
        Numbers of clusters, at most n_samples.

    Returns
    -------
    divergences : ndarray of shape (n_numbers,)
    """
    n_samples = len(children) + 1
    sizes = linkage_of_children(children, np.ones(len(children)))[:, 3]
    shares = np.append(np.ones(n_samples), sizes) / n_samples
    terms = xlogy(shares, shares)
    # What each merge that is undone, from the last one on, adds to the sum.
    added = terms[children].sum(axis=1) - terms[n_samples:]
    sums = np.append(0.0, np.cumsum(added[::-1]))
    numbers = np.asarray(numbers)
    return np.maximum(np.log(numbers) + sums[numbers - 1], 0.0)


def linkage_of_children(children, affinities):
    """A merge tree in the form of scipy.

    Parameters
    ----------
    children : ndarray of shape (n_samples - 1, 2)
    affinities : ndarray of shape (n_samples - 1,)

    Returns
    -------
    linkage : ndarray of shape (n_samples - 1, 4)
        Heights are logarithms of the highest finite affinity over that of the merge,
        and never fall towards the root.
    """
    finite = np.isfinite(affinities) & (affinities > 0)
    highest = affinities[finite].max(initial=0)
    heights = np.zeros(len(children))
    heights[finite] = np.log(highest / affinities[finite])
    heights[affinities == 0] = heights.max(initial=0) + 1
    # In MATLAB's form nodes count from 1, and sizes are left to scipy.
    tree = from_mlab_linkage(np.column_stack([children + 1, heights]))
    tree[:, 2] = maxdists(tree)
    return tree
