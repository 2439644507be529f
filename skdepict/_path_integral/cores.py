"""Cores of clusters in a merge tree, and the samples that are loose between them.

Outliers form groups of two or three that merge last of all, so that a plain cut of the
tree spends clusters on them. Here a group counts from `min_size` samples on: it is a
core then. Only the merge of two cores makes one cluster of two, and samples that no
core had absorbed when it became part of a cluster go to the core of their neighbours.
"""

from dataclasses import dataclass

import numpy as np

from skdepict._path_integral.graph import edges_within, membership
from skdepict._path_integral.merges import owners_after

# More of them are not looked for: it would take time, and see what is chance.
MAX_CLUSTERS = 500
# Pairs of neighbours are no clusters, though their affinity falls most when they merge.
MIN_GROUPS_IN_CLUSTER = 3


class GroupSizes:
    """Sizes of groups as they merge.

    Parameters
    ----------
    sizes : ndarray of shape (n_groups,)
        Samples in each group before the merges.
    merges : list of tuple (a, b)
        Group b is absorbed by group a, which keeps its number; the last merge leaves
        one group.
    min_cluster_fraction : float
        A group counts from this share of n_samples / n_clusters on.

    Attributes
    ----------
    start : ndarray of shape (n_groups,)
        The sizes before the merges.
    """

    def __init__(self, sizes, merges, min_cluster_fraction):
        self.start = sizes
        self._total = min_cluster_fraction * sizes.sum()
        current = sizes.tolist()
        pairs = []
        for a, b in merges:
            pairs.append((current[a], current[b]))
            current[a] += current[b]
        self._pairs = np.array(pairs).reshape(-1, 2)

    def stop(self, n_clusters):
        """When to stop merging.

        Parameters
        ----------
        n_clusters : int

        Returns
        -------
        stop : int
            The largest number of merges that leaves n_clusters groups that count; 0 if
            there are fewer groups than that.
        min_size : float
            From this size on a group counts: the smaller, the more are asked for of
            how many there are.
        """
        min_size = self._total / n_clusters
        while True:
            # Of two groups that count one is left; of two that do not, one may count.
            lost = np.sum(self._pairs >= min_size, axis=1)
            gained = np.sum(self._pairs, axis=1) >= min_size
            at_first = np.sum(self.start >= min_size)
            n_large = np.cumsum(np.append(at_first, gained - lost))
            enough = np.flatnonzero(n_large >= n_clusters)
            if len(enough) or min_size <= 1:
                return int(enough.max(initial=0)), min_size
            min_size /= 2

    def most_distinct(self, affinities, n_copies, affinity_of_copies):
        """The number of clusters at which the affinity falls most.

        Parameters
        ----------
        affinities : ndarray of shape (n_merges,)
            The affinity of each merge.
        n_copies : ndarray of shape (n_groups,)
            Of each group, the samples that are equal to another one, so that they were
            one from the start.
        affinity_of_copies : float
            What two of them would have.

        Returns
        -------
        n_clusters : int
            The k, from 2 to 500 and to a third of the number of groups, of the largest
            sqrt(k) * log(a / b), where a is the affinity of the merge that leaves k
            clusters that count, and b that of the next one; 1 if there are no two
            groups. Copies count as the pairs that they would make.
        """
        n_pairs = np.maximum(1, n_copies // 2).sum()
        most = min(MAX_CLUSTERS, n_pairs // MIN_GROUPS_IN_CLUSTER, len(self.start))
        if most <= 2:
            return min(2, len(self.start))
        numbers = np.arange(2, most + 2)
        stops = [self.stop(n_clusters)[0] for n_clusters in numbers]
        with np.errstate(divide="ignore"):
            heights = np.log(affinities[stops])
            # What would leave so many are copies that have been one all along.
            heights[numbers > len(self.start)] = np.log(affinity_of_copies)
        # No walk joins what is joined last: further apart than all else, but alike.
        heights = np.maximum(heights, np.log(np.finfo(np.float64).tiny))
        # Of fewer clusters none is less distinct than of more.
        heights = np.minimum.accumulate(heights[::-1])[::-1]
        falls = np.diff(heights) * np.sqrt(numbers[:-1])
        return int(numbers[falls.argmax()])


@dataclass(frozen=True)
class Cores:
    """The cores that a sequence of merges makes.

    Attributes
    ----------
    core : ndarray of shape (n_groups,)
        The core, 0 to n_cores - 1, that each group is part of; -1 for loose groups.
    cluster : ndarray of shape (n_groups,)
        The cluster, 0 to n_clusters - 1, that each group belongs to when the merges
        stop; -1 for groups in none.
    home : ndarray of shape (n_groups,)
        `cluster`, and for groups in none the cluster that absorbs them later.
    merges : ndarray of shape (n_kept, 3)
        Number of each merge inside of a core, and a group of either side; then that of
        each merge of two clusters, and a group in a core of either side.
    """

    core: np.ndarray
    cluster: np.ndarray
    home: np.ndarray
    merges: np.ndarray


def find_cores(sizes, merges, stop, min_size):
    """Find the cores, and what each merge means for them.

    Parameters
    ----------
    sizes : ndarray of shape (n_groups,)
        Samples in each group before the merges.
    merges : list of tuple (a, b)
        Group b is absorbed by group a, which keeps its number; the last merge leaves
        one group.
    stop : int
        The number of merges that makes the clusters. What is in no core by then stays
        loose.
    min_size : float
        From this number of samples on a group is a core.

    Returns
    -------
    cores : Cores
    """
    n_groups, large = len(sizes), sizes >= min_size
    sizes = sizes.tolist()
    # A group of each core, in the order in which they are made.
    founders = np.flatnonzero(large).tolist()
    # The same for each cluster; -1 where it has no core.
    lead = np.where(large, np.arange(n_groups), -1).tolist()
    n_cores = large.astype(int).tolist()
    inner, outer, strays = [], [], []
    for step, (a, b) in enumerate(merges):
        sizes[a] += sizes[b]
        if lead[a] >= 0 and lead[b] >= 0:
            outer.append((step, lead[a], lead[b]))
        elif step < stop and n_cores[a] + n_cores[b] <= 1:
            inner.append((step, a, b))
        elif step >= stop:
            strays.append((a, b))
        n_cores[a] += n_cores[b]
        lead[a] = max(lead[a], lead[b])
        if lead[a] < 0 and step < stop and sizes[a] >= min_size:
            founders.append(a)
            lead[a], n_cores[a] = a, 1

    def of_founders(owners, values):
        """Give each group the value of the founder that has the same owner."""
        of_owner = np.full(n_groups, -1)
        of_owner[owners[founders]] = values
        return of_owner[owners]

    part = owners_after([pair for _, *pair in inner], n_groups)
    core = of_founders(part, np.arange(len(founders)))
    owner = owners_after(merges[:stop], n_groups)
    absorber = owners_after(merges[:stop] + strays, n_groups)
    cluster_of_core = np.unique(owner[founders], return_inverse=True)[1]
    kept = [merge for merge in inner if core[merge[1]] >= 0] + outer
    return Cores(
        core=core,
        cluster=of_founders(owner, cluster_of_core),
        home=of_founders(absorber, cluster_of_core),
        merges=np.array(kept, dtype=np.intp).reshape(-1, 3),
    )


def place_loose_samples(transitions, groups, cores):
    """Attach each sample that is in no core to a neighbour in a core.

    A sample that the merges had placed in a cluster stays there. Others join the
    cluster that most of their transitions, both ways, lead to.

    Parameters
    ----------
    transitions : csr_array of shape (n_samples, n_samples)
        Transition probabilities.
    groups : ndarray of shape (n_samples,)
        The group that each sample started in.
    cores : Cores

    Returns
    -------
    pairs : ndarray of shape (n_loose, 2)
        Each loose sample and the one of its core that it is attached to, which is not
        loose or comes in an earlier pair.
    """
    links = transitions + transitions.T
    cluster = _spread(links, cores.cluster[groups])[0]
    cluster = np.where(cluster < 0, cores.home[groups], cluster)
    core = cores.core[groups]
    loose = core < 0
    core, rounds = _spread(edges_within(links, cluster), core)
    # Out of reach of a core of their cluster: its largest one.
    for k in np.unique(cluster[core < 0]):
        sizes = np.bincount(core[(cluster == k) & ~loose])
        core[(cluster == k) & (core < 0)] = sizes.argmax()
    founders = np.zeros(core.max() + 1, dtype=np.intp)
    founders[core[~loose]] = np.flatnonzero(~loose)
    # What is not loose was placed in round 0.
    order = np.argsort(rounds, kind="stable")[np.sum(~loose) :]
    earlier = edges_within(links, core).tocoo()
    earlier.data[rounds[earlier.row] <= rounds[earlier.col]] = 0
    earlier = earlier.tocsr()[order]
    reached = earlier.max(axis=1).toarray().ravel() > 0
    partners = np.where(reached, earlier.argmax(axis=1), founders[core[order]])
    return np.column_stack([order, partners])


def _spread(links, labels):
    """Label what has none (-1) by its labelled neighbours, in rounds.

    Returns
    -------
    labels : ndarray of shape (n_samples,)
        -1 is left where no path leads to a label.
    rounds : ndarray of shape (n_samples,)
        The round in which a sample was labelled: 0 for what was before.
    """
    labels = labels.copy()
    rounds = np.zeros(len(labels), dtype=np.intp)
    while (left := np.flatnonzero(labels < 0)).size:
        rounds[left] += 1
        votes = (links[left] @ membership(labels).T).tocsr()
        reached = votes.max(axis=1).toarray().ravel() > 0
        if not reached.any():
            break
        labels[left[reached]] = votes.argmax(axis=1)[reached]
    return labels, rounds
