"""What joins of groups tell of the number of clusters."""

import math

import numpy as np
from scipy.special import logit

# The odds that two views agree which of the two least distinct clusters they are in,
# as a share of the odds that they agree on the cluster at all. Where it is less, the
# two are one. A kind of image that is rare is less distinct in distorted views, which
# tell a number only where clusters of images lie apart.
LEAST_ODDS = 0.37
LEAST_ODDS_DISTORTED = 0.3
# Clusters, or two of them, lie apart where one view of a sample tells this share of the
# information on which of them another view is in.
APART = 0.9
# The logarithm of the odds that two views agree which of the two least distinct
# clusters they are in falls by so much, from 0 or more to less, where a part is taken
# for a cluster. On 54 sets and 15 of real rows the largest fall farther than one from
# the number of classes was 0.8 (docs/method.rst).
FALL = 1.0


def number_of_clusters(numbers, of_neighbors=False):
    """The number of clusters that joins tell.

    It is the number before a fall, if there is one, else that up to which all clusters
    are distinct. Of classes that overlap, each part is as distinct as the whole. So
    neighbours bound the number; see `most_modular`.

    Parameters
    ----------
    numbers : ndarray of shape (n_numbers, 4)
        Of joins of what is confused most; see `Joins`.
    of_neighbors : bool, default=False
        Whether the two views of a sample are it and its neighbour.

    Returns
    -------
    n_clusters : int
        2 if there is no evidence for more.
    """
    before_fall = number_before_fall(numbers)
    if before_fall is not None:
        return before_fall
    n_distinct = _n_distinct(numbers, LEAST_ODDS, APART)
    return min(n_distinct, most_modular(numbers)) if of_neighbors else n_distinct


def number_before_fall(numbers):
    """The number with one more than which two clusters are hardly two.

    Parameters
    ----------
    numbers : ndarray of shape (n_numbers, 4)
        Of joins of what is confused most; see `Joins`.

    Returns
    -------
    n_clusters : int or None
        None if the odds nowhere fall by `FALL` from 1 or more to less.
    """
    least = logit(numbers[:, 2])
    passes_one = (least[:-1] >= 0) & (least[1:] < 0)
    falls = np.append(np.where(passes_one, least[:-1] - least[1:], 0), 0)
    steepest = falls.argmax()
    return int(numbers[steepest, 0]) if falls[steepest] >= FALL else None


def number_in_distorted_views(numbers):
    """The number of clusters up to which all are distinct in distorted views."""
    return _n_distinct(numbers, LEAST_ODDS_DISTORTED)


def _n_distinct(numbers, least_odds, apart=math.inf):
    agreement, least = logit(numbers[:, 1:3]).T
    distinct = least - agreement >= np.log(least_odds)
    # Where nearly all agree, the odds of two may be a small share of the others'.
    distinct |= numbers[:, 2] >= apart
    return 1 + max(1, int(np.argmin(np.append(distinct, False))))


def most_modular(numbers):
    """The number at which neighbours are in one cluster most often, beyond chance.

    There the modularity of Newman and Girvan (Physical Review E 69, 2004), of the graph
    of neighbours, is highest. See `number_of_clusters`.
    """
    return int(numbers[numbers[:, 3].argmax(), 0])


def are_apart(numbers, n_clusters):
    """Whether clusters lie apart.

    Parameters
    ----------
    numbers : ndarray of shape (n_numbers, 4)
        Of joins of what is confused most; see `Joins`.
    n_clusters : int
    """
    return n_clusters < 2 or numbers[n_clusters - 2, 1] >= APART
