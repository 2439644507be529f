"""What tells one fit from another."""

import functools
import subprocess
import sys
import types

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans

from skdepict._data.rows import fingerprint_of_rows
from skdepict.persistence._identity import fingerprint_of

NETWORK = """
import torch

SCALE = {scale}

def squash(x):
    return {squash}(x * SCALE)

class Base(torch.nn.Module):
    def encode(self, x, corrupt):
        return [squash(self.down(corrupt(x)))]

class Network(Base):
    def __init__(self):
        super().__init__()
        self.down, self.up = torch.nn.Linear(6, 8), torch.nn.Linear(8, 6)
        self.scale = {attribute}

    def decode(self, embedding):
        return [self.up(embedding) for _ in range({constant})]
"""
SOURCE = {"scale": 1, "squash": "torch.tanh", "attribute": 1.0, "constant": 1}


def network(lines_before="", **changes):
    """A module of a notebook, whose weights are those of all others."""
    namespace = types.ModuleType("__main__").__dict__
    exec(lines_before + NETWORK.format(**(SOURCE | changes)), namespace)
    module = namespace["Network"]()
    for parameter in module.parameters():
        torch.nn.init.constant_(parameter, 0.5)
    return module


def test_the_same_source_and_weights_are_the_same_network():
    expected = fingerprint_of(network())
    assert fingerprint_of(network()) == expected
    assert fingerprint_of(network("# A comment above.\n\n")) == expected


@pytest.mark.parametrize(
    "change",
    [
        {"scale": 2},
        {"squash": "torch.relu"},
        {"attribute": 2.0},
        {"attribute": "torch.ones(2)"},
        {"attribute": "[1, (2, None)]"},
        {"attribute": "lambda: 3"},
        {"constant": 2},
    ],
    ids=str,
)
def test_a_change_of_the_code_or_of_what_it_holds_is_another_network(change):
    assert fingerprint_of(network(**change)) != fingerprint_of(network())


class Cached:
    """Code behind descriptors."""

    @functools.cached_property
    def cached(self):
        return 1

    @functools.lru_cache  # noqa: B019
    def remembered(self):
        return 1


class CachedOtherwise:
    """The same, but for a number."""

    @functools.cached_property
    def cached(self):
        return 2

    @functools.lru_cache  # noqa: B019
    def remembered(self):
        return 1


def test_what_decorators_hide_counts():
    Cached.__qualname__ = CachedOtherwise.__qualname__ = "Same"
    assert fingerprint_of(Cached) != fingerprint_of(CachedOtherwise)
    module = network()
    before = fingerprint_of(module)
    module.register_forward_hook(lambda *arguments: None)
    assert fingerprint_of(module) != before


def test_other_weights_are_another_network():
    module = network()
    before = fingerprint_of(module)
    with torch.no_grad():
        module.down.weight[0, 0] += 1e-6
    assert fingerprint_of(module) != before


def test_a_fingerprint_is_the_same_in_each_process():
    command = (
        "from tests.persistence.test_identity import fingerprint_of, network, KMeans;"
        "print(fingerprint_of([network(), {'a', 'b', 'c'}, KMeans(4)]))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", command], capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    }
    assert len(found) == 1


DIFFERENT = [
    None,
    0,
    False,
    "0",
    b"0",
    (),
    [],
    {},
    set(),
    {1},
    np.zeros(2),
    np.zeros(2, dtype=np.float32),
    np.zeros((2, 1)),
    np.array([None, 1], dtype=object),
    torch.zeros(2),
    KMeans(3),
    KMeans(4),
    functools.partial(print, 1),
    functools.partial(print, 2),
    np.random.RandomState(0),
    np.random.RandomState(1),
    np.random.default_rng(0),
    np.random.default_rng(1),
    len,
    np.linalg,
]


def test_values_that_differ_have_fingerprints_that_do():
    assert len({fingerprint_of(value) for value in DIFFERENT}) == len(DIFFERENT)


def test_a_value_that_holds_itself_has_a_fingerprint():
    value = [1]
    value.append(value)
    assert fingerprint_of(value) != fingerprint_of([1])
    assert fingerprint_of(np.int64(3)) == fingerprint_of(3)


def test_every_sample_counts():
    rows = np.random.default_rng(0).random((1000, 3))
    before = fingerprint_of_rows(rows)
    assert fingerprint_of_rows(rows.copy(order="F")) == before
    for place in (0, 1, 500, 999):
        changed = rows.copy()
        changed[place, 1] += 1e-9
        assert fingerprint_of_rows(changed) != before
