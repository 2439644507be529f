"""Samples that are read part by part give what the same samples in memory give."""

from typing import ClassVar

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from skdepict._data.checks import as_samples
from skdepict._data.layout import find_layout
from skdepict._data.partwise import open_partwise
from skdepict._data.samples import InputFormat, Samples
from skdepict._data.scaling import fit_scaling
from skdepict._training.processes import Processes
from skdepict._training.start import samples_to_label
from skdepict.metrics import clustering_accuracy
from skdepict.networks import Autoencoder
from tests.conftest import quick

CPU = torch.device("cpu")
ALONE = Processes(CPU)


class ImagesOnly(Dataset):
    """A dataset whose items are single samples."""

    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        return torch.from_numpy(self.images[i])


def as_file(images, folder):
    path = folder / "images.npy"
    np.save(path, images)
    return path


def as_h5py(images, folder):
    h5py = pytest.importorskip("h5py")
    with h5py.File(folder / "images.h5", "w") as file:
        file["images"] = images
    return h5py.File(folder / "images.h5", "r")["images"]


def as_zarr(images, folder):
    zarr = pytest.importorskip("zarr")
    array = zarr.create_array(
        str(folder / "images.zarr"), shape=images.shape, dtype=images.dtype
    )
    array[:] = images
    return array


KINDS = {
    "path": lambda images, folder: as_samples(as_file(images, folder)),
    "memmap": lambda images, folder: np.load(as_file(images, folder), mmap_mode="r"),
    "dataset": lambda images, folder: ImagesOnly(images),
    "tuples": lambda images, folder: TensorDataset(
        torch.from_numpy(images), torch.zeros(len(images))
    ),
    "h5py": as_h5py,
    "zarr": as_zarr,
}


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_rows_and_batches_are_those_of_the_array(kind, dtype, few_digits, tmp_path):
    images = (few_digits[0] * 15).astype(dtype)
    rows = open_partwise(KINDS[kind](images, tmp_path))
    flat = images.reshape(len(images), -1)
    assert (rows.shape, rows.size, rows.dtype) == (flat.shape, flat.size, flat.dtype)
    index = np.random.default_rng(0).permutation(300)[:50]
    np.testing.assert_array_equal(rows[3:40], flat[3:40])
    np.testing.assert_array_equal(rows[index], flat[index])

    layout = find_layout(images.shape, None, "auto")
    scaling = fit_scaling(flat, layout, Autoencoder.input_range, ALONE)
    assert fit_scaling(rows, layout, Autoencoder.input_range, ALONE) == scaling
    input_format = InputFormat(images.shape[1:], layout, scaling, layout.shape)
    partwise, whole = (Samples(X, input_format, CPU) for X in (rows, flat))
    members = torch.from_numpy(index)
    assert torch.equal(partwise.batch(members), whole.batch(members))
    assert torch.equal(partwise.batch(slice(9, 20)), whole.batch(slice(9, 20)))
    shares = [Samples(X, input_format, CPU, slice(100, 300)) for X in (rows, flat)]
    for share in shares:
        assert len(share) == 200
        assert torch.equal(share.batch(slice(9, 300)), whole.batch(slice(109, 300)))
        places = torch.tensor([7, 3, 199])
        assert torch.equal(share.batch(places), whole.batch(places + 100))
        np.testing.assert_array_equal(share.rows(), whole.rows()[100:])
    np.testing.assert_array_equal(partwise.rows(), whole.rows())


@pytest.mark.parametrize("kind", ["path", "dataset", "h5py"])
def test_fit_and_predict_are_those_of_the_array(kind, few_digits, tmp_path):
    images = few_digits[0].astype(np.float32)
    expected = quick(10, fit_epochs=5).fit(images)
    source = KINDS[kind](images, tmp_path)
    model = quick(10, fit_epochs=5).fit(source)
    np.testing.assert_array_equal(model.labels_, expected.labels_)
    np.testing.assert_array_equal(model.transform(source), expected.embedding_)
    np.testing.assert_array_equal(model.predict(source), model.labels_)
    assert model.n_features_in_ == 64


def test_tables_can_be_read_in_parts(blobs, tmp_path):
    table = blobs[0]
    np.save(tmp_path / "table.npy", table)
    model = quick().fit(tmp_path / "table.npy")
    np.testing.assert_array_equal(model.labels_, quick().fit(table).labels_)


class Counting(KMeans):
    """Remembers how many samples it was given."""

    seen: ClassVar[list] = []

    def fit_predict(self, X, y=None):
        self.seen.append(len(X))
        return super().fit_predict(X)


def test_many_samples_are_labelled_from_a_part_of_them(few_digits):
    """Also the part that gets no starting labels is clustered."""
    images, y = few_digits
    members = np.sort(np.random.default_rng(0).permutation(300)[:200])
    quick(10, members=members, init=Counting(n_init=1)).fit(images)
    assert Counting.seen == [200]
    model = quick(10, members=members, fit_epochs=40, max_iter=10).fit(images)
    assert model.labels_.shape == (300,)
    others = np.setdiff1d(np.arange(300), members)
    assert clustering_accuracy(y[others], model.labels_[others]) > 0.7


def test_the_part_that_gets_labels_is_drawn_and_given_labels_are_all_learned():
    assert samples_to_label("path-integral", 50_000, 0) is None
    members = samples_to_label("path-integral", 10**6, 0)
    assert len(np.unique(members)) == 50_000
    assert samples_to_label(np.zeros(10**6, dtype=int), 10**6, 0) is None


class Endless(IterableDataset):
    def __iter__(self):
        yield torch.zeros(3)


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        ("images.png", ValueError, "only .npy files are read"),
        ("nowhere.npy", FileNotFoundError, "nowhere.npy"),
        (Endless(), TypeError, "cannot be asked for by number"),
        (TensorDataset(torch.zeros(0, 3)), ValueError, "without samples"),
        (TensorDataset(torch.zeros(9)), ValueError, "two or more axes"),
        (TensorDataset(torch.zeros(1, 3)), ValueError, "minimum of 2"),
        (TensorDataset(torch.zeros(5, 3, dtype=torch.complex64)), ValueError, "real"),
        (TensorDataset(torch.full((5, 3), torch.nan)), ValueError, "NaN or infinity"),
        (TensorDataset(torch.zeros(5, 0)), ValueError, "hold no values"),
    ],
)
def test_what_cannot_be_read_is_refused(X, error, message):
    with pytest.raises(error, match=message):
        quick().fit(X)


def test_nan_in_predict_is_refused(few_digits, fitted):
    images = few_digits[0].copy()
    images[17, 3, 3] = np.nan
    with pytest.raises(ValueError, match="NaN or infinity, at least in sample 17"):
        fitted.predict(ImagesOnly(images))
    # Training asks for samples in any order.
    rows = open_partwise(ImagesOnly(images))
    with pytest.raises(ValueError, match="at least in sample 17"):
        rows[np.array([20, 17, 3])]
