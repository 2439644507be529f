"""A fully connected autoencoder for tables."""

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from skdepict.networks._base import Autoencoder

HIDDEN_UNITS = (500, 500)


class DenseAutoencoder(Autoencoder):
    """Two dense hidden layers and a dense tanh embedding, mirrored by the decoder.

    Parameters
    ----------
    input_shape : tuple of int
        The shape of one sample; images are flattened and restored.
    embedding_dim : int
        Units of the embedding.
    """

    def __init__(self, input_shape: Sequence[int], embedding_dim: int) -> None:
        widths = (math.prod(input_shape), *HIDDEN_UNITS, embedding_dim)
        encoder = _dense_layers(widths, nn.Tanh())
        decoder = _dense_layers(widths[::-1], nn.Identity())
        if len(input_shape) > 1:
            encoder[0].insert(0, nn.Flatten())
            decoder[-1].append(nn.Unflatten(1, tuple(input_shape)))
        super().__init__(encoder, decoder)


def _dense_layers(widths: Sequence[int], output: nn.Module) -> list[nn.Sequential]:
    activations = [nn.LeakyReLU(0.01) for _ in HIDDEN_UNITS] + [output]
    return [
        nn.Sequential(nn.Linear(n_in, n_out), activation)
        for (n_in, n_out), activation in zip(pairwise(widths), activations, strict=True)
    ]
