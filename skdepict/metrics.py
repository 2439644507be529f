"""Scores of a clustering: against classes, and without any.

`silhouette`, `confidence` and `stability` are scorers: they are called with a fitted
estimator and samples, need no classes, and can be passed as `scoring` to
:class:`~sklearn.model_selection.GridSearchCV`, one of them or, by name, all of them as
`SCORERS`.
"""

import os
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment
from sklearn.base import BaseEstimator, clone
from sklearn.metrics import adjusted_rand_score, silhouette_score
from sklearn.metrics.cluster import contingency_matrix
from sklearn.utils import _safe_indexing, check_array, check_random_state
from sklearn.utils.validation import _num_samples

from skdepict._data.checks import as_samples, is_tensor
from skdepict._data.hints import RandomStateLike, SamplesLike
from skdepict._data.partwise import open_partwise

__all__ = ["SCORERS", "clustering_accuracy", "confidence", "silhouette", "stability"]

# The silhouette compares all pairs of these.
MAX_COMPARED = 5000


def clustering_accuracy(labels_true: ArrayLike, labels_pred: ArrayLike) -> float:
    """The share of samples that agree under the best one-to-one map of the labels.

    Each cluster is matched with at most one class, and each class with at most one
    cluster, so that the most samples agree (the Hungarian method). Samples of clusters
    or classes without a match count as wrong.

    Parameters
    ----------
    labels_true : array-like of shape (n_samples,)
        Class labels.
    labels_pred : array-like of shape (n_samples,)
        Cluster labels; their names do not matter.

    Returns
    -------
    accuracy : float in (0, 1]
        1 where clusters and classes are the same but for their names.

    Raises
    ------
    ValueError
        If the labels are none, have more than one axis, differ in length, or if one of
        them is missing.

    See Also
    --------
    sklearn.metrics.normalized_mutual_info_score : Needs no matching.
    sklearn.metrics.adjusted_rand_score : Corrected for chance.

    Examples
    --------
    >>> from skdepict.metrics import clustering_accuracy
    >>> clustering_accuracy([0, 0, 1, 1], [1, 1, 0, 0])
    1.0
    >>> clustering_accuracy(["a", "a", "b", "b"], [0, 0, 0, 1])
    0.75
    """
    classes_of = _labels(labels_true, "labels_true")
    clusters_of = _labels(labels_pred, "labels_pred")
    if len(classes_of) != len(clusters_of):
        raise ValueError(
            f"labels_true has length {len(classes_of)} and labels_pred has length "
            f"{len(clusters_of)}. Pass two labels of the same samples, in their order."
        )
    counts = contingency_matrix(classes_of, clusters_of)
    classes, clusters = linear_sum_assignment(counts, maximize=True)
    return float(counts[classes, clusters].sum() / np.sum(counts))


def silhouette(
    estimator: BaseEstimator,
    X: SamplesLike,
    y: object = None,
    *,
    max_samples: int = MAX_COMPARED,
    random_state: RandomStateLike = 0,
) -> float:
    """The mean silhouette of the predicted clusters in the embedding.

    How much nearer samples are to their own cluster than to the next one. The embedding
    is the estimator's own, so this compares settings that shape it only with care: a
    network that pushes samples together scores high, rightly or wrongly.

    Parameters
    ----------
    estimator : estimator
        Fitted, with `predict` and `transform`; also a Pipeline that ends in one.
    X : array-like
        Samples.
    y : Ignored
        Not used, present for API consistency.
    max_samples : int, default=5000
        Of more samples a random part of this size is compared, since the silhouette
        takes all pairs.
    random_state : int, RandomState instance or None, default=0
        Draws that part.

    Returns
    -------
    score : float in [-1, 1]
        Higher is better. -1 where all samples are in one cluster, or each in its own.

    See Also
    --------
    sklearn.metrics.silhouette_score : The same for given points and labels.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdepict import DEPICTClustering
    >>> from skdepict.metrics import silhouette
    >>> images = load_digits().images[:200]
    >>> model = DEPICTClustering(10, fit_epochs=10, max_iter=2, random_state=0)
    >>> silhouette(model.fit(images), images) > 0.2
    True
    """
    X, n_samples = _opened(X)
    if n_samples > max_samples:
        chosen = check_random_state(random_state).permutation(n_samples)[:max_samples]
        X = _taken(X, np.sort(chosen))
    labels = estimator.predict(X)
    if not 2 <= len(np.unique(labels)) < len(labels):
        return -1.0
    return float(silhouette_score(estimator.transform(X), labels))


