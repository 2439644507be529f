"""Every kind of input at every door: it works, or an error says what to do."""

import datetime
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from PIL import Image
from scipy import sparse
from sklearn.model_selection import GridSearchCV, KFold
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from skdepict import PathIntegralClustering, WhitenedComponents, metrics
from skdepict.report import make_report
from tests.conftest import quick
from tests.matrix import record

N = 60
# Small integers, so that no type rounds them.
T = np.random.default_rng(0).integers(0, 9, (N, 6)) + 40.0 * np.eye(6)[np.arange(N) % 3]


class Items(Dataset):
    """A dataset of what a function makes of the number of a sample."""

    def __init__(self, item):
        self.item = item

    def __len__(self):
        return N

    def __getitem__(self, i):
        return self.item(i)


class Stream(IterableDataset):
    """A dataset that is read in a row."""

    def __iter__(self):
        return iter(T)


def frame(**columns):
    return pd.DataFrame(T[:, :3], columns=list("abc")).assign(**columns)


def cells(values):
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def with_cell(value):
    X = T.astype(object)
    X[4, 1] = value
    return X


def npy(folder, X=T, name="X.npy"):
    np.save(folder / name, X)
    return folder / name


def damaged(folder, content):
    path = folder / "damaged.npy"
    path.write_bytes(content(npy(folder).read_bytes()))
    return path


def h5(folder):
    h5py = pytest.importorskip("h5py")
    with h5py.File(folder / "X.h5", "w") as file:
        file["X"] = T
    return h5py.File(folder / "X.h5", "r")


def zarred(folder):
    zarr = pytest.importorskip("zarr")
    group = zarr.create_group(str(folder / "X.zarr"))
    array = group.create_array("X", shape=T.shape, dtype=T.dtype)
    array[:] = T
    return group


def npz(folder):
    np.savez(folder / "X.npz", X=T)
    return np.load(folder / "X.npz")


def pictures(folder):
    paths = [folder / f"{i:02}.png" for i in range(4)]
    for i, path in enumerate(paths):
        Image.new("L", (10, 10), i).save(path)
    return paths


def structured():
    return np.array([tuple(row) for row in T], dtype=[(c, float) for c in "abcdef"])


def dask_array(folder):
    return pytest.importorskip("dask.array").from_array(T, chunks=(20, 6))


def of_unknown_length(folder):
    X = dask_array(folder)
    return X[X[:, 0] > -1]


def dask_frame(folder):
    pytest.importorskip("dask")
    dataframe = pytest.importorskip("dask.dataframe")
    return dataframe.from_pandas(frame(), npartitions=2)


def xarray(folder):
    return pytest.importorskip("xarray").DataArray(T, dims=("sample", "feature"))


def arrow(folder):
    pyarrow = pytest.importorskip("pyarrow")
    return pyarrow.table({name: T[:, i] for i, name in enumerate("abcdef")})


