"""Captured graphs of kernels, on a processor that plays the GPU."""

from typing import ClassVar

import torch
from torch.utils._python_dispatch import TorchDispatchMode

# What the host has to wait for: an error while a GPU captures.
WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "is_nonzero")


class Recorder(TorchDispatchMode):
    """Records operations, with the memory that they read and write."""

    def __init__(self):
        super().__init__()
        self.calls = []
        self._own, self._overwritten = set(), {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func.__name__.partition(".")[0] in WAITING:
            raise RuntimeError("operation not permitted when stream is capturing")
        self._keep_what_is_written(func, args, kwargs)
        result = func(*args, **kwargs)
        self._own |= {place_of(tensor) for tensor in tensors_in(result)}
        self.calls.append((func, args, kwargs, result))
        return result

    def _keep_what_is_written(self, func, args, kwargs):
        """A capture runs nothing: what it was not the first to write stays as it is."""
        given = [*args, *kwargs.values()]
        for argument, value in zip(func._schema.arguments, given, strict=False):
            written = argument.alias_info is not None and argument.alias_info.is_write
            # Its schema does not say that it writes.
            written |= "batch_norm" in func.__name__ and "running" in argument.name
            if not written:
                continue
            for tensor in tensors_in(value):
                place = place_of(tensor)
                if place not in self._own and place not in self._overwritten:
                    self._overwritten[place] = (tensor, tensor.clone())

    def undo(self):
        for tensor, value in self._overwritten.values():
            tensor.copy_(value)

    def play(self):
        for func, args, kwargs, recorded in self.calls:
            result = func(*args, **kwargs)
            pairs = zip(tensors_in(result), tensors_in(recorded), strict=True)
            for now, then in pairs:
                # Views, and what is changed in place, are there already.
                if place_of(now) != place_of(then):
                    then.copy_(now)


def place_of(tensor):
    return tensor.untyped_storage()._cdata


def tensors_in(value):
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, (list, tuple)):
        return [tensor for part in value for tensor in tensors_in(part)]
    return []


class PlayedGraphs:
    """What `CudaGraphs` does, by recorded operations."""

    made: ClassVar[list] = []

    def __init__(self, generator):
        self.failed = False
        self.generator = generator
        self.n_direct, self.n_captured, self.n_replayed = 0, 0, 0
        self.made.append(self)

    def run(self, function):
        self.n_direct += 1
        return function()

    def capture(self, function):
        before = self.generator.get_state()
        with Recorder() as recorder:
            result = function()
        with torch.no_grad():
            recorder.undo()
        self.generator.set_state(before)
        self.n_captured += 1

        def replay():
            with torch.no_grad():
                recorder.play()
            self.n_replayed += 1

        return replay, result
