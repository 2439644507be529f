"""The data sets of the study, by name."""

from pathlib import Path

import numpy as np
from scipy import sparse

from skdepict.benchmark.data import load

# name: file, and the part of it.
FILES = {
    "MNIST-test": ("mnist_full.npz", "test"),
    "MNIST-full": ("mnist_full.npz", "all"),
    "USPS-11000": ("usps11000.npz", "all"),
    "CMU-PIE": ("cmu_pie.npz", "all"),
    "COIL-20": ("coil20_32.npz", "all"),
    "Fashion-test": ("fashion_mnist_test.npz", "all"),
    "pendigits": ("pendigits.npz", "all"),
    "20 Newsgroups": ("text_20ng_tfidf2000.npz", "all"),
}
SETS = (*FILES, "digits")
# Sparse rows are reduced to this many singular vectors, for all methods alike.
TEXT_COMPONENTS = 100


def load_set(name, data_dir):
    """Read a data set of the study.

    Parameters
    ----------
    name : str
        One of `SETS`. "digits" comes with scikit-learn, the others are files.
    data_dir : str or Path
        The folder of the files.

    Returns
    -------
    X : ndarray of shape (n_samples, ...)
        Images, or rows of a table.
    y : ndarray of shape (n_samples,)
        The classes.
    """
    if name == "digits":
        from sklearn.datasets import load_digits

        digits = load_digits()
        return digits.images, digits.target
    path = set_file(name, data_dir)
    if name == "20 Newsgroups":
        return _load_text(path)
    return load(path, FILES[name][1])


def set_file(name, data_dir):
    """Where the file of a data set is; None for digits."""
    return None if name == "digits" else Path(data_dir) / FILES[name][0]


def _load_text(path):
    from sklearn.decomposition import TruncatedSVD

    with np.load(path, allow_pickle=False) as data:
        parts = data["data"], data["indices"], data["indptr"]
        X, y = sparse.csr_array(parts, shape=tuple(data["shape"])), data["y"]
    return TruncatedSVD(TEXT_COMPONENTS, random_state=0).fit_transform(X), y
