"""The convolutional autoencoder of the paper, for any image size from 8x8."""

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

N_MAPS = 50
# Strided layers are added until the maps are no larger than the paper's 13x13.
LARGEST_LAST_MAP = 13


def strided_layer(size: int) -> tuple[int, int, int, int]:
    """Kernel, stride and padding that halve a side of the given length.

    An even side takes kernel 4 and an odd one kernel 5, so that stride 2 fits without
    a remainder and the transposed layer gives back the same side. At sides 16, 28, 32
    and 55 these are the numbers of the paper.

    Parameters
    ----------
    size : int
        The side in pixels.

    Returns
    -------
    kernel_size, stride, padding, output_size : int
    """
    if size < 4:
        return 3, 1, 1, size
    kernel_size = 4 if size % 2 == 0 else 5
    padding = 2 if kernel_size == 5 or size >= 32 else 0
    return kernel_size, 2, padding, (size + 2 * padding - kernel_size) // 2 + 1


def strided_autoencoder(
    dimensions: int, input_shape: Sequence[int], embedding_dim: int, output: nn.Module
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
        *geometry, outputs = zip(*map(strided_layer, sides), strict=True)
        down = convolution(channels, N_MAPS, *geometry)
        encoder.append(nn.Sequential(down, nn.LeakyReLU(0.01, inplace=True)))
        up = transposed(N_MAPS, channels, *geometry)
        last = nn.LeakyReLU(0.01, inplace=True) if decoder else output
        decoder.append(nn.Sequential(up, last))
        channels, sides = N_MAPS, list(outputs)
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

    Two convolutions of 50 maps each, more for sides above 55 pixels; leaky ReLU of
    slope 0.01 inside and tanh at the output (Dizaji et al. 2017, section 4).

    Parameters
    ----------
    input_shape : tuple (n_channels, height, width)
        The shape of one image.
    embedding_dim : int
        Units of the embedding.
    """

    def __init__(self, input_shape: Sequence[int], embedding_dim: int) -> None:
        super().__init__(*strided_autoencoder(2, input_shape, embedding_dim, nn.Tanh()))
