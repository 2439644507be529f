"""The merge tree of samples, from their nearest neighbours.

A tree on n samples is an ordered list of n - 1 edges between samples that never close
a circle: each edge joins the cluster of its one end with that of the other. Moving an
edge to the front makes its ends inseparable, which is how outliers are attached to
their neighbours without using up a cluster.
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy import sparse
from scipy.cluster.hierarchy import DisjointSet, linkage
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

from skdepict._path_integral.copies import Copies
from skdepict._path_integral.cores import GroupSizes, find_cores, place_loose_samples
from skdepict._path_integral.cuts import by_size
from skdepict._path_integral.graph import N_NEIGHBORS, membership, transition_matrix
from skdepict._path_integral.merges import merge_order, owners_after

MAX_LINKED_COMPONENTS = 5000


@dataclass(frozen=True)
class MergeTree:
    """How samples are merged until one cluster is left.

    Attributes
    ----------
    children : ndarray of shape (n_samples - 1, 2)
        The nodes that each merge joins: samples are 0 to n_samples - 1, and merge i
        makes node n_samples + i.
    affinities : ndarray of shape (n_samples - 1,)
        The affinity of each merge: infinite where none was computed, 0 where no walk
        joins the two.
    n_clusters : int
        The number of clusters for which samples of small groups were attached to their
        neighbours.
    n_connected_components : int
        The number of connected components of the graph of neighbours.
    """

    children: np.ndarray
    affinities: np.ndarray
    n_clusters: int
    n_connected_components: int


@dataclass(frozen=True)
class GroupMerges:
    """How the groups of nearest neighbours merge; `tree` makes the samples' tree of it.

    Attributes
    ----------
    transitions : csr_array of shape (n_points, n_points)
        Transition probabilities.
    copies : Copies
        The point of each sample.
    forest : ndarray of shape (n_edges, 2)
        The edges within groups, see `nearest_neighbor_forest`.
    groups : ndarray of shape (n_points,)
        The group that each point starts in.
    merges : list of tuple (a, b)
        Group b is absorbed by group a; the last merge leaves one group.
    affinities : ndarray of shape (n_merges,)
    n_connected_components : int
    affinity_of_copies : float
        What the merges of copies, which are none, stand for; see `Copies.affinity`.
    min_cluster_fraction : float
        The parameter of `PathIntegralClustering`.
    """

    transitions: sparse.csr_array
    copies: Copies
    forest: np.ndarray
    groups: np.ndarray
    merges: list
    affinities: np.ndarray
    n_connected_components: int
    affinity_of_copies: float
    min_cluster_fraction: float
    _cuts: dict = field(default_factory=dict, init=False, repr=False, compare=False)

    def labels(self, n_clusters):
        """The clusters of the tree for so many, which are found once for each number.

        Parameters
        ----------
        n_clusters : int
            At most n_samples.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            0 is the largest cluster, n_clusters - 1 the smallest. The same array each
            time, not to be changed.
        """
        if n_clusters not in self._cuts:
            edges, _ = self._edges(n_clusters)
            n_samples = len(edges) + 1
            ends = tuple(edges[: n_samples - n_clusters].T)
            graph = sparse.coo_array((np.ones(len(ends[0])), ends), (n_samples,) * 2)
            clusters = connected_components(graph, directed=False)[1]
            self._cuts[n_clusters] = by_size(clusters)
        return self._cuts[n_clusters]

    def number(self):
        """The number of clusters at which the affinity falls most."""
        return self._sizes.most_distinct(
            self.affinities,
            self.copies.in_groups(self.groups),
            self.affinity_of_copies,
        )

    def tree(self, n_clusters):
        """The merge tree in which samples of small groups are with their neighbours.

        Parameters
        ----------
        n_clusters : int or None
            The number of clusters that small groups are not to use up, at most
            n_samples; None for the number at which the affinity falls most.

        Returns
        -------
        tree : MergeTree
        """
        if n_clusters is None:
            n_clusters = self.number()
        edges, steps = self._edges(n_clusters)
        n_inseparable = len(edges) - len(steps)
        return MergeTree(
            children_of_edges(edges),
            np.pad(self.affinities[steps], (n_inseparable, 0), constant_values=np.inf),
            n_clusters,
            self.n_connected_components,
        )

    @cached_property
    def _sizes(self):
        weights = self.copies.counts
        n_samples = np.bincount(self.groups, weights=weights).astype(np.intp)
        return GroupSizes(n_samples, self.merges, self.min_cluster_fraction)

    def _edges(self, n_clusters):
        """The tree as edges between samples, and the merges that the last of them are.

        What is inseparable comes first.
        """
        copies, groups, sizes = self.copies, self.groups, self._sizes
        cores = find_cores(sizes.start, self.merges, *sizes.stop(n_clusters))
        attached = place_loose_samples(self.transitions, groups, cores)
        in_core = cores.core[groups[self.forest[:, 0]]] >= 0
        point_of_group = np.unique(groups, return_index=True)[1]
        steps, ends = cores.merges[:, 0], point_of_group[cores.merges[:, 1:]]
        edges = np.concatenate([self.forest[in_core], attached, ends])
        return np.concatenate([copies.edges(), copies.first[edges]]), steps

    def step_frequencies(self, labels):
        """How often a step of the walk leads from one cluster to another.

        Steps are those to copies and to neighbours; one begins at each sample. A
        cluster of s samples has room for s - 1 neighbours of each, so only these count,
        the likeliest: others would lead out of any cluster of that size.

        Parameters
        ----------
        labels : ndarray of shape (n_samples,)
            Values in 0 to n_clusters - 1; equal for equal samples.

        Returns
        -------
        frequencies : ndarray of shape (n_clusters, n_clusters)
            Symmetric, summing to 1.
        """
        counts, walk = self.copies.counts[:, None], self.transitions
        shape = len(counts), -1
        ends, steps = walk.indices.reshape(shape), walk.data.reshape(shape)
        is_own = ends == np.arange(len(counts))[:, None]
        of_points = labels[self.copies.first]
        room = np.bincount(labels)[of_points][:, None] - counts
        # Copies are at the place itself, which comes first.
        rank = np.argsort(np.argsort(-np.where(is_own, np.inf, steps)))
        steps = np.where(rank <= np.maximum(room, 1), steps, 0.0)
        steps -= is_own * steps / counts
        steps *= counts / steps.sum(axis=1, keepdims=True)
        steps = sparse.csr_array((steps.ravel(), walk.indices, walk.indptr), walk.shape)
        members = membership(of_points)
        frequencies = (members @ steps @ members.T).toarray()
        return (frequencies + frequencies.T) / (2 * frequencies.sum())


def merge_neighbors(
    neighbors,
    copies,
    points,
    *,
    n_neighbors=N_NEIGHBORS,
    bandwidth=0.15,
    z=0.01,
    min_cluster_fraction=0.1,
):
    """Merge groups along the walks on the graph of nearest neighbours.

    Parameters
    ----------
    neighbors : tuple of two ndarray of shape (n_points, n_neighbors)
        Distances to the nearest points of each, and which they are; nearest first, and
        fewer in smaller data.
    copies : Copies
        The point of each sample.
    points : {ndarray, csr_array} of shape (n_points, n_features) or None
        Where the points are, if that is known.
    n_neighbors, bandwidth, z, min_cluster_fraction : int or float
        Parameters of `PathIntegralClustering`.

    Returns
    -------
    merges : GroupMerges
    """
    distances, indices = neighbors
    # Not more copies than there would be neighbours: nothing is cut off.
    n_copies = np.minimum(copies.counts, n_neighbors + 1)
    transitions = transition_matrix(distances, indices, bandwidth, n_copies)
    # The nearest neighbour of a row that has copies is one of them.
    own = copies.counts > 1
    nearest = np.where(own, np.arange(len(own)), indices[:, 0])
    forest, groups = nearest_neighbor_forest(nearest, distances[:, 0])

    merges, affinities = merge_order(transitions, groups, z)
    n_components, components = connected_components(transitions, directed=False)
    merges += complete_merges(merges, transitions, groups, components, points)
    return GroupMerges(
        transitions,
        copies,
        forest,
        groups,
        merges,
        np.pad(affinities, (0, len(merges) - len(affinities))),
        n_components,
        copies.affinity(transitions.diagonal(), n_copies, z),
        min_cluster_fraction,
    )


def nearest_neighbor_forest(nearest, distances):
    """The edges from each sample to its nearest neighbour, without circles.

    Parameters
    ----------
    nearest : ndarray of shape (n_samples,)
        The nearest neighbour of each sample; itself for one that stays alone.
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
    order = np.argsort(distances, kind="stable")
    pairs = np.column_stack([order, nearest[order]])
    trees = DisjointSet(range(n_samples))
    edges = pairs[[trees.merge(*pair) for pair in pairs.tolist()]]
    weights, starts = np.ones(n_samples), np.arange(n_samples + 1)
    graph = sparse.csr_array((weights, nearest, starts), shape=(n_samples, n_samples))
    return edges, connected_components(graph, directed=False)[1]


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
    owners = owners_after(merges, groups.max() + 1)
    names, roots = np.unique(owners[groups], return_inverse=True)
    more = _merges_along_edges(transitions, roots)
    if len(more) < len(names) - 1:
        leads = owners_after(more, len(names))
        more += _merges_of_components(components, leads[roots], points)
    return [(int(names[a]), int(names[b])) for a, b in more]


