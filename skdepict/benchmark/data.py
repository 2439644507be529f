"""Data for benchmarks."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

TEST_ROWS = 10_000
# Sparse rows are reduced to this many singular vectors, for all methods alike.
TEXT_COMPONENTS = 100


def load(path, subset="all"):
    """Read X, and y if there is one, from an .npz file.

    Parameters
    ----------
    path : str or Path
        The file; loaded without pickle.
    subset : {"all", "train", "test"}, default="all"
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


def load_sparse(path):
    """Read a sparse X and y from an .npz file with the parts of a CSR array."""
    with np.load(path, allow_pickle=False) as data:
        parts = data["data"], data["indices"], data["indptr"]
        return sparse.csr_array(parts, shape=tuple(data["shape"])), data["y"]


def load_text(path):
    """Read a sparse X, reduced to its first singular vectors, and y."""
    from sklearn.decomposition import TruncatedSVD

    X, y = load_sparse(path)
    return TruncatedSVD(TEXT_COMPONENTS, random_state=0).fit_transform(X), y


def flatten(X):
    """Rows for clusterers that take no images, bytes scaled to [0, 1]."""
    rows = X.reshape(len(X), -1)
    return rows / np.float32(255) if X.dtype == np.uint8 else rows


def load_digits(folder):
    """The images of digits that scikit-learn has, whatever the folder."""
    from sklearn import datasets

    digits = datasets.load_digits()
    return digits.images, digits.target


@dataclass(frozen=True)
class DataSet:
    """A data set of the studies, which knows its classes.

    Attributes
    ----------
    file : str
        Its name in the folder of the data sets.
    load : callable
        From the path of the file to X of shape (n_samples, ...) and y of shape
        (n_samples,).
    """

    file: str
    load: Callable[[Path], tuple[Any, Any]] = load

    def read(self, data_dir):
        """Read X and y."""
        return self.load(Path(data_dir, self.file))


SETS = {
    "MNIST-test": DataSet("mnist_full.npz", partial(load, subset="test")),
    "MNIST-full": DataSet("mnist_full.npz"),
    "USPS-11000": DataSet("usps11000.npz"),
    "CMU-PIE": DataSet("cmu_pie.npz"),
    "COIL-20": DataSet("coil20_32.npz"),
    "Fashion-test": DataSet("fashion_mnist_test.npz"),
    "pendigits": DataSet("pendigits.npz"),
    "20 Newsgroups": DataSet("text_20ng_tfidf2000.npz", load_text),
    "digits": DataSet("", load_digits),
}


def missing_files(names, data_dir):
    """The files of data sets that a folder lacks, by the names of the sets."""
    paths = {name: Path(data_dir, SETS[name].file) for name in names}
    return {name: path for name, path in paths.items() if not path.exists()}
