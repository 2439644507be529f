"""What the noisy pathway does to a batch.

All random numbers come from a generator that is passed in, so that fits in several
threads do not disturb each other and torch's global state stays as the user left it.
"""

import math

import torch
from torch.nn import functional

MAX_ROTATION = 10.0  # degrees
MAX_SHIFT = 0.1  # of the image side
MAX_ZOOM = 0.1  # of the image scale
MAX_BEND = 0.08  # of the image side
BEND_KNOTS = 4  # on each axis


class Dropout:
    """Set entries to zero at random and scale the others up, so that means stay.

    Parameters
    ----------
    rate : float in [0, 1)
        The probability of an entry being dropped.
    generator : torch.Generator
        The source of randomness, on the device of the batches.
    """

    def __init__(self, rate, generator):
        self.rate = rate
        self.generator = generator

    def __call__(self, x):
        if self.rate == 0.0:
            return x
        kept = torch.rand(
            x.shape, generator=self.generator, device=x.device, dtype=torch.float32
        )
        return x * (kept >= self.rate).to(x.dtype).div_(1.0 - self.rate)


def no_corruption(x):
    """The clean pathway: every layer passes on what it computed."""
    return x


def distort(images, generator, affine, elastic):
    """Move the pixels of each image at random; edges repeat outwards.

    Parameters
    ----------
    images : tensor of shape (batch_size, n_channels, height, width)
        The batch.
    generator : torch.Generator
        The source of randomness, on the device of the batch.
    affine : bool
        Whether to rotate by up to 10 degrees, shift by up to 10 % of each side and
        scale by up to 10 %, uniformly and independently.
    elastic : bool
        Whether to bend: the points of a 4x4 grid move by up to 8 % of each side,
        uniformly and independently, and those between them smoothly.

    Returns
    -------
    distorted : tensor of the same shape
    """
    if not affine and not elastic:
        return images
    n, _, height, width = images.shape
    maps = torch.eye(2, 3, device=images.device).repeat(n, 1, 1)
    if affine:
        maps = _random_maps(n, height / width, generator, images.device)
    grid = functional.affine_grid(maps, list(images.shape), align_corners=False)
    if elastic:
        grid = grid + _random_bends(n, height, width, generator, images.device)
    # Edges repeat because no sample lies beyond the centre of an edge pixel; not every
    # device has grid_sample's own mode for that.
    edge = torch.tensor([1 - 1 / width, 1 - 1 / height]).to(grid)
    grid = torch.minimum(torch.maximum(grid, -edge), edge)
    return functional.grid_sample(
        images, grid, mode="bilinear", padding_mode="zeros", align_corners=False
    )


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


def _random_bends(n, height, width, generator, device):
    """Smooth displacements of shape (n, height, width, 2) in normalised coordinates."""
    knots = _uniform((n, 2, BEND_KNOTS, BEND_KNOTS), generator, device)
    bends = functional.interpolate(
        knots * (2.0 * MAX_BEND),
        size=(height, width),
        mode="bicubic",
        align_corners=True,
    )
    return bends.permute(0, 2, 3, 1)


def _uniform(shape, generator, device):
    """Uniform numbers from -1 to 1."""
    draws = torch.rand(shape, generator=generator, device=device, dtype=torch.float32)
    return draws.mul_(2.0).sub_(1.0)
