"""Checks of parameters that depend on the data."""

import math

import numpy as np
from sklearn.utils import check_array, column_or_1d


def check_prior(prior, n_clusters):
    """Check the prior cluster frequencies.

    Parameters
    ----------
    prior : array-like of shape (n_clusters,) or None
    n_clusters : int

    Returns
    -------
    prior : ndarray of shape (n_clusters,) or None

    Raises
    ------
    ValueError
        If it has another length, an entry that is not positive, or another sum than 1.
    """
    if prior is None:
        return None
    advice = (
        f"Pass n_clusters={n_clusters} positive frequencies that sum to 1, or None for "
        "clusters of about equal size."
    )
    prior = column_or_1d(
        check_array(prior, ensure_2d=False, dtype=np.float64, input_name="prior")
    )
    if len(prior) != n_clusters:
        raise ValueError(f"prior has {len(prior)} entries. {advice}")
    if np.any(prior <= 0):
        raise ValueError(f"prior has an entry of {prior.min():g}. {advice}")
    if not math.isclose(prior.sum(), 1.0, abs_tol=1e-6):
        raise ValueError(f"prior sums to {prior.sum():g}. {advice}")
    return prior


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
    ValueError
        If an array is neither.
    """
    if isinstance(init, str) or hasattr(init, "fit_predict"):
        return init
    array = check_array(init, ensure_2d=False, allow_nd=True, input_name="init")
    if array.ndim == 1:
        return _check_labels(array, n_samples, n_clusters)
    n_features = math.prod(sample_shape)
    if len(array) != n_clusters or math.prod(array.shape[1:]) != n_features:
        raise ValueError(
            f"init is an array of shape {array.shape}. Pass labels of shape "
            f"({n_samples},), or centres of shape ({n_clusters}, {n_features})."
        )
    return array.reshape(n_clusters, n_features)


def _check_labels(labels, n_samples, n_clusters):
    if len(labels) != n_samples:
        raise ValueError(
            f"init has {len(labels)} labels, but X has {n_samples} samples."
        )
    whole = labels.astype(np.int64)
    if np.any(whole != labels) or whole.min() < 0 or whole.max() >= n_clusters:
        raise ValueError(
            f"init has labels from {labels.min()} to {labels.max()}. Pass integers from "
            f"0 to n_clusters - 1 = {n_clusters - 1}."
        )
    return whole
