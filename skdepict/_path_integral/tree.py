"""Merge trees: completing them, keeping small groups from them, cutting them.

A tree on n samples is an ordered list of n - 1 edges between samples that never close
a circle: each edge joins the cluster of its one end with that of the other. Moving an
edge to the front makes its ends inseparable, which is how outliers are attached to
their neighbours without using up a cluster.
"""

import numpy as np
from scipy import sparse
from scipy.cluster.hierarchy import DisjointSet, linkage
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

MAX_LINKED_COMPONENTS = 5000


def nearest_neighbor_forest(nearest, distances):
    """The edges from each sample to its nearest neighbour, without circles.

    Parameters
    ----------
    nearest : ndarray of shape (n_samples,)
        The nearest neighbour of each sample.
    distances : ndarray of shape (n_samples,)
        How far away it is.

    Returns
    -------
    edges : ndarray of shape (n_edges, 2)
        Pairs of samples, the shortest first.
    groups : ndarray of shape (n_samples,)
        The tree, 0 to n_groups - 1, that each sample is in.
    """
    n_samples = len(nearest)
    trees = DisjointSet(range(n_samples))
    edges = [
        (sample, neighbor)
        for sample in np.argsort(distances, kind="stable").tolist()
        if trees.merge(sample, neighbor := int(nearest[sample]))
    ]
    graph = sparse.csr_array(
        (np.ones(n_samples), (np.arange(n_samples), nearest)),
        shape=(n_samples, n_samples),
    )
    groups = connected_components(graph, directed=False)[1]
    return np.array(edges, dtype=np.intp).reshape(-1, 2), groups


def complete_merges(merges, transitions, groups, components, points):
    """Merges of what no affinity joins, so that one cluster is left.

    Clusters with edges between them come first, those of the highest mean transition
    probability before others. The connected components of the graph follow, by average
    linkage of their centres, or the largest first where there are no points or so many
    components that their distances would not fit into memory.

    Parameters
    ----------
    merges : list of tuple (a, b)
        The merges so far: group b was absorbed by group a.
    transitions : csr_array of shape (n_samples, n_samples)
    groups : ndarray of shape (n_samples,)
        The group that each sample started in.
    components : ndarray of shape (n_samples,)
        The connected component of the graph that each sample is in.
    points : {ndarray, csr_array} of shape (n_samples, n_features) or None
        Where the samples are, if that is known.

    Returns
    -------
    more : list of tuple (a, b)
        Further merges.
    """
    n_groups = groups.max() + 1
    owners = owners_after(merges, n_groups)
    names, roots = np.unique(owners[groups], return_inverse=True)
    more = _merges_along_edges(transitions, roots)
    leads = owners_after(more, len(names))
    if len(more) < len(names) - 1:
        more += _merges_of_components(components, leads[roots], points)
    return [(int(names[a]), int(names[b])) for a, b in more]


def owners_after(merges, n_groups):
    """The number that each group goes by after the merges (a, b): b became a."""
    owners = np.arange(n_groups)
    for a, b in reversed(merges):
        # Later merges first: what a became is known before it is needed for b.
        owners[b] = owners[a]
    return owners


def _merges_along_edges(transitions, roots):
    """Pairs of clusters, 0 to n - 1, by a maximum spanning forest of their links."""
    n_roots = roots.max() + 1
    membership = sparse.csr_array(
        (np.ones(len(roots)), (roots, np.arange(len(roots)))),
        shape=(n_roots, len(roots)),
    )
    flow = membership @ transitions @ membership.T
    flow = sparse.triu(flow + flow.T, k=1).tocoo()
    sizes = np.bincount(roots)
    strength = flow.data / sizes[flow.row] / sizes[flow.col]
    # A spanning tree asks for lengths, which must not be 0.
    lengths = 1 - np.log(strength / strength.max(initial=1e-300))
    forest = minimum_spanning_tree(
        sparse.csr_array((lengths, (flow.row, flow.col)), shape=(n_roots, n_roots))
    ).tocoo()
    clusters = DisjointSet(range(n_roots))
    merges = []
    for edge in np.argsort(forest.data, kind="stable"):
        ends = clusters[int(forest.row[edge])], clusters[int(forest.col[edge])]
        clusters.merge(*ends)
        # One of the two stands for both from now on.
        a = clusters[ends[0]]
        merges.append((a, ends[1] if a == ends[0] else ends[0]))
    return merges


