"""Paths as users write them, and what they lead to."""

import os
import stat
from pathlib import Path

import numpy as np
import pytest

import skdepict
from skdepict import DEPICTClustering
from skdepict.datasets import load_image_folder
from tests.conftest import quick

X = np.random.default_rng(0).normal(size=(60, 6)) + 9 * np.eye(6)[np.arange(60) % 3]


@pytest.fixture(scope="module")
def model():
    return quick(3).fit(X)


def test_home_is_where_the_user_is(model, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    model.save("~/model.skdepict")
    assert (tmp_path / "model.skdepict").is_file()
    loaded = skdepict.load("~/model.skdepict")
    np.save(tmp_path / "X.npy", X)
    np.testing.assert_array_equal(loaded.predict("~/X.npy"), model.labels_)
    quick(3, checkpoint_dir="~/checkpoints").fit(X)
    assert (tmp_path / "checkpoints").is_dir()


def test_a_name_may_begin_with_a_tilde(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model.save("~model.skdepict")
    assert [path.name for path in tmp_path.iterdir()] == ["~model.skdepict"]
    assert skdepict.load("~model.skdepict").n_clusters_ == 3


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_a_link_stays_one_and_permissions_stay(model, tmp_path):
    target, link = tmp_path / "real.skdepict", tmp_path / "link.skdepict"
    target.write_bytes(b"old")
    target.chmod(0o640)
    link.symlink_to(target.name)
    model.save(link)
    assert link.is_symlink()
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    np.testing.assert_array_equal(skdepict.load(target).predict(X), model.labels_)
    assert sorted(path.name for path in tmp_path.iterdir()) == [link.name, target.name]


def test_a_file_that_cannot_be_replaced_stays(model, tmp_path, monkeypatch):
    def refuse(path, target):
        raise PermissionError(13, "it is open elsewhere")

    model.save(tmp_path / "model.skdepict")
    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(PermissionError, match="open elsewhere"):
        model.save(tmp_path / "model.skdepict")
    assert [path.name for path in tmp_path.iterdir()] == ["model.skdepict"]
    assert skdepict.load(tmp_path / "model.skdepict").n_clusters_ == 3


def test_missing_folders_and_folders_are_named(model, tmp_path):
    for write in (model.save, model.export_onnx):
        path = tmp_path / "models" / "v1" / "model"
        with pytest.raises(FileNotFoundError, match=r"no folder .*models.v1 to write"):
            write(path)
        with pytest.raises(IsADirectoryError, match=r"is a folder\. Name a file"):
            write(tmp_path)
    for path, error in ((tmp_path, IsADirectoryError), ("none", FileNotFoundError)):
        with pytest.raises(error, match=Path(path).name):
            skdepict.load(path)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")
def test_nobody_waits_at_a_pipe(tmp_path):
    pytest.importorskip("PIL")
    from PIL import Image

    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    os.mkfifo(tmp_path / "pipe.npy")
    found = load_image_folder(tmp_path, (8, 8))
    assert found.filenames.tolist() == ["a.png"]
    for read in (skdepict.load, quick(3).fit):
        with pytest.raises(OSError, match=r"pipe.npy is no file, but a pipe"):
            read(tmp_path / "pipe.npy")


def test_what_belongs_to_a_machine_is_not_in_a_file(tmp_path, recwarn):
    parameters = {"checkpoint_dir": tmp_path / "c", "verbose": 0, "device": "cpu"}
    model = quick(3, **parameters).fit(X)
    model.save(tmp_path / "model")
    assert not [w for w in recwarn if "checkpoint_dir" in str(w.message)]
    loaded, fresh = skdepict.load(tmp_path / "model"), DEPICTClustering()
    for name in parameters:
        assert getattr(loaded, name) == getattr(fresh, name)
    assert b"checkpoint_dir" not in (tmp_path / "model").read_bytes()


def test_labels_as_a_list_survive(tmp_path):
    labels = (np.arange(60) % 3).tolist()
    quick(3, init=labels).fit(X).save(tmp_path / "model")
    loaded = skdepict.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.init, labels)
    np.testing.assert_array_equal(loaded.fit(X).labels_, labels)


@pytest.mark.parametrize("output", ["pandas", "polars", "default"])
def test_the_kind_of_output_survives(output, tmp_path):
    model = quick(3).set_output(transform=output).fit(X)
    model.save(tmp_path / "model")
    loaded = skdepict.load(tmp_path / "model")
    assert type(loaded.transform(X)) is type(model.transform(X))
