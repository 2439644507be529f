"""Untrusted files: mutated by chance, none may do harm when it is opened."""

import copy
import json
import os
import pickle
import sys
import threading
import tracemalloc
import warnings
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import skdepict
from skdepict._training.progress import check_values
from skdepict.persistence import CheckpointError, ModelFileError, _checkpoint
from skdepict.persistence._checkpoint import Checkpoints
from tests.conftest import quick

from .test_checkpoint import killed

# Beside the content: of Python, of the libraries, and of the tracing itself.
MEMORY_OF_CALLS = 2**20
TIMES_THE_FILE = 3
ODD_VALUES = st.sampled_from(
    [
        *(None, True, 0, -1, 3, 2**31, 2**63, 10**400, 0.5, -0.0, 1e308),
        *(float("nan"), float("inf"), "", "conv", "../../outside", "/etc/passwd"),
        *("__import__('os').abort()", "\0", "\ud800", [], [[]], {}, [0] * 1000),
        *([None], {"version": 1}, ["image", [8, 8], False], {"__class__": "os"}),
    ]
)


pytestmark = pytest.mark.filterwarnings(
    # Files that fail are long.
    "ignore:Generating overly large repr"
)


def damages(whole):
    """A strategy for the bytes of a file with anything done to them."""
    # Without arguments, for hypothesis prints these.
    return st.composite(lambda draw: damaged(draw, whole))()


def damaged(draw, whole):
    """The bytes of a file with anything done to them."""
    content = bytearray(whole)
    header = 8 + int.from_bytes(whole[:8], "little")
    kind = draw(st.sampled_from(["bytes", "header", "cut", "moved", "json", "other"]))
    if kind in ("bytes", "header"):
        last = (header if kind == "header" else len(content)) - 1
        for _ in range(draw(st.integers(1, 8))):
            content[draw(st.integers(0, last))] = draw(st.integers(0, 255))
    elif kind == "cut":
        content = content[: draw(st.integers(0, len(content)))]
        content += draw(st.binary(max_size=20))
    elif kind == "moved":
        start, to = draw(st.integers(0, header)), draw(st.integers(0, header))
        piece = content[start : start + draw(st.integers(1, 200))]
        content[to : to + draw(st.integers(0, 200))] = piece
    elif kind == "other":
        content = draw(st.sampled_from(OTHERS)) + draw(st.binary(max_size=200))
    else:
        content = mutated_json(draw, whole, header)
    return bytes(content)


OTHERS = [
    b"",
    pickle.dumps(os.getcwd),
    b"PK\x03\x04",
    b"\x93NUMPY",
    (2**62).to_bytes(8, "little") + b"{}",
    (100_000).to_bytes(8, "little") + b"[" * 100_000,
]


def mutated_json(draw, whole, header):
    """A header that is right in itself, but with other names and values."""
    names = json.loads(whole[8:header])
    metadata = names["__metadata__"]
    key = next(key for key in metadata if key.startswith("skdepict"))
    inner = json.loads(metadata[key])
    for _ in range(draw(st.integers(1, 3))):
        tree = draw(st.sampled_from([inner, inner, names]))
        if tree is names and draw(st.booleans()):
            swap_arrays(draw, names)
        else:
            change_one(draw, tree)
    if key in metadata:
        metadata[key] = json.dumps(inner)
    # Names and texts that are no UTF-8 come out as they are.
    text = json.dumps(names).encode()
    return len(text).to_bytes(8, "little") + text + whole[header:]


def swap_arrays(draw, names):
    """Let one array be read as another."""
    one, other = (draw(st.sampled_from(sorted(names))) for _ in range(2))
    names[one], names[other] = names[other], names[one]


def change_one(draw, tree):
    """Set, remove or rename some value of some depth."""
    while True:
        keys = sorted(tree) if isinstance(tree, dict) else range(len(tree))
        if not keys:
            return
        key = draw(st.sampled_from(keys))
        deeper = isinstance(tree[key], (dict, list)) and len(tree[key])
        if not deeper or draw(st.integers(0, 3)) == 0:
            break
        tree = tree[key]
    how = draw(st.sampled_from(["set", "remove", "rename"]))
    if how == "set":
        # Later changes must not reach the value that others draw.
        tree[key] = copy.deepcopy(draw(ODD_VALUES))
    elif how == "remove":
        del tree[key]
    elif isinstance(tree, dict):
        tree[draw(st.text(max_size=5))] = tree.pop(key)


class Watch:
    """What this thread does to the world outside Python, while it is asked to look."""

    def __init__(self):
        self.thread, self.path, self.seen = None, None, []
        sys.addaudithook(self._hook)

    def _hook(self, event, arguments):
        if self.thread != threading.get_ident():
            return
        if event == "open":
            path, mode, _ = arguments
            if path != self.path or (mode or "r") not in ("r", "rb"):
                self.seen.append((event, path, mode))
        elif event.startswith(FORBIDDEN):
            self.seen.append((event, *map(str, arguments)))

    @contextmanager
    def on(self, path):
        """Nothing is to be run, and only one file to be opened, for reading."""
        self.path, self.seen = path, []
        self.thread = threading.get_ident()
        try:
            yield
        finally:
            self.thread = None
        assert not self.seen


