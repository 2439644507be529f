"""From data to starting labels and starting softmax weights."""

import copy
import math
from typing import NamedTuple

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.cluster import KMeans

from skdepict._path_integral.components import WhitenedComponents
from skdepict._path_integral.copies import Copies
from skdepict._path_integral.cuts import cut_children, unevenness_of_cuts
from skdepict._path_integral.estimator import PathIntegralClustering
from skdepict._path_integral.graph import N_NEIGHBORS, nearest_neighbors
from skdepict._path_integral.tree import merge_neighbors
from skdepict._surroundings import sklearn_defaults
from skdepict._training.device_neighbors import device_neighbors
from skdepict._training.objectives import (
    chance,
    class_means,
    size_divergence,
    sizes_of,
)
from skdepict._training.settings import MIN_FINE, check_init_array, n_fine_groups
from skdepict._training.streams import stream_seed

# Which of these suits the data differs from one to the next, so all are tried.
WHITENINGS = (0.0, 0.3, 0.6, 0.8, 1.0)
# The one whose fine groups are pure on all data.
FINE_WHITENING = 0.3
# Sizes are even where KL(f || u) is this share of what it is for even clusters of which
# one is split in halves, or chance more.
EVEN = 0.25
# And where so even ones have a smaller probability, if any sizes are as likely: 0.05
# for the labels of one graph, of which the most even ones are taken.
EVEN_BY_CHANCE = 0.05 / len(WHITENINGS)
# They tell a number of clusters, among the many cuts of trees, if it is below this.
EVEN_BY_CHANCE_OF_MANY = math.exp(-12)
MAX_EVEN_CLUSTERS = 500
MIN_EVEN_CLUSTER = 10
# What clusterers call the number of clusters.
NAMES_OF_NUMBER = {"n_clusters", "n_components"}
# How many samples the sizes count that starting labels had, for one in training.
PRIOR_STRENGTH = 1.0
# Starting labels of more samples than these are found on a random part of them: the
# search for neighbours grows with the square.
MAX_LABELLED = 50_000


def labels_are_given(init):
    """Whether a checked `init` is the label of each sample."""
    return isinstance(init, np.ndarray) and init.ndim == 1


def samples_to_label(init, n_samples, seed):
    """Which samples get starting labels.

    Parameters
    ----------
    init : str, estimator or ndarray
        The parameter of `DEPICTClustering`.
    n_samples : int
    seed : int
        Of the fit.

    Returns
    -------
    members : ndarray of shape (n_members,) or None
        A random part, in increasing order; None for all samples: where labels were
        given, or where there are no more than `MAX_LABELLED`.
    """
    if labels_are_given(init) or n_samples <= MAX_LABELLED:
        return None
    generator = np.random.default_rng(stream_seed(seed, "members"))
    return np.sort(generator.choice(n_samples, MAX_LABELLED, replace=False))


def known_n_clusters(init, rows):
    """The number of clusters that can be told before anything is trained.

    Parameters
    ----------
    init : str, estimator or array-like
        Labels and centres tell the number themselves.
    rows : ndarray or PartwiseRows of shape (n_samples, n_features)
        The samples.

    Returns
    -------
    n_clusters : int or None
        What `PathIntegralClustering` finds in few samples, which are too few for groups
        that are finer than clusters; otherwise None.
    """
    if not isinstance(init, str) and not hasattr(init, "fit_predict"):
        array = check_init_array(init)
        return len(array) if array.ndim > 1 else max(int(array.max()) + 1, 1)
    if n_fine_groups(len(rows), None) == MIN_FINE:
        return None
    return PathIntegralClustering(n_clusters=None).fit(rows[:]).n_clusters_


class Start(NamedTuple):
    """What a round starts from.

    Attributes
    ----------
    labels : ndarray of shape (n_members,)
        Values in 0 to n_groups - 1.
    prior : ndarray of shape (n_groups,)
        Expected frequencies of the groups.
    estimated : bool
        Whether the prior is only a guess, which training improves.
    final : bool
        Whether the groups are the clusters, and not yet to be joined.
    """

    labels: np.ndarray
    prior: np.ndarray
    estimated: bool = False
    final: bool = True


def uniform(n_clusters):
    """Equal frequencies."""
    return np.full(n_clusters, 1.0 / n_clusters)


