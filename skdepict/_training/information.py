"""The information that two views have of each other's cluster, and what joins lose.

J are the joint frequencies of the clusters, or groups, of the two views.
"""

import numpy as np

from skdepict._training.objectives import chance

# How much the confusion of clusters counts beside the evenness of their sizes.
CONFUSION_WEIGHT = 4.0


def phi(x):
    """X log x, faster than `scipy.special.xlogy`."""
    return x * np.log(np.maximum(x, 1e-300))


def columns_joined(joint):
    """Of each pair, phi of its joined columns, summed over all rows."""
    return np.stack([phi(row + joint).sum(axis=1) for row in joint])


def information_lost(joint, joined):
    """What each pair would lose of I(view 1; view 2), and what it could lose at most.

    Parameters
    ----------
    joint : ndarray of shape (n_groups, n_groups)
        J.
    joined : ndarray of shape (n_groups, n_groups)
        See `columns_joined`.

    Returns
    -------
    information, most : ndarray of shape (n_groups, n_groups)
    """
    sizes, own, terms = joint.sum(axis=1), np.diag(joint), phi(joint)
    # In the rows of the two themselves a join makes four terms one.
    in_rows = phi(own[:, None] + joint)
    together = phi(own[:, None] + own + 2 * joint)
    apart = terms.sum(axis=1)
    most = phi(sizes[:, None] + sizes) - phi(sizes)[:, None] - phi(sizes)
    others = apart[:, None] + apart - joined + in_rows + in_rows.T
    four = np.diag(terms)[:, None] + np.diag(terms) + 2 * terms
    return 2 * (others + most) - four - together, most


def without(joint, joined, a, b):
    """Join b to a: the joint frequencies, and `joined`, of what is left."""
    for column in joint[[a, b]]:
        joined = joined - phi(column[:, None] + column)
    joint = joint.copy()
    joint[a] += joint[b]
    joint[:, a] += joint[:, b]
    joined = joined + phi(joint[a][:, None] + joint[a])
    kept = np.delete(np.arange(len(joint)), b)
    joint, joined = joint[np.ix_(kept, kept)], joined[np.ix_(kept, kept)]
    joined[a] = joined[:, a] = phi(joint[a] + joint).sum(axis=1)
    return joint, joined


def score(joint, n_samples):
    """Judge clusters without knowing classes.

    Of two partitions into k clusters that one is better whose clusters are confused
    less and whose sizes are more even. Neither has a scale of its own: whether the
    clusters of these data are even, or apart, is not known before. So what counts is by
    which factor one is better. With a density of KL(f || u) that is the same in its
    logarithm, and k - 1 sizes to choose, a partition has a probability proportional to
    KL(f || u) ** -((k - 1) / 2), and a likewise one for what two views disagree on.

    Parameters
    ----------
    joint : ndarray of shape (n_clusters, n_clusters)
        J of two or more clusters.
    n_samples : int

    Returns
    -------
    agreement : float
        I(view 1; view 2) over the entropy of the clusters: 1 if two views of a sample
        never differ, 0 if they have nothing to do with each other.
    score : float
        The higher, the better, among partitions into the same number of clusters.
    """
    entropy, information = entropy_and_information(joint)
    return score_of(entropy, information, len(joint), n_samples, CONFUSION_WEIGHT)


def entropy_and_information(joint):
    """H(cluster) and I(view 1; view 2)."""
    entropy = -phi(joint.sum(axis=1)).sum()
    return entropy, phi(joint).sum() + 2 * entropy


def score_of(entropy, information, n_clusters, n_samples, confusion_weight):
    """What `score` says, from the entropy and the information of a partition."""
    agreement = information / max(entropy, 1e-300)
    unevenness = np.log(n_clusters) - entropy + chance(n_samples, n_clusters)
    # No agreement is known better than to one sample.
    disagreement = max(1.0 - agreement, 1 / n_samples)
    return (
        agreement,
        -np.log(unevenness) / 2 - confusion_weight * np.log(disagreement),
    )


def parted(joint, joined, a, row, own):
    """Make a part of cluster a the last cluster: the joint frequencies, and `joined`.

    Parameters
    ----------
    joint, joined : ndarray of shape (n_clusters, n_clusters)
        See `information_lost`.
    a : int
    row : ndarray of shape (n_clusters,)
        J of the part and each cluster, a with the part in it.
    own : float
        J of the part and itself.

    Returns
    -------
    joint, joined : ndarray of shape (n_clusters + 1, n_clusters + 1)
    """
    before = joint[a]
    joined = np.pad(joined - phi(before[:, None] + before), (0, 1))
    joint = np.pad(joint, (0, 1))
    joint[a, :-1] -= row
    joint[:-1, a] -= row
    joint[a, a] += own
    joint[-1, :-1] = joint[:-1, -1] = row
    joint[a, -1] = joint[-1, a] = row[a] - own
    joint[-1, -1] = own
    for column in joint[[a, -1]]:
        joined += phi(column[:, None] + column)
    for node in (a, -1):
        joined[node] = joined[:, node] = phi(joint[node] + joint).sum(axis=1)
    return joint, joined


def pairwise_agreements(information, most, power=1.0):
    """By how much two views agree which of two clusters they are in, for each pair.

    Parameters
    ----------
    information, most : ndarray of shape (n_clusters, n_clusters)
        See `information_lost`.
    power : float, default=1.0
        With another one, what joins cost; see `joins.POWERS`.

    Returns
    -------
    agreements : ndarray of shape (n_clusters, n_clusters)
        From 0 to 1, but for rounding, and infinite on the diagonal.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        agreements = np.nan_to_num(information / most**power, nan=0.0)
    np.fill_diagonal(agreements, np.inf)
    return agreements
