"""Labels from merge trees, and trees in the form of scipy.

Trees are arrays `children` of shape (n_samples - 1, 2), as in scikit-learn: nodes 0 to
n_samples - 1 are samples, and merge i makes node n_samples + i.
"""

import numpy as np
from scipy.cluster.hierarchy import fcluster, from_mlab_linkage, maxdists


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
    n_made = len(children) + 1 - n_clusters
    return _labels_of_cut(children, np.arange(len(children)) >= n_made)


def most_even_cut(children, n_parts, n_clusters):
    """Labels of the samples at the cut of a merge tree with the most even sizes.

    Not every branch is cut at the same height: of all ways to take n_clusters branches
    that hold the n_parts last ones between them, the one of least KL(f || u) from the
    uniform distribution u.

    Parameters
    ----------
    children : ndarray of shape (n_samples - 1, 2)
    n_parts : int
        The clusters that are only joined, never split; from n_clusters to n_samples.
    n_clusters : int

    Returns
    -------
    labels : ndarray of shape (n_samples,)
        0 is the largest cluster, n_clusters - 1 the smallest.
    """
    n_samples = len(children) + 1
    sizes = linkage_of_children(children, np.ones(len(children)))[:, 3]
    frequencies = np.append(np.ones(n_samples), sizes) / n_samples
    # KL(f || u) is a sum over the clusters of f log f, up to a constant.
    alone = frequencies * np.log(frequencies)
    # least[node][m]: the smallest sum if the node is cut into m + 1 clusters, and
    # left[node][m] how many cuts of these its first child has.
    least: dict[int, np.ndarray] = {}
    left: dict[int, np.ndarray] = {}
    root = 2 * n_samples - 2
    for node in range(2 * n_samples - n_parts, root + 1):
        first, second = (
            least.get(child, alone[child : child + 1])
            for child in children[node - n_samples]
        )
        size = min(len(first) + len(second), n_clusters)
        sums = np.full((len(first), size), np.inf)
        for m, value in enumerate(first[: size - 1]):
            row = sums[m, m + 1 : m + 1 + len(second)]
            row[:] = value + second[: len(row)]
        least[node], left[node] = sums.min(axis=0), sums.argmin(axis=0)
        least[node][0] = alone[node]
    # From the root down, each node is split as its sum was made.
    undone = np.zeros(len(children), dtype=bool)
    nodes = [(root, n_clusters - 1)]
    while nodes:
        node, m = nodes.pop()
        if m > 0:
            undone[node - n_samples] = True
            first, second = children[node - n_samples]
            n_first = left[node][m]
            nodes += [(first, n_first), (second, m - 1 - n_first)]
    return _labels_of_cut(children, undone)


def _labels_of_cut(children, undone):
    """Labels of the samples where the merges above a cut are undone, the largest 0."""
    tree = linkage_of_children(children, np.ones(len(children)))
    found = fcluster(tree, 0, "monocrit", monocrit=undone.astype(np.float64))
    _, first, labels, sizes = np.unique(
        found, return_index=True, return_inverse=True, return_counts=True
    )
    # Of equal sizes that of the first sample comes first.
    rank = np.lexsort((first, -sizes)).argsort()
    return rank[labels]


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
