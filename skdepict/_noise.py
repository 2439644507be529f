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


def random_affine(images, generator):
    """Rotate, shift and scale each image at random; edges repeat outwards.

    Parameters
    ----------
    images : tensor of shape (batch_size, n_channels, height, width)
        The batch.
    generator : torch.Generator
        The source of randomness, on the device of the batch.

    Returns
    -------
    changed : tensor of the same shape
        Rotated by up to 10 degrees, shifted by up to 10 % of each side and scaled by
        up to 10 %, uniformly and independently.
    """
    n, _, height, width = images.shape
    draws = torch.rand(
        (5, n), generator=generator, device=images.device, dtype=torch.float32
    )
    draws = draws.mul_(2.0).sub_(1.0)
    angle = draws[0] * math.radians(MAX_ROTATION)
    # Normalised coordinates run from -1 to 1: a shift of 10 % of the side is 0.2.
    shift_x, shift_y = draws[1:3] * (2.0 * MAX_SHIFT)
    zoom_x, zoom_y = 1.0 + draws[3:5] * MAX_ZOOM
    cos, sin = angle.cos(), angle.sin()
    aspect = height / width
    maps = torch.stack(
        [
            torch.stack([zoom_x * cos, -zoom_y * sin * aspect, shift_x], dim=1),
            torch.stack([zoom_x * sin / aspect, zoom_y * cos, shift_y], dim=1),
        ],
        dim=1,
    )
    grid = functional.affine_grid(maps, list(images.shape), align_corners=False)
    # Edges repeat because no sample lies beyond the centre of an edge pixel; not every
    # device has grid_sample's own mode for that.
    edge = torch.tensor([1 - 1 / width, 1 - 1 / height]).to(grid)
    grid = torch.minimum(torch.maximum(grid, -edge), edge)
    return functional.grid_sample(
        images, grid, mode="bilinear", padding_mode="zeros", align_corners=False
    )
