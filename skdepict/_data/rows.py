"""Samples as flat rows, checked."""

import hashlib
import math

import numpy as np
from sklearn.utils import assert_all_finite, check_array
from sklearn.utils.validation import validate_data

from skdepict._data.checks import MISSING, as_samples, in_words, refuse_sparse
from skdepict._data.partwise import open_partwise

# The time of a comparison grows with the samples of the fit that are looked at.
MAX_REFERENCES = 2000
# Values that are held in float64 at once.
VALUES_AT_ONCE = 2**22


def parts_of(rows, share):
    """Slices that cover a share of the rows, each of a bounded number of values."""
    step = max(1, VALUES_AT_ONCE // rows.shape[1])
    return [
        slice(start, min(start + step, share.stop))
        for start in range(share.start, share.stop, step)
    ]


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
        array = check_array(
            X,
            dtype=[np.float64, np.float32, np.uint8],
            allow_nd=True,
            ensure_all_finite=False,
            ensure_min_samples=1 + fitting,
            estimator=estimator,
            input_name="X",
        )
        _check_finite(array, getattr(X, "columns", None))
        rows, sample_shape = array.reshape(len(array), -1), array.shape[1:]
    else:
        sample_shape = rows.sample_shape
        if len(rows) < 1 + fitting:
            raise ValueError(
                f"Found {len(rows)} samples in X while a minimum of {1 + fitting} is "
                f"required by {name}."
            )
    if math.prod(sample_shape) == 0:
        raise ValueError(f"X has samples of shape {sample_shape}: they hold no values.")
    is_one = (len(rows), *sample_shape) == expected_shape
    if is_one and math.prod(sample_shape) != math.prod(expected_shape):
        raise ValueError(
            f"X has the shape {expected_shape} of one sample. Pass several, or one as "
            "X[np.newaxis]."
        )
    if not fitting and len(sample_shape) > 1 and sample_shape != expected_shape:
        raise ValueError(
            f"X has samples of shape {sample_shape}, but {name} was fitted to samples "
            f"of shape {expected_shape}. Pass samples of that shape, or flat rows."
        )
    # Feature names are read from X itself, the number of features from the shape.
    named = X if hasattr(X, "columns") else np.broadcast_to(np.float32(0), rows.shape)
    validate_data(estimator, named, reset=fitting, skip_check_array=True)
    return rows, sample_shape


def _check_finite(array, columns):
    """Say in which columns, or samples, there are values that are none."""
    try:
        assert_all_finite(array)
    except ValueError:
        is_missing = np.isnan(array)
        what, advice = "NaN", MISSING
        if not is_missing.any():
            is_missing = np.isinf(array)
            what, advice = "infinity", "Replace these values, or drop their samples"
        is_missing = is_missing.reshape(len(array), -1)
        samples, found = (np.flatnonzero(is_missing.any(axis=a)) for a in (1, 0))
        kind, names = "column", found.tolist()
        if columns is not None:
            columns = list(columns)
            names = [columns[number] for number in names]
        elif array.ndim > 2 or len(samples) < len(found):
            # Of flat images, too, columns say less.
            kind, names = "sample", samples.tolist()
        raise ValueError(
            f"X contains {what}: {is_missing.sum()} of {array.size} values, in {kind}"
            f"{'s' * (len(names) > 1)} {in_words(names)}. {advice}."
        ) from None


def reference_samples(n_samples):
    """Numbers of the samples of a fit that others are compared with, increasing."""
    if n_samples <= MAX_REFERENCES:
        return np.arange(n_samples)
    generator = np.random.default_rng(0)
    return np.sort(generator.choice(n_samples, MAX_REFERENCES, replace=False))


def float_dtype(rows):
    """The dtype of results for samples of this dtype."""
    return np.float64 if rows.dtype == np.float64 else np.float32


def fingerprint_of_rows(rows):
    """A fingerprint of all samples, read part by part.

    Parameters
    ----------
    rows : ndarray or PartwiseRows of shape (n_samples, n_features)

    Returns
    -------
    fingerprint : str
    """
    digest = hashlib.sha256(f"{rows.shape} {rows.dtype.str}".encode())
    for part in parts_of(rows, slice(0, len(rows))):
        digest.update(np.ascontiguousarray(rows[part]).data.cast("B"))
    return digest.hexdigest()
