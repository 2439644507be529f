"""What the noisy pathway does to a batch.

All random numbers come from a generator that is passed in, so that fits in several
threads do not disturb each other and torch's global state stays as the user left it.
"""

import math
from functools import cache

import torch
from torch.nn import functional

MAX_ROTATION = 10.0  # degrees
MAX_SHIFT = 0.1  # of the image side
MAX_ZOOM = 0.1  # of the image scale
MAX_BEND = 0.08  # of the image side
BEND_KNOTS = 4  # on each axis
# A 32-bit draw is made into two numbers of 15 bits: every backend of torch documents
# draws from 0 to the largest of a type, and not all of them have other ranges.
DECISIONS_PER_DRAW = 2
DECISION_VALUES = 2**15


class Dropout:
    """Set entries to zero at random and scale the others up, so that means stay.

    Parameters
    ----------
    rate : float in [0, 1)
        The probability of an entry being dropped. It is rounded so that what is kept,
        times a factor that the type of the entries has, is 1 in the mean.
    generator : torch.Generator
        The source of randomness, on the device of the batches.
    """

    def __init__(self, rate, generator):
        self.rate = rate
        self.generator = generator

    def __call__(self, x):
        """Drop entries of a tensor of any shape."""
        if self.rate == 0.0:
            return x
        n_draws = -(-x.numel() // DECISIONS_PER_DRAW)
        draws = torch.empty(n_draws, dtype=torch.int32, device=x.device)
        draws.random_(generator=self.generator)
        decisions = draws.view(torch.int16)[: x.numel()]
        n_kept, factor = kept_values(self.rate, x.dtype)
        # In place: booleans would take four times longer to become factors.
        # The last one that is kept, since their number may be more than 15 bits hold.
        kept = decisions.bitwise_and_(DECISION_VALUES - 1).le_(n_kept - 1)
        return x * _laid_out_as(x, kept.to(x.dtype).mul_(factor))


@cache
def kept_values(rate, dtype):
    """How many values of a decision keep an entry, and what these are multiplied by.

    Parameters
    ----------
    rate : float in [0, 1)
        The probability of an entry being dropped.
    dtype : torch.dtype
        Of the entries.

    Returns
    -------
    n_kept : int
        Of `DECISION_VALUES`.
    factor : float
        One that the type has, as near as it can be to the inverse of the probability of
        being kept. bfloat16 has no 1 / 0.9, but 1.109375, the inverse of 0.9014.
    """
    wanted = _rounded(1.0 / (1.0 - rate), dtype)
    n_kept = max(1, round(DECISION_VALUES / wanted))
    return n_kept, _rounded(DECISION_VALUES / n_kept, dtype)


def _rounded(value, dtype):
    return torch.tensor(value, dtype=dtype, device="cpu").item()


def _laid_out_as(x, values):
    """Give flat values the shape of x, and its order in memory where x has no gaps.

    Products of tensors of different orders are several times slower.
    """
    for order in (torch.contiguous_format, torch.channels_last):
        fits = order == torch.contiguous_format or x.ndim == 4
        if fits and x.is_contiguous(memory_format=order):
            return values.as_strided(x.shape, x.stride())
    return values.view(x.shape)


class Noise:
    """The noise of a fit.

    Parameters
    ----------
    settings : Settings
    generator : torch.Generator
        The source of randomness, on the device of the batches.

    Attributes
    ----------
    distort : Distortion
        For the input.
    drop : Dropout
        For the input and hidden layers.
    generator : torch.Generator
    """

    def __init__(self, settings, generator):
        self.generator = generator
        self.drop = Dropout(settings.dropout, generator)
        self.distort = Distortion(
            generator, settings.affine_noise, settings.elastic_noise
        )


class Distortion:
    """Move the pixels of each image at random; edges repeat outwards.

    Parameters
    ----------
    generator : torch.Generator
        The source of randomness, on the device of the batches.
    affine : bool
        Whether to rotate by up to 10 degrees, shift by up to 10 % of each side and
        scale by up to 10 %, uniformly and independently.
    elastic : bool
        Whether to bend: the points of a 4x4 grid move by up to 8 % of each side,
        uniformly and independently, and those between them smoothly.
    """

    def __init__(self, generator, affine, elastic):
        self._generator = generator
        self._affine, self._elastic = affine, elastic
        self._terms = {}

    def __call__(self, images):
        """Distort a batch of shape (batch_size, n_channels, height, width)."""
        if not self._affine and not self._elastic:
            return images
        n, _, height, width = images.shape
        device, generator = images.device, self._generator
        coefficients = torch.eye(2, 3, dtype=torch.float32, device=device)
        coefficients = coefficients.repeat(n, 1, 1)
        if self._affine:
            coefficients = _random_maps(n, height / width, generator, device)
        if self._elastic:
            bends = _uniform((n, 2, BEND_KNOTS**2), generator, device)
            coefficients = torch.cat([coefficients, bends * (2.0 * MAX_BEND)], dim=2)
        if (height, width) not in self._terms:
            self._terms[height, width] = _displacement_terms(height, width, device)
        n_terms = coefficients.shape[2]
        terms = self._terms[height, width][:n_terms]
        positions = (coefficients.view(2 * n, n_terms) @ terms).view(n, 2, -1)
        # Edges repeat because no sample lies beyond the centre of an edge pixel; not
        # every device has grid_sample's own mode for that.
        for axis, side in enumerate((width, height)):
            positions[:, axis].clamp_(1 / side - 1, 1 - 1 / side)
        grid = positions.view(n, 2, height, width).permute(0, 2, 3, 1)
        return functional.grid_sample(
            images, grid, mode="bilinear", padding_mode="zeros", align_corners=False
        )


def _displacement_terms(height, width, device):
    """What maps and bends are linear in, at each pixel.

    Parameters
    ----------
    height, width : int
        Of the images.
    device : torch.device

    Returns
    -------
    terms : tensor of shape (3 + BEND_KNOTS**2, height * width)
        The coordinates x and y, each from -1 to 1 between the outer edges, and 1; then
        for each knot how far its displacement moves the pixel, bicubic in between.
    """
    single = torch.float32
    x = (2.0 * torch.arange(width, dtype=single) + 1.0) / width - 1.0
    y = (2.0 * torch.arange(height, dtype=single) + 1.0) / height - 1.0
    ones = torch.ones(height, width, dtype=single)
    coordinates = torch.stack([ones * x, ones * y[:, None], ones])
    knots = torch.eye(BEND_KNOTS**2, dtype=single).view(-1, 1, BEND_KNOTS, BEND_KNOTS)
    shares = functional.interpolate(
        knots, size=(height, width), mode="bicubic", align_corners=True
    )
    return torch.cat([coordinates, shares[:, 0]]).flatten(1).to(device)


def _random_maps(n, aspect, generator, device):
    """Affine maps of shape (n, 2, 3) from output to input coordinates, -1 to 1."""
    draws = _uniform((5, n), generator, device)
    angle = draws[0] * math.radians(MAX_ROTATION)
    # Normalised coordinates run from -1 to 1: a shift of 10 % of the side is 0.2.
    shift_x, shift_y = draws[1:3] * (2.0 * MAX_SHIFT)
    zoom_x, zoom_y = 1.0 + draws[3:5] * MAX_ZOOM
    cos, sin = angle.cos(), angle.sin()
    return torch.stack(
        [
            torch.stack([zoom_x * cos, -zoom_y * sin * aspect, shift_x], dim=1),
            torch.stack([zoom_x * sin / aspect, zoom_y * cos, shift_y], dim=1),
        ],
        dim=1,
    )


def _uniform(shape, generator, device):
    """Uniform numbers from -1 to 1."""
    draws = torch.rand(shape, generator=generator, device=device, dtype=torch.float32)
    return draws.mul_(2.0).sub_(1.0)
