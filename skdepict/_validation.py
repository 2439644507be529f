"""Checks of parameters that depend on the data."""

import math

import numpy as np
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.validation import validate_data

from skdepict._checks import as_samples, refuse_sparse
from skdepict._partwise import open_partwise


def check_rows(estimator, X, expected_shape=None):
    """Check the samples and flatten them.

    Parameters
    ----------
    estimator : estimator
        Its feature names and number of features are set, or compared.
    X : array-like, or what is read in parts
        What the user passed.
    expected_shape : tuple of int, default=None
        The shape of one sample in `fit`; None if this is for `fit`.

    Returns
    -------
    rows : ndarray or PartwiseRows of shape (n_samples, n_features)
        float64, float32 or uint8.
    sample_shape : tuple of int
        The shape of one sample before.

    Raises
    ------
    ValueError, TypeError
        If X is anything else than finite numbers.
    """
    name = type(estimator).__name__
    fitting = expected_shape is None
    refuse_sparse(X, name)
    X = as_samples(X)
    rows = open_partwise(X)
    if rows is None:
        array = _check_array(estimator, X, fitting)
        sample_shape = array.shape[1:]
    else:
        sample_shape = rows.sample_shape
    if math.prod(sample_shape) == 0:
        raise ValueError(f"X has samples of shape {sample_shape}: they hold no values.")
    if not fitting and len(sample_shape) > 1 and sample_shape != expected_shape:
        raise ValueError(
            f"X has samples of shape {sample_shape}, but {name} was fitted to samples "
            f"of shape {expected_shape}. Pass samples of that shape, or flat rows."
        )
    if rows is None:
        rows = array.reshape(len(array), -1)
    elif len(rows) < 1 + fitting:
        raise ValueError(
            f"Found {len(rows)} samples in X while a minimum of {1 + fitting} is "
            f"required by {name}."
        )
    # Feature names are read from X itself, the number of features from the shape.
    named = X if hasattr(X, "columns") else np.broadcast_to(np.float32(0), rows.shape)
    validate_data(estimator, named, reset=fitting, skip_check_array=True)
    return rows, sample_shape


def _check_array(estimator, X, fitting):
    return check_array(
        X,
        dtype=[np.float64, np.float32, np.uint8],
        allow_nd=True,
        ensure_min_samples=2 if fitting else 1,
        estimator=estimator,
        input_name="X",
    )


def check_prior(prior, n_clusters):
    """Check the prior cluster frequencies.

    Parameters
    ----------
    prior : array-like of shape (n_clusters,) or None
    n_clusters : int or "auto"

    Returns
    -------
    prior : ndarray of shape (n_clusters,) or None

    Raises
    ------
    ValueError
        If it has another length, an entry that is not positive, or another sum than 1,
        or if the number of clusters is open.
    """
    if prior is None:
        return None
    if n_clusters == "auto":
        raise ValueError(
            "A prior was given with n_clusters='auto'. Pass n_clusters=len(prior), or "
            "no prior."
        )
    advice = (
        f"Pass n_clusters={n_clusters} positive frequencies that sum to 1, or None for "
        "clusters of about equal size."
    )
    try:
        prior = np.asarray(prior, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"prior holds no numbers ({error}). {advice}") from error
    prior = column_or_1d(check_array(prior, ensure_2d=False, input_name="prior"))
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