def categories():
    return pd.Categorical(["x", "y"] * (N // 2))


WORKS = {
    "array": lambda folder: T,
    "nested lists": lambda folder: T.tolist(),
    "tuple of tuples": lambda folder: tuple(map(tuple, T.tolist())),
    "list of arrays": lambda folder: list(T),
    "list of tensors": lambda folder: list(torch.from_numpy(T)),
    "Fortran order": lambda folder: np.asfortranarray(T),
    "other byte order": lambda folder: T.astype(T.dtype.newbyteorder()),
    "float16": lambda folder: T.astype(np.float16),
    "long double": lambda folder: T.astype(np.longdouble),
    "int8": lambda folder: T.astype(np.int8),
    "uint8": lambda folder: T.astype(np.uint8),
    "read-only": lambda folder: np.frombuffer(T.tobytes()).reshape(T.shape),
    "every second row": lambda folder: np.repeat(T, 2, axis=0)[::2],
    "objects": lambda folder: T.astype(object),
    "no value masked": lambda folder: np.ma.masked_values(T, -9.0),
    "data frame": lambda folder: pd.DataFrame(T, columns=list("abcdef")),
    "nullable types": lambda folder: pd.DataFrame(T.astype(int)).convert_dtypes(),
    "sparse frame": lambda folder: pd.DataFrame(T).astype(pd.SparseDtype(float, 0)),
    "object frame": lambda folder: pd.DataFrame(T).astype(object),
    "pairs of arrays and classes": lambda folder: [(row, 1) for row in T],
    "polars": lambda folder: pl.DataFrame(T, schema=list("abcdef")),
    "pyarrow": arrow,
    "xarray": xarray,
    "dask array": dask_array,
    "tensor": lambda folder: torch.from_numpy(T),
    "tensor with gradient": lambda folder: torch.from_numpy(T).requires_grad_(),
    "bfloat16": lambda folder: torch.from_numpy(T).bfloat16(),
    "TensorDataset": lambda folder: TensorDataset(torch.from_numpy(T)),
    "dataset": lambda folder: Items(lambda i: T[i]),
    "dataset with classes": lambda folder: Items(lambda i: (torch.from_numpy(T)[i], 1)),
    "memory map": lambda folder: np.load(npy(folder), mmap_mode="r"),
    "h5py": lambda folder: h5(folder)["X"],
    "zarr": lambda folder: zarred(folder)["X"],
    "path": lambda folder: npy(folder),
    "path as text": lambda folder: str(npy(folder)),
}

REFUSED = {
    "None": (lambda folder: None, "X is None"),
    "a number": (lambda folder: 3.0, "Expected 2D array, got scalar"),
    "text": (lambda folder: "samples", "only .npy files are read"),
    "one sample": (lambda folder: T[0], "Expected 2D array, got 1D"),
    "empty list": (lambda folder: [], "Expected 2D array|0 sample"),
    "empty array": (lambda folder: T[:0], "0 sample"),
    "rows of other lengths": (
        lambda folder: [[1, 2], [1, 2, 3]] * 9,
        r"different sizes, such as \(2,\) and \(3,\)",
    ),
    "NaN": (lambda folder: with_cell(np.nan).astype(float), "contains NaN"),
    "NaN in a path": (
        lambda folder: npy(folder, with_cell(np.nan).astype(float)),
        "contains NaN",
    ),
    "complex": (lambda folder: T + 1j, "[Cc]omplex"),
    "masked": (lambda folder: np.ma.masked_values(T, T[5, 2]), "missing.*filled"),
    "list with masked": (
        lambda folder: list(np.ma.masked_values(T, T[5, 2])),
        "missing.*filled",
    ),
    "datetime64": (lambda folder: T.astype("datetime64[s]"), "Dates and durations"),
    "timedelta64": (lambda folder: T.astype("timedelta64[s]"), "Dates and durations"),
    "column of dates": (
        lambda folder: frame(day=pd.date_range("2020", periods=N)),
        "column 'day' holds dates",
    ),
    "column of durations": (
        lambda folder: frame(took=pd.timedelta_range("1s", periods=N)),
        "column 'took' holds dates or durations",
    ),
    "column of dates in polars": (
        lambda folder: pl.DataFrame(
            {"day": [datetime.date(2020, 1, 1)] * N, "b": T[:, 0]}
        ),
        "column 'day' holds dates",
    ),
    "dates as objects": (
        lambda folder: with_cell(datetime.datetime(2020, 1, 1)),
        "dates or durations",
    ),
    "times of pandas as objects": (
        lambda folder: with_cell(pd.Timestamp("2020")),
        "dates or durations",
    ),
    "pd.NA in objects": (
        lambda folder: with_cell(pd.NA),
        "contains NaN or other missing",
    ),
    "None in objects": (
        lambda folder: with_cell(None),
        "contains NaN or other missing",
    ),
    "NaT in objects": (
        lambda folder: with_cell(pd.NaT),
        "contains NaN or other missing",
    ),
    "pd.NA in nullable types": (
        lambda folder: frame(d=pd.array([1, None] * (N // 2), dtype="Int64")),
        "contains NaN",
    ),
    "pd.NA in a frame of objects": (
        lambda folder: frame(d=cells([1, pd.NA] * (N // 2))),
        "column 'd' of X contains NaN or other missing",
    ),
    "null in polars": (
        lambda folder: pl.DataFrame({"a": [1.0, None] * (N // 2), "b": T[:, 0]}),
        "contains NaN",
    ),
    "strings": (lambda folder: np.full((N, 2), "a"), "X holds strings"),
    "names that occur twice": (
        lambda folder: pd.DataFrame(T, columns=list("aabbcd")),
        "several columns with the names .'a', 'b'.",
    ),
    "column of strings": (
        lambda folder: frame(city=["x"] * N),
        "column 'city' holds strings.*OneHotEncoder",
    ),
    "column of categories": (
        lambda folder: frame(city=categories()),
        "column 'city' holds strings",
    ),
    "strings in polars": (
        lambda folder: pl.DataFrame({"city": ["x"] * N, "b": T[:, 0]}),
        "column 'city' holds strings",
    ),
    "arrays in the cells": (
        lambda folder: pd.DataFrame({"embedding": list(T)}),
        "hold arrays.*np.stack",
    ),
    "lists in the cells": (
        lambda folder: pd.DataFrame({"embedding": T.tolist()}),
        "hold arrays.*np.stack",
    ),
    "series of arrays": (lambda folder: pd.Series(list(T)), "hold arrays.*np.stack"),
    "array of arrays": (lambda folder: cells(list(T)), "hold arrays.*np.stack"),
    "lists in polars": (
        lambda folder: pl.DataFrame({"embedding": T.tolist()}),
        "column 'embedding' holds arrays.*np.stack",
    ),
    "LazyFrame": (lambda folder: pl.DataFrame(T).lazy(), "collect"),
    "dask frame": (dask_frame, "compute"),
    "dask array of unknown length": (of_unknown_length, "compute_chunk_sizes"),
    "records": (lambda folder: structured(), "records.*structured_to_unstructured"),
    "dict": (lambda folder: {"a": T[:, 0]}, "entries 'a'.*DataFrame"),
    "list of dicts": (lambda folder: [{"a": 1.0}] * N, "DataFrame"),
    "set": (lambda folder: {1, 2}, "expected an array"),
    "bytes": (lambda folder: b"abc", "expected an array"),
    "generator": (lambda folder: (row for row in T), "np.stack"),
    "iterator": (lambda folder: iter(T), "np.stack"),
    "DataLoader": (
        lambda folder: DataLoader(TensorDataset(torch.from_numpy(T))),
        "loader.dataset",
    ),
    "stream": (lambda folder: Stream(), "map-style"),
    "dataset of dicts": (
        lambda folder: Items(lambda i: {"image": T[i]}),
        "items are of type dict",
    ),
    "dataset of texts": (lambda folder: Items(lambda i: "a"), "items are of type str"),
    "dataset of many sizes": (
        lambda folder: Items(lambda i: np.zeros(6 + (i > 5))),
        "different sizes",
    ),
    "archive called npy": (
        lambda folder: npz(folder) and (folder / "X.npz").rename(folder / "Z.npy"),
        "Z.npy.*archive",
    ),
    "sparse tensor": (lambda folder: torch.from_numpy(T).to_sparse(), "to_dense"),
    "module": (lambda folder: torch.nn.Linear(2, 2), "expected an array"),
    "xarray with several": (
        lambda folder: xarray(folder).to_dataset(name="a"),
        r"X\[variable\]",
    ),
    "h5py file": (h5, r"X\[name\]"),
    "zarr group": (zarred, r"X\[name\]"),
    "npz": (npz, r"arrays 'X'.*file\[name\]"),
    "cut file": (
        lambda folder: damaged(folder, lambda content: content[:2000]),
        "damaged.npy.*no whole .npy",
    ),
    "empty file": (
        lambda folder: damaged(folder, lambda content: b""),
        "damaged.npy.*no whole .npy",
    ),
    "text file": (
        lambda folder: damaged(folder, lambda content: b"a,b\n1,2\n"),
        "damaged.npy.*no whole .npy",
    ),
    "path of nothing": (lambda folder: folder / "none.npy", "no file.*none.npy"),
    "path of a table": (lambda folder: folder / "X.csv", "only .npy files are read"),
    "folder": (lambda folder: folder, "load_image_folder"),
    "path of a picture": (lambda folder: pictures(folder)[0], "load_image_folder"),
    "list of paths": (pictures, "load_image_folder"),
    "list of names": (
        lambda folder: list(map(str, pictures(folder))),
        "load_image_folder",
    ),
    "array of names": (
        lambda folder: np.array(list(map(str, pictures(folder)))),
        "load_image_folder",
    ),
    "letters of a path": (lambda folder: list("X.npy"), "search.*mmap_mode"),
    "one picture": (lambda folder: Image.new("L", (9, 9)), "one image"),
    "pictures of many sizes": (
        lambda folder: [Image.new("L", (9, 9 + i)) for i in range(N)],
        "different sizes.*resize",
    ),
    "arrays of many sizes": (
        lambda folder: [np.zeros((9, 9 + i % 3)) for i in range(N)],
        "different sizes.*resize",
    ),
    "objects of many sizes": (
        lambda folder: cells([np.zeros((9, 9 + i % 3)) for i in range(N)]),
        "different sizes.*resize",
    ),
}


@pytest.fixture(scope="module")
def model():
    return quick(3).fit(T)


@pytest.fixture(scope="module")
def components():
    return WhitenedComponents(3).fit(T)


def search(X):
    estimator = quick(3, fit_epochs=2, max_iter=1)
    grid = GridSearchCV(
        estimator, {"n_clusters": [2, 3]}, cv=KFold(2), error_score="raise"
    )
    return grid.fit(X).cv_results_["mean_test_score"]


DOORS = {
    "fit": lambda X, model, components: quick(3).fit(X).labels_,
    "predict": lambda X, model, components: model.predict(X),
    "predict_proba": lambda X, model, components: model.predict_proba(X),
    "transform": lambda X, model, components: model.transform(X),
    "score": lambda X, model, components: model.score(X),
    "silhouette": lambda X, model, components: metrics.silhouette(
        model, X, max_samples=50
    ),
    "confidence": lambda X, model, components: metrics.confidence(model, X),
    "stability": lambda X, model, components: metrics.stability(
        quick(3, fit_epochs=2, max_iter=1), X
    ),
    "search": lambda X, model, components: search(X),
    "report": lambda X, model, components: len(make_report(model, X)) > 1000,
    "path integral": lambda X, model, components: (
        PathIntegralClustering(3).fit(X).labels_
    ),
    "components": lambda X, model, components: WhitenedComponents(3).fit_transform(X),
    "components of more": lambda X, model, components: components.transform(X),
}
# Searches and scorers take samples apart themselves, before they come to our door.
TAKEN_APART = ("search", "silhouette", "stability")
# A search has no samples of these to take.
NOT_IN_SEARCHES = ("path", "path as text", "zarr")


@pytest.fixture(autouse=True)
def quiet():
    """A short training, or another precision, warns of what these tests are not for."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("kind", WORKS)
def test_what_is_legal_works(kind, door, model, components, tmp_path):
    if door == "search" and kind in NOT_IN_SEARCHES:
        with pytest.raises((ValueError, TypeError)):
            DOORS[door](WORKS[kind](tmp_path), model, components)
        return
    expected = DOORS[door](T, model, components)
    found = DOORS[door](WORKS[kind](tmp_path), model, components)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_not_is_refused_and_says_what_to_do(
    kind, door, model, components, tmp_path
):
    make, message = REFUSED[kind]
    errors, match = (ValueError, TypeError, OSError), f"(?s){message}"
    if door in TAKEN_APART:
        # What is said there of things that hold no samples is scikit-learn's.
        errors, match = Exception, None
    with pytest.raises(errors, match=match):
        DOORS[door](make(tmp_path), model, components)
    assert model.predict(T[:3]).shape == (3,)


def test_images_in_a_list_are_images():
    images = [Image.fromarray(np.full((8, 9), i % 3 * 90, np.uint8)) for i in range(30)]
    stacked = np.stack([np.asarray(image) for image in images])
    expected = quick(3).fit(stacked)
    found = quick(3).fit(images)
    np.testing.assert_array_equal(found.labels_, expected.labels_)
    np.testing.assert_array_equal(found.predict(images), found.labels_)


def test_sparse_data_are_refused_with_advice_that_helps():
    X = sparse.random_array((60, 30), density=0.2, rng=np.random.default_rng(0))
    with pytest.raises(TypeError, match="sparse_output=False") as few:
        quick(3).fit(X)
    assert "TruncatedSVD" not in str(few.value)
    with pytest.raises(TypeError, match="TruncatedSVD"):
        quick(3).fit(sparse.random_array((60, 300), density=0.2))


def test_the_documentation_says_how_many_cases_there_are():
    kinds = len(WORKS) + len(REFUSED)
    record(
        "kinds of input x calls that take them", kinds, len(DOORS), kinds * len(DOORS)
    )
