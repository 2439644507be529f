"""From what the user passes to scaled batches on the device."""

import math
from dataclasses import dataclass
from numbers import Integral

import numpy as np
import torch

from skdepict._partwise import PartwiseRows
from skdepict._warnings import warn

IMAGE_CHANNELS = (1, 3, 4)
MIN_IMAGE_SIDE = 8
# Squares of larger values would overflow.
MAX_ABSOLUTE_VALUE = 1e150
# Images that reach so many times further than all others have extreme values; of fewer
# images than these nobody can tell.
EXTREME = 16
LEAST_IMAGES = 20
# Images that span so much less than those of the fit are in other units.
MUCH_NARROWER = 50
# Values that are held in float64 at once.
VALUES_AT_ONCE = 2**22


@dataclass(frozen=True)
class Layout:
    """How one row of the flattened data is laid out.

    Attributes
    ----------
    kind : {"table", "image", "series"}
        What a sample is.
    shape : tuple of int
        (n_features,), (n_channels, height, width) or (n_channels, length): the shape
        that networks see.
    channels_last : bool
        Whether the user's images have their channels on the last axis.
    """

    kind: str
    shape: tuple
    channels_last: bool = False

    @property
    def n_features(self):
        """The number of values of one sample."""
        return math.prod(self.shape)

    def arrange(self, X):
        """View flat rows, or arrays in the user's layout, in the networks' layout."""
        if self.kind == "image" and self.channels_last:
            channels, height, width = self.shape
            X = X.reshape(len(X), height, width, channels)
            return np.moveaxis(X, -1, 1)
        return X.reshape(len(X), *self.shape)

    def restore(self, samples):
        """The inverse of `arrange`, to flat rows."""
        if self.kind == "image" and self.channels_last:
            samples = np.moveaxis(samples, 1, -1)
        return samples.reshape(len(samples), -1)


def find_layout(X_shape, image_shape, network):
    """Decide what a sample is, from the shape of X and the parameters.

    Parameters
    ----------
    X_shape : tuple of int
        Two, three or four axes, samples first.
    image_shape : tuple of int or None
        (height, width), (n_channels, height, width) or (height, width, n_channels).
    network : str or object
        "sequence" reads two axes as series and three as multi-channel series.

    Returns
    -------
    layout : Layout

    Raises
    ------
    ValueError
        If the shape of X and image_shape disagree, or the axis of the channels cannot
        be told.
    """
    if len(X_shape) > 4:
        raise ValueError(
            f"X has {len(X_shape)} axes; tables have 2, grey images 3 and images with "
            "channels 4."
        )
    if network == "sequence":
        if image_shape is not None:
            raise ValueError(
                f"image_shape={image_shape!r} was given with network='sequence', which "
                "reads series, not images. Drop one of the two."
            )
        if len(X_shape) == 4:
            raise ValueError(
                f"X has shape {X_shape}; network='sequence' reads (n_samples, length) "
                "or (n_samples, n_channels, length)."
            )
        return Layout("series", X_shape[1:] if len(X_shape) == 3 else (1, X_shape[1]))
    if image_shape is not None:
        return _given_image_layout(X_shape, image_shape)
    if len(X_shape) == 2:
        return Layout("table", X_shape[1:])
    if len(X_shape) == 3:
        return Layout("image", (1, *X_shape[1:]))
    return _image_layout(X_shape[1:], f"X has shape {X_shape}")


def _given_image_layout(X_shape, image_shape):
    is_shape = (
        isinstance(image_shape, (tuple, list))
        and len(image_shape) in (2, 3)
        and all(isinstance(side, Integral) and int(side) > 0 for side in image_shape)
    )
    if not is_shape:
        raise ValueError(
            f"image_shape={image_shape!r} must be (height, width), (n_channels, "
            "height, width) or (height, width, n_channels), positive integers."
        )
    image_shape = tuple(int(side) for side in image_shape)
    fits = math.prod(image_shape) == math.prod(X_shape[1:])
    if len(X_shape) > 2:
        given_axes = tuple(side for side in image_shape if side > 1)
        fits = fits and given_axes == tuple(side for side in X_shape[1:] if side > 1)
    if not fits:
        raise ValueError(
            f"image_shape={image_shape} does not fit X of shape {X_shape}: a sample "
            f"has {math.prod(X_shape[1:])} values and image_shape asks for "
            f"{math.prod(image_shape)}. Pass the shape of one image."
        )
    if len(image_shape) == 2:
        return Layout("image", (1, *image_shape))
    return _image_layout(image_shape, f"image_shape={image_shape}", any_channels=True)


def _image_layout(shape, origin, any_channels=False):
    legal = range(1, 5) if any_channels else IMAGE_CHANNELS
    first, last = shape[0] in legal, shape[-1] in legal
    if first and last and shape[0] != shape[-1]:
        raise ValueError(
            f"{origin}: the first and the last axis of an image could both be its "
            "channels. Move the channels first, drop an axis of length 1, or flatten "
            "each image and give image_shape=(height, width) for one channel."
        )
    if first:
        return Layout("image", shape)
    if last:
        return Layout("image", (shape[-1], *shape[:-1]), channels_last=True)
    raise ValueError(
        f"{origin}: no axis has a legal number of channels ({list(legal)}). Images are "
        "(n_samples, height, width), or have their channels first or last."
    )


