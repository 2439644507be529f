"""From data to starting labels and starting softmax weights."""

import math
from typing import NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.utils import check_array

from skdepict._path_integral.estimator import PathIntegralClustering
from skdepict._training.graphs import (
    are_even,
    even_number,
    labels_apart,
    nearest_labels,
    number_apart,
    number_of_kinds,
    number_that_all_tell,
    uniform,
)
from skdepict._training.number import (
    are_apart,
    number_before_fall,
    number_in_distorted_views,
)
from skdepict._training.objectives import class_means, sizes_of
from skdepict._training.settings import MIN_FINE, n_fine_groups
from skdepict._training.streams import stream_seed

# Fine groups of a graph with components whitened so far are pure on all data.
FINE_WHITENING = 0.3
# What clusterers call the number of clusters.
NAMES_OF_NUMBER = {"n_clusters", "n_components"}
# How many samples the sizes count that starting labels had, for one in training.
PRIOR_STRENGTH = 1.0
# Starting labels of more samples than these are found on a random part of them: the
# search for neighbours grows with the square.
MAX_LABELLED = 50_000


def check_init(init, n_samples, n_clusters, sample_shape):
    """Check `init`; names and clusterers pass through.

    Parameters
    ----------
    init : str, estimator or array-like
    n_samples, n_clusters : int
    sample_shape : tuple of int

    Returns
    -------
    init : str, estimator or ndarray
        Labels of shape (n_samples,), or centres of shape (n_clusters, n_features).

    Raises
    ------
    ValueError, TypeError
        If an array is neither, or a class was given.
    """
    if isinstance(init, type):
        name = init.__name__
        raise TypeError(
            f"init={name} is a class. Pass an instance of it: init={name}()."
        )
    if isinstance(init, str) or hasattr(init, "fit_predict"):
        return init
    array = check_init_array(init)
    if array.ndim == 1:
        return _check_labels(array, n_samples, n_clusters)
    n_features = math.prod(sample_shape)
    if len(array) != n_clusters or math.prod(array.shape[1:]) != n_features:
        raise ValueError(
            f"init is an array of shape {array.shape}. Pass labels of shape "
            f"({n_samples},), or centres of shape ({n_clusters}, {n_features})."
        )
    return array.reshape(n_clusters, n_features)


def check_init_array(init):
    """Labels or centres as an array of numbers."""
    array = np.asarray(init)
    if array.dtype.kind in "USOT":
        names = array.ravel()[:1].tolist()
        raise ValueError(
            f"init has entries such as {names}, but labels are integers from 0 to "
            "n_clusters - 1. Number them: init = "
            "sklearn.preprocessing.LabelEncoder().fit_transform(names)."
        )
    return check_array(array, ensure_2d=False, allow_nd=True, input_name="init")


def _check_labels(labels, n_samples, n_clusters):
    if len(labels) != n_samples:
        raise ValueError(
            f"init has {len(labels)} labels, but X has {n_samples} samples."
        )
    whole = labels.astype(np.int64)
    if np.any(whole != labels) or whole.min() < 0 or whole.max() >= n_clusters:
        raise ValueError(
            f"init has labels from {labels.min()} to {labels.max()}. Pass integers "
            f"from 0 to n_clusters - 1 = {n_clusters - 1}."
        )
    return whole


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


