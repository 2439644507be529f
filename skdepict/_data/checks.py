"""Is X samples? The one door that every kind of input comes through.

`as_samples` makes what is legal into an array, a table, or something that is read in
parts; of everything else it says what came and what to do. Checks of values (numbers,
finite, how many) are left to scikit-learn.
"""

import os
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import date, time, timedelta
from typing import Any

import narwhals.stable.v1 as nw
import numpy as np
from scipy import sparse

from skdepict._data.paths import as_path, check_file

STACK = "Stack them first: np.stack(list(...)), for columns frame[column].to_list()."
IMAGES = (
    "Read pictures with skdepict.datasets.load_image_folder(folder, (height, width)), "
    "whose images are what to pass."
)
ENCODE = (
    "Encode them, for example with "
    "sklearn.preprocessing.OneHotEncoder(sparse_output=False) or "
    "sklearn.feature_extraction.text.TfidfVectorizer."
)
DATES = (
    "Dates and durations are no numbers that distances could be taken of. Turn them "
    "into numbers that mean something for the groups, such as days since an event or "
    "the hour of the day, or leave them out."
)
MISSING = "Fill these values, for example by sklearn.impute.SimpleImputer, or drop them"
RECORDS = (
    "Its rows are records. Pass a table of numbers, for example by "
    "numpy.lib.recfunctions.structured_to_unstructured."
)
# For kinds of numpy's types.
ADVICE = {"m": DATES, "M": DATES, "V": RECORDS}
TIMES = (date, time, timedelta, np.datetime64, np.timedelta64)
# How many names an error lists.
MAX_NAMED = 5


def as_samples(X, name="X"):
    """Make X into something that has samples as rows, or say why it is none.

    Parameters
    ----------
    X : object
        What the user passed.
    name : str, default="X"
        What errors call it.

    Returns
    -------
    X : ndarray, sparse matrix, data frame, or what is read in parts
        Memory maps, torch datasets and arrays of h5py, zarr and the like are as they
        were; the path of an ``.npy`` file is a memory map of it.

    Raises
    ------
    ValueError, TypeError
        If X cannot be samples; the message says what came, what is legal, what to do.
    OSError
        If X is a path that cannot be read.
    """
    if X is None:
        raise ValueError(f"{name} is None; expected an array of samples.")
    if isinstance(X, (str, os.PathLike)):
        return _open_npy(as_path(X), name)
    _refuse_by_type(X, name)
    if is_tensor(X):
        X = _numpy_of_tensor(X, name)
    elif isinstance(X, (list, tuple)):
        X = _array_of_list(X, name)
    if not isinstance(X, np.ndarray):
        return _checked_table(X, name)
    if isinstance(X, np.ma.MaskedArray):
        n_masked = int(np.ma.count_masked(X))
        if n_masked:
            raise ValueError(
                f"{name} is a masked array in which {n_masked} values are missing. "
                f"{MISSING}; X.filled(value) puts one value in all places."
            )
        X = X.data
    _check_dtype(X, name)
    return X


def is_instance(X, module, class_name):
    """Whether X is of a class whose module need not have been imported."""
    found = sys.modules.get(module)
    return found is not None and isinstance(X, getattr(found, class_name))


def is_tensor(X):
    """Whether X is a tensor of torch."""
    return is_instance(X, "torch", "Tensor")


def is_dataset(X):
    """Whether X is a dataset of torch."""
    return is_instance(X, "torch.utils.data", "Dataset")


def refuse_sparse(X, estimator_name):
    """Say how to make dense what is sparse."""
    if not sparse.issparse(X):
        return
    advice = "use X.toarray() if it fits in memory"
    if X.shape[1] > 100:
        advice = (
            "put sklearn.decomposition.TruncatedSVD(n_components=100) in front of it in"
            f" a pipeline, or {advice}"
        )
    raise TypeError(
        f"Sparse data was passed to {estimator_name}, which needs dense samples. Where "
        "OneHotEncoder or ColumnTransformer made it, set OneHotEncoder("
        "sparse_output=False) or ColumnTransformer(..., sparse_threshold=0); otherwise "
        f"{advice}."
    )


def _open_npy(path, name):
    """The array of an ``.npy`` file, as a memory map."""
    if path.suffix.lower() != ".npy":
        raise ValueError(
            f"{name} is the path {str(path)!r}, but only .npy files are read. Load the "
            f"data and pass the array. {IMAGES}"
        )
    try:
        return np.lib.format.open_memmap(check_file(path), mode="r")
    except ValueError as error:
        raise ValueError(
            f"{name} is the path {str(path)!r}, which is no whole .npy file of numbers "
            f"({error}). Write it again with np.save; of an .npz archive pass an array."
        ) from error


