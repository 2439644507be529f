"""From data to starting labels and starting softmax weights."""

import copy
import math

import numpy as np
from joblib import Parallel, delayed
from scipy import sparse
from sklearn.base import clone
from sklearn.cluster import KMeans

from skdepict._path_integral.components import WhitenedComponents
from skdepict._path_integral.copies import Copies
from skdepict._path_integral.cuts import cut_children, most_even_cut
from skdepict._path_integral.estimator import PathIntegralClustering
from skdepict._path_integral.graph import N_NEIGHBORS, nearest_neighbors
from skdepict._path_integral.tree import tree_of_neighbors
from skdepict._surroundings import sklearn_defaults
from skdepict._training.device_neighbors import device_neighbors
from skdepict._training.objectives import size_divergence, sizes_of
from skdepict._training.settings import check_init_array
from skdepict._training.streams import stream_seed

# Which of these suits the data differs from one to the next, so all are tried.
WHITENINGS = (0.0, 0.3, 0.6, 0.8, 1.0)
# A tree may be cut at different heights, but no lower than at this many clusters for
# each that is asked for, and only where that brings KL(f || u) down to this share: any
# tree has a cut that is a little more even, and clusters need not be.
PARTS_PER_CLUSTER = 1.25
UNEVEN_HEIGHTS = 0.45
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


def find_n_clusters(init, rows):
    """The number of clusters, where the user leaves it open.

    Parameters
    ----------
    init : str, estimator or array-like
        Labels and centres tell the number themselves. For everything else it is what
        `PathIntegralClustering` finds in the samples.
    rows : ndarray of shape (n_samples, n_features)
        The samples.

    Returns
    -------
    n_clusters : int
    """
    if not isinstance(init, str) and not hasattr(init, "fit_predict"):
        array = check_init_array(init)
        return len(array) if array.ndim > 1 else max(int(array.max()) + 1, 1)
    return PathIntegralClustering(n_clusters=None).fit(rows).n_clusters_


def path_integral_labels(points, prior, device, search=device_neighbors):
    """The labels nearest to the prior among those of several graphs.

    Agglomerative clustering by path integrals on components of the points, whitened to
    several degrees. Of the labels that come out, those of the least KL(f || u) are
    taken: the term of the objective that asks for no network. Where the prior is
    uniform, a merge tree may also be cut where the sizes are most even, if that is much
    nearer.

    Parameters
    ----------
    points : ndarray of shape (n_samples, n_features)
    prior : ndarray of shape (n_clusters,)
        Expected frequencies u of the clusters, in any order; at most n_samples.
    device : torch.device
        Where neighbours are searched for: on CUDA, else by scikit-learn.
    search : callable, default=device_neighbors
        How they are found on CUDA.

    Returns
    -------
    labels : ndarray of shape (n_samples,)
        Values in 0 to n_clusters - 1.
    divergence : float
        Their KL(f || u).
    """
    if len(prior) == 1:
        return np.zeros(len(points), dtype=np.intp), 0.0
    fitted = WhitenedComponents().fit(points)
    copies = Copies.of_rows(points)
    points = points[copies.first]
    tasks = []
    for whitening in WHITENINGS:
        components = copy.copy(fitted).set_params(whitening=whitening)
        neighbors = None
        if device.type == "cuda":
            neighbors = search(components.transform(points), N_NEIGHBORS, device)
        tasks.append((components, points, copies, neighbors, prior))
    # As many at once as the user's joblib.parallel_config says: one by default.
    candidates = Parallel()(delayed(_labels_of_graph)(*task) for task in tasks)
    divergence, labels = min(candidates, key=lambda candidate: candidate[0])
    return labels, divergence


@sklearn_defaults()
def _labels_of_graph(components, points, copies, neighbors, prior):
    """The labels of one graph that are nearest to the prior, and how near they are."""
    coordinates = components.transform(points)
    neighbors = neighbors or nearest_neighbors(coordinates)
    n_clusters, uniform = len(prior), np.allclose(prior, prior[0])
    n_parts = math.ceil(PARTS_PER_CLUSTER * n_clusters) if uniform else n_clusters
    n_parts = min(n_parts, len(copies.point))
    children = tree_of_neighbors(neighbors, copies, coordinates, n_parts).children
    labels = cut_children(children, n_clusters)
    divergence = size_divergence(sizes_of(labels, n_clusters), prior)
    if uniform:
        even = most_even_cut(children, n_parts, n_clusters)
        even_divergence = size_divergence(sizes_of(even, n_clusters), prior)
        if even_divergence < UNEVEN_HEIGHTS * divergence:
            return even_divergence, even
    return divergence, labels


def initial_labels(settings, rows, embedding, device):
    """Label the samples before the network does.

    Parameters
    ----------
    settings : Settings
        With `init`: a method's name, a scikit-learn clusterer, labels of shape
        (n_samples,) or centres of shape (n_clusters, n_features).
    rows : callable
        Returns the scaled samples as an ndarray of shape (n_samples, n_features).
        "path-integral" and centres work on these.
    embedding : callable
        Returns the embedding, an ndarray of shape (n_samples, embedding_dim). "kmeans"
        and clusterers work on it.
    device : torch.device
        Where "path-integral" searches for neighbours.

    Returns
    -------
    labels : ndarray of shape (n_samples,)
        Values in 0 to n_clusters - 1; unless labels or centres were given, in the order
        of the prior.

    Raises
    ------
    ValueError
        If a given clusterer finds no cluster or more than n_clusters.
    """
    init, prior = settings.init, settings.prior
    if isinstance(init, np.ndarray):
        return init if init.ndim == 1 else _nearest_center(rows(), init)
    if isinstance(init, str) and init == "path-integral":
        labels, _ = path_integral_labels(rows(), prior, device)
    else:
        clusterer = KMeans(n_init=10) if isinstance(init, str) else init
        seed = stream_seed(settings.seed, "clusterer")
        labels = _clusterer_labels(clusterer, len(prior), embedding(), seed)
    return order_by_prior(labels, prior)


def _clusterer_labels(init, n_clusters, embedding, random_state):
    clusterer = clone(init)
    parameters = clusterer.get_params(deep=False)
    for name in ("n_clusters", "n_components"):
        if name in parameters:
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


def class_means(points, labels, n_clusters):
    """The mean of the points of each label; NaN for a label that has none.

    Parameters
    ----------
    points : ndarray of shape (n_samples, n_dimensions)
    labels : ndarray of shape (n_samples,)
        Values in 0 to n_clusters - 1.
    n_clusters : int

    Returns
    -------
    means : ndarray of shape (n_clusters, n_dimensions)
    """
    return mean_of_sums(*class_sums(points, labels, n_clusters))


def class_sums(points, labels, n_clusters):
    """The sum, and the number, of the points of each label; as for `class_means`."""
    places = labels, np.arange(len(labels))
    members = sparse.csr_array(
        (np.ones(len(labels), dtype=points.dtype), places),
        shape=(n_clusters, len(labels)),
    )
    return members @ points, np.bincount(labels, minlength=n_clusters)


def mean_of_sums(sums, counts):
    """Sums over counts; NaN where nothing was counted."""
    sums[counts == 0] = np.nan
    return sums / np.maximum(counts, 1)[:, None].astype(sums.dtype)


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
