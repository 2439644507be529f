"""A 1-D convolutional autoencoder for series."""

from collections.abc import Sequence

from torch import nn

from skdepict.networks._base import Autoencoder
from skdepict.networks._conv import (
    PUBLISHED_MAPS,
    PUBLISHED_ODD_KERNEL,
    strided_autoencoder,
)


class SequenceAutoencoder(Autoencoder):
    """Strided 1-D convolutions and a dense tanh embedding, mirrored by the decoder.

    Parameters
    ----------
    input_shape : tuple (n_channels, length)
        The shape of one series.
    embedding_dim : int
        Units of the embedding.
    """

    def __init__(self, input_shape: Sequence[int], embedding_dim: int) -> None:
        layers = strided_autoencoder(
            *(1, input_shape, embedding_dim, nn.Identity()),
            n_maps=PUBLISHED_MAPS,
            odd_kernel=PUBLISHED_ODD_KERNEL,
        )
        super().__init__(*layers)
