"""Files of fitted models."""

import copy
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file
from sklearn.cluster import KMeans
from sklearn.exceptions import NotFittedError
from torch import nn

import skdepict
from skdepict.persistence import ModelFileError
from skdepict.persistence._files import parse_json
from skdepict.persistence._model_file import VERSION
from tests.conftest import quick

INPUTS = {
    "images": lambda digits: (digits, {}),
    "bytes": lambda digits: (digits.astype(np.uint8), {}),
    "prior series": lambda digits: (digits, {"prior": pd.Series([0.1] * 10)}),
    "colours": lambda digits: (np.repeat(digits[..., None], 3, axis=-1), {}),
    "flat images": lambda digits: (digits.reshape(300, -1), {"image_shape": (8, 8)}),
    "table": lambda digits: (digits.reshape(300, -1), {}),
    "series": lambda digits: (digits.reshape(300, -1), {"network": "sequence"}),
    "published": lambda digits: (digits, {"algorithm": "program"}),
    "sigmoid": lambda digits: (digits, {"network": "sigmoid_conv", "init": "kmeans"}),
    "prior": lambda digits: (digits, {"prior": np.full(10, 0.1)}),
    "estimated prior": lambda digits: (digits, {"prior": None}),
    "labels": lambda digits: (digits, {"init": np.arange(300) % 10}),
    "frame": lambda digits: (
        pd.DataFrame(digits.reshape(300, -1)).rename(columns="pixel {}".format),
        {},
    ),
}


@pytest.mark.filterwarnings("ignore:Clusters", "ignore:Number of distinct")
@pytest.mark.parametrize("kind", INPUTS)
def test_what_is_loaded_is_what_was_saved(kind, few_digits, tmp_path):
    X, parameters = INPUTS[kind](few_digits[0])
    model = quick(10, fit_epochs=3, max_iter=1, **parameters).fit(X)
    model.save(tmp_path / "model.skdepict")
    loaded = skdepict.load(tmp_path / "model.skdepict")
    for method in ("predict", "predict_proba", "transform"):
        np.testing.assert_array_equal(
            getattr(loaded, method)(X), getattr(model, method)(X)
        )
    decoded = loaded.inverse_transform(loaded.embedding_[:5])
    np.testing.assert_array_equal(
        decoded, model.inverse_transform(loaded.embedding_[:5])
    )
    for name, value in vars(model).items():
        if name not in ("network_", "_input_format"):
            np.testing.assert_equal(getattr(loaded, name), value)
    assert loaded._input_format.layout == model._input_format.layout
    shifts = [m._input_format.scaling.shift for m in (loaded, model)]
    assert np.shape(shifts[0]) == np.shape(shifts[1])
    np.testing.assert_array_equal(*shifts)
    # A new fit starts from the same parameters.
    np.testing.assert_array_equal(loaded.fit(X).labels_, model.labels_)


def test_as_many_values_as_features_are_parsed():
    names = [f'the "{i}", in [m], {{or}} \\' for i in range(300)]
    text = json.dumps({"names": names})
    assert parse_json(text, 300, max_values=10) == {"names": names}
    with pytest.raises(ValueError, match="301 values, and 210 are the most"):
        parse_json(text, 200, max_values=10)


def test_names_of_features_may_be_anything(blobs, tmp_path):
    names = [f'the "{i}", in [m], {{or}} \\' for i in range(300)]
    X = pd.DataFrame(np.tile(blobs[0], 30), columns=names)
    quick(3, fit_epochs=2, max_iter=1).fit(X).save(tmp_path / "model.skdepict")
    loaded = skdepict.load(tmp_path / "model.skdepict")
    assert loaded.feature_names_in_.tolist() == names


def test_what_could_not_be_opened_is_not_written(fitted, tmp_path):
    model = copy.copy(fitted)
    model.history_ = [{}] * 400_000
    with pytest.raises(ValueError, match="the most that is parsed"):
        model.save(tmp_path / "model.skdepict")
    assert not list(tmp_path.iterdir())


def test_a_new_process_can_open_the_file(fitted, few_digits, tmp_path):
    fitted.save(tmp_path / "model.skdepict")
    np.save(tmp_path / "images.npy", few_digits[0])
    script = (
        "import skdepict; model = skdepict.load('model.skdepict'); "
        "print(*model.predict('images.npy'))"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True
    )
    np.testing.assert_array_equal(np.fromstring(run.stdout, sep=" "), fitted.labels_)