def _package_of(X):
    return type(X).__module__.partition(".")[0]


def _refuse_by_type(X, name):
    """Refuse what holds samples, but not as rows that can be asked for by number."""
    if is_dataset(X):
        return
    kind, package, refused = type(X).__name__, _package_of(X), ""
    keys = list(X)[:MAX_NAMED] if isinstance(X, Mapping) else []
    entries = ", ".join(map(repr, keys))
    is_module = is_instance(X, "torch.nn", "Module")
    if is_instance(X, "torch.utils.data", "DataLoader"):
        refused = (
            "a DataLoader, of which samples cannot be asked for by number. Pass its "
            "dataset: loader.dataset."
        )
    elif isinstance(X, (set, frozenset, bytes, bytearray)) or is_module:
        refused = f"of type {kind}; expected an array of samples."
    elif isinstance(X, Iterator):
        refused = f"a {kind}, which can be read only once. Pass np.stack(list(X))."
    elif isinstance(X, np.lib.npyio.NpzFile):
        refused = f"an .npz file with the arrays {entries}. Pass one: file[name]."
    elif package in ("h5py", "zarr", "xarray") and not hasattr(X, "shape"):
        key = "variable" if package == "xarray" else "name"
        refused = f"a {kind} of {package}, with several arrays. Pass one: X[{key}]."
    elif isinstance(X, Mapping):
        refused = (
            f"a {kind} with the entries {entries}. Pass the one that holds the "
            "samples, or pandas.DataFrame(X) where the entries are columns."
        )
    elif package == "PIL":
        refused = (
            "one image. Pass several, as a list or as an array of shape (n_samples, "
            "height, width)."
        )
    if refused:
        raise TypeError(f"{name} is {refused}")
    shape = getattr(X, "shape", None)
    if isinstance(shape, tuple) and any(side != side for side in shape):
        raise ValueError(
            f"{name} is a {kind} of shape {shape}, whose length is not known. Call "
            "X.compute_chunk_sizes() first."
        )


def _numpy_of_tensor(X, name):
    torch = sys.modules["torch"]
    if X.layout is not torch.strided:
        kind = "jagged" if X.layout == torch.jagged else "sparse"
        advice = "Pad it: X.to_padded_tensor(0)" if kind == "jagged" else "X.to_dense()"
        raise TypeError(f"{name} is a {kind} tensor. Pass a dense one: {advice}.")
    X = X.detach().cpu().resolve_conj().resolve_neg()
    if X.is_quantized:
        X = X.dequantize()
    return X.float().numpy() if X.dtype == torch.bfloat16 else X.numpy()


def _array_of_list(X, name):
    """A list as an array; of arrays or images of one size, they are stacked."""
    if not X:
        return np.asarray(X)
    if all(isinstance(item, (str, os.PathLike)) for item in X):
        if all(len(os.fspath(item)) == 1 for item in X):
            raise ValueError(
                f"{name} is a list of single letters, which is what a path becomes "
                "that is passed to a search or a cross-validation: they take samples "
                "apart. Open the file there: np.load(path, mmap_mode='r')."
            )
        _refuse_texts(X[0], name)
    first: Any = X[0][0] if isinstance(X[0], tuple) and X[0] else None
    if (is_tensor(first) or isinstance(first, np.ndarray)) and first.ndim:
        # What is taken of a dataset of samples with their classes.
        X = [item[0] for item in X]
    is_image = _package_of(X[0]) == "PIL"
    if is_image or is_tensor(X[0]) or isinstance(X[0], np.ndarray):
        X = [
            _numpy_of_tensor(item, name) if is_tensor(item) else np.asanyarray(item)
            for item in X
        ]
        _check_one_size(X, name)
        masked = any(isinstance(item, np.ma.MaskedArray) for item in X)
        return np.ma.stack(X) if masked else np.stack(X)
    if isinstance(X[0], Mapping):
        raise TypeError(
            f"{name} is a list of {type(X[0]).__name__}. Make it a table first: "
            "pandas.DataFrame(X)."
        )
    try:
        return np.asarray(X)
    except ValueError:  # Rows that are not all equally long.
        return np.asarray(X, dtype=object)


def _refuse_texts(example, name):
    raise ValueError(
        f"{name} holds strings, such as {str(os.fspath(example))!r:.80} (could not "
        f"convert string to float), but numbers are needed. {ENCODE} If they are names "
        f"of files: {IMAGES}"
    )


