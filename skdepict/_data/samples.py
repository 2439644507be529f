"""Samples as scaled batches on a device."""

from dataclasses import dataclass

import numpy as np
import torch

from skdepict._data.layout import Layout
from skdepict._data.partwise import PartwiseRows
from skdepict._data.rows import parts_of
from skdepict._data.scaling import Scaling


@dataclass(frozen=True)
class InputFormat:
    """What samples looked like in fit, and how they reach the network.

    Attributes
    ----------
    sample_shape : tuple of int
        The shape of one sample as the user passed it.
    layout : Layout
    scaling : Scaling
    """

    sample_shape: tuple[int, ...]
    layout: Layout
    scaling: Scaling

    def scaled_rows(self, rows):
        """Flat rows in the order and the range that the network sees, float32."""
        scaled = self.scaling.apply(rows)
        return self.layout.arrange(scaled).reshape(len(rows), -1)

    def warn_of_other_range(self, rows):
        """Say so where the range of flat rows is far outside of what training saw."""
        self.scaling.warn_of_other_range(rows, self.layout.kind)

    def restore(self, samples):
        """The network's samples in the user's shape and units, float64."""
        rows = self.scaling.invert(self.layout.restore(samples))
        return rows.reshape(len(samples), *self.sample_shape)


class Samples:
    """Samples, scaled, as batches on a device.

    Arrays in memory are brought to the device as a whole: small integers (uint8) as
    they are, to be scaled batch by batch, and everything else as scaled float32. Of
    what is read in parts, only batches are held.

    Parameters
    ----------
    rows : ndarray or PartwiseRows of shape (n_rows, n_features)
        Flat rows as the user passed them.
    input_format : InputFormat
        How to read them.
    device : torch.device
        Where batches are needed.
    share : slice, default=None
        Which of the rows these samples are; None for all.
    """

    def __init__(self, rows, input_format, device, share=None):
        share = slice(0, len(rows)) if share is None else share
        self._rows, self._format, self.device = rows, input_format, device
        self._numbers = range(share.start, share.stop)
        scalar = np.ndim(input_format.scaling.shift) == 0
        self._bytes = rows.dtype == np.uint8 and scalar
        self._stored = None
        if isinstance(rows, PartwiseRows):
            return
        if self._bytes:
            # Not copied where it can be used as it is.
            stored = np.require(self._arrange(rows[share]), requirements=["C", "W"])
        else:
            stored = np.empty((len(self), *input_format.layout.shape), np.float32)
            for part in parts_of(rows, share):
                place = slice(part.start - share.start, part.stop - share.start)
                stored[place] = self._arrange(rows[part])
        self._stored = torch.from_numpy(stored).to(device)

    def __len__(self):
        return len(self._numbers)

    @property
    def n_features(self):
        """The number of values of one sample."""
        return self._format.layout.n_features

    @property
    def on_device(self):
        """Whether all samples are on the device, and not read batch by batch."""
        return self._stored is not None

    def batch(self, index):
        """Scaled float32 samples at a slice or an index tensor."""
        if self._stored is not None:
            batch = self._stored[index]
            if isinstance(index, slice) and not self._bytes:
                # A network may change its input in place.
                batch = batch.clone()
        else:
            if isinstance(index, slice):
                numbers = self._numbers[index]
                index = slice(numbers.start, numbers.stop)
            else:
                index = index.numpy(force=True) + self._numbers.start
            part = self._arrange(self._rows[index])
            batch = torch.from_numpy(np.require(part, requirements=["C", "W"]))
            batch = batch.to(self.device)
        if self._bytes:
            scaling = self._format.scaling
            batch = batch.float()
            if scaling.clips:
                batch.clamp_(scaling.low, scaling.high)
            batch.sub_(scaling.shift).div_(scaling.scale)
        return batch

    def rows(self):
        """All samples as flat scaled rows, an ndarray (n_samples, n_features)."""
        parts = parts_of(self._rows, slice(0, len(self)))
        rows = [self.batch(part).cpu().numpy() for part in parts]
        return np.concatenate(rows).reshape(len(self), -1)

    def _arrange(self, rows):
        if not self._bytes:
            rows = self._format.scaling.apply(rows)
        return self._format.layout.arrange(rows)