def _merges_along_edges(transitions, roots):
    """Pairs of clusters, 0 to n - 1, by a maximum spanning forest of their links."""
    members = membership(roots)
    flow = members @ transitions @ members.T
    flow = sparse.triu(flow + flow.T, k=1).tocoo()
    sizes = np.bincount(roots)
    strength = flow.data / sizes[flow.row] / sizes[flow.col]
    # A spanning tree asks for lengths, which must not be 0.
    flow.data = 1 - np.log(strength / strength.max(initial=1e-300))
    # Before scipy 1.17 it takes no wider indices.
    flow.coords = tuple(index.astype(np.int32) for index in flow.coords)
    forest = minimum_spanning_tree(flow).tocoo()
    clusters = DisjointSet(range(len(sizes)))
    merges = []
    for edge in np.argsort(forest.data, kind="stable"):
        a, b = clusters[int(forest.row[edge])], clusters[int(forest.col[edge])]
        clusters.merge(a, b)
        # One of the two stands for both from now on.
        merges.append((a, b) if clusters[a] == a else (b, a))
    return merges


def _merges_of_components(components, roots, points):
    """Pairs of clusters, one to each connected component, until one is left."""
    _, first, sizes = np.unique(components, return_index=True, return_counts=True)
    leads = roots[first].tolist()
    if points is None or len(sizes) > MAX_LINKED_COMPONENTS:
        largest, *others = np.argsort(-sizes, kind="stable")
        return [(leads[largest], leads[other]) for other in others]
    centers = (membership(components) * (1 / sizes[components])) @ points
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
        The nodes that each merge joins, as in `MergeTree`.
    """
    n_samples = len(edges) + 1
    clusters = DisjointSet(range(n_samples))
    # The node of each cluster, at the sample that stands for it.
    nodes = list(range(n_samples))
    children = []
    for node, (a, b) in enumerate(edges.tolist(), start=n_samples):
        children.append(sorted((nodes[clusters[a]], nodes[clusters[b]])))
        clusters.merge(a, b)
        nodes[clusters[a]] = node
    return np.array(children, dtype=np.intp).reshape(-1, 2)
