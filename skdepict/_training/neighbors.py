"""Neighbours of samples of tables: views of what a sample is an example of.

An image can be distorted; of a row of a table nobody knows what may change without
making it something else. Rows near it say so.
"""

import numpy as np
import torch

from skdepict._path_integral.components import WhitenedComponents
from skdepict._path_integral.copies import Copies
from skdepict._path_integral.graph import nearest_neighbors
from skdepict._training.device_neighbors import device_neighbors
from skdepict._training.mixed import rows_to_compare
from skdepict._training.start import (
    FINE_WHITENING,
    MAX_LABELLED,
    labels_are_given,
)

# Of so many different rows one may be a neighbour, where most rows are copies.
LEAST_PER_NEIGHBOR = 4
# And of so many rows in any case: of few, most neighbours would be of other groups.
ROWS_PER_NEIGHBOR = 6


class Neighbors:
    """The nearest neighbours of each sample, itself not counted.

    Parameters
    ----------
    numbers : ndarray of shape (n_members, n_neighbors)
        The neighbours of the members, by their numbers among all samples.
    members : ndarray of shape (n_members,) or None
        The samples that have neighbours; None for all.
    share : slice
        The samples of this process.
    device : torch.device
        Where predictions are.
    """

    def __init__(self, numbers, members, share, device):
        rows = np.arange(len(numbers)) if members is None else members
        is_own = (rows >= share.start) & (rows < share.stop)
        own_rows = torch.from_numpy(rows[is_own] - share.start)
        self._rows = own_rows.to(device)
        self._numbers = torch.from_numpy(numbers[is_own]).to(device)

    def _sums(self, everyones):
        return sum(everyones[column] for column in self._numbers.T)

    def means(self, own, everyones):
        """Predictions, averaged over each sample and its neighbours.

        Parameters
        ----------
        own : tensor of shape (n_own_samples, n_clusters)
            P of this process's samples.
        everyones : tensor of shape (n_samples, n_clusters)
            P of all.

        Returns
        -------
        means : tensor of shape (n_own_samples, n_clusters)
            Of samples without neighbours their own.
        """
        means = own.clone()
        n_averaged = 1 + self._numbers.shape[1]
        means[self._rows] = (own[self._rows] + self._sums(everyones)) / n_averaged
        return means

    def joint_frequencies(self, own, everyones):
        """How often a sample is in one group and its neighbour in another.

        Parameters
        ----------
        own, everyones : tensor
            As for `means`.

        Returns
        -------
        frequencies : tensor of shape (n_groups, n_groups)
            Symmetric; their sum is twice the number of pairs.
        """
        frequencies = own[self._rows].T @ self._sums(everyones)
        return frequencies + frequencies.T