FORBIDDEN = (
    *("exec", "compile", "import", "pickle", "marshal", "code", "ctypes"),
    *("os.", "shutil", "subprocess", "socket", "tempfile", "urllib", "webbrowser"),
)


@pytest.fixture(scope="module")
def watch():
    """A hook cannot be taken away again, so there is one for all tests."""
    return Watch()


def peak_memory(function):
    """By how many bytes memory grows at the peak of a call."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        function()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def assert_bounded_memory(function, n_bytes):
    """At its peak, memory grows by no more than some times the file."""
    bound = TIMES_THE_FILE * n_bytes + MEMORY_OF_CALLS
    # What is loaded on first use, of tables of Unicode for example, is there by then.
    assert peak_memory(function) <= bound or peak_memory(function) <= bound


def outcomes_of(opened, error, whole, path, watch, n_examples):
    """Open damaged files; count those that are refused, and those that still open."""
    outcomes = {"refused": 0, "opened": 0}
    opened(path)  # What is imported on first use is imported now.

    @settings(max_examples=n_examples)
    @given(content=damages(whole))
    def check(content):
        path.write_bytes(content)
        outcome = []

        def open_it():
            with watch.on(str(path)):
                try:
                    opened(path)
                except error:
                    outcome.append("refused")
                else:
                    outcome.append("opened")

        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert_bounded_memory(open_it, len(content))
        outcomes[outcome[0]] += 1
        assert path.read_bytes() == content
        assert list(path.parent.iterdir()) == [path]

    check()
    print(outcomes)
    assert outcomes["refused"] > outcomes["opened"]


def test_untrusted_models(n_of, fitted, tmp_path, watch):
    path = tmp_path / "model.skdepict"
    fitted.save(path)

    def opened(path):
        model = skdepict.load(str(path))
        model.get_params()
        assert model.network_.assignment.in_features == model.embedding_.shape[1]

    whole = path.read_bytes()
    outcomes_of(opened, ModelFileError, whole, path, watch, n_of(300, 50_000))


def metadata(whole):
    """The texts in the header of a file."""
    header = json.loads(whole[8 : 8 + int.from_bytes(whole[:8], "little")])
    return header["__metadata__"]


@pytest.fixture
def checkpoint(few_digits, tmp_path):
    """The checkpoint of a fit that was killed."""
    return killed(tmp_path, few_digits[0])


def test_untrusted_checkpoints(n_of, checkpoint, watch):
    whole = checkpoint.read_bytes()
    content = json.loads(metadata(whole)["skdepict checkpoint"])

    def opened(path):
        assert (
            Checkpoints(path.parent, content["identity"]).read(check_values) is not None
        )

    n_examples = n_of(300, 50_000)
    outcomes_of(opened, CheckpointError, whole, checkpoint, watch, n_examples)


def test_forged_checkpoints(n_of, few_digits, checkpoint, monkeypatch):
    """Damage that has the right digest, as of someone who knows the format."""
    whole = checkpoint.read_bytes()
    digest = metadata(whole)["digest"]
    monkeypatch.setattr(_checkpoint, "_digest", lambda text, arrays: digest)
    outcomes = {"refused": 0, "resumed": 0}

    @settings(max_examples=n_of(20, 1000))
    @given(content=damages(whole))
    def check(content):
        checkpoint.write_bytes(content)
        model = quick(5, checkpoint_dir=checkpoint.parent)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                model.fit(few_digits[0])
            except CheckpointError:
                outcomes["refused"] += 1
                assert checkpoint.read_bytes() == content
                assert not hasattr(model, "labels_")
            else:
                outcomes["resumed"] += 1
                assert model.labels_.shape == (300,)
                assert np.isfinite(model.embedding_).all()

    check()
    print(outcomes)
    assert outcomes["refused"] > 0


def test_small_pieces_of_json_take_no_memory(fitted, tmp_path):
    """Each of them is three bytes in a file, and some seventy as an object."""
    path = tmp_path / "model.skdepict"
    fitted.save(path)
    skdepict.load(path)
    whole = path.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    names = json.loads(whole[8:header])
    inner = json.loads(names["__metadata__"]["skdepict"])
    inner["values"]["history_"] = [{}] * 2_000_000
    names["__metadata__"]["skdepict"] = json.dumps(inner, separators=(",", ":"))
    text = json.dumps(names).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + whole[header:])

    def refused():
        with pytest.raises(ModelFileError):
            skdepict.load(path)

    assert_bounded_memory(refused, path.stat().st_size)


class Touch:
    """An object that leaves a mark when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_the_watch_sees(tmp_path, watch):
    """The check of the checks."""
    with pytest.raises(AssertionError), watch.on(None):
        pickle.loads(pickle.dumps(Touch(tmp_path / "mark")))
    assert (tmp_path / "mark").exists()
    with pytest.raises(AssertionError), watch.on(str(tmp_path / "file")):
        (tmp_path / "file").write_text("a")
    with pytest.raises(AssertionError):
        assert_bounded_memory(lambda: np.ones(200_000), 1000)
