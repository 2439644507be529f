"""The program around a call: what it has set is kept out, and left as it was.

Warnings point at its line. A context must not be entered where a generator of the
caller's yields inside it. torch is imported only by what needs it: graphs of neighbours
do without.
"""

import os
import sys
import threading
import warnings
from contextlib import ExitStack, contextmanager

import numpy as np
import sklearn
from threadpoolctl import ThreadpoolController

# Through whose code calls reach us: pipelines, searches, decorators, processes.
BETWEEN = {"skdepict", "sklearn", "joblib", "contextlib", "functools", "torch"}


@contextmanager
def sklearn_defaults():
    """A context in which scikit-learn and numpy have the defaults that we count on."""
    with (
        sklearn.config_context(
            transform_output="default", array_api_dispatch=False, assume_finite=False
        ),
        np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"),
    ):
        yield


@contextmanager
def own_surroundings(device):
    """Keep out the caller's autocast, grad mode, default device and scikit-learn's.

    Parameters
    ----------
    device : torch.device
        Where the call computes; the current one within the context.
    """
    import torch

    with ExitStack() as stack:
        stack.enter_context(sklearn_defaults())
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for kind in {"cpu", device.type}:
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        if device.type == "cuda":
            stack.enter_context(torch.cuda.device(device))
            stack.enter_context(repeatable_convolutions)
        yield


class RepeatableConvolutions:
    """A context in which convolutions on CUDA give the same result each time.

    The flag is of the whole process: of calls beside each other the first one sets it,
    and the last one gives it back.
    """

    def __init__(self):
        self._lock, self._n_calls, self._before = threading.Lock(), 0, False

    def __enter__(self):
        from torch.backends import cudnn

        with self._lock:
            if self._n_calls == 0:
                self._before, cudnn.deterministic = cudnn.deterministic, True
            self._n_calls += 1

    def __exit__(self, *error):
        from torch.backends import cudnn

        with self._lock:
            self._n_calls -= 1
            if self._n_calls == 0:
                cudnn.deterministic = self._before


repeatable_convolutions = RepeatableConvolutions()


def module_generators(device):
    """The global generators that a module of the user's may draw from, by name.

    Parameters
    ----------
    device : torch.device
        Where the module computes.

    Returns
    -------
    generators : dict of str to torch.Generator
    """
    import torch

    generators = {"cpu": torch.default_generator}
    if device.type == "cuda":
        torch.cuda.init()
        generators["cuda"] = torch.cuda.default_generators[device.index]
    elif device.type == "mps":
        generators["mps"] = torch.mps._get_default_mps_generator()
    return generators


@contextmanager
def restored(generators):
    """Give generators their present states back at the end."""
    states = [generator.get_state() for generator in generators]
    try:
        yield
    finally:
        for generator, state in zip(generators, states, strict=True):
            generator.set_state(state)


def _compute_in_one_thread():
    """Let a forked process compute in one thread.

    The threads of GNU OpenMP do not live on in the child of a fork, and where it counts
    on those that its parent had, it waits for them for ever. Their number belongs to
    the thread that forked, the only one that the child has. torch's own data
    loaders do the same in their workers.
    """
    ThreadpoolController().limit(limits=1, user_api="openmp")
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


def warn(message, category=UserWarning):
    """Warn with the place of the nearest caller that is neither ours nor a library's.

    Parameters
    ----------
    message : str
    category : type, default=UserWarning
    """
    level, frame = 1, sys._getframe(0)
    while frame.f_back is not None and _is_between(frame):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def _is_between(frame):
    return frame.f_globals.get("__name__", "").partition(".")[0] in BETWEEN


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_compute_in_one_thread)
