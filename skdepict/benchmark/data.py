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


def uneven_sample(X, y, ratio, largest=None, draw=0):
    """Samples of classes whose sizes fall geometrically, in an order drawn at random.

    Parameters
    ----------
    X : ndarray of shape (n_samples, ...)
    y : ndarray of shape (n_samples,)
    ratio : float
        Of the largest class to the smallest.
    largest : int, default=None
        The size of the largest class; by default that of the smallest one in y.
    draw : int, default=0
        The seed.

    Returns
    -------
    X, y : ndarray
        Classes have at least 5 samples; their numbers are from 0 on.
    """
    y = np.unique(y, return_inverse=True)[1]
    counts = np.bincount(y)
    largest = counts.min() if largest is None else largest
    generator = np.random.default_rng(draw)
    order = generator.permutation(len(counts))
    sizes = falling_sizes(len(counts), ratio, largest)
    rows = [
        generator.choice(np.flatnonzero(y == label), size, replace=False)
        for label, size in zip(order, sizes, strict=True)
    ]
    shuffled = generator.permutation(np.concatenate(rows))
    return X[shuffled], y[shuffled]


def falling_sizes(n_classes, ratio, largest):
    """Sizes that fall geometrically by this ratio, but to no less than 5."""
    shares = ratio ** (-np.arange(n_classes) / (n_classes - 1))
    return [max(5, round(largest * share)) for share in shares]


def flatten(X):
    """Rows for clusterers that take no images, bytes scaled to [0, 1]."""
    rows = X.reshape(len(X), -1)
    return rows / np.float32(255) if X.dtype == np.uint8 else rows


def load_digits(folder):
    """The images of digits that scikit-learn has, whatever the folder."""
    from sklearn import datasets

    digits = datasets.load_digits()
    return digits.images, digits.target


def load_table(folder, name):
    """A table that scikit-learn has, with columns of one scale, whatever the folder."""
    from sklearn import datasets
    from sklearn.preprocessing import scale

    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    return scale(X), y


def load_part(path, n_samples):
    """Some of the last 10,000 rows of a file, drawn at random."""
    X, y = load(path, "test")
    chosen = np.random.default_rng(0).permutation(len(X))[:n_samples]
    return X[chosen], y[chosen]


def load_few_of_each(path, n_classes=40, n_samples=10):
    """The first samples of each of the first classes."""
    X, y = load(path)
    first = [np.flatnonzero(y == label)[:n_samples] for label in np.unique(y)]
    chosen = np.concatenate(first[:n_classes])
    return X[chosen], y[chosen]


def load_enlarged(path, times=4):
    """Images with so many times the side."""
    X, y = load(path)
    return X.repeat(times, axis=1).repeat(times, axis=2), y


def load_crops(folder, n_crops=1000, side=224):
    """Crops of scikit-learn's two photographs, whatever the folder.

    Classes are the photograph and the fifth of the places across it that a crop is at.
    Pillow has to be installed.
    """
    from sklearn.datasets import load_sample_images

    photographs = load_sample_images().images
    generator = np.random.default_rng(0)
    crops, classes = [], []
    for number in range(n_crops):
        kind = number % len(photographs)
        rows, columns = np.array(photographs[kind].shape[:2]) - side
        top, left = generator.integers(rows), generator.integers(columns)
        crops.append(photographs[kind][top : top + side, left : left + side])
        classes.append(5 * kind + 5 * left // columns)
    return np.stack(crops), np.array(classes)


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

    def read(self, data_dir, draw=0):
        """Read X and y; `draw` is for data sets that are drawn from others."""
        return self.load(Path(data_dir, self.file))


@dataclass(frozen=True)
class UnevenSet(DataSet):
    """A data set with classes of unequal size, which are drawn; see `uneven_sample`.

    Attributes
    ----------
    ratio : float
    largest : int or None
    """

    ratio: float = 10.0
    largest: int | None = None

    def read(self, data_dir, draw=0):
        """Read X and y, and draw from them."""
        X, y = super().read(data_dir)
        return uneven_sample(X, y, self.ratio, self.largest, draw)


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


MNIST_TRAIN = DataSet("mnist_full.npz", partial(load, subset="train"))
UNEVEN_SETS = {
    f"{name} {ratio}:1": UnevenSet(base.file, base.load, ratio, largest)
    for name, base, largest in (
        ("MNIST-test", SETS["MNIST-test"], None),
        ("MNIST-2000", MNIST_TRAIN, 2000),
        ("MNIST-3000", MNIST_TRAIN, 3000),
        ("USPS", SETS["USPS-11000"], None),
        ("Fashion-test", SETS["Fashion-test"], None),
        ("pendigits", SETS["pendigits"], None),
        ("digits", SETS["digits"], None),
        ("COIL-20", SETS["COIL-20"], None),
        ("CMU-PIE", SETS["CMU-PIE"], None),
    )
    for ratio in (3, 10, 50)
}


# Sizes that people bring, to see how long they wait.
TIMED_SETS = {
    "digits": SETS["digits"],
    "400 faces": DataSet("cmu_pie.npz", load_few_of_each),
    "MNIST-1000": DataSet("mnist_full.npz", partial(load_part, n_samples=1000)),
    "COIL-20": SETS["COIL-20"],
    "COIL-20 at 128": DataSet("coil20_32.npz", load_enlarged),
    "crops at 224": DataSet("", load_crops),
    "pendigits": SETS["pendigits"],
    "MNIST-test": SETS["MNIST-test"],
    "MNIST-full": SETS["MNIST-full"],
}


def missing_files(sets, data_dir):
    """The files of data sets that a folder lacks, by the names of the sets."""
    paths = {name: Path(data_dir, chosen.file) for name, chosen in sets.items()}
    return {name: path for name, path in paths.items() if not path.exists()}


def of_embedding(file, ratio):
    """An embedding with its classes as they are, or of unequal size."""
    return DataSet(file) if ratio == 1 else UnevenSet(file, ratio=ratio)


EMBEDDINGS = {
    name + (f" {ratio}:1" if ratio > 1 else ""): of_embedding(file, ratio)
    for name, file in (
        ("photographs", "cifar10_embedding.npz"),
        ("posts", "20ng_embedding.npz"),
    )
    for ratio in (1, 10)
} | {"posts as tf-idf": SETS["20 Newsgroups"]}


TABLES = {
    "pendigits": SETS["pendigits"],
    "wine": DataSet("", partial(load_table, name="wine")),
    "breast cancer": DataSet("", partial(load_table, name="breast_cancer")),
    "iris": DataSet("", partial(load_table, name="iris")),
}