def confidence(estimator: BaseEstimator, X: SamplesLike, y: object = None) -> float:
    """The mean probability of the predicted clusters.

    Parameters
    ----------
    estimator : estimator
        Fitted, with `predict_proba`; also a Pipeline that ends in one.
    X : array-like
        Samples. Those that the estimator was not fitted to tell more.
    y : Ignored
        Not used, present for API consistency.

    Returns
    -------
    score : float in (0, 1]
        Higher is better. Comparable at equal numbers of clusters: fewer clusters are
        easier to be sure of.

    See Also
    --------
    DEPICTClustering.score : The mean logarithm of the same probabilities.
    """
    return float(np.mean(np.max(estimator.predict_proba(X), axis=1)))


def stability(
    estimator: BaseEstimator,
    X: SamplesLike,
    y: object = None,
    *,
    random_state: RandomStateLike = 0,
    n_jobs: int | None = None,
) -> float:
    """How far two fits to the halves of the samples agree on all of them.

    Clusters that are in the data come back from other samples of it; those that a fit
    has made up do not (Lange, Roth, Braun and Buhmann, Neural Computation 16, 2004).

    Parameters
    ----------
    estimator : estimator
        With `predict`; also a Pipeline that ends in one. It is not changed: clones of
        it are fitted.
    X : array-like
        Samples; at least as many in each half as there are clusters.
    y : Ignored
        Not used, present for API consistency.
    random_state : int, RandomState instance or None, default=0
        Draws the halves.
    n_jobs : int, default=None
        How many of the two fits run at once, on the backend that
        :class:`joblib.parallel_config` names; None is one, or what that says.

    Returns
    -------
    score : float in [-0.5, 1]
        The adjusted Rand index of the labels that both fits predict for all samples.
        Higher is better; 0 is chance, and what one cluster gets.

    Notes
    -----
    Takes two fits to half of X each, in addition to the fit that is scored. In a
    cross-validation X is the test part: take one that is not small, such as
    ``ShuffleSplit(1, test_size=0.5)``.
    """
    X, n_samples = _opened(X)
    order = check_random_state(random_state).permutation(n_samples)
    half = len(order) // 2
    predictions = Parallel(n_jobs=n_jobs)(
        delayed(_fit_and_predict)(clone(estimator), _taken(X, np.sort(part)), X)
        for part in (order[:half], order[half:])
    )
    if min(len(np.unique(labels)) for labels in predictions) < 2:
        return 0.0
    return float(adjusted_rand_score(*predictions))


def _fit_and_predict(estimator: BaseEstimator, part: Any, X: Any) -> Any:
    return estimator.fit(part).predict(X)


def _labels(labels: ArrayLike, name: str) -> NDArray[Any]:
    array: NDArray[Any] = check_array(
        labels, ensure_2d=False, dtype=None, input_name=name
    )
    if array.ndim != 1:
        raise ValueError(
            f"{name} has shape {array.shape}; expected a 1D array of labels, one for "
            "each sample. Of probabilities take argmax(axis=1)."
        )
    return array


def _opened(X: Any) -> tuple[Any, int]:
    """X as something to take samples from, and how many there are.

    What a pipeline may begin with, such as texts, is left to it.
    """
    lazy = hasattr(X, "collect") or hasattr(X, "compute")
    if isinstance(X, (str, os.PathLike)) or is_tensor(X) or lazy:
        X = as_samples(X)
    rows = open_partwise(X)
    return X, _num_samples(X) if rows is None else len(rows)


def _taken(X: Any, index: NDArray[np.int64]) -> Any:
    """Some of the samples, in memory."""
    rows = open_partwise(X)
    if rows is None:
        return _safe_indexing(X, index)
    return rows[index].reshape(len(index), *rows.sample_shape)


SCORERS = {"silhouette": silhouette, "confidence": confidence, "stability": stability}
