"""Which of many fine groups belong together: those that the network confuses.

Two noisy views of one sample fall into one group or into two. With J the joint
frequencies of their groups, groups that are joined lose a part of the mutual
information I(view 1; view 2). Arrays in, arrays out; no torch.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.cluster.hierarchy import from_mlab_linkage
from scipy.special import logit, xlogy

from skdepict._training.objectives import chance

# What the information that a join loses is divided by, to these powers, is the
# information that it would lose if no view ever left its group. With 0 the smallest
# groups are joined first, with 1 those that are confused most, whatever their sizes.
POWERS = (0.0, 0.25, 0.5, 0.75, 1.0)
# How much the confusion of clusters counts beside the evenness of their sizes.
CONFUSION_WEIGHT = 3.0
# The odds that two views agree which of the two least distinct clusters they are in,
# as a share of the odds that they agree on the cluster at all. Where it is less, the
# two are one.
LEAST_ODDS = 0.37


@dataclass(frozen=True)
class Partition:
    """A way to join groups to clusters, and how good it is.

    Attributes
    ----------
    clusters : ndarray of shape (n_groups,)
        The cluster, 0 to n_clusters - 1, that each group is part of.
    agreement : float
        I(view 1; view 2) over the entropy of the clusters: 1 if two views of a sample
        never differ, 0 if they have nothing to do with each other.
    least_agreement : float
        The same for the two clusters among which it is least.
    score : float
        The higher, the better, among partitions into the same number of clusters.
    joins : Joins
        The sequence of joins that it is part of.
    """

    clusters: np.ndarray
    agreement: float
    least_agreement: float
    score: float
    joins: "Joins"


@dataclass(frozen=True)
class Joins:
    """A sequence of joins, from groups to one cluster.

    Attributes
    ----------
    children : ndarray of shape (n_groups - 1, 2)
        The nodes that each join makes one of: groups are 0 to n_groups - 1, and join i
        makes node n_groups + i.
    agreements : ndarray of shape (n_groups - 1,)
        The agreement, as in `Partition`, of the two.
    """

    children: np.ndarray
    agreements: np.ndarray


def clusters_of(children, n_clusters):
    """The cluster of each group when so many are left.

    Parameters
    ----------
    children : ndarray of shape (n_groups - 1, 2)
        See `Joins`.
    n_clusters : int

    Returns
    -------
    clusters : ndarray of shape (n_groups,)
        Values in 0 to n_clusters - 1.
    """
    n_groups = len(children) + 1
    names = np.arange(n_groups)
    for node, pair in enumerate(children[: n_groups - n_clusters], n_groups):
        names[np.isin(names, pair)] = node
    return np.unique(names, return_inverse=True)[1]


def join_groups(frequencies, power):
    """Join, again and again, the two groups that lose least.

    Parameters
    ----------
    frequencies : ndarray of shape (n_groups, n_groups)
        J, symmetric and summing to 1.
    power : float
        See `POWERS`.

    Returns
    -------
    joins : Joins
    """
    joint = frequencies.copy()
    n_groups = len(joint)
    nodes = np.arange(n_groups)
    # Of each pair, the sum over all groups of what a join does to the joint entropy.
    lost = np.stack([_joined(row, joint).sum(axis=1) for row in joint])
    children, agreements = [], []
    while len(joint) > 1:
        information, most = _information_lost(joint, lost)
        with np.errstate(divide="ignore", invalid="ignore"):
            cost = np.nan_to_num(information / most**power, nan=0.0)
            agreement = np.nan_to_num(information / most, nan=0.0)
        np.fill_diagonal(cost, np.inf)
        a, b = sorted(np.unravel_index(cost.argmin(), cost.shape))
        children.append(sorted((nodes[a], nodes[b])))
        agreements.append(float(np.clip(agreement[a, b], 0.0, 1.0)))
        joint, lost = _without(joint, lost, a, b)
        nodes[a] = n_groups + len(children) - 1
        nodes = np.delete(nodes, b)
    return Joins(np.array(children, dtype=np.intp).reshape(-1, 2), np.array(agreements))


def _joined(x, y):
    """phi(x) + phi(y) - phi(x + y) with phi(x) = x log x."""
    return xlogy(x, x) + xlogy(y, y) - xlogy(x + y, x + y)


def _information_lost(joint, lost):
    """What each pair would lose of I(view 1; view 2), and what it could lose at most.

    Returns
    -------
    information, most : ndarray of shape (n_groups, n_groups)
    """
    sizes, own = joint.sum(axis=1), np.diag(joint)
    # The terms of the two groups themselves, which a join makes one.
    others = lost - _joined(own[:, None], joint) - _joined(joint, own[None, :])
    within = xlogy(own, own)[:, None] + xlogy(own, own)[None, :]
    within = within + 2 * xlogy(joint, joint)
    together = own[:, None] + own[None, :] + 2 * joint
    of_sizes = _joined(sizes[:, None], sizes[None, :])
    return (
        2 * others + within - xlogy(together, together) - 2 * of_sizes,
        -of_sizes,
    )


def _without(joint, lost, a, b):
    """Join b to a: the joint frequencies, and the sums over groups, of what is left."""
    for column in (a, b):
        lost = lost - _joined(joint[:, None, column], joint[None, :, column])
    joint = joint.copy()
    joint[a] += joint[b]
    joint[:, a] += joint[:, b]
    lost = lost + _joined(joint[:, None, a], joint[None, :, a])
    kept = np.delete(np.arange(len(joint)), b)
    joint, lost = joint[np.ix_(kept, kept)], lost[np.ix_(kept, kept)]
    lost[a] = lost[:, a] = _joined(joint[a], joint).sum(axis=1)
    return joint, lost


def judge(frequencies, clusters, joins, n_samples):
    """Judge a way to join groups.

    Of two partitions into k clusters that one is better whose clusters are confused
    less and whose sizes are more even. Neither has a scale of its own: whether the
    clusters of these data are even, or apart, is not known before. So what counts is by
    which factor one is better. With a density of KL(f || u) that is the same in its
    logarithm, and k - 1 sizes to choose, a partition has a probability proportional to
    KL(f || u) ** -((k - 1) / 2), and a likewise one for what two views disagree on.

    Parameters
    ----------
    frequencies : ndarray of shape (n_groups, n_groups)
        J of the groups.
    clusters : ndarray of shape (n_groups,)
        Two or more.
    joins : Joins
    n_samples : int

    Returns
    -------
    partition : Partition
    """
    members = np.eye(clusters.max() + 1)[clusters]
    joint = members.T @ frequencies @ members
    n_clusters, sizes = len(joint), joint.sum(axis=1)
    entropy = -xlogy(sizes, sizes).sum()
    information = xlogy(joint, joint).sum() + 2 * entropy
    agreement = information / max(entropy, 1e-300)
    unevenness = np.log(n_clusters) - entropy + chance(n_samples, n_clusters)
    # No agreement is known better than to one sample.
    disagreement = max(1.0 - agreement, 1 / n_samples)
    lost = np.stack([_joined(row, joint).sum(axis=1) for row in joint])
    of_pairs, most = _information_lost(joint, lost)
    with np.errstate(divide="ignore", invalid="ignore"):
        agreements = np.nan_to_num(of_pairs / most, nan=0.0)
    np.fill_diagonal(agreements, np.inf)
    score = -np.log(unevenness) / 2 - CONFUSION_WEIGHT * np.log(disagreement)
    ends = (1e-12, 1 - 1e-12)
    return Partition(
        clusters,
        float(np.clip(agreement, *ends)),
        float(np.clip(agreements.min(), *ends)),
        float(score),
        joins,
    )


def partitions_of(frequencies, joins, n_samples):
    """All partitions that a sequence of joins goes through, from 2 clusters on."""
    return [
        judge(frequencies, clusters_of(joins.children, number), joins, n_samples)
        for number in range(2, len(frequencies) + 1)
    ]


def best_partition(frequencies, n_clusters, n_samples):
    """The best of the partitions into so many clusters.

    Parameters
    ----------
    frequencies : ndarray of shape (n_groups, n_groups)
        J.
    n_clusters : int
        From 2 to n_groups.
    n_samples : int

    Returns
    -------
    partition : Partition
    """
    sequences = [join_groups(frequencies, power) for power in POWERS]
    found = (
        judge(frequencies, clusters_of(joins.children, n_clusters), joins, n_samples)
        for joins in sequences
    )
    return max(found, key=lambda partition: partition.score)


def number_of_clusters(partitions):
    """The number of clusters up to which all are distinct.

    Parameters
    ----------
    partitions : list of Partition
        Into 2, 3 and so on clusters, by joins of what is confused most.

    Returns
    -------
    n_clusters : int
        2 if there is no evidence for more.
    """
    agreement = logit([partition.agreement for partition in partitions])
    least = logit([partition.least_agreement for partition in partitions])
    distinct = least - agreement >= np.log(LEAST_ODDS)
    return 1 + max(1, int(np.argmin(np.append(distinct, False))))


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
    numbers : ndarray of shape (n_numbers, 3)
        For each number of clusters that are joined of what is confused most: the
        number, the agreement, and that of the two least distinct clusters, see
        `Partition`.
    """

    groups: np.ndarray
    children: np.ndarray
    agreements: np.ndarray
    clusters: np.ndarray
    numbers: np.ndarray

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