def check_image_sides(layout, network):
    """Refuse images that are too small to convolve."""
    sides = layout.shape[1:]
    if min(sides) < MIN_IMAGE_SIDE:
        what = "series" if layout.kind == "series" else "images"
        raise ValueError(
            f"network={network!r} needs {what} of at least {MIN_IMAGE_SIDE} in each "
            f"direction, got {' x '.join(map(str, sides))}. Flatten the samples to "
            "(n_samples, n_features) and use network='dense'."
        )


@dataclass(frozen=True)
class Scaling:
    """The shift and the scale that bring data to the range networks work in.

    Attributes
    ----------
    shift : float or ndarray of the shape of a sample
        Subtracted first.
    scale : float
        Divided by, after the shift.
    low, high : float or ndarray of shape (n_features,)
        The range of the training data, of tables for each column.
    clips : bool
        Whether values beyond are taken for the ends of the range: a few images had
        extreme ones.
    constant : bool
        Whether all samples of the training data are equal.
    """

    shift: float | np.ndarray
    scale: float
    low: float | np.ndarray = -math.inf
    high: float | np.ndarray = math.inf
    clips: bool = False
    constant: bool = False

    def apply(self, samples):
        """Scale an array of samples; the result is float32."""
        if self.clips:
            samples = np.clip(samples, self.low, self.high)
        # In float64 until the shift is gone, or large offsets would drown the data.
        return ((samples.astype(np.float64) - self.shift) / self.scale).astype(
            np.float32
        )

    def warn_of_other_range(self, low, high, n_samples, kind):
        """Say so where samples are far outside of what training saw.

        Parameters
        ----------
        low, high : ndarray of shape (n_features,)
            Their range.
        n_samples : int
        kind : {"table", "image", "series"}
        """
        if self.clips:
            low, high = (np.clip(end, self.low, self.high) for end in (low, high))
        span = np.maximum(np.subtract(self.high, self.low), self.scale)
        if kind != "table":
            low, high = low.min(), high.max()
            span = np.subtract(self.high, self.low)
        far = (low < self.low - span) | (high > self.high + span)
        # One image alone may be dark.
        if kind == "image" and n_samples >= LEAST_IMAGES:
            far |= 0 < float(high) - float(low) < span / MUCH_NARROWER
        if np.isfinite(span).all() and np.any(far):
            column = int(np.argmax(far))
            where = f" in column {column}" if kind == "table" else ""
            got, seen = (
                " to ".join(f"{np.ravel(end)[column]:g}" for end in ends)
                for ends in ((low, high), (self.low, self.high))
            )
            warn(
                f"X has values from {got}{where}, but fit saw values from {seen}. Pass "
                "samples in the units that fit had; results mean little otherwise."
            )

    def invert(self, samples):
        """Undo `apply`; the result is float64."""
        return samples.astype(np.float64) * self.scale + self.shift


