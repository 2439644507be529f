"""An exponential moving average of a model's weights."""

from contextlib import contextmanager

import torch
from torch.optim.swa_utils import get_ema_multi_avg_fn


class WeightAverage:
    """The moving average of all floating-point weights and buffers of a model.

    torch's own `AveragedModel` copies the module, which modules that keep results of
    their forward passes refuse, and pairs averaged weights with the latest buffers.

    Parameters
    ----------
    model : torch.nn.Module
        The average starts at what it holds.
    decay : float in [0, 1)
        What is left of the average after a step; 0 is no average.
    """

    def __init__(self, model, decay):
        state = model.state_dict()
        # These share their memory with the model.
        self._held = [t for t in state.values() if t.is_floating_point()]
        self._mean = _copied(self._held)
        self._move = get_ema_multi_avg_fn(decay)

    def update(self):
        """Move towards what the model holds."""
        self._move(self._mean, self._held, None)

    def copy(self):
        """The average as it is now, for `restore`."""
        return _copied(self._mean)

    def restore(self, earlier):
        """Let the average be an earlier one."""
        _assign(self._mean, earlier)

    @contextmanager
    def applied(self):
        """Have the model hold the average within the context."""
        own = _copied(self._held)
        self.apply()
        try:
            yield
        finally:
            _assign(self._held, own)

    def apply(self):
        """Have the model hold the average from now on."""
        _assign(self._held, self._mean)


def _copied(tensors):
    return [tensor.clone() for tensor in tensors]


@torch.no_grad()
def _assign(tensors, values):
    for tensor, value in zip(tensors, values, strict=True):
        tensor.copy_(value)
