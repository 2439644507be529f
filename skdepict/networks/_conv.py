"""Convolutional autoencoders for any image size from 8x8, the paper's and ours."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from torch import Tensor, nn

from skdepict.networks._base import Autoencoder
from skdepict.networks._convolutions import (
    Conv1d,
    Conv2d,
    ConvTranspose1d,
    ConvTranspose2d,
)

# Of the first convolution, and of the others.
PUBLISHED_MAPS = 50, 50
PUBLISHED_ODD_KERNEL = 5
# Strided layers are added until the maps are no larger than the paper's 13x13.
LARGEST_LAST_MAP = 13


def strided_layer(size: int, odd_kernel: int) -> tuple[int, int, int, int]:
    """Kernel, stride and padding that halve a side of the given length.

    An even side takes kernel 4 and an odd one kernel 3 or 5, so that stride 2 fits
    without a remainder and the transposed layer gives back the same side. With 5, these
    are the numbers of the paper at sides 16, 28, 32 and 55.

    Parameters
    ----------
    size : int
        The side in pixels.
    odd_kernel : {3, 5}
        The kernel at odd sides.

    Returns
    -------
    kernel_size, stride, padding, output_size : int
    """
    if size < 4:
        return 3, 1, 1, size
    if size % 2:
        return odd_kernel, 2, odd_kernel // 2, size // 2 + 1
    padding = 2 if size >= 32 else 0
    return 4, 2, padding, (size + 2 * padding - 4) // 2 + 1


def strided_autoencoder(
    dimensions: int,
    input_shape: Sequence[int],
    embedding_dim: int,
    output: nn.Module,
    *,
    n_maps: tuple[int, int],
    odd_kernel: int,
) -> tuple[list[nn.Module], list[nn.Module]]:
    """Layers of a convolutional encoder with a dense embedding, and of its mirror.

    Parameters
    ----------
    dimensions : {1, 2}
        Of the convolutions.
    input_shape : tuple (n_channels, *sides)
        The shape of one sample.
    embedding_dim : int
        Units of the embedding.
    output : torch.nn.Module
        The activation at the decoder's output.
    n_maps : tuple (of the first convolution, of the others)
    odd_kernel : {3, 5}
        The kernel at odd sides.

    Returns
    -------
    encoder, decoder : list of torch.nn.Module
        In the order they are run.
    """
    convolution: Any = {1: Conv1d, 2: Conv2d}[dimensions]
    transposed: Any = {1: ConvTranspose1d, 2: ConvTranspose2d}[dimensions]
    channels, *sides = input_shape
    encoder: list[nn.Module] = []
    decoder: list[nn.Module] = []
    while len(encoder) < 2 or max(sides) > LARGEST_LAST_MAP:
        # Kernels, strides and paddings: in the order that convolutions take them.
        layers = (strided_layer(side, odd_kernel) for side in sides)
        *geometry, outputs = zip(*layers, strict=True)
        maps = n_maps[min(len(encoder), 1)]
        down = convolution(channels, maps, *geometry)
        encoder.append(nn.Sequential(down, nn.LeakyReLU(0.01, inplace=True)))
        up = transposed(maps, channels, *geometry)
        last = nn.LeakyReLU(0.01, inplace=True) if decoder else output
        decoder.append(nn.Sequential(up, last))
        channels, sides = maps, list(outputs)
    n_units = channels * math.prod(sides)
    encoder.append(
        nn.Sequential(FlattenPositions(), nn.Linear(n_units, embedding_dim), nn.Tanh())
    )
    decoder.append(
        nn.Sequential(
            nn.Linear(embedding_dim, n_units),
            nn.LeakyReLU(0.01, inplace=True),
            UnflattenPositions(channels, sides),
        )
    )
    return encoder, decoder[::-1]


class FlattenPositions(nn.Module):
    """Maps to rows, position by position: no copy where channels are stored last."""

    def forward(self, maps: Tensor) -> Tensor:
        """Flatten maps of shape (batch_size, n_channels, *sides)."""
        return maps.movedim(1, -1).flatten(1)


class UnflattenPositions(nn.Module):
    """The inverse of `FlattenPositions`.

    Parameters
    ----------
    channels : int
    sides : list of int
    """

    def __init__(self, channels: int, sides: Iterable[int]) -> None:
        super().__init__()
        self.shape = (*sides, channels)

    def forward(self, rows: Tensor) -> Tensor:
        """Unflatten rows of shape (batch_size, n_channels * prod(sides))."""
        return rows.view(len(rows), *self.shape).movedim(-1, 1)


class ConvAutoencoder(Autoencoder):
    """Strided convolutions and a dense tanh embedding, mirrored by the decoder.

    Two convolutions of 32 and 64 maps, more for sides above 55 pixels, with kernel 4 at
    even sides and 3 at odd ones; leaky ReLU of slope 0.01 inside and tanh at the output
    (after Dizaji et al. 2017, section 4).

    Parameters
    ----------
    input_shape : tuple (n_channels, height, width)
        The shape of one image.
    embedding_dim : int
        Units of the embedding.
    """

    _n_maps = 32, 64
    _odd_kernel = 3

    def __init__(self, input_shape: Sequence[int], embedding_dim: int) -> None:
        layers = strided_autoencoder(
            *(2, input_shape, embedding_dim, nn.Tanh()),
            n_maps=self._n_maps,
            odd_kernel=self._odd_kernel,
        )
        super().__init__(*layers)


class PublishedConvAutoencoder(ConvAutoencoder):
    """The network of Dizaji et al. 2017 (section 4), for any image size from 8x8.

    As `ConvAutoencoder`, but with 50 maps in all convolutions and kernel 5 at odd
    sides.

    Parameters
    ----------
    input_shape : tuple (n_channels, height, width)
        The shape of one image.
    embedding_dim : int
        Units of the embedding.
    """

    _n_maps = PUBLISHED_MAPS
    _odd_kernel = PUBLISHED_ODD_KERNEL