def known_n_clusters(init, rows, has_views):
    """The number of clusters that can be told before anything is trained.

    Parameters
    ----------
    init : str, estimator or array-like
        Labels and centres tell the number themselves.
    rows : ndarray or PartwiseRows of shape (n_samples, n_features)
        The samples.
    has_views : bool
        Whether joins are told by distorted images or by neighbours in a table. Dropout
        alone says little of few samples.

    Returns
    -------
    n_clusters : int or None
        What `PathIntegralClustering` finds in few samples, which are too few for groups
        that are finer than clusters; otherwise None.
    """
    if not isinstance(init, str) and not hasattr(init, "fit_predict"):
        array = check_init_array(init)
        return len(array) if array.ndim > 1 else max(int(array.max()) + 1, 1)
    if n_fine_groups(len(rows), None) >= (1 if has_views else MIN_FINE):
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
    apart : bool
        Whether these are clusters that lie apart.
    """

    labels: np.ndarray
    prior: np.ndarray
    estimated: bool = False
    final: bool = True
    apart: bool = False


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
        where they are not even, as the prior has it if there is one, nor apart, fine
        groups, if there may be any.

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
            n_clusters = number_of_kinds(merged)
            n_clusters = n_clusters or _even_number(merged, settings)

        def label(n_groups, prior=None):
            if prior is not None:
                return nearest_labels(merged, prior)[0]
            return merged[FINE_WHITENING].labels(n_groups)
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
        if not n_fine or _are_even_as_expected(start):
            return start
        if settings.by_path_integral:
            apart = start_apart(merged, n_clusters, settings.distorts)
            if apart is not None and prior is not None:
                return Start(order_by_prior(apart.labels, prior), prior, apart=True)
            if apart is not None:
                return apart
    return Start(label(n_fine), uniform(n_fine), final=False)


def _are_even_as_expected(start):
    """Whether it can be no chance that clusters are even, as is expected of them."""
    return not start.estimated and are_even(start.labels, start.prior)


def start_of_joined(labels, n_clusters, prior, overlap):
    """Starting labels of clusters that were joined of groups.

    Parameters
    ----------
    labels : ndarray of shape (n_samples,)
    n_clusters : int
    prior : ndarray of shape (n_clusters,) or None
        What the user gave.
    overlap : bool
        Whether clusters of rows overlap.
    """
    if prior is not None:
        return Start(order_by_prior(labels, prior), prior)
    # Of clusters that overlap, one that is estimated lets the large ones grow.
    return with_prior(labels, uniform(n_clusters) if overlap else None, n_clusters)


def _even_number(graphs, settings):
    """The number of clusters of equal size, unless they may be parts of fewer."""
    n_clusters = even_number(graphs, settings.n_labelled)
    if n_clusters is None or not settings.is_table:
        return n_clusters
    # Parts of a curve are of equal size, too.
    return n_clusters if number_that_all_tell(graphs) in (None, n_clusters) else None


def start_apart(graphs, n_clusters, of_images=True):
    """Clusters that lie apart by some graph.

    Parameters
    ----------
    graphs : dict of float to GroupMerges
    n_clusters : int
        At least 2.
    of_images : bool, default=True
        Whether the samples are images that can be distorted.

    Returns
    -------
    start : Start or None
    """
    labels = labels_apart(graphs, n_clusters, of_images)
    if labels is None:
        return None
    return with_prior(labels, None, n_clusters)._replace(apart=True)


def start_by_graphs(graphs, of_joins, n_clusters, of_rows):
    """Clusters of rows, or of images, where graphs know better than joins; or None."""
    if of_rows:
        return start_of_curves(graphs, of_joins)
    return start_of_more_apart(graphs, of_joins, n_clusters)


def start_of_more_apart(graphs, of_joins, n_clusters):
    """Clusters of images that lie apart, as many as were found or more.

    Neighbours join many small clusters, however far apart they lie. Where these do, the
    graphs know their number, or it is the one up to which all are distinct.

    Parameters
    ----------
    graphs : dict of float to GroupMerges
    of_joins : ndarray of shape (n_numbers, 4)
        See `Joins`.
    n_clusters : int
        What neighbours tell.

    Returns
    -------
    start : Start or None
        Of the largest of these numbers at which clusters lie apart.
    """
    distinct = number_in_distorted_views(of_joins)
    for number in sorted({n_clusters, number_apart(graphs), distinct}, reverse=True):
        start = start_apart(graphs, number) if number >= n_clusters else None
        if start is not None:
            return start
    return None


def start_of_curves(graphs, of_joins):
    """Clusters of rows that lie apart, where groups do not tell them from each other.

    Groups along one curve are as distinct as groups of two curves. So where all trees
    tell one number, and joins of groups say that as many clusters overlap, trees are
    believed, unless the joins have a fall.

    Parameters
    ----------
    graphs : dict of float to GroupMerges
    of_joins : ndarray of shape (n_numbers, 4)
        See `Joins`.

    Returns
    -------
    start : Start or None
    """
    number = number_that_all_tell(graphs)
    if number is None or number_before_fall(of_joins) is not None:
        return None
    n_groups = len(of_joins) + 1
    if number <= n_groups and are_apart(of_joins, number):
        return None
    return start_apart(graphs, number, of_images=False)


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
    if are_even(labels, uniform(n_clusters)):
        return Start(labels, uniform(n_clusters))
    sizes = sizes_of(labels, n_clusters)
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