def neighbors_of(labelled, settings, processes, device):
    """The neighbours of the samples that get starting labels.

    Parameters
    ----------
    labelled : Samples
        Those, in the first process.
    settings : Settings
    processes : Processes
    device : torch.device
        That of the predictions.

    Returns
    -------
    neighbors : Neighbors or None
        None where there are to be none, and where labels were given and no process has
        all samples, or there are too many to search.
    """
    n_neighbors, members = settings.n_neighbors, settings.members
    n_neighbors = min(n_neighbors, max(1, settings.n_labelled // ROWS_PER_NEIGHBOR))
    in_parts = processes.size > 1 or settings.n_samples > MAX_LABELLED
    if in_parts and labels_are_given(settings.init):
        return None
    if n_neighbors == 0 or settings.n_labelled < 2 or not settings.is_table:
        return None
    numbers = processes.from_first(
        lambda: nearest_rows(rows_to_compare(labelled, settings), n_neighbors, device)
    )
    if members is not None:
        numbers = members[numbers]
    return Neighbors(numbers, members, processes.share(settings.n_samples), device)


def embedded_frequencies(probabilities, points, n_neighbors):
    """How often a sample is in one group and its neighbour in the embedding in another.

    Parameters
    ----------
    probabilities : tensor of shape (n_samples, n_groups)
        P.
    points : ndarray of shape (n_samples, embedding_dim)
        The embedding.
    n_neighbors : int

    Returns
    -------
    frequencies : ndarray of shape (n_groups, n_groups) or None
        Symmetric and summing to 1; None if there are to be no neighbours.
    """
    if n_neighbors == 0 or len(points) < 2:
        return None
    numbers = nearest_points(points, n_neighbors, probabilities.device)
    everyone = slice(0, len(points))
    neighbors = Neighbors(numbers, None, everyone, probabilities.device)
    frequencies = neighbors.joint_frequencies(probabilities, probabilities)
    return (frequencies / frequencies.sum()).cpu().numpy()


def nearest_rows(rows, n_neighbors, device):
    """Neighbours of each row, in whitened components.

    They are the nearest rows, if all rows differ, or no more do than `n_neighbors`. Of
    rows of few values, many of which are equal, the nearest would be equal ones, which
    say nothing of what is beside them. So they are drawn from all rows that equal it,
    or one of the different rows that are nearest to it. Up to half of them equal it in
    any case: clusters may be copies of one row each.

    Parameters
    ----------
    rows : ndarray of shape (n_samples, n_features)
    n_neighbors : int
        As many different rows are looked at, or fewer where there are few of them.
    device : torch.device
        Where they are searched for: on CUDA, else by scikit-learn.

    Returns
    -------
    numbers : ndarray of shape (n_samples, n_neighbors)
        Nearest first, and fewer in smaller data. Of equal rows it is the first, again
        and again.
    """
    points = WhitenedComponents(whitening=FINE_WHITENING).fit_transform(rows)
    copies = Copies.of_rows(rows)
    n_points, n_near = len(copies.first), n_neighbors
    if n_points == len(rows) or n_points <= n_neighbors:
        return nearest_points(points, n_neighbors, device)
    if 2 * n_points < len(rows):
        # Of few different rows most are not near.
        n_near = min(n_near, max(1, n_points // LEAST_PER_NEIGHBOR))
    near = nearest_points(points[copies.first], n_near, device)
    n_own, n_others = copies.counts - 1, copies.counts[near]
    least = np.minimum(n_own, n_neighbors // 2)
    of_others = n_others.sum(axis=1) * least // (n_neighbors - least)
    ends = np.column_stack([np.maximum(n_own, of_others), n_others]).cumsum(axis=1)
    # As evenly as can be, and the nearest where there are hardly more. All searches at
    # once: those of each point begin where those of the one before end.
    drawn = np.arange(n_neighbors) * ends[:, -1:] // n_neighbors
    begin = ends[:, -1:].cumsum(axis=0) - ends[:, -1:]
    places = np.searchsorted((begin + ends).ravel(), begin + drawn, side="right")
    points_at = np.column_stack([np.arange(n_points), near])
    return copies.first[points_at.ravel()[places]][copies.point]


def nearest_points(points, n_neighbors, device):
    """As `nearest_rows`, of coordinates as they are."""
    if device.type == "cuda":
        return device_neighbors(points, n_neighbors, device)[1]
    return nearest_neighbors(points, n_neighbors)[1]


def component_axes(rows):
    """The axes along which a network is to see rows; see `Components`.

    Parameters
    ----------
    rows : ndarray of shape (n_samples, n_features)
        Centred.

    Returns
    -------
    axes : ndarray of shape (n_features, n_components)
        float32; along them the squares of values are 1 in the mean.
    """
    fitted = WhitenedComponents(whitening=FINE_WHITENING, unit_length=False).fit(rows)
    deviations = np.where(fitted.deviations_ > 0, fitted.deviations_, 1.0)
    axes = (fitted.components_ / deviations[:, None] ** FINE_WHITENING).T
    spread = np.sqrt(np.mean(np.square(fitted.transform(rows), dtype=np.float64)))
    return (axes / (spread or 1.0)).astype(np.float32)
