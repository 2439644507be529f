"""Shift and scale: from the units of the user to the range that networks work in."""

import math
from dataclasses import dataclass

import numpy as np
import torch

from skdepict._data.partwise import PartwiseRows
from skdepict._data.rows import parts_of
from skdepict._surroundings import warn

# Squares of larger values would overflow.
MAX_ABSOLUTE_VALUE = 1e150
# Images that reach so many times further than all others have extreme values; of fewer
# images than these nobody can tell.
EXTREME = 16
LEAST_IMAGES = 20
# Of images that all span less than this share of what nearly all of the fit span, the
# units are others.
NARROWER = 0.5
NEARLY_ALL = 0.99


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
    narrowest : float
        What nearly all images of the training data span, but those that are blank.
    """

    shift: float | np.ndarray
    scale: float
    low: float | np.ndarray = -math.inf
    high: float | np.ndarray = math.inf
    clips: bool = False
    constant: bool = False
    narrowest: float = 0.0

    def apply(self, samples):
        """Scale an array of samples; the result is float32."""
        if self.clips:
            samples = np.clip(samples, self.low, self.high)
        # In float64 until the shift is gone, or large offsets would drown the data.
        return ((samples.astype(np.float64) - self.shift) / self.scale).astype(
            np.float32
        )

    def warn_of_other_range(self, rows, kind):
        """Say so where samples are far outside of what training saw.

        Parameters
        ----------
        rows : ndarray or PartwiseRows of shape (n_samples, n_features)
            The samples; of what is read in parts, the first part tells the units.
        kind : {"table", "image", "series"}
        """
        parts = parts_of(rows, slice(0, len(rows)))
        parts = parts[:1] if isinstance(rows, PartwiseRows) else parts
        low = np.min([rows[part].min(axis=0) for part in parts], axis=0)
        high = np.max([rows[part].max(axis=0) for part in parts], axis=0)
        if self.clips:
            low, high = (np.clip(end, self.low, self.high) for end in (low, high))
        span = np.maximum(np.subtract(self.high, self.low), self.scale)
        if kind != "table":
            low, high = low.min(), high.max()
            span = np.subtract(self.high, self.low)
        far = (low < self.low - span) | (high > self.high + span)
        if kind == "image":
            middle = (float(low) + float(high)) / 2
            # Blank images may have any value.
            far |= low < high and not self.low <= middle <= self.high
            far |= 0 < float(high) - float(low) < NARROWER * self.narrowest
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


def fit_scaling(rows, layout, input_range, processes):
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
    input_range : tuple of two floats
        What the network wants images to be in.
    processes : Processes
        Each looks at its own share of the data.

    Returns
    -------
    scaling : Scaling

    Raises
    ------
    ValueError
        If the values are too large or vary too little to be scaled.

    Warns
    -----
    UserWarning
        If values are clipped.
    """
    lows, highs, total, constant = _measure(rows, layout, processes)
    low, high = float(lows.min()), float(highs.max())
    if not max(abs(low), abs(high)) < MAX_ABSOLUTE_VALUE:
        raise ValueError(
            f"X has values from {low:g} to {high:g}. Scale it to absolute values below "
            f"{MAX_ABSOLUTE_VALUE:g}, and look for stray extreme values."
        )
    if layout.kind == "image":
        low, high, clips = _range_to_keep(lows, highs)
        start, stop = input_range
        scale = (high - low) / (stop - start) or 1.0
        spans = np.subtract(*(np.clip(ends, low, high) for ends in (highs, lows)))
        spans = spans[spans > 0]
        narrowest = float(np.quantile(spans, 1 - NEARLY_ALL)) if len(spans) else 0.0
        shift = low - start * scale
        return Scaling(shift, scale, low, high, clips, constant, narrowest)
    shift = total / (len(rows) if layout.kind == "table" else rows.size)
    variance = _variance(rows, shift, processes)
    if not constant and variance < np.finfo(np.float64).tiny:
        raise ValueError(
            f"X varies by less than {high - low:g}, too little to be scaled. Multiply "
            "it by a large number."
        )
    scale = 1.0 if constant else math.sqrt(variance)
    if layout.kind == "table":
        return Scaling(shift, scale, lows, highs, constant=constant)
    return Scaling(shift, scale, low, high, constant=constant)


def _measure(rows, layout, processes):
    """Read the data once.

    Returns
    -------
    lows, highs : ndarray
        The range of each column of a table, or of each image or series.
    total : ndarray
        The sum of each column of a table, or of all values.
    constant : bool
        Whether all samples are equal.
    """
    share, first = processes.share(len(rows)), rows[:1]
    by_column = layout.kind == "table"
    axis = 0 if by_column else 1

    def measure_share():
        varies, lows, highs = False, [], []
        total = np.zeros(rows.shape[1] if by_column else ())
        for part in parts_of(rows, share):
            chunk = rows[part]
            varies = varies or bool(np.any(chunk != first))
            total = total + chunk.sum(axis=0 if by_column else None, dtype=np.float64)
            lows.append(chunk.min(axis=axis).astype(np.float64))
            highs.append(chunk.max(axis=axis).astype(np.float64))
            if by_column:
                # Few rows of a wide table are a part: not all of their ranges are kept.
                lows, highs = [np.min(lows, axis=0)], [np.max(highs, axis=0)]
        return varies, total, np.concatenate(lows), np.concatenate(highs)

    varies, total, lows, highs = processes.each(measure_share)
    constant = not processes.any(varies)
    total = processes.sum(torch.as_tensor(total)).numpy()
    lows, highs = map(torch.from_numpy, (lows, highs))
    if by_column:
        lows, highs = -processes.max(-lows), processes.max(highs)
    else:
        lows, highs = processes.gather(lows), processes.gather(highs)
    return lows.numpy(), highs.numpy(), total, constant


def _variance(rows, shift, processes):
    """The mean of the squares of all values less the shift."""
    parts = parts_of(rows, processes.share(len(rows)))
    squares = processes.each(
        lambda: sum(np.square(rows[part] - shift).sum() for part in parts)
    )
    squares = processes.sum(torch.tensor(squares, dtype=torch.float64))
    return squares.item() / rows.size


def _range_to_keep(lows, highs):
    """The range of all images but those with extreme values, of which it warns.

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
    clips : bool
        Whether there are values beyond.
    """
    lowest, highest = float(lows.min()), float(highs.max())
    if len(lows) < LEAST_IMAGES:
        return lowest, highest, False
    n_extreme = max(1, len(lows) // 100)
    most_low = float(np.partition(lows, n_extreme)[n_extreme])
    most_high = float(np.partition(highs, -1 - n_extreme)[-1 - n_extreme])
    for low, high in ((lowest, most_high), (most_low, highest), (most_low, most_high)):
        if 0 < EXTREME * (high - low) < highest - lowest:
            beyond = int(np.sum((lows < low) | (highs > high)))
            warn(
                f"{beyond} of {len(lows)} images have extreme values: X reaches from "
                f"{lowest:g} to {highest:g}, all other images from {low:g} to "
                f"{high:g}. Values beyond that are clipped, or they would make all "
                "others alike."
            )
            return low, high, True
    return lowest, highest, False