def is_even(divergence, n_samples, n_clusters, most_probable=EVEN_BY_CHANCE):
    """Whether clusters are so equally large that it can be no chance.

    Splitting one of k equal clusters in halves makes KL(f || u) = log(1 + 1/k) - log(2)
    / k, nearly (1 - log 2) / k. If all sizes are equally likely, the share of them with
    a smaller KL(f || u) is proportional to the power (k - 1) / 2 of it: nothing can be
    said of two clusters.

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
    bound = EVEN * (1.0 - math.log(2.0)) / n_clusters + by_chance
    # The mean of KL(f || u) for sizes that are all equally likely, for many clusters.
    typical = 1.0 - np.euler_gamma
    probability = ((divergence + by_chance) / typical) ** ((n_clusters - 1) / 2)
    return (divergence <= bound) & (probability <= most_probable)


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
        labels = cut_children(merges.tree(n_clusters).children, n_clusters)
        found.append((size_divergence(sizes_of(labels, n_clusters), prior), labels))
    divergence, labels = min(found, key=lambda candidate: candidate[0])
    return labels, divergence


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
        labels = cut_children(merges.tree(n_clusters).children, n_clusters)
        counts = np.zeros((n_groups, n_clusters), dtype=np.int64)
        np.add.at(counts, (groups, labels), 1)
        partitions.append(counts.argmax(axis=1))
    return partitions


def path_integral_labels(points, prior, device):
    """The labels of the points that are nearest to the prior; see `nearest_labels`."""
    if len(prior) == 1:
        return np.zeros(len(points), dtype=np.intp), 0.0
    return nearest_labels(merged_graphs(points, device), prior)


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


def starting_labels(settings, rows, embedding, graphs):
    """Label the samples before the network does.

    Parameters
    ----------
    settings : Settings
        With `init`: a method's name, a scikit-learn clusterer, labels of shape
        (n_samples,) or centres of shape (n_clusters, n_features).
    rows : callable
        Returns the scaled samples as an ndarray of shape (n_samples, n_features).
        Centres work on these.
    embedding : callable
        Returns the embedding, an ndarray of shape (n_samples, embedding_dim). "kmeans"
        and clusterers work on it.
    graphs : callable
        Returns the `merged_graphs` of the rows, for "path-integral".

    Returns
    -------
    start : Start
        Clusters, in the order of the prior unless labels or centres were given. Or
        where the prior is not known and the sizes are not even, fine groups, if there
        may be any.

    Raises
    ------
    ValueError
        If a given clusterer finds no cluster or more than n_clusters.
    """
    init, prior, n_clusters = settings.init, settings.prior, settings.n_clusters
    n_fine = settings.n_fine
    if n_clusters == 1:
        return Start(np.zeros(settings.n_labelled, dtype=np.intp), uniform(1))
    if isinstance(init, np.ndarray):
        labels = init if init.ndim == 1 else _nearest_center(rows(), init)
        return with_prior(labels, prior, n_clusters)
    if settings.by_path_integral:
        merged = graphs()
        if n_clusters is None:
            n_clusters = even_number(merged, settings.n_labelled)

        def label(n_groups, prior=None):
            if prior is not None:
                return nearest_labels(merged, prior)[0]
            children = merged[FINE_WHITENING].tree(n_groups).children
            return cut_children(children, n_groups)
    else:
        clusterer = KMeans(n_init=10) if isinstance(init, str) else init
        seed = stream_seed(settings.seed, "clusterer")
        points = embedding()
        if not NAMES_OF_NUMBER & clusterer.get_params(deep=False).keys():
            # It finds what it finds, and nothing finer.
            n_fine = 0
            if n_clusters is None:
                labels = _clusterer_labels(clusterer, len(points), points, seed)
                n_clusters = int(labels.max()) + 1

        def label(n_groups, prior=None):
            return _clusterer_labels(clusterer, n_groups, points, seed)

    if n_clusters is not None:
        expected = uniform(n_clusters) if prior is None else prior
        labels = order_by_prior(label(n_clusters, expected), expected)
        start = with_prior(labels, prior, n_clusters)
        if not start.estimated or not n_fine:
            return start
    return Start(label(n_fine), uniform(n_fine), final=False)


def with_prior(labels, prior, n_clusters):
    """Starting labels of clusters, with a prior, which is estimated if there is none.

    Parameters
    ----------
    labels : ndarray of shape (n_samples,)
    prior : ndarray of shape (n_clusters,) or None
    n_clusters : int

    Returns
    -------
    start : Start
        With uniform frequencies if the clusters are even.
    """
    if prior is not None:
        return Start(labels, prior)
    sizes = sizes_of(labels, n_clusters)
    divergence = size_divergence(sizes, uniform(n_clusters))
    if is_even(divergence, len(labels), n_clusters):
        return Start(labels, uniform(n_clusters))
    # The mean of the posterior under Jeffreys' prior: no frequency is 0.
    return Start(labels, (sizes + 0.5) / (sizes.sum() + n_clusters / 2), estimated=True)


def _clusterer_labels(init, n_clusters, embedding, random_state):
    clusterer = clone(init)
    parameters = clusterer.get_params(deep=False)
    for name in NAMES_OF_NUMBER & parameters.keys():
        clusterer.set_params(**{name: n_clusters})
    if parameters.get("random_state", 0) is None:
        clusterer.set_params(random_state=random_state)
    found = clusterer.fit_predict(embedding)
    names, labels = np.unique(found[found >= 0], return_inverse=True)
    if not 1 <= len(names) <= n_clusters:
        raise ValueError(
            f"init={init!r} found {len(names)} clusters in the embedding, where "
            f"n_clusters={n_clusters} is the most that can be used. Change its "
            "parameters or n_clusters."
        )
    if np.all(found >= 0):
        return labels
    placed = np.full(len(found), -1)
    placed[found >= 0] = labels
    centers = class_means(embedding[found >= 0], labels, len(names))
    placed[found < 0] = _nearest_center(embedding[found < 0], centers)
    return placed


def _nearest_center(points, centers):
    return np.argmin(
        (centers**2).sum(axis=1) - 2 * points.astype(np.float64) @ centers.T, axis=1
    )


def order_by_prior(labels, prior):
    """Rename labels so that larger clusters get the larger prior frequencies.

    Which of the found clusters the first entry of a prior means cannot be known before
    the clusters are; matching the orders of size is the choice of least divergence.

    Parameters
    ----------
    labels : ndarray of shape (n_samples,)
    prior : ndarray of shape (n_clusters,)

    Returns
    -------
    labels : ndarray of shape (n_samples,)
    """
    sizes = np.bincount(labels, minlength=len(prior))
    new_names = np.empty(len(prior), dtype=labels.dtype)
    new_names[np.argsort(-sizes, kind="stable")] = np.argsort(-prior, kind="stable")
    return new_names[labels]
