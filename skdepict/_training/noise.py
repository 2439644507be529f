"""What the noisy pathway does to a batch.

All random numbers come from a generator that is passed in, so that fits in several
threads do not disturb each other and torch's global state stays as the user left it.
"""

import math
from functools import lru_cache

import torch
from torch.nn import functional

MAX_ROTATION = 10.0  # degrees
MAX_SHIFT = 0.1  # of the image side
MAX_ZOOM = 0.1  # of the image scale
MAX_BEND = 0.08  # of the image side
BEND_KNOTS = 4  # on each axis


class Dropout:
    """Set entries to zero at random and scale the others up, so that means stay.

    Entries are drawn with replacement, so many that the wanted share is left: each is
    kept with the same probability, and the draws are few where few are dropped.

    Parameters
    ----------
    rate : float in [0, 1)
        The probability of an entry being dropped. It is rounded so that what is kept,
        times a factor that the type of the entries has, is 1 in the mean, but for half
        a draw.
    generator : torch.Generator
        The source of randomness, on the device of the batches.
    """

    def __init__(self, rate, generator):
        self.rate = rate
        self.generator = generator

    def __call__(self, x):
        """Drop entries of a tensor of any shape."""
        n_draws, factor = draws_and_factor(self.rate, x.numel(), x.dtype)
        if n_draws == 0:
            return x
        dropped = torch.empty(n_draws, dtype=torch.int64, device=x.device)
        dropped.random_(0, x.numel(), generator=self.generator)
        kept = torch.full((x.numel(),), factor, dtype=x.dtype, device=x.device)
        return x * _laid_out_as(x, kept.index_fill_(0, dropped, 0.0))


@lru_cache
def draws_and_factor(rate, n_entries, dtype):
    """How many entries are drawn to be dropped, and what others are multiplied by.

    Of n entries, m draws with replacement leave a share of (1 - 1 / n)^m in the mean.

    Parameters
    ----------
    rate : float in [0, 1)
    n_entries : int
    dtype : torch.dtype
        Of the entries.

    Returns
    -------
    n_draws : int
    factor : float
        One that the type has, as near as it can be to the inverse of the probability of
        being kept. bfloat16 has no 1 / 0.9, but 1.109375, the inverse of 0.9014.
    """
    wanted = min(1.0 / (1.0 - rate), torch.finfo(dtype).max)
    factor = torch.tensor(wanted, dtype=dtype, device="cpu").item()
    n_draws = 0
    if n_entries > 1:
        n_draws = round(math.log(factor) / -math.log1p(-1.0 / n_entries))
    return (n_draws, factor) if n_draws else (0, 1.0)


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
        self._constants = {}

    def __call__(self, images):
        """Distort a batch of shape (batch_size, n_channels, height, width)."""
        if not self._affine and not self._elastic:
            return images
        n, _, height, width = images.shape
        device, generator = images.device, self._generator
        if (height, width) not in self._constants:
            self._constants[height, width] = _constants(height, width, device)
        unmoved, turned, terms, edges = self._constants[height, width]
        coefficients = unmoved.expand(n, 2, 3)
        if self._affine:
            coefficients = _random_maps(n, unmoved, turned, generator)
        if self._elastic:
            bends = _uniform((n, 2, BEND_KNOTS**2), generator, device)
            coefficients = torch.cat([coefficients, bends.mul_(2.0 * MAX_BEND)], dim=2)
        n_terms = coefficients.shape[2]
        positions = coefficients.reshape(2 * n, n_terms) @ terms[:n_terms]
        # Edges repeat because no sample lies beyond the centre of an edge pixel; not
        # every device has grid_sample's own mode for that.
        positions = positions.view(n, 2, -1).clamp_(-edges, edges)
        grid = positions.view(n, 2, height, width).permute(0, 2, 3, 1)
        return functional.grid_sample(
            images, grid, mode="bilinear", padding_mode="zeros", align_corners=False
        )


def _constants(height, width, device):
    """What distortions of images of a size have in common.

    Parameters
    ----------
    height, width : int
        Of the images.
    device : torch.device

    Returns
    -------
    unmoved : tensor of shape (2, 3)
        The map that moves nothing, of x and y from -1 to 1 between the outer edges.
    turned : tensor of shape (2, 3)
        That of a right angle, the centre staying where it is.
    terms : tensor of shape (3 + BEND_KNOTS**2, height * width)
        As `_displacement_terms` has them.
    edges : tensor of shape (2, 1)
        The centres of the last pixels in x and y.
    """
    aspect = height / width
    values = {"dtype": torch.float32, "device": device}
    unmoved = torch.eye(2, 3, **values)
    turned = torch.tensor([[0.0, -aspect, 0.0], [1.0 / aspect, 0.0, 0.0]], **values)
    edges = torch.tensor([[1.0 - 1.0 / width], [1.0 - 1.0 / height]], **values)
    return unmoved, turned, _displacement_terms(height, width, device), edges


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


def _random_maps(n, unmoved, turned, generator):
    """Affine maps of shape (n, 2, 3) from output to input coordinates, -1 to 1."""
    draws = _uniform((n, 1, 5), generator, unmoved.device)
    angles, shifts, zooms = draws.split([1, 2, 2], dim=2)
    angles = angles * math.radians(MAX_ROTATION)
    maps = angles.cos() * unmoved + angles.sin() * turned
    maps[:, :, :2] *= zooms * MAX_ZOOM + 1.0
    # Normalised coordinates run from -1 to 1: a shift of 10 % of the side is 0.2.
    maps[:, :, 2] = shifts[:, 0] * (2.0 * MAX_SHIFT)
    return maps


def _uniform(shape, generator, device):
    """Uniform numbers from -1 to 1."""
    draws = torch.empty(shape, dtype=torch.float32, device=device)
    return draws.uniform_(-1.0, 1.0, generator=generator)
