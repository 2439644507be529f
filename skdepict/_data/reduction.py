"""Large images, reduced to the size that networks work at."""

import math

import torch
from torch.nn import functional

from skdepict._data.layout import MIN_IMAGE_SIDE


def working_shape(layout, working_size):
    """The shape of a sample that the network sees.

    Parameters
    ----------
    layout : Layout
        What a sample is to the user.
    working_size : int or None
        Images of more pixels than a square of this side are reduced to so many, about,
        with equal proportions. None leaves all as they are.

    Returns
    -------
    shape : tuple of int
    """
    if layout.kind != "image" or working_size is None:
        return layout.shape
    channels, *sides = layout.shape
    share = min(1.0, working_size / math.sqrt(math.prod(sides)))
    # Narrow images stay wide enough to be convolved.
    reduced = (max(min(side, MIN_IMAGE_SIDE), round(share * side)) for side in sides)
    return channels, *reduced


def average_areas(images, sides):
    """Reduce images: each pixel becomes the mean of the area that it covers.

    Parameters
    ----------
    images : tensor of shape (n_images, n_channels, height, width)
    sides : tuple of int
        The height and the width to reduce to; they need not divide those of the images.

    Returns
    -------
    reduced : tensor of shape (n_images, n_channels, *sides)
        float32.
    """
    down, across = (
        _shares(n_pixels, n_reduced).to(images.device)
        for n_pixels, n_reduced in zip(images.shape[2:], sides, strict=True)
    )
    return down @ images.float() @ across.T


def rounded(images):
    """Reduced images of bytes as whole numbers.

    Means of few bytes often lie half-way. These go up, whatever the last bit of a sum
    is: another processor, or runtime, would round every other one the other way.
    """
    return (images + 1e-3).round()


def enlarge(images, sides):
    """Undo `average_areas` as well as can be, by linear interpolation."""
    return functional.interpolate(
        images, size=tuple(sides), mode="bilinear", align_corners=False
    )


def _shares(n_pixels, n_reduced):
    """How much of each pixel is in each reduced one, divided by the size of that."""
    step = n_pixels / n_reduced
    pixel = torch.arange(n_pixels, dtype=torch.float64)
    start = step * torch.arange(n_reduced, dtype=torch.float64)[:, None]
    overlap = torch.minimum(pixel + 1, start + step) - torch.maximum(pixel, start)
    return (overlap.clamp(min=0) / step).float()
