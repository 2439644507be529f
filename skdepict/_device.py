"""Where and in which precision the network runs."""

from contextlib import nullcontext
from functools import cache

import torch


def resolve_device(name):
    """The torch device for a name, checked to exist.

    Parameters
    ----------
    name : str
        "auto" (CUDA, else MPS, else CPU) or any torch device name such as "cpu",
        "cuda", "cuda:1" or "mps".

    Returns
    -------
    device : torch.device

    Raises
    ------
    ValueError
        If torch does not know the name or the machine does not have the device.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        if torch.backends.mps.is_available():
            return torch.device("mps")
        return torch.device("cpu")
    advice = "Use device='auto' to take a GPU only when there is one, or device='cpu'."
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(
            f"device={name!r} is not a device that torch knows. {advice}"
        ) from error
    if device.type == "cpu":
        available = True
    elif device.type == "cuda":
        available = (device.index or 0) < torch.cuda.device_count()
    elif device.type == "mps":
        available = torch.backends.mps.is_available()
    else:
        raise ValueError(f"device={name!r} is not supported. {advice}")
    if not available:
        raise ValueError(
            f"device={name!r} was asked for, but torch finds no such device on this "
            f"machine. {advice}"
        )
    return device


def training_precision(device):
    """A context for the forward passes of training.

    Matrix products and convolutions run in bfloat16 on GPUs and processors that compute
    it natively, where its range makes loss scaling needless; everything else stays
    float32. Losses and predictions are always float32.
    """
    if _computes_bfloat16(device.type):
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()


def is_out_of_memory(error):
    """Whether an exception says that a device has no memory left.

    Of the processor's memory, and Apple's, torch tells in words only.
    """
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    words = ("out of memory", "can't allocate memory", "not enough memory")
    return isinstance(error, RuntimeError) and any(w in str(error) for w in words)


@cache
def _computes_bfloat16(device_type):
    if device_type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device_type == "cpu" and hasattr(torch.cpu, "get_capabilities"):
        found = torch.cpu.get_capabilities()
        return found.get("avx512_bf16", False) or found.get("amx_bf16", False)
    return False