def join(frequencies, groups, n_clusters=None, half_way=False):
    """Join groups to clusters.

    Parameters
    ----------
    frequencies : ndarray of shape (n_groups, n_groups)
        J, symmetric and summing to 1.
    groups : ndarray of shape (n_samples,)
        The group of each sample.
    n_clusters : int, default=None
        Up to n_groups; by default the number that the joins tell.
    half_way : bool, default=False
        Whether only half of the joins that are needed are made.

    Returns
    -------
    joined : JoinedGroups
    n_clusters : int
        How many there are to be in the end.
    """
    most_confused = join_groups(frequencies, POWERS[-1])
    partitions = partitions_of(frequencies, most_confused, len(groups))
    if n_clusters is None:
        n_clusters = number_of_clusters(partitions)
    n_left, joins = n_clusters, most_confused
    if n_clusters > 1:
        joins = best_partition(frequencies, n_clusters, len(groups)).joins
    if half_way:
        n_left = math.ceil((len(frequencies) + n_clusters) / 2)
    clusters = clusters_of(joins.children, n_left)
    if n_left < len(frequencies):
        sizes = np.bincount(clusters[groups], minlength=n_left)
        clusters = np.argsort(np.argsort(-sizes, kind="stable"))[clusters]
    numbers = [
        (number, partition.agreement, partition.least_agreement)
        for number, partition in enumerate(partitions, 2)
    ]
    joined = JoinedGroups(
        groups,
        joins.children,
        joins.agreements,
        clusters,
        np.array(numbers, dtype=np.float64).reshape(-1, 3),
    )
    return joined, n_clusters


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
        or joined.numbers.shape[1] != 3
    ):
        raise ValueError("these are no joins of groups")
