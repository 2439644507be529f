"""Where and in which precision the network runs."""

import os
import warnings
from contextlib import nullcontext
from functools import cache

import torch
from torch import distributed

from skdepict._surroundings import warn


def resolve_device(name, fit_something):
    """The torch device for a name, checked to exist.

    Parameters
    ----------
    name : str or torch.device
        "auto" (CUDA, else MPS where it works, else the CPU) or any torch device such as
        "cpu", "cuda", "cuda:1" or "mps".
    fit_something : callable
        Fits something small on a device.

    Returns
    -------
    device : torch.device
        With its number, if there can be several.

    Raises
    ------
    ValueError
        If torch does not know the name or the machine does not have the device.
    """
    if isinstance(name, str) and name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", _number_of_gpu())
        mps = torch.device("mps")
        if torch.backends.mps.is_available() and works(mps, fit_something):
            return mps
        return torch.device("cpu")
    advice = "Use device='auto' to take a GPU only when there is one, or device='cpu'."
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(
            f"device={name!r} is not a device that torch knows. {advice}"
        ) from error
    if device.type not in ("cpu", "cuda", "mps"):
        raise ValueError(f"device={name!r} is not supported. {advice}")
    no_gpu = device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()
    no_mps = device.type == "mps" and not torch.backends.mps.is_available()
    if no_gpu or no_mps:
        raise ValueError(
            f"device={name!r} was asked for, but torch finds no such device on this "
            f"machine. {advice}"
        )
    if device.type == "cuda" and device.index is None:
        device = torch.device("cuda", torch.cuda.current_device())
    return device


def _number_of_gpu():
    """The GPU of this process: one for each on a machine, where there is a group."""
    if distributed.is_available() and distributed.is_initialized():
        rank = os.environ.get("LOCAL_RANK", "")
        if rank.isdecimal():
            return int(rank) % torch.cuda.device_count()
    return torch.cuda.current_device()


@cache
def works(device, fit_something):
    """Whether a first small fit on a device succeeds.

    Nobody has run this package on Apple's GPUs yet, and not all operations of torch are
    there in all of its releases.

    Parameters
    ----------
    device : torch.device
    fit_something : callable
        As in `resolve_device`.

    Returns
    -------
    works : bool

    Warns
    -----
    RuntimeWarning
        If it does not, once: the CPU is used then.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fit_something(device)
    except Exception as error:  # whatever a backend may raise
        warn(
            f"This machine has the device {device.type!r}, but a first small fit on it "
            f"fails ({type(error).__name__}: {error}). The CPU is used. "
            f"device={device.type!r} insists on it, and device='cpu' says nothing.",
            RuntimeWarning,
        )
        return False
    return True


def training_precision(device, of_rows):
    """A context for the forward passes of training.

    Matrix products and convolutions run in bfloat16 on GPUs and processors that compute
    it natively, where its range makes loss scaling needless; everything else stays
    float32. So do rows of tables on a processor: narrow layers are slower there in
    bfloat16, with its casts. Losses are always float32, and so is what a fitted model
    predicts.

    Parameters
    ----------
    device : torch.device
    of_rows : bool
        Whether samples are rows of a table.

    Returns
    -------
    context : context manager
    """
    is_narrow = of_rows and device.type == "cpu"
    if _computes_bfloat16(device.type) and not is_narrow:
        # Within an autocast of the user's, cast weights would be kept beyond the step
        # that changes them.
        return torch.autocast(device.type, dtype=torch.bfloat16, cache_enabled=False)
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


def warn_of_memory(consequence, results="Results stay the same"):
    """Say that the device had too little memory, and what is done about it."""
    warn(
        f"The device is out of memory: from now on {consequence}. {results}; it takes "
        "longer."
    )
