"""What the graphs of the samples say: labels, their number, and how they are mixed."""

import copy
import math
from statistics import median_high

import numpy as np
from joblib import Parallel, delayed
from sklearn.metrics import adjusted_rand_score

from skdepict._path_integral.components import WhitenedComponents
from skdepict._path_integral.copies import Copies
from skdepict._path_integral.cuts import unevenness_of_cuts
from skdepict._path_integral.graph import N_NEIGHBORS, nearest_neighbors
from skdepict._path_integral.tree import merge_neighbors
from skdepict._surroundings import sklearn_defaults
from skdepict._training.device_neighbors import device_neighbors
from skdepict._training.information import score
from skdepict._training.objectives import (
    chance,
    same_sizes,
    size_divergence,
    sizes_of,
)

# Which of these suits the data differs from one to the next, so all are tried.
WHITENINGS = (0.0, 0.3, 0.6, 1.0)
# Sizes are even where so even ones have a smaller probability, if any sizes are as
# likely: 0.05 for the labels of one graph, of which the most even ones are taken.
EVEN_BY_CHANCE = 0.05 / len(WHITENINGS)
# They tell a number of clusters, among the many cuts of trees, if it is below this.
EVEN_BY_CHANCE_OF_MANY = math.exp(-12)
MAX_EVEN_CLUSTERS = 500
MIN_EVEN_CLUSTER = 10
# Clusters are apart where a step of the walk tells this share of the information on
# which of them a sample is in. Of rows more of it: pendigits, where training finds
# better clusters, has 0.991, and two moons with little noise have 1.
UNMIXED = 0.95
UNMIXED_ROWS = 0.995
# Where the adjusted Rand index of labels of two graphs is so large, they count as the
# same. Of two clusters of equal size one sample in forty may differ.
SAME_LABELS = 0.9


def uniform(n_clusters):
    """Equal frequencies."""
    return np.full(n_clusters, 1.0 / n_clusters)


def is_even(divergence, n_samples, n_clusters, most_probable=EVEN_BY_CHANCE):
    """Whether clusters are so equally large that it can be no chance.

    If all sizes are equally likely, the share of them with a smaller KL(f || u) is
    proportional to the power (k - 1) / 2 of it: nothing can be said of two clusters.

    Parameters
    ----------
    divergence : float or ndarray
        KL(f || u) in nats from uniform frequencies.
    n_samples : int
    n_clusters : int or ndarray
    most_probable : float
        How probable so even sizes may be at most.

    Returns
    -------
    is_even : bool or ndarray
    """
    by_chance = chance(n_samples, n_clusters)
    # The mean of KL(f || u) for sizes that are all equally likely, for many clusters.
    typical = 1.0 - np.euler_gamma
    probability = ((divergence + by_chance) / typical) ** ((n_clusters - 1) / 2)
    is_near = divergence <= same_sizes(n_samples, n_clusters)
    return is_near & (probability <= most_probable)


def are_even(labels, prior):
    """Whether clusters have equal sizes, which also are those of the prior, or nearly.

    Uneven sizes that match are no evidence: a prior may be assigned to clusters in any
    order, so some wrong labels have its sizes by chance.

    Parameters
    ----------
    labels : ndarray of shape (n_samples,)
    prior : ndarray of shape (n_clusters,)

    Returns
    -------
    are_even : bool
    """
    n_clusters = len(prior)
    sizes = sizes_of(labels, n_clusters)
    divergence = max(size_divergence(sizes, u) for u in (prior, uniform(n_clusters)))
    return is_even(divergence, len(labels), n_clusters)


def merged_graphs(points, device, search=device_neighbors):
    """Merge the points along the walks on several graphs.

    Parameters
    ----------
    points : ndarray of shape (n_samples, n_features)
    device : torch.device
        Where neighbours are searched for: on CUDA, else by scikit-learn.
    search : callable, default=device_neighbors
        How they are found on CUDA.

    Returns
    -------
    graphs : dict of float to GroupMerges
        By the degree to which components of the points are whitened.
    """
    fitted = WhitenedComponents().fit(points)
    copies = Copies.of_rows(points)
    points = points[copies.first]
    tasks = []
    for whitening in WHITENINGS:
        components = copy.copy(fitted).set_params(whitening=whitening)
        neighbors = None
        if device.type == "cuda":
            neighbors = search(components.transform(points), N_NEIGHBORS, device)
        tasks.append((components, points, copies, neighbors))
    # As many at once as the user's joblib.parallel_config says: one by default.
    graphs = Parallel()(delayed(_merged_graph)(*task) for task in tasks)
    return dict(zip(WHITENINGS, graphs, strict=True))


@sklearn_defaults()
def _merged_graph(components, points, copies, neighbors):
    coordinates = components.transform(points)
    neighbors = neighbors or nearest_neighbors(coordinates)
    return merge_neighbors(neighbors, copies, coordinates)


def nearest_labels(graphs, prior):
    """The labels nearest to the prior among those of several graphs.

    Those of the least KL(f || u) are taken: the term of the objective that asks for no
    network.

    Parameters
    ----------
    graphs : dict of float to GroupMerges
    prior : ndarray of shape (n_clusters,)
        Expected frequencies u of the clusters, in any order; at most n_samples.

    Returns
    -------
    labels : ndarray of shape (n_samples,)
        Values in 0 to n_clusters - 1.
    divergence : float
        Their KL(f || u).
    """
    n_clusters = len(prior)
    found = []
    for merges in graphs.values():
        labels = merges.labels(n_clusters)
        found.append((size_divergence(sizes_of(labels, n_clusters), prior), labels))
    divergence, labels = min(found, key=lambda candidate: candidate[0])
    return labels, divergence