def fit_scaling(rows, layout, autoencoder, processes):
    """Find the scaling of the training data.

    Images are mapped linearly so that the smallest and the largest value of the whole
    array become the ends of the network's `input_range`. Where few images alone reach
    far beyond all others, as one with a hot pixel does, the ends are those of the
    others, and what lies beyond is clipped. Table columns are centred
    and, like all the values of series, divided by one common standard deviation: the
    geometry of the data stays, as for KMeans.

    Parameters
    ----------
    rows : ndarray or PartwiseRows of shape (n_samples, n_features)
        The training data; read twice at most, part by part.
    layout : Layout
        What a sample is.
    autoencoder : torch.nn.Module
        Its `input_range`, by default (-1, 1), is for images.
    processes : Processes
        Each looks at its own share of the data.

    Returns
    -------
    scaling : Scaling

    Raises
    ------
    ValueError
        If the values are too large to be scaled.

    Warns
    -----
    UserWarning
        If values are clipped.
    """
    axis = 0 if layout.kind == "table" else None
    share = processes.share(len(rows))
    first = rows[:1]

    def measure():
        varies, lows, highs = False, [], []
        total = np.zeros(rows.shape[1] if axis == 0 else ())
        for part in parts_of(rows, share):
            chunk = rows[part]
            varies = varies or bool(np.any(chunk != first))
            # Of each column of a table, and of each image or series.
            lows.append(chunk.min(axis=0 if axis == 0 else 1).astype(np.float64))
            highs.append(chunk.max(axis=0 if axis == 0 else 1).astype(np.float64))
            total = total + chunk.sum(axis=axis, dtype=np.float64)
        if axis == 0:
            return varies, np.min(lows, axis=0), np.max(highs, axis=0), total
        return varies, np.concatenate(lows), np.concatenate(highs), total

    varies, lows, highs, total = processes.each(measure)
    constant = not processes.any(varies)
    if axis == 0:
        lows = -processes.max(torch.from_numpy(-lows)).numpy()
        highs = processes.max(torch.from_numpy(highs)).numpy()
    else:
        lows, highs = (
            processes.gather(torch.from_numpy(ends)).numpy() for ends in (lows, highs)
        )
    low, high = float(lows.min()), float(highs.max())
    if not max(abs(low), abs(high)) < MAX_ABSOLUTE_VALUE:
        raise ValueError(
            f"X has values from {low:g} to {high:g}. Scale it to absolute values below "
            f"{MAX_ABSOLUTE_VALUE:g}, and look for stray extreme values."
        )
    if layout.kind == "image":
        ends = _range_of_most(lows, highs)
        clips = ends != (low, high)
        if clips:
            beyond = int(np.sum((lows < ends[0]) | (highs > ends[1])))
            warn(
                f"{beyond} of {len(rows)} images have extreme values: X reaches from "
                f"{low:g} to {high:g}, all other images from {ends[0]:g} to "
                f"{ends[1]:g}. Values beyond that are clipped, or they would make all "
                "others alike."
            )
        low, high = ends
        start, stop = getattr(autoencoder, "input_range", (-1.0, 1.0))
        scale = (high - low) / (stop - start) or 1.0
        return Scaling(low - start * scale, scale, low, high, clips, constant)
    total = processes.sum(torch.as_tensor(total)).numpy()
    shift = total / (len(rows) if axis == 0 else rows.size)

    def sum_of_squares():
        return sum(
            np.square(rows[part] - shift).sum() for part in parts_of(rows, share)
        )

    squares = processes.each(sum_of_squares)
    squares = processes.sum(torch.tensor(squares, dtype=torch.float64)).item()
    variance = squares / rows.size
    if not constant and variance < np.finfo(np.float64).tiny:
        raise ValueError(
            f"X varies by less than {high - low:g}, too little to be scaled. Multiply "
            "it by a large number."
        )
    if axis is None:
        lows, highs = low, high
    scale = 1.0 if constant else math.sqrt(variance)
    return Scaling(shift, scale, lows, highs, constant=constant)


def _range_of_most(lows, highs):
    """The range of images, but for a few that reach far beyond it.

    Parameters
    ----------
    lows, highs : ndarray of shape (n_images,)
        The range of each image.

    Returns
    -------
    low, high : float
        Those of all but one in a hundred images on either side, or but one where there
        are fewer, if all together reach so many times further that of 8 bits no 4 were
        left; otherwise the range of all.
    """
    low, high = float(lows.min()), float(highs.max())
    n_images = len(lows)
    if n_images < LEAST_IMAGES:
        return low, high
    n_extreme = max(1, n_images // 100)
    most_low = float(np.partition(lows, n_extreme)[n_extreme])
    most_high = float(np.partition(highs, -1 - n_extreme)[-1 - n_extreme])
    for ends in ((low, most_high), (most_low, high), (most_low, most_high)):
        if 0 < EXTREME * (ends[1] - ends[0]) < high - low:
            return ends
    return low, high


def parts_of(rows, share):
    """Slices that cover a share of the rows, each of a bounded number of values."""
    step = max(1, VALUES_AT_ONCE // rows.shape[1])
    return [
        slice(start, min(start + step, share.stop))
        for start in range(share.start, share.stop, step)
    ]


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

    sample_shape: tuple
    layout: Layout
    scaling: Scaling

    def scaled_rows(self, rows):
        """Flat rows in the order and the range that the network sees, float32."""
        scaled = self.scaling.apply(rows)
        return self.layout.arrange(scaled).reshape(len(rows), -1)

    def warn_of_other_range(self, low, high, n_samples):
        """Say so where the range of flat rows is far outside of what training saw."""
        self.scaling.warn_of_other_range(low, high, n_samples, self.layout.kind)

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
        self._start, self._n_samples = share.start, share.stop - share.start
        scaling = input_format.scaling
        self._bytes = rows.dtype == np.uint8 and np.ndim(scaling.shift) == 0
        self._stored = None
        if isinstance(rows, PartwiseRows):
            return
        if self._bytes:
            # Not copied where it can be used as it is.
            stored = np.require(self._arrange(rows[share]), requirements=["C", "W"])
        else:
            shape = (self._n_samples, *input_format.layout.shape)
            stored = np.empty(shape, dtype=np.float32)
            for part in parts_of(rows, share):
                place = slice(part.start - share.start, part.stop - share.start)
                stored[place] = self._arrange(rows[part])
        self._stored = torch.from_numpy(stored).to(device)

    def __len__(self):
        return self._n_samples

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
                start, stop, _ = index.indices(self._n_samples)
                index = slice(start + self._start, stop + self._start)
            else:
                index = index.numpy(force=True) + self._start
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
        parts = [
            self.batch(part).cpu().numpy()
            for part in parts_of(self._rows, slice(0, self._n_samples))
        ]
        return np.concatenate(parts).reshape(len(self), -1)

    def _arrange(self, rows):
        if not self._bytes:
            rows = self._format.scaling.apply(rows)
        return self._format.layout.arrange(rows)
