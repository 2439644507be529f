"""Agglomerative clustering by the maximum incremental path integral (AC-PIC).

Zhang, Zhao and Wang, "Agglomerative clustering via maximum incremental path
integral", Pattern Recognition 46 (2013). No torch here: numpy, scipy and
scikit-learn only.

The affinity of two clusters is the path integral that merging them adds. With the
paper's discount z = 0.01 its leading term, z**2 times the two-step walks that leave a
cluster for the other and come straight back, is what is computed::

    affinity(A, B) = T[A, B] / |A|**2 + T[B, A] / |B|**2
    T[A, B] = sum over j in B of  out_A(j) * in_A(j)
    out_A(j) = sum over i in A of P[i, j],   in_A(j) = sum over i in A of P[j, i]

The sums are bilinear, so a merge adds sparse vectors instead of inverting matrices.
"""

from heapq import heapify, heappop, heappush
from itertools import pairwise

import numpy as np
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize

MIN_COMPONENTS_FOR_UNIT_LENGTH = 8


def spread_components(X, n_components=50, whitening=0.5, random_state=None):
    """Principal components, partly whitened, each row scaled to unit length.

    Where fewer than 8 components vary, the rows keep their length: in few dimensions
    directions alone do not tell points apart.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        The data.
    n_components : int, default=50
        The number of leading components kept (fewer where X has fewer).
    whitening : float in [0, 1], default=0.5
        Each component is divided by its standard deviation to this power.
    random_state : int, RandomState instance or None, default=None
        For the randomised solver that scikit-learn picks on wide data.

    Returns
    -------
    features : ndarray of shape (n_samples, n_kept)
        The features (a row at the mean stays zero).
    """
    X = np.asarray(X)
    n_components = min(n_components, *X.shape)
    pca = PCA(n_components=n_components, random_state=random_state)
    components = pca.fit_transform(X)
    deviations = np.sqrt(pca.explained_variance_)
    varies = deviations > deviations.max(initial=0.0) * 1e-6
    components = components[:, varies] / deviations[varies] ** whitening
    if components.shape[1] < MIN_COMPONENTS_FOR_UNIT_LENGTH:
        return components
    return normalize(components, copy=False)


def transition_matrix(X, n_neighbors):
    """Random-walk transition probabilities on the directed nearest-neighbour graph.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        The points.
    n_neighbors : int
        Neighbours of each point, itself not counted.

    Returns
    -------
    transitions : csr_array of shape (n_samples, n_samples)
        Row-normalised weights exp(-d**2 / s), s the mean of d**2 over all edges,
        self-loops of weight 1 included in the normalisation but not stored.
    nearest : ndarray of shape (n_samples,)
        The index of each point's nearest neighbour.
    """
    n_samples = X.shape[0]
    n_neighbors = min(n_neighbors, n_samples - 1)
    neighbors = NearestNeighbors(n_neighbors=n_neighbors).fit(X)
    distances, indices = neighbors.kneighbors()
    squared = distances.astype(np.float64) ** 2
    mean_squared = squared.mean()
    scale = mean_squared if mean_squared > 0 else 1.0
    weights = np.exp(-squared / scale)
    weights /= 1.0 + weights.sum(axis=1, keepdims=True)
    starts = np.arange(0, n_samples * n_neighbors + 1, n_neighbors)
    transitions = sparse.csr_array(
        (weights.ravel(), indices.ravel(), starts), shape=(n_samples, n_samples)
    )
    return transitions, indices[:, 0]