class Halves(nn.Module):
    def __init__(self):
        super().__init__()
        self.down, self.up = nn.Linear(64, 8), nn.Linear(8, 64)

    def encode(self, x, corrupt):
        return [torch.tanh(self.down(corrupt(x)))]

    def decode(self, embedding):
        return [self.up(embedding)]


def test_a_module_of_ones_own_is_passed_again(few_digits, tmp_path):
    rows = few_digits[0].reshape(300, -1)
    path = tmp_path / "model.skdepict"
    model = quick(10, network=Halves()).fit(rows)
    model.save(path)
    with pytest.raises(ModelFileError, match="Pass that module"):
        skdepict.load(path)
    network = Halves()
    before = network.down.weight.detach().clone()
    loaded = skdepict.load(path, network=network)
    # Another model can be loaded for the same module, which stays as it is.
    assert torch.equal(network.down.weight, before)
    np.testing.assert_array_equal(loaded.predict(rows), model.labels_)
    quick(10).fit(rows).save(path)
    with pytest.raises(ModelFileError, match="Leave out the argument network"):
        skdepict.load(path, network=Halves())


class Thirds(Halves):
    """The same, but smaller."""

    def __init__(self):
        super().__init__()
        self.down, self.up = nn.Linear(64, 6), nn.Linear(6, 64)


def test_another_network_is_blamed_and_not_the_file(few_digits, tmp_path):
    rows = few_digits[0].reshape(300, 64)
    quick(10, network=Halves()).fit(rows).save(tmp_path / "model")
    with pytest.raises(ModelFileError, match="a Thirds, has other weights than"):
        skdepict.load(tmp_path / "model", network=Thirds())
    with pytest.raises(TypeError, match=r"instance of it: network=Halves\(\)"):
        skdepict.load(tmp_path / "model", network=Halves)
    with pytest.raises(TypeError, match=r"instance of it: network=Halves\(\)"):
        quick(10, network=Halves).fit(rows)


def test_what_the_file_cannot_hold_is_named(few_digits, tmp_path):
    model = quick(10, init=KMeans(n_init=1)).fit(few_digits[0])
    with pytest.warns(UserWarning, match=r"init=KMeans\(n_init=1\) is an object"):
        model.save(tmp_path / "model.skdepict")
    loaded = skdepict.load(tmp_path / "model.skdepict")
    assert loaded.init == "path-integral"
    np.testing.assert_array_equal(loaded.predict(few_digits[0]), model.labels_)


def test_only_fitted_models_are_saved(tmp_path):
    with pytest.raises(NotFittedError):
        quick(10).save(tmp_path / "model.skdepict")
    assert not list(tmp_path.iterdir())


def test_a_failed_save_leaves_the_old_file(fitted, tmp_path, monkeypatch):
    path = tmp_path / "model.skdepict"
    path.write_bytes(b"old")

    def fail(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        fitted.save(path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def rewrite(path, change):
    """Write a file again with its JSON changed."""
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        content = json.loads(file.metadata()["skdepict"])
    arrays = load_file(path)
    change(content, arrays)
    save_file(arrays, path, metadata={"skdepict": json.dumps(content)})


def set_to(*keys, value):
    def change(content, arrays):
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_to("version", value=VERSION + 1), "Install a newer release"),
        (set_to("version", value="1"), "damaged"),
        (set_to("parameters", "no_such", value=1), "damaged"),
        (set_to("parameters", "network", value="no such"), "damaged"),
        (set_to("parameters", "network", value=5), "damaged"),
        (set_to("parameters", "max_rounds", value=-7), "damaged"),
        (set_to("scale", value=0.0), "damaged"),
        (set_to("values", "history_", value="none"), "damaged"),
        (lambda content, arrays: arrays.update(shift=np.zeros((2, 3))), "damaged"),
        (lambda content, arrays: arrays.update(labels_=np.zeros(3)), "damaged"),
        (set_to("layout", value=["image", [1, 10**9, 10**9], False]), "damaged"),
        (set_to("layout", value=["table", [64], False]), "damaged"),
        (set_to("embedding_dim", value=10**9), "damaged"),
        (set_to("embedding_dim", value=-1), "damaged"),
        (set_to("sample_shape", value=[8, 9]), "damaged"),
        (set_to("values", value={}), "damaged"),
        (lambda content, arrays: arrays.pop("labels_"), "damaged"),
        (lambda content, arrays: arrays.pop("network assignment.bias"), "damaged"),
    ],
)
def test_files_that_make_no_sense_are_refused(change, message, fitted, tmp_path):
    path = tmp_path / "model.skdepict"
    fitted.save(path)
    rewrite(path, change)
    with pytest.raises(ModelFileError, match=message):
        skdepict.load(path)


