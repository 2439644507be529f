"""Where a fit computes, and what it draws from."""

import warnings

import numpy as np
import pytest
import torch

from skdepict._surroundings import module_generators, restored
from skdepict._training.processes import device_for_messages
from skdepict._training.streams import USES, stream_seed
from skdepict.networks import _device
from skdepict.networks._device import resolve_device, training_precision, works
from tests.conftest import quick

CPU = torch.device("cpu")


def fails(device):
    raise RuntimeError("not implemented for this device")


def test_a_device_may_be_named_or_given():
    assert resolve_device("cpu", fails) == CPU
    assert resolve_device(CPU, fails) == CPU
    for wrong in ("tpu9", "meta", torch.device("meta")):
        with pytest.raises(ValueError, match="device='auto'"):
            resolve_device(wrong, fails)


def test_a_device_on_which_nothing_works_is_named_once():
    device = torch.device("meta")
    with pytest.warns(RuntimeWarning, match="'meta'.*not implemented") as seen:
        assert not works(device, fails)
    assert seen[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not works(device, fails)


@pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA comes first")
@pytest.mark.parametrize("fit", [fails, lambda device: None])
def test_apples_gpus_are_taken_where_a_first_fit_works(fit, monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    works.cache_clear()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = resolve_device("auto", fit)
    assert found.type == ("cpu" if fit is fails else "mps")
    works.cache_clear()


def test_the_first_fit_is_one(few_digits):
    model = quick(3)
    model._fit_something(CPU)
    assert not hasattr(model, "labels_")


@pytest.mark.parametrize(
    ("rank", "number"), [("0", 0), ("1", 1), ("5", 1), ("x", 0), (None, 0)]
)
def test_processes_of_a_machine_have_a_gpu_each(rank, number, monkeypatch):
    monkeypatch.setattr(_device.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    if rank is not None:
        monkeypatch.setenv("LOCAL_RANK", rank)
    assert _device._number_of_gpu() == number


@pytest.mark.parametrize(
    ("device", "backends", "expected"),
    [
        ("cpu", "cpu:gloo", "cpu"),
        ("cpu", "cpu:gloo,cuda:nccl", "cpu"),
        ("cuda:1", "cpu:gloo,cuda:nccl", "cuda:1"),
        ("cuda:1", "cuda:nccl", "cuda:1"),
        ("mps", "cpu:gloo,cuda:nccl", "cpu"),
    ],
)
def test_messages_are_where_the_group_can_send_them(device, backends, expected):
    found = device_for_messages(torch.device(device), backends)
    assert found == torch.device(expected)


def test_a_group_for_gpus_alone_refuses_a_processor():
    with pytest.raises(ValueError, match=r"'cuda:nccl'.*device='cpu'"):
        device_for_messages(CPU, "cuda:nccl")


def test_each_use_of_a_seed_has_numbers_of_its_own():
    seeds = [stream_seed(s, use) for s in range(50) for use in USES]
    seeds += [stream_seed(s, "noise", rank, 0) for s in range(50) for rank in range(8)]
    assert len(set(seeds)) == len(seeds)
    assert stream_seed(3, "order") == stream_seed(3, "order")
    draws = [
        torch.rand(1000, generator=torch.Generator().manual_seed(seed)).numpy()
        for seed in seeds[:40]
    ]
    correlations = np.corrcoef(draws)[np.triu_indices(40, k=1)]
    assert np.abs(correlations).max() < 0.2


def test_only_what_may_be_drawn_from_is_restored():
    assert list(module_generators(CPU)) == ["cpu"]
    before = torch.get_rng_state()
    with restored(module_generators(CPU).values()):
        torch.rand(3)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("native", [True, False])
def test_rows_are_in_single_precision_on_a_processor(native, monkeypatch):
    monkeypatch.setattr(_device, "_computes_bfloat16", lambda kind: native)
    rows, images = torch.ones(2, 64), torch.ones(2, 1, 8, 8)
    for x, is_lower in ((rows, False), (images, native)):
        with training_precision(x.device, of_rows=x.ndim == 2):
            product = rows @ rows.T
        assert product.dtype == (torch.bfloat16 if is_lower else torch.float32)
