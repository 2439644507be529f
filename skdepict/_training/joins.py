"""Which of many fine groups belong together: those that the network confuses.

Two views of one sample, noisy ones or a row of a table and its neighbour, fall into one
group or into two. With J the joint frequencies of their groups, groups that are joined
lose a part of the mutual information I(view 1; view 2). Arrays in, arrays out; no
torch.
"""

from dataclasses import dataclass

import numpy as np

from skdepict._training.information import (
    columns_joined,
    entropy_and_information,
    information_lost,
    pairwise_agreements,
    parted,
    score,
    score_of,
    without,
)
from skdepict._training.joined import JoinedGroups
from skdepict._training.number import most_modular, number_of_clusters

# What the information that a join loses is divided by, to these powers, is the
# information that it would lose if no view ever left its group. With 0 the smallest
# groups are joined first, with 1 those that are confused most, whatever their sizes.
POWERS = (0.0, 0.25, 0.5, 0.75, 1.0)
# Where a partition is refined, how much the confusion of clusters counts beside the
# evenness of their sizes, more than where sequences of joins are compared, and how much
# it counts how distinct clusters are.
REFINED_CONFUSION_WEIGHT = 6.0
DISTINCTNESS_WEIGHT = 1.0
# How many pairs of clusters might be joined when a part has been taken out of one.
N_PAIRS = 10
# Fewer samples are no group: training may lose them.
MIN_GROUP = 2
# Nothing is surer than this.
CERTAIN = (1e-12, 1 - 1e-12)


@dataclass(frozen=True)
class Joins:
    """A sequence of joins, from groups to one cluster.

    Attributes
    ----------
    children : ndarray of shape (n_groups - 1, 2)
        The nodes that each join makes one of: groups are 0 to n_groups - 1, and join i
        makes node n_groups + i.
    agreements : ndarray of shape (n_groups - 1,)
        I(view 1; view 2) of the two that are joined over the entropy of which of the
        two it is: 1 if no view of either is in the other, 0 if views are in one or the
        other by chance.
    numbers : ndarray of shape (n_groups - 1, 4)
        For 2 to n_groups clusters: the number, the agreement of all of them, that of
        the two among which it is least, and the modularity: by how much more often two
        views are in one cluster than two views of different samples. Of images, `join`
        takes it of neighbours, and of joins by these alone.
    scores : ndarray of shape (n_groups - 1,)
        What `score` says of these partitions.
    """

    children: np.ndarray
    agreements: np.ndarray
    numbers: np.ndarray
    scores: np.ndarray


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


def join_groups(frequencies, power, n_samples, within=None):
    """Join, again and again, the two groups that lose least.

    Parameters
    ----------
    frequencies : ndarray of shape (n_groups, n_groups)
        J, symmetric and summing to 1.
    power : float
        See `POWERS`.
    n_samples : int
    within : ndarray of shape (n_groups,), default=None
        Groups of one of these clusters are joined before any others.

    Returns
    -------
    joins : Joins
    """
    joint = frequencies.copy()
    n_groups = len(joint)
    nodes = np.arange(n_groups)
    joined = columns_joined(joint)
    children, agreements, numbers, scores = [], [], [], []
    while len(joint) > 1:
        information, most = information_lost(joint, joined)
        agreement = pairwise_agreements(information, most)
        cost = pairwise_agreements(information, most, power)
        of_all, score_of_all = score(joint, n_samples)
        modularity = np.trace(joint) - np.square(joint.sum(axis=1)).sum()
        numbers.append((len(joint), of_all, agreement.min(), modularity))
        scores.append(score_of_all)
        if within is not None and len(np.unique(within)) < len(within):
            cost[within[:, None] != within] = np.inf
        a, b = sorted(np.unravel_index(cost.argmin(), cost.shape))
        children.append(sorted((nodes[a], nodes[b])))
        agreements.append(agreement[a, b])
        joint, joined = without(joint, joined, a, b)
        nodes[a] = n_groups + len(children) - 1
        nodes = np.delete(nodes, b)
        within = None if within is None else np.delete(within, b)
    found = np.array(numbers[::-1]).reshape(-1, 4)
    found[:, 1:3] = found[:, 1:3].clip(*CERTAIN)
    return Joins(
        np.array(children, dtype=np.intp).reshape(-1, 2),
        np.clip(agreements, 0.0, 1.0),
        found,
        np.array(scores[::-1]),
    )