def _check_one_size(items, name):
    shapes = sorted({np.shape(item) for item in items})
    if len(shapes) > 1:
        raise ValueError(
            f"{name} has samples of different sizes, such as {shapes[0]} and "
            f"{shapes[1]}. All have to be of one size: resize images (PIL.Image.Image."
            "resize, or skdepict.datasets.load_image_folder for files), cut or pad "
            "series."
        )


def in_words(names):
    """The first of a list of names, and whether there are others."""
    named = ", ".join(map(repr, names[:MAX_NAMED]))
    return named + " and others" * (len(names) > MAX_NAMED)


def _check_dtype(X, name):
    kind = getattr(X.dtype, "kind", None)
    if kind in ADVICE:
        raise ValueError(f"{name} has dtype {X.dtype}. {ADVICE[kind]}")
    if kind in tuple("USOT") and isinstance(X, np.ndarray):
        _check_cells(X.ravel(), name)


def _check_cells(cells, name):
    """Say what is wrong with the first cell that is no number."""
    for cell in cells:
        if cell is None or type(cell).__name__ in ("NAType", "NaTType"):
            raise ValueError(
                f"{name} contains NaN or other missing values ({cell!r}). {MISSING}."
            )
        if isinstance(cell, (str, bytes, os.PathLike)):
            try:
                float(cell)  # type: ignore[arg-type]
            except (ValueError, TypeError):
                _refuse_texts(cell, name)
        elif isinstance(cell, TIMES):
            raise ValueError(
                f"{name} holds dates or durations, such as {cell!r}. {DATES}"
            )
        elif np.ndim(cell):
            _check_one_size(map(np.asarray, cells), name)
            raise ValueError(
                f"{name} has cells that hold arrays, such as one of shape "
                f"{np.shape(cell)}. {STACK}"
            )


def _checked_table(X, name):
    """Check a table or a column of any library, and pass on everything else."""
    if hasattr(X, "iloc") and hasattr(X, "columns"):
        twice = sorted(set(map(str, X.columns[X.columns.duplicated()])))
        if twice:
            raise ValueError(
                f"{name} has several columns with the names {twice[:MAX_NAMED]}. Give "
                "each a name of its own, or pass X.to_numpy()."
            )
    table = nw.from_native(X, allow_series=True, pass_through=True)
    if isinstance(table, nw.LazyFrame):
        call = "compute" if _package_of(X).startswith("dask") else "collect"
        raise TypeError(
            f"{name} is a lazy {type(X).__name__}, which holds no values yet. Pass "
            f"X.{call}()."
        )
    if isinstance(table, nw.Series):
        # Samples only where its cells are arrays.
        _check_columns(table.to_frame(), name)
        return np.asarray(X)
    if isinstance(table, nw.DataFrame):
        _check_columns(table, name)
        # scikit-learn reads the names of columns off the others.
        return table.to_pandas() if _package_of(X) == "pyarrow" else _dense_columns(X)
    if hasattr(X, "dtype") and not isinstance(X, np.generic):
        _check_dtype(X, name)
    return X


def _check_columns(frame, name):
    """Refuse columns that hold no numbers, by their names."""
    refused = defaultdict(list)
    # One by one: names may be numbers.
    for series in frame.iter_columns():
        column, dtype = series.name, series.dtype
        if dtype.is_temporal():
            refused[f"dates or durations. {DATES}"].append(column)
        elif dtype.is_nested():
            refused[f"arrays or lists in their cells. {STACK}"].append(column)
        elif not dtype.is_numeric() and dtype != nw.Boolean:
            cells = np.asarray(series.to_native(), dtype=object).tolist()
            if any(isinstance(cell, str) for cell in cells):
                refused[f"strings. {ENCODE} {IMAGES}"].append(column)
            else:
                _check_cells(cells, f"column {column!r} of {name}")
    for what, found in refused.items():
        names = ", ".join(map(repr, found[:MAX_NAMED]))
        names += ", ..." * (len(found) > MAX_NAMED)
        have = "column {} holds" if len(found) == 1 else "columns {} hold"
        raise ValueError(f"{name}: {have.format(names)} {what}")


def _dense_columns(X):
    """Make columns of pandas dense that scikit-learn would take for a sparse matrix."""
    dense = X
    for place, dtype in enumerate(getattr(X, "dtypes", ())):
        if type(dtype).__name__ == "SparseDtype":
            dense = dense.copy(deep=False) if dense is X else dense
            dense.isetitem(place, X.iloc[:, place].sparse.to_dense())
    return dense
