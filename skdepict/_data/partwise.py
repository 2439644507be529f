"""Samples that are read part by part: files, datasets and arrays that do not fit."""

import math
from collections.abc import Mapping

import numpy as np
from scipy import sparse

from skdepict._data.checks import as_samples, is_dataset, is_instance

KEPT_DTYPES = (np.uint8, np.float32, np.float64)


class PartwiseRows:
    """Flat rows of an array that is read in parts.

    Looks like a two-dimensional array as far as slices, arrays of row numbers, `shape`
    and `dtype` go. Parts are checked to be finite as they are read.

    Parameters
    ----------
    source : object
        With `shape` of at least two axes, `dtype`, and slices of rows that
        :func:`numpy.asarray` takes, or arrays of row numbers in increasing order.
    """

    def __init__(self, source):
        self._source = source
        self.sample_shape = tuple(source.shape[1:])
        self.shape = (source.shape[0], math.prod(self.sample_shape))
        kept = source.dtype in KEPT_DTYPES
        self.dtype = np.dtype(source.dtype if kept else np.float64)

    def __len__(self):
        return self.shape[0]

    @property
    def size(self):
        """The number of values."""
        return self.shape[0] * self.shape[1]

    def __getitem__(self, index):
        if isinstance(index, slice):
            part = np.asarray(self._source[index])
        else:
            # Files are read in their order; some formats insist on it.
            rows, places = np.unique(index, return_inverse=True)
            part = np.asarray(self._source[rows])[places]
        part = part.reshape(len(part), -1).astype(self.dtype, copy=False)
        if part.dtype.kind == "f" and not np.isfinite(part).all():
            numbers = range(len(self))[index] if isinstance(index, slice) else index
            found = np.flatnonzero(~np.isfinite(part).all(axis=1))
            raise ValueError(
                "X contains NaN or infinity, at least in sample "
                f"{min(numbers[place] for place in found)}. Fill "
                "or drop these values before fitting."
            )
        return part


class DatasetArray:
    """A map-style torch dataset as something with a shape and slices.

    Parameters
    ----------
    dataset : torch.utils.data.Dataset
        Items are samples (tensors or arrays), or tuples that begin with them.
    """

    def __init__(self, dataset):
        is_stream = is_instance(dataset, "torch.utils.data", "IterableDataset")
        if is_stream or not hasattr(dataset, "__len__"):
            raise TypeError(
                f"X is a {type(dataset).__name__}, of which samples cannot be asked "
                "for by number. Pass a map-style dataset with a length: training "
                "visits all samples in another order in each epoch."
            )
        if len(dataset) == 0:
            raise ValueError("X is a dataset without samples.")
        self._dataset = dataset
        first = self._sample(0)
        self.shape = (len(dataset), *first.shape)
        self.dtype = first.dtype

    def __getitem__(self, index):
        if isinstance(index, slice):
            index = range(*index.indices(self.shape[0]))
        samples = [self._sample(int(i)) for i in index]
        for i, sample in zip(index, samples, strict=True):
            if sample.shape != self.shape[1:]:
                raise ValueError(
                    f"X is a dataset whose samples have different sizes: that at {i} "
                    f"has {sample.shape}, the first one {self.shape[1:]}. All have to "
                    "be of one size: resize or pad them in the dataset."
                )
        return np.stack(samples)

    def _sample(self, i):
        item = self._dataset[i]
        sample = item[0] if isinstance(item, (tuple, list)) else item
        if isinstance(sample, (str, Mapping)):
            raise TypeError(
                f"X is a dataset whose items are of type {type(sample).__name__}. An "
                "item has to be a sample (a tensor or an array), or a tuple that begins"
                " with one."
            )
        return np.asarray(as_samples(sample, "a sample of X"))


def open_partwise(X):
    """X as `PartwiseRows`, if it is something to be read in parts.

    Parameters
    ----------
    X : object
        What `skdepict._data.checks.as_samples` returned: a :class:`numpy.memmap`, a
        torch dataset or anything else with a shape, a dtype and slices, such as
        datasets of h5py and arrays of zarr.

    Returns
    -------
    rows : PartwiseRows or None
        None for everything that is in memory.

    Raises
    ------
    ValueError, TypeError
        If it holds no samples that can be asked for by number.
    """
    if is_dataset(X):
        X = DatasetArray(X)
    elif not _is_partwise(X):
        return None
    if len(X.shape) < 2:
        raise ValueError(
            f"Expected samples along the first of two or more axes, got X of shape "
            f"{tuple(X.shape)}. Reshape your data, for example to (n_samples, "
            "n_features)."
        )
    if X.dtype.kind not in "buif":
        raise ValueError(f"X has dtype {X.dtype}, but real numbers are needed.")
    return PartwiseRows(X)


def in_memory(X):
    """X with all its samples in memory, in their shape."""
    rows = open_partwise(X)
    return X if rows is None else rows[:].reshape(len(rows), *rows.sample_shape)


def _is_partwise(X):
    if isinstance(X, np.ndarray):
        return isinstance(X, np.memmap) and X.ndim > 1
    is_table = hasattr(X, "columns") or hasattr(X, "iloc")
    if is_table or sparse.issparse(X) or isinstance(X, np.generic):
        return False
    is_array = hasattr(X, "shape") and hasattr(X, "__getitem__")
    return is_array and isinstance(getattr(X, "dtype", None), np.dtype)