def refine(frequencies, clusters, n_samples):
    """Change a partition of groups as long as it gets better.

    Joins are never undone, so one that was wrong early on costs a cluster. Here, again
    and again, a part is taken out of a cluster, and two of the clusters that are there
    then are joined, of those that are confused most: the best of all such changes. A
    part is a group, or groups of one cluster that joins would make one.

    The score counts each sample alike, so it may prefer halves of a large cluster to
    two small ones. So the mean logarithm of how distinct each cluster is from the one
    that it is confused with most, in which clusters count alike, is added to it. As the
    score is the logarithm of a probability but for a factor of n_clusters - 1, what is
    found has to be e times as probable as what was given.

    Parameters
    ----------
    frequencies : ndarray of shape (n_groups, n_groups)
        J, symmetric and summing to 1.
    clusters : ndarray of shape (n_groups,)
        Values in 0 to n_clusters - 1.
    n_samples : int

    Returns
    -------
    clusters : ndarray of shape (n_groups,)
        As many; those that were given, if none are that much better.
    """
    given, n_clusters, gain = clusters, int(clusters.max()) + 1, 0.0
    if n_clusters == 1:
        return given
    pairs = np.array(np.triu_indices(n_clusters + 1, k=1))
    while True:
        indicators = np.eye(n_clusters)[clusters]
        with_clusters = frequencies @ indicators
        joint = indicators.T @ with_clusters
        joined = columns_joined(joint)
        quality = _quality(joint, joined, n_samples)
        # Beyond rounding.
        best, changed = quality + 1e-6, None
        for part in _parts(frequencies, clusters, n_samples):
            row = with_clusters[part].sum(axis=0)
            own = frequencies[np.ix_(part, part)].sum()
            more, more_joined = parted(joint, joined, clusters[part[0]], row, own)
            lost, most = information_lost(more, more_joined)
            agreements = pairwise_agreements(lost, most)
            entropy, information = entropy_and_information(more)
            for a, b in pairs.T[np.argsort(agreements[*pairs])[:N_PAIRS]]:
                after = entropy - most[a, b], information - lost[a, b]
                # A join makes no pair of others more distinct.
                others = np.delete(np.delete(agreements, (a, b), 0), (a, b), 1)
                bound = _score(*after, n_clusters, n_samples)
                bound += DISTINCTNESS_WEIGHT * _distinctness(others, n_clusters)
                if bound <= best:
                    continue
                left, left_joined = without(more, more_joined, a, b)
                found = _quality(left, left_joined, n_samples)
                if found > best:
                    best = found
                    changed = clusters.copy()
                    changed[part] = n_clusters
                    changed[changed == b] = a
        if changed is None:
            return clusters if (n_clusters - 1) * gain >= 1 else given
        gain += best - quality
        clusters = np.unique(changed, return_inverse=True)[1]


def _distinctness(agreements, n_clusters):
    """The mean over clusters, of which those that are left out are as can be."""
    least = agreements.min(axis=1, initial=CERTAIN[1]).clip(CERTAIN[0])
    return np.log(least).sum() / n_clusters


def _quality(joint, joined, n_samples):
    """What `refine` raises."""
    agreements = pairwise_agreements(*information_lost(joint, joined))
    distinctness = _distinctness(agreements, len(joint))
    entropy, information = entropy_and_information(joint)
    of_all = _score(entropy, information, len(joint), n_samples)
    return of_all + DISTINCTNESS_WEIGHT * distinctness


def _score(entropy, information, n_clusters, n_samples):
    of_partition = entropy, information, n_clusters, n_samples
    return score_of(*of_partition, REFINED_CONFUSION_WEIGHT)[1]


def _parts(frequencies, clusters, n_samples):
    """Each group, and all that joins within clusters make, but no whole cluster."""
    n_groups, sizes = len(clusters), np.bincount(clusters)
    parts = list(np.arange(n_groups)[:, None])
    joins = join_groups(frequencies, POWERS[-1], n_samples, clusters)
    for a, b in joins.children[: n_groups - len(sizes)]:
        parts.append(np.concatenate([parts[a], parts[b]]))
    return [part for part in parts if len(part) < sizes[clusters[part[0]]]]


def join(
    frequencies,
    groups,
    n_clusters=None,
    proposals=None,
    nearby=None,
    of_neighbors=False,
    at_least=0,
):
    """Join groups to clusters.

    Parameters
    ----------
    frequencies : ndarray of shape (n_groups, n_groups)
        J, symmetric and summing to 1.
    groups : ndarray of shape (n_samples,)
        The group of each sample.
    n_clusters : int, default=None
        Up to n_groups; by default the number that the joins tell.
    proposals : callable, default=None
        From `groups` and a number of clusters to partitions of the groups, each an
        ndarray of shape (n_groups,). The best of these is taken, or the best one that
        joins by different `POWERS` make, if it has a higher score and, beyond chance, a
        higher modularity.
    nearby : ndarray of shape (n_groups, n_groups), default=None
        J of samples and what is near them, where `frequencies` are those of distorted
        views. It counts as much as these for which groups are joined, and it alone, by
        its modularity, for the number: parts of a class are as distinct as classes to a
        network that knows few images. The clusters are refined where it is given.
    of_neighbors : bool, default=False
        Whether `frequencies` are those of samples and their neighbours.
    at_least : int, default=0
        How many clusters there are at least, where the joins tell the number.

    Returns
    -------
    joined : JoinedGroups
    n_clusters : int
        There are as many, or as many as groups that hold samples.
    """
    held, owners = np.unique(
        owners_of_small(frequencies, groups, n_clusters), return_inverse=True
    )
    shares = np.eye(len(held))[owners]
    frequencies = shares.T @ frequencies @ shares
    nearby = None if nearby is None else shares.T @ nearby @ shares

    def proposed(_, n_clusters):
        return (partition[held] for partition in proposals(groups, n_clusters))

    joined, n_clusters = _join(
        *(frequencies, owners[groups], n_clusters),
        *(proposals and proposed, nearby, of_neighbors, at_least),
    )
    n_small, clusters = len(owners) - len(held), joined.clusters[owners]
    if n_clusters < len(owners):
        sizes = np.bincount(clusters[groups], minlength=n_clusters)
        clusters = np.argsort(np.argsort(-sizes, kind="stable"))[clusters]
    joined = joined._replace(
        groups=groups,
        children=_children_with_small(joined.children, held, owners),
        # They were joined for their size: with 0 no later join is lower.
        agreements=np.append(np.zeros(n_small), joined.agreements),
        clusters=clusters,
    )
    return joined, n_clusters


