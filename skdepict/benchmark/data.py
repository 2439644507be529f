"""Data for benchmarks."""

import numpy as np

TEST_ROWS = 10_000


def load(path, subset):
    """Read X, and y if there is one, from an .npz file.

    Parameters
    ----------
    path : str or Path
        The file; loaded without pickle.
    subset : {"all", "train", "test"}
        "test" is the last 10,000 rows, "train" what comes before them.

    Returns
    -------
    X : ndarray of shape (n_samples, ...)
    y : ndarray of shape (n_samples,) or None

    Raises
    ------
    ValueError
        If the file has no X, or no rows are left.
    """
    with np.load(path, allow_pickle=False) as data:
        if "X" not in data.files:
            raise ValueError(
                f"{path} has no array named X, only {data.files}. Save one with "
                "numpy.savez(path, X=X) or numpy.savez(path, X=X, y=y)."
            )
        X, y = data["X"], data["y"] if "y" in data.files else None
    rows = {
        "all": slice(None),
        "train": slice(0, max(0, len(X) - TEST_ROWS)),
        "test": slice(-TEST_ROWS, None),
    }[subset]
    X = X[rows]
    if len(X) == 0:
        raise ValueError(f"subset={subset!r} of {path} has no rows.")
    return X, None if y is None else y[rows]


def flatten(X):
    """Rows for clusterers that take no images, bytes scaled to [0, 1]."""
    rows = X.reshape(len(X), -1)
    return rows / np.float32(255) if X.dtype == np.uint8 else rows