def path_integral_labels(X, n_clusters, *, n_neighbors=20, min_cluster_fraction=0.1):
    """Cluster points by AC-PIC.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        The points.
    n_clusters : int
        The number of clusters, at most n_samples.
    n_neighbors : int, default=20
        Neighbours in the graph.
    min_cluster_fraction : float, default=0.1
        A group counts as a cluster once it holds this fraction of n_samples /
        n_clusters; smaller groups are joined to the cluster of their neighbours in the
        end, so that a few outliers never use up a cluster.

    Returns
    -------
    labels : ndarray of shape (n_samples,)
        Labels 0 to n_clusters - 1, all of them used.
    """
    n_samples = X.shape[0]
    if n_clusters == 1:
        return np.zeros(n_samples, dtype=np.intp)
    transitions, nearest = transition_matrix(X, n_neighbors)
    edges = sparse.csr_array(
        (np.ones(n_samples), (np.arange(n_samples), nearest)), shape=transitions.shape
    )
    n_groups, groups = sparse.csgraph.connected_components(edges, directed=False)
    min_size = max(1.0, min_cluster_fraction * n_samples / n_clusters)
    if n_groups < n_clusters:
        n_groups, groups = n_samples, np.arange(n_samples)
    merges = _merge_order(transitions, groups, n_groups)
    clusters = _cut(groups, n_groups, merges, n_clusters, min_size)
    return _join_leftovers(X, transitions, clusters, n_clusters)


def _merge_order(transitions, groups, n_groups):
    """Merge the most affine pair again and again; return the pairs in that order.

    A pair ``(a, b)`` says that group b was absorbed by group a.
    """
    sizes = np.bincount(groups, minlength=n_groups).tolist()
    links, shared = _initial_sums(transitions, groups, n_groups)
    owner = groups.tolist()
    members: list = [[] for _ in range(n_groups)]
    for point, group in enumerate(owner):
        members[group].append(point)
    versions = [0] * n_groups
    heap = []
    for a, row in enumerate(shared):
        for b, value in row.items():
            if a < b or a not in shared[b]:
                back = shared[b].get(a, 0.0)
                affinity = value / sizes[a] ** 2 + back / sizes[b] ** 2
                heap.append((-affinity, a, b, 0, 0))
    heapify(heap)
    merges = []
    while heap:
        _, a, b, version_a, version_b = heappop(heap)
        if versions[a] != version_a or versions[b] != version_b:
            continue
        if len(links[a]) < len(links[b]):
            a, b = b, a
        merges.append((a, b))
        _absorb(a, b, links, shared, owner, members)
        sizes[a] += sizes[b]
        versions[a] += 1
        versions[b] = -1
        for c, value in shared[a].items():
            back = shared[c].get(a, 0.0)
            affinity = value / sizes[a] ** 2 + back / sizes[c] ** 2
            heappush(heap, (-affinity, a, c, versions[a], versions[c]))
        members[b] = links[b] = shared[b] = None
    return merges


def _initial_sums(transitions, groups, n_groups):
    """Sparse sums that the affinities are made of, for the starting groups.

    Returns
    -------
    links : list of dict
        ``links[a][j]`` is ``out_a(j) + 1j * in_a(j)`` for each point j outside a that
        an edge joins to group a.
    shared : list of dict
        ``shared[a][b]`` is T[a, b]; b is present wherever ``T[a, b] + T[b, a] > 0``.
    """
    n_samples = len(groups)
    indicator = sparse.csr_array(
        (np.ones(n_samples), (groups, np.arange(n_samples))),
        shape=(n_groups, n_samples),
    )
    sums = (indicator @ transitions + 1j * (indicator @ transitions.T)).tocoo()
    rows, points, values = sums.row, sums.col, sums.data
    outside = groups[points] != rows
    rows, points, values = rows[outside], points[outside], values[outside]
    starts = np.searchsorted(rows, np.arange(n_groups + 1))
    points_list, values_list = points.tolist(), values.tolist()
    links = [
        dict(zip(points_list[start:stop], values_list[start:stop], strict=True))
        for start, stop in pairwise(starts)
    ]
    # The imaginary part of a square is twice the product of the two parts.
    products = (values**2).imag / 2
    both = products > 0
    table = sparse.coo_array(
        (products[both], (rows[both], groups[points[both]])), shape=(n_groups, n_groups)
    ).tocsr()
    # Store T[b, a] = 0 explicitly where only T[a, b] > 0: neighbours know each other.
    pattern = table + table.T
    table = (table + pattern * 1e-300).tocsr()
    shared = [
        dict(
            zip(
                table.indices[start:stop].tolist(),
                table.data[start:stop].tolist(),
                strict=True,
            )
        )
        for start, stop in pairwise(table.indptr)
    ]
    return links, shared