def path_integral_labels(points, prior, device):
    """The labels of the points that are nearest to the prior; see `nearest_labels`."""
    if len(prior) == 1:
        return np.zeros(len(points), dtype=np.intp), 0.0
    return nearest_labels(merged_graphs(points, device), prior)


def labels_apart(graphs, n_clusters, of_images=True):
    """The labels between which the walks lead least, if these clusters lie apart.

    Parameters
    ----------
    graphs : dict of float to GroupMerges
    n_clusters : int
        At least 2.
    of_images : bool, default=True
        Whether the samples are images that can be distorted.

    Returns
    -------
    labels : ndarray of shape (n_samples,) or None
        Values in 0 to n_clusters - 1.
    """
    found = []
    for merges in graphs.values():
        labels = merges.labels(n_clusters)
        found.append((_agreement(merges, labels), labels))
    agreement, labels = max(found, key=lambda candidate: candidate[0])
    return labels if _are_apart(graphs, labels, agreement, of_images) else None


def number_apart(graphs, of_images=True):
    """How many clusters there are by the graphs whose own clusters lie apart.

    Parameters
    ----------
    graphs : dict of float to GroupMerges
    of_images : bool, default=True
        Whether the samples are images that can be distorted.

    Returns
    -------
    n_clusters : int
        The median of what their trees say, of two the higher one; 0 if there are none.
    """
    numbers = []
    for merges in graphs.values():
        number = merges.number()
        if number == 1:
            continue
        labels = merges.labels(number)
        if _are_apart(graphs, labels, _agreement(merges, labels), of_images):
            numbers.append(number)
    # With too few clusters, classes are mixed; with too many, none is lost.
    return median_high(numbers) if numbers else 0


def number_that_all_tell(graphs):
    """How many clusters of rows there are, if all trees say the same, and these apart.

    Parameters
    ----------
    graphs : dict of float to GroupMerges

    Returns
    -------
    n_clusters : int or None
        At least 2.
    """
    number, *others = {merges.number() for merges in graphs.values()}
    if others or number == 1 or labels_apart(graphs, number, of_images=False) is None:
        return None
    return number


def number_of_kinds(graphs):
    """How many clusters there are if each is one sample and its copies.

    Parameters
    ----------
    graphs : dict of float to GroupMerges

    Returns
    -------
    n_clusters : int or None
        None if most samples have no copies, or trees say something else.
    """
    merges = next(iter(graphs.values()))
    n_points, n_samples = len(merges.groups), len(merges.copies.point)
    if 2 * n_points > n_samples:
        return None
    told = median_high(merges.number() for merges in graphs.values())
    return n_points if told == n_points else None


def _are_apart(graphs, labels, agreement, of_images):
    """Whether clusters of one of the graphs lie apart.

    Along a curve a step leads to what is near, so a walk hardly leaves any part of it.
    But which parts these are differs from graph to graph. So labels of rows have to be
    the same in most graphs, unless no step at all leaves a cluster.
    """
    if agreement < (UNMIXED if of_images else UNMIXED_ROWS):
        return False
    # Or none but for rounding.
    if of_images or agreement > 1 - 1e-9:
        return True
    n_clusters, n_alike = int(labels.max()) + 1, 0
    for merges in graphs.values():
        index = adjusted_rand_score(labels, merges.labels(n_clusters))
        n_alike += index >= SAME_LABELS
    return 2 * n_alike > len(graphs)


def _agreement(merges, labels):
    if labels.max() + 1 == len(merges.groups):
        # The samples of each cluster equal each other, and no others.
        return 1.0
    return score(merges.step_frequencies(labels), len(labels))[0]


def partitions_by_graphs(graphs, groups, n_groups, n_clusters):
    """How graphs would join groups: each to what most of its samples are in there.

    Parameters
    ----------
    graphs : dict of float to GroupMerges
    groups : ndarray of shape (n_samples,)
        Values in 0 to n_groups - 1.
    n_groups, n_clusters : int

    Returns
    -------
    partitions : list of ndarray of shape (n_groups,)
        One for each graph, with values in 0 to n_clusters - 1.
    """
    partitions = []
    for merges in graphs.values():
        counts = np.zeros((n_groups, n_clusters), dtype=np.int64)
        np.add.at(counts, (groups, merges.labels(n_clusters)), 1)
        partitions.append(counts.argmax(axis=1))
    return partitions


def even_number(graphs, n_samples):
    """The number of clusters, where some cut has clusters of equal size.

    Parameters
    ----------
    graphs : dict of float to GroupMerges
    n_samples : int

    Returns
    -------
    n_clusters : int or None
        The one whose evenness is least probable; None if no cut is even.
    """
    best, found = np.inf, None
    most = min(MAX_EVEN_CLUSTERS, n_samples // MIN_EVEN_CLUSTER)
    for merges in graphs.values():
        # Where small groups go depends on the number of clusters, but not strongly.
        low, high = 2, min(16, most)
        while low <= high:
            numbers = np.arange(low, high + 1)
            children = merges.tree(int(high)).children
            divergences = unevenness_of_cuts(children, numbers)
            even = is_even(divergences, n_samples, numbers, EVEN_BY_CHANCE_OF_MANY)
            by_chance = chance(n_samples, numbers)
            surprise = np.log(divergences + by_chance) * (numbers - 1)
            surprise[~even] = np.inf
            if surprise.min() < best:
                best, found = surprise.min(), int(numbers[surprise.argmin()])
            low, high = high + 1, min(2 * high, most)
    return found
