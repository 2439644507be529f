"""Models in ONNX's own runtime."""

import sys

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from skdepict import DEPICTClustering
from tests.conftest import quick

onnxruntime = pytest.importorskip("onnxruntime")


def run(path, X):
    session = onnxruntime.InferenceSession(path)
    return session.run(
        ["labels", "probabilities", "embedding"], {"samples": X.astype(np.float32)}
    )


def check(model, X, tmp_path):
    path = tmp_path / "model.onnx"
    model.export_onnx(path)
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]
    for n in (len(X), 1, 33):
        labels, probabilities, embedding = run(path, X[:n])
        expected = model.predict_proba(X[:n])
        np.testing.assert_allclose(probabilities, expected, atol=1e-4)
        np.testing.assert_allclose(embedding, model.transform(X[:n]), atol=1e-4)
        # Unless two clusters are equally likely.
        apart = np.diff(np.sort(expected, axis=1)[:, -2:], axis=1)[:, 0] > 2e-4
        np.testing.assert_array_equal(labels[apart], model.predict(X[:n])[apart])
        assert np.mean(apart) > 0.9


def test_images(fitted, few_digits, tmp_path):
    check(fitted, few_digits[0], tmp_path)


@pytest.mark.parametrize("shape", [(10, 9, 3), (3, 10, 9)])
def test_images_in_colour(shape, tmp_path):
    X = np.random.default_rng(0).integers(0, 50, (60, *shape), dtype=np.uint8)
    pictures = np.random.default_rng(1).integers(0, 200, (3, *shape), dtype=np.uint8)
    X += np.resize(pictures, X.shape)
    check(quick(3).fit(X), X, tmp_path)


def test_flat_images(few_digits, tmp_path):
    X = few_digits[0].reshape(300, 64)
    check(quick(5, image_shape=(8, 8)).fit(X), X, tmp_path)


def test_tables_with_columns_far_from_zero(blobs, tmp_path):
    check(quick(3).fit(blobs[0] + 1e3), blobs[0] + 1e3, tmp_path)


@pytest.mark.parametrize("shape", [(16,), (2, 16)])
def test_series(shape, tmp_path):
    X = np.random.default_rng(0).normal(size=(60, *shape)).cumsum(axis=-1)
    check(quick(3, network="sequence").fit(X), X, tmp_path)


def test_batch_norm(few_digits, tmp_path):
    X = few_digits[0][:60]
    check(quick(2, network="sigmoid_conv", fit_epochs=40).fit(X), X, tmp_path)


def test_what_cannot_be_exported_leaves_no_file(fitted, tmp_path, monkeypatch):
    path = tmp_path / "model.onnx"
    with pytest.raises(NotFittedError):
        DEPICTClustering().export_onnx(path)
    with pytest.raises(FileNotFoundError, match=r"no folder .*missing"):
        fitted.export_onnx(tmp_path / "missing" / "model.onnx")
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ImportError, match=r"skdepict\[onnx\]"):
        fitted.export_onnx(path)
    assert not list(tmp_path.iterdir())


def test_export_says_nothing(fitted, tmp_path, capfd):
    fitted.export_onnx(tmp_path / "model.onnx")
    assert capfd.readouterr() == ("", "")
