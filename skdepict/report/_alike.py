"""Samples that are nearly the same: scanned twice, saved twice, or of one burst."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

# Of more samples in one cluster only so many are compared: each with each other.
MAX_COMPARED = 5000


def most_alike(
    rows: Callable[[NDArray[np.intp]], NDArray[Any]],
    labels: NDArray[np.intp],
    max_groups: int,
) -> list[list[int]]:
    """Groups of the samples of one cluster that are nearest to each other.

    Every sample is linked to its nearest neighbour in its cluster, the nearest first,
    until there are so many groups.

    Parameters
    ----------
    rows : callable
        From indices of samples to their rows.
    labels : ndarray of shape (n_samples,)
    max_groups : int

    Returns
    -------
    groups : list of list of int
        Indices of samples, of two at least, the most alike first.
    """
    links: list[tuple[float, int, int]] = []
    for cluster in np.unique(labels):
        members = np.flatnonzero(labels == cluster)
        if len(members) > MAX_COMPARED:
            members = members[:: -(-len(members) // MAX_COMPARED)]
        if len(members) > 1:
            search = NearestNeighbors(n_neighbors=1).fit(rows(members))
            distances, nearest = (part[:, 0] for part in search.kneighbors())
            found = zip(distances, members, members[nearest], strict=True)
            links += [(float(d), int(a), int(b)) for d, a, b in found]
    group_of: dict[int, list[int]] = {}
    groups: list[list[int]] = []
    for _, a, b in sorted(links):
        ours, theirs = group_of.get(a, [a]), group_of.get(b, [b])
        if len(ours) == len(theirs) == 1:
            if len(groups) == max_groups:
                break
            groups.append(ours)
        elif len(ours) == 1:
            ours, theirs = theirs, ours
        if ours is theirs:
            continue
        if len(theirs) > 1:
            groups = [group for group in groups if group is not theirs]
        ours += theirs
        group_of |= dict.fromkeys(ours, ours)
    return groups