def _merges_of_components(components, roots, points):
    """Pairs of clusters, one to each connected component, until one is left."""
    _, first, sizes = np.unique(components, return_index=True, return_counts=True)
    leads = roots[first].tolist()
    if points is None or len(sizes) > MAX_LINKED_COMPONENTS:
        order = np.argsort(-sizes, kind="stable")
        return [(leads[order[0]], leads[other]) for other in order[1:]]
    membership = sparse.csr_array(
        (1 / sizes[components], (components, np.arange(len(components)))),
        shape=(len(sizes), len(components)),
    )
    centers = membership @ points
    if sparse.issparse(centers):
        centers = centers.toarray()
    merges = []
    for left, right in linkage(centers, method="average")[:, :2].astype(int):
        merges.append((leads[left], leads[right]))
        leads.append(leads[left])
    return merges


def children_of_edges(edges):
    """A merge tree in the form of scikit-learn.

    Parameters
    ----------
    edges : ndarray of shape (n_samples - 1, 2)
        Pairs of samples whose clusters are merged, in order.

    Returns
    -------
    children : ndarray of shape (n_samples - 1, 2)
        The nodes that each merge joins: samples are 0 to n_samples - 1, and merge i
        makes node n_samples + i.
    """
    n_samples = len(edges) + 1
    parents = list(range(2 * n_samples - 1))

    def root(node):
        while parents[node] != node:
            # Halving the path keeps it short.
            parents[node] = parents[parents[node]]
            node = parents[node]
        return node

    children = []
    for node, (a, b) in enumerate(edges.tolist(), start=n_samples):
        pair = sorted((root(a), root(b)))
        parents[pair[0]] = parents[pair[1]] = node
        children.append(pair)
    return np.array(children, dtype=np.intp).reshape(-1, 2)


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
    kept = np.arange(len(children)) < len(children) + 1 - n_clusters
    return _labels_of_merges(children, kept)


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
    n_lower = n_samples - n_parts
    counts = np.ones(2 * n_samples - 1)
    for node, (a, b) in enumerate(children.tolist(), start=n_samples):
        counts[node] = counts[a] + counts[b]
    frequencies = counts / n_samples
    # KL(f || u) is a sum over the clusters of f log f, up to a constant.
    alone = frequencies * np.log(frequencies)
    # least[node][m]: the smallest sum if the node is cut into m + 1 clusters, and
    # left[node][m] how many of them its first child has.
    least: dict[int, np.ndarray] = {}
    left: dict[int, np.ndarray] = {}
    for node in range(n_samples + n_lower, 2 * n_samples - 1):
        first, second = (
            least.get(child, alone[child : child + 1])
            for child in children[node - n_samples]
        )
        size = min(len(first) + len(second), n_clusters)
        sums = np.full((len(first), size), np.inf)
        for m, value in enumerate(first[: size - 1]):
            stop = min(size, m + 1 + len(second))
            sums[m, m + 1 : stop] = value + second[: stop - m - 1]
        least[node] = sums.min(axis=0)
        left[node] = sums.argmin(axis=0)
        least[node][0] = alone[node]
    kept = np.arange(len(children)) < n_lower
    branches = [(2 * n_samples - 2, n_clusters - 1)]
    while branches:
        node, m = branches.pop()
        if m == 0:
            _keep_branch(kept, children, node)
        else:
            first, second = children[node - n_samples]
            n_first = left[node][m]
            branches += [(first, n_first), (second, m - 1 - n_first)]
    return _labels_of_merges(children, kept)


def _keep_branch(kept, children, node):
    """Mark the merges that make a node."""
    nodes = [node]
    while nodes:
        merge = nodes.pop() - len(children) - 1
        if merge >= 0 and not kept[merge]:
            kept[merge] = True
            nodes += children[merge].tolist()


def _labels_of_merges(children, kept):
    """Labels of the samples when only some merges are made, the largest cluster 0."""
    n_samples = len(children) + 1
    merges = np.flatnonzero(kept)
    graph = sparse.csr_array(
        (
            np.ones(2 * len(merges)),
            (np.repeat(n_samples + merges, 2), children[merges].ravel()),
        ),
        shape=(2 * n_samples - 1, 2 * n_samples - 1),
    )
    found = connected_components(graph, directed=False)[1][:n_samples]
    names, found = np.unique(found, return_inverse=True)
    rank = np.empty(len(names), dtype=np.intp)
    rank[np.argsort(-np.bincount(found), kind="stable")] = np.arange(len(names))
    return rank[found]


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
    n_samples = len(children) + 1
    finite = np.isfinite(affinities) & (affinities > 0)
    highest = affinities[finite].max(initial=0)
    heights = np.zeros(len(children))
    heights[finite] = np.log(highest / affinities[finite])
    heights[affinities == 0] = heights.max(initial=0) + 1
    counts = np.ones(2 * n_samples - 1)
    raised = np.zeros(2 * n_samples - 1)
    for node, (a, b) in enumerate(children.tolist(), start=n_samples):
        counts[node] = counts[a] + counts[b]
        raised[node] = max(heights[node - n_samples], raised[a], raised[b])
    return np.column_stack([children, raised[n_samples:], counts[n_samples:]])
