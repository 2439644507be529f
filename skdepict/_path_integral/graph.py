"""Random walks on the graph of nearest neighbours, and parts of such graphs."""

import numpy as np
from scipy import sparse
from sklearn.neighbors import NearestNeighbors, sort_graph_by_row_values
from sklearn.utils.validation import check_non_negative

N_NEIGHBORS = 20
# An edge that weighs nothing, or whose square does, would be none.
LEAST_WEIGHT = 1e-60


def nearest_neighbors(X, n_neighbors=N_NEIGHBORS, metric="euclidean", n_jobs=None):
    """Distances to the nearest neighbours of each sample, and which they are.

    Parameters
    ----------
    X : {ndarray, csr_array} of shape (n_samples, n_features) or (n_samples, n_samples)
        Samples, or with metric="precomputed" the distances between them: a square
        ndarray, or a sparse graph of the nearest ones.
    n_neighbors : int
        Neighbours of each sample, itself not counted; fewer in smaller data.
    metric : str or callable
        A metric of :class:`~sklearn.neighbors.NearestNeighbors`.
    n_jobs : int or None
        Threads of the search.

    Returns
    -------
    distances, indices : ndarray of shape (n_samples, n_neighbors)
        Nearest first.

    Raises
    ------
    ValueError
        If a precomputed graph has rows with fewer neighbours, or if a distance is not
        finite.
    """
    n_neighbors = min(n_neighbors, X.shape[0] - 1)
    if metric == "precomputed" and sparse.issparse(X):
        distances, indices = _stored_neighbors(X, n_neighbors)
    else:
        search = NearestNeighbors(n_neighbors=n_neighbors, metric=metric, n_jobs=n_jobs)
        distances, indices = search.fit(X).kneighbors()
    if not np.all(np.isfinite(distances)):
        raise ValueError(
            f"The metric {metric!r} gives distances between samples of X that are not "
            "finite. Scale X to smaller values, drop samples that the metric is not "
            "defined for, or use another metric."
        )
    return distances, indices


def _stored_neighbors(graph, n_neighbors):
    """The nearest neighbours that each row of a graph has beside itself."""
    check_non_negative(graph, "PathIntegralClustering with metric='precomputed'")
    graph = sort_graph_by_row_values(graph, copy=True, warn_when_not_sorted=False)
    rows = np.repeat(np.arange(graph.shape[0]), np.diff(graph.indptr))
    other = rows != graph.indices
    counts = np.bincount(rows[other], minlength=graph.shape[0])
    if counts.min() < n_neighbors:
        raise ValueError(
            f"Row {counts.argmin()} of the precomputed graph has {counts.min()} "
            f"neighbours beside itself, but n_neighbors={n_neighbors}. Lower "
            "n_neighbors, or make the graph with more of them, for example by "
            f"KNeighborsTransformer(n_neighbors={n_neighbors})."
        )
    starts = np.cumsum(counts) - counts
    nearest = starts[:, None] + np.arange(n_neighbors)
    return graph.data[other][nearest], graph.indices[other][nearest]


def transition_matrix(distances, indices, bandwidth, n_copies=1):
    """Transition probabilities of a random walk on the directed neighbour graph.

    Parameters
    ----------
    distances, indices : ndarray of shape (n_samples, n_neighbors)
        Of the nearest neighbours of each sample.
    bandwidth : float
        The weight of an edge is exp(-d**2 / s), where s is the mean of d**2 over the
        edges of its sample times this number.
    n_copies : int or ndarray of shape (n_samples,), default=1
        How many equal samples each stands for.

    Returns
    -------
    transitions : csr_array of shape (n_samples, n_samples)
        The weights, and that of staying, which is 1, each times the number of samples
        there, divided by their sum in each row: a step to any of the equal samples.
    """
    n_samples, n_neighbors = indices.shape
    # Relative to the furthest neighbour, for squares of any distances are finite then.
    # Where all neighbours are duplicates any scale will do.
    furthest = distances.max(axis=1, keepdims=True).astype(np.float64)
    furthest[furthest == 0] = 1
    squared = np.square(distances / furthest)
    scale = squared.mean(axis=1, keepdims=True)
    scale[scale == 0] = 1
    weights = np.maximum(np.exp(-squared / (bandwidth * scale)), LEAST_WEIGHT)
    n_copies = np.broadcast_to(n_copies, n_samples)
    weights = np.column_stack([n_copies, weights * n_copies[indices]])
    weights /= weights.sum(axis=1, keepdims=True)
    columns = np.column_stack([np.arange(n_samples), indices])
    starts = np.arange(n_samples + 1) * (n_neighbors + 1)
    return sparse.csr_array(
        (weights.ravel(), columns.ravel(), starts), shape=(n_samples, n_samples)
    )


def membership(labels):
    """A matrix that sums values of samples over those of each label.

    Parameters
    ----------
    labels : ndarray of shape (n_samples,)
        Values in 0 to n_labels - 1; -1 for samples that are left out.

    Returns
    -------
    membership : csr_array of shape (n_labels, n_samples)
        1 where a sample has a label.
    """
    samples = np.flatnonzero(labels >= 0)
    places, shape = (labels[samples], samples), (labels.max() + 1, len(labels))
    return sparse.csr_array((np.ones(len(samples)), places), shape=shape)


def edges_within(graph, labels):
    """The edges of a graph that join samples of the same label, a csr_array."""
    graph = graph.tocoo()
    same = labels[graph.row] == labels[graph.col]
    ends = graph.row[same], graph.col[same]
    return sparse.csr_array((graph.data[same], ends), shape=graph.shape)