@pytest.mark.parametrize("wrong", [(2, 64), (300, 3), (300,), ()])
def test_components_of_other_shapes_are_refused(wrong, few_digits, tmp_path):
    rows, path = few_digits[0].reshape(300, 64), tmp_path / "model"
    model = quick(10).fit(rows)
    scores = model.score_samples(rows)
    model.save(path)
    np.testing.assert_array_equal(skdepict.load(path).score_samples(rows), scores)

    def change(content, arrays):
        arrays["components"] = np.zeros(wrong, dtype=np.float32)

    rewrite(path, change)
    with pytest.raises(ModelFileError, match="labels_ and components disagree"):
        skdepict.load(path)
    # Of a release that kept none.
    rewrite(path, lambda content, arrays: arrays.pop("components"))
    before = skdepict.load(path).score_samples(rows)
    assert before.shape == (300,)
    assert np.any(before != scores)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "model.skdepict"
    with pytest.raises(FileNotFoundError):
        skdepict.load(path)
    for content in (b"", b"notes", pickle.dumps(print), b"\xff" * 100):
        path.write_bytes(content)
        with pytest.raises(ModelFileError, match="damaged, or no file"):
            skdepict.load(path)
    save_file({"a": np.zeros(3)}, path)
    with pytest.raises(ModelFileError, match="damaged, or no file"):
        skdepict.load(path)


@given(data=st.data())
def test_damaged_files_are_refused_or_open(data, fitted, few_digits, tmp_path):
    """Bytes changed in the header, or a file cut short."""
    path = tmp_path / "model.skdepict"
    fitted.save(path)
    whole = path.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    changed = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, header - 1))
        changed[place] = data.draw(st.integers(0, 255))
    length = data.draw(st.integers(0, len(whole)) | st.just(len(whole)))
    path.write_bytes(changed[:length])
    try:
        model = skdepict.load(path)
    except ModelFileError:
        return
    assert model.network_.assignment.out_features == 10


def test_evidence_of_earlier_programs_has_no_modularity(fitted, tmp_path):
    model = copy.copy(fitted)
    model.number_evidence_ = dict(fitted.number_evidence_)
    expected = model.number_evidence_.pop("modularity")
    model.save(tmp_path / "earlier.skdepict")
    fitted.save(tmp_path / "now.skdepict")
    earlier = skdepict.load(tmp_path / "earlier.skdepict").number_evidence_
    now = skdepict.load(tmp_path / "now.skdepict").number_evidence_
    assert now.keys() - earlier.keys() == {"modularity"}
    np.testing.assert_array_equal(now["modularity"], expected)


def test_earlier_files_of_images_have_the_papers_network(few_digits, tmp_path):
    images = few_digits[0]
    model = quick(10, network="published_conv", fit_epochs=1, max_iter=1).fit(images)
    path = tmp_path / "model.skdepict"
    model.save(path)
    rewrite(path, set_to("parameters", "network", value="auto"))
    with pytest.raises(ModelFileError, match="damaged"):
        skdepict.load(path)
    rewrite(path, set_to("version", value=6))
    earlier = skdepict.load(path)
    np.testing.assert_array_equal(earlier.predict(images), model.labels_)
    assert earlier.network == "published_conv"


def test_a_file_of_version_1_opens_for_ever():
    """Made by `model.save` of the series below, which are two kinds of waves."""
    path = Path(__file__).parents[1] / "files" / "version_1.skdepict"
    model = skdepict.load(path)
    steps = np.arange(8)
    series = np.array(
        [np.sin(steps * rate + i) for i in range(20) for rate in (0.4, 2)]
    )
    np.testing.assert_array_equal(model.predict(series), model.labels_)
    np.testing.assert_allclose(model.transform(series), model.embedding_, atol=1e-5)
    kinds = model.labels_.reshape(20, 2)
    assert (kinds == kinds[0]).all()
