"""Samples as scaled batches on a device."""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch

from skdepict._data.layout import Layout
from skdepict._data.partwise import PartwiseRows
from skdepict._data.reduction import average_areas, enlarge, rounded
from skdepict._data.rows import parts_of
from skdepict._data.scaling import Scaling

# Reduced images of what is read in parts are kept up to so many bytes.
KEPT_BYTES = 2**31


@dataclass(frozen=True)
class InputFormat:
    """What samples looked like in fit, and how they reach the network.

    Attributes
    ----------
    sample_shape : tuple of int
        The shape of one sample as the user passed it.
    layout : Layout
    scaling : Scaling
    network_shape : tuple of int
        The shape of one sample that the network sees: that of the layout, but for large
        images, which are reduced.
    rounds : bool
        Whether reduced images are rounded to whole numbers: those of fit were bytes,
        and are kept as bytes.
    """

    sample_shape: tuple[int, ...]
    layout: Layout
    scaling: Scaling
    network_shape: tuple[int, ...]
    rounds: bool = False

    @property
    def reduces(self):
        """Whether samples are images that are reduced."""
        return self.network_shape != self.layout.shape

    @property
    def network_layout(self):
        """What a sample is to the network."""
        return replace(self.layout, shape=self.network_shape)

    def reduced(self, rows, device):
        """Flat rows as reduced images on a device, scaled.

        Where they are rounded, they are in the units of the user.
        """
        if not self.rounds:
            rows = self.scaling.apply(rows)
        elif self.scaling.clips:
            rows = np.clip(rows, self.scaling.low, self.scaling.high)
        images = np.require(self.layout.arrange(rows), requirements=["C", "W"])
        images = torch.from_numpy(images).to(device)
        reduced = average_areas(images, self.network_shape[1:])
        return rounded(reduced) if self.rounds else reduced

    def scaled_rows(self, rows):
        """Flat rows in the order of the network and in its range, float32."""
        scaled = self.scaling.apply(rows)
        return self.layout.arrange(scaled).reshape(len(rows), -1)

    def warn_of_other_range(self, rows):
        """Say so where the range of flat rows is far outside of what training saw."""
        self.scaling.warn_of_other_range(rows, self.layout.kind)

    def restore(self, samples):
        """The network's samples, a tensor, in the user's shape and units, float64."""
        if self.reduces:
            samples = enlarge(samples, self.layout.shape[1:])
        rows = self.scaling.invert(self.layout.restore(samples.cpu().numpy()))
        return rows.reshape(len(samples), *self.sample_shape)


class Samples:
    """Samples, scaled, as batches on a device.

    Arrays in memory are brought to the device as a whole: small integers (uint8) as
    they are, to be scaled batch by batch, and everything else as scaled float32. Of
    what is read in parts, only batches are held, or reduced images.

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
        is_bytes = rows.dtype == np.uint8 and scalar
        # Whether batches have yet to be scaled.
        self._in_units = input_format.rounds if input_format.reduces else is_bytes
        dtype = torch.uint8 if is_bytes and self._in_units else torch.float32
        self._stored = None
        if isinstance(rows, PartwiseRows):
            n_bytes = len(self) * self.n_features * dtype.itemsize
            if not input_format.reduces or n_bytes > KEPT_BYTES:
                return
        elif is_bytes and not input_format.reduces:
            # Not copied where it can be used as it is.
            self._stored = self._arrange(rows[share])
            return
        shape = (len(self), *input_format.network_shape)
        self._stored = torch.empty(shape, dtype=dtype, device=device)
        for part in parts_of(rows, share):
            place = slice(part.start - share.start, part.stop - share.start)
            self._stored[place] = self._arrange(rows[part])

    def __len__(self):
        return len(self._numbers)

    @property
    def n_features(self):
        """The number of values of one sample."""
        return math.prod(self._format.network_shape)

    @property
    def on_device(self):
        """Whether all samples are on the device, and not read batch by batch."""
        return self._stored is not None

    def batch(self, index):
        """Scaled float32 samples at a slice or an index tensor."""
        if self._stored is not None:
            batch = self._stored[index]
            if isinstance(index, slice) and batch.dtype == torch.float32:
                # A network, or what follows, may change its input in place.
                batch = batch.clone()
        else:
            if isinstance(index, slice):
                numbers = self._numbers[index]
                index = slice(numbers.start, numbers.stop)
            else:
                index = index.numpy(force=True) + self._numbers.start
            batch = self._arrange(self._rows[index])
        if self._in_units:
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
        """A tensor of what is held of rows: in the user's units, or scaled float32."""
        if self._format.reduces:
            return self._format.reduced(rows, self.device)
        if not self._in_units:
            rows = self._format.scaling.apply(rows)
        arranged = self._format.layout.arrange(rows)
        return torch.from_numpy(np.require(arranged, requirements=["C", "W"])).to(
            self.device
        )