def _absorb(a, b, links, shared, owner, members):
    """Add group b to group a in all the sums."""
    for point in members[b]:
        owner[point] = a
    members[a].extend(members[b])
    row = shared[a]
    del row[b]
    for c, value in shared[b].items():
        if c == a:
            continue
        row[c] = row.get(c, 0.0) + value
        other = shared[c]
        other[a] = other.get(a, 0.0) + other.pop(b)
    links_a = links[a]
    for point, value in links[b].items():
        group = owner[point]
        if group == a:
            continue
        known = links_a.get(point)
        if known is None:
            links_a[point] = value
            continue
        links_a[point] = known + value
        # out_a * in_b + out_b * in_a, what the merge adds to T[a, group].
        cross = (known * value).imag
        if cross > 0:
            row[group] = row.get(group, 0.0) + cross
            shared[group].setdefault(a, 0.0)
    for point in members[b]:
        links_a.pop(point, None)


def _cut(groups, n_groups, merges, n_clusters, min_size):
    """Stop at the last merge that leaves n_clusters groups of min_size or more.

    Returns
    -------
    clusters : ndarray of shape (n_samples,)
        0 to n_clusters - 1, and -1 for the members of smaller groups.
    """
    sizes = np.bincount(groups, minlength=n_groups)
    while True:
        stop = _last_stop(sizes, merges, n_clusters, min_size)
        if stop is not None:
            break
        min_size = max(1.0, min_size / 2)
    parents = np.arange(n_groups)
    for a, b in reversed(merges[:stop]):
        # Later merges first: a's final owner is known before b's.
        parents[b] = parents[a]
    clusters = parents[groups]
    names, clusters, counts = np.unique(
        clusters, return_inverse=True, return_counts=True
    )
    kept = np.argsort(-counts, kind="stable")[:n_clusters]
    new_names = np.full(len(names), -1)
    new_names[kept] = np.arange(n_clusters)
    return new_names[clusters]


def _last_stop(sizes, merges, n_clusters, min_size):
    """The largest number of merges that leaves enough large groups, or None."""
    sizes = sizes.tolist()
    n_large = sum(size >= min_size for size in sizes)
    stop = 0 if n_large >= n_clusters else None
    for step, (a, b) in enumerate(merges, start=1):
        n_large -= (sizes[a] >= min_size) + (sizes[b] >= min_size)
        sizes[a] += sizes[b]
        n_large += sizes[a] >= min_size
        if n_large >= n_clusters:
            stop = step
    return stop


def _join_leftovers(X, transitions, clusters, n_clusters):
    """Give each point without a cluster to the cluster that its neighbours are in."""
    symmetric = (transitions + transitions.T).tocsr()
    clusters = clusters.copy()
    while np.any(left := clusters < 0):
        placed = ~left
        membership = sparse.csr_array(
            (np.ones(placed.sum()), (np.flatnonzero(placed), clusters[placed])),
            shape=(len(clusters), n_clusters),
        )
        votes = (symmetric[np.flatnonzero(left)] @ membership).toarray()
        reached = votes.max(axis=1) > 0
        if not reached.any():
            centers = np.stack(
                [X[clusters == k].mean(axis=0) for k in range(n_clusters)]
            )
            away = X[left][:, None, :] - centers
            clusters[left] = np.argmin((away**2).sum(axis=2), axis=1)
            break
        clusters[np.flatnonzero(left)[reached]] = votes[reached].argmax(axis=1)
    return clusters