def owners_of_small(frequencies, groups, n_clusters):
    """What groups that hold no sample, or one, are joined with before all others.

    They might become clusters that hold none. Where fewer groups hold more than there
    are to be clusters, nothing is joined.

    Parameters
    ----------
    frequencies : ndarray of shape (n_groups, n_groups)
    groups : ndarray of shape (n_samples,)
    n_clusters : int or None

    Returns
    -------
    owners : ndarray of shape (n_groups,)
        The larger group that such a one shares most views with; each larger group
        itself.
    """
    owners = np.arange(len(frequencies))
    held = np.flatnonzero(np.bincount(groups, minlength=len(owners)) >= MIN_GROUP)
    if len(held) >= max(n_clusters or 2, 2):
        small = np.setdiff1d(owners, held)
        owners[small] = held[frequencies[np.ix_(small, held)].argmax(axis=1)]
    return owners


def _children_with_small(children, held, owners):
    """Joins of groups that hold samples, after those of groups that hold too few.

    Parameters
    ----------
    children : ndarray of shape (n_held - 1, 2)
    held : ndarray of shape (n_held,)
        The groups that hold enough samples.
    owners : ndarray of shape (n_groups,)
        Which of these each group is or is joined with.

    Returns
    -------
    children : ndarray of shape (n_groups - 1, 2)
    """
    n_groups, nodes, first = len(owners), held.copy(), []
    for group in np.setdiff1d(np.arange(n_groups), held):
        first.append(sorted((nodes[owners[group]], group)))
        nodes[owners[group]] = n_groups + len(first) - 1
    later = np.arange(len(children)) + n_groups + len(first)
    others = np.sort(np.append(nodes, later)[children], axis=1)
    return np.concatenate([np.array(first).reshape(-1, 2), others])


def _best(sequences, n_clusters):
    return max(sequences, key=lambda joins: joins.scores[n_clusters - 2])


def _better(proposed, own, n_clusters, n_samples):
    """The joins that were proposed, or others, if these are better in both respects.

    The score alone takes clusters that few views leave even if one of them holds most
    samples; the modularity alone takes halves of a large cluster.
    """
    (score, modularity), (other_score, other_modularity) = (
        (joins.scores[n_clusters - 2], joins.numbers[n_clusters - 2, 3])
        for joins in (proposed, own)
    )
    # As of a share of the samples.
    error = np.sqrt(max(modularity * (1 - modularity), 0) / n_samples)
    better = other_score > score and other_modularity > modularity + error
    return own if better else proposed


def _join(frequencies, groups, n_clusters, proposals, nearby, of_neighbors, at_least):
    """Join groups that all hold enough samples; see `join`."""
    n_groups, n_samples = len(frequencies), len(groups)
    joins = most_confused = join_groups(frequencies, POWERS[-1], n_samples)
    numbers = most_confused.numbers
    if nearby is not None:
        numbers[:, 3] = join_groups(nearby, POWERS[-1], n_samples).numbers[:, 3]
        n_clusters = n_clusters or most_modular(numbers)
        frequencies = (frequencies + nearby) / 2
        joins = most_confused = join_groups(frequencies, POWERS[-1], n_samples)
    told = n_clusters or max(number_of_clusters(numbers, of_neighbors), at_least)
    n_clusters = min(told, n_groups)
    if 1 < n_clusters < n_groups:
        sequences = [join_groups(frequencies, p, n_samples) for p in POWERS[:-1]]
        joins = _best([*sequences, most_confused], n_clusters)
        if proposals is not None:
            proposed = [
                join_groups(frequencies, POWERS[-1], n_samples, partition)
                for partition in proposals(groups, n_clusters)
            ]
            proposed = _best(proposed, n_clusters)
            joins = _better(proposed, joins, n_clusters, n_samples)
        if nearby is not None:
            clusters = clusters_of(joins.children, n_clusters)
            refined = refine(frequencies, clusters, n_samples)
            if not np.array_equal(refined, clusters):
                joins = join_groups(frequencies, POWERS[-1], n_samples, refined)
    clusters = clusters_of(joins.children, n_clusters)
    joined = JoinedGroups(groups, joins.children, joins.agreements, clusters, numbers)
    return joined, told
