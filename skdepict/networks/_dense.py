"""A fully connected autoencoder for tables."""

import math

from torch import nn
from torch.nn.utils import skip_init

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

    def __init__(self, input_shape, embedding_dim):
        widths = (math.prod(input_shape), *HIDDEN_UNITS, embedding_dim)
        activations = [nn.LeakyReLU(0.01)] * len(HIDDEN_UNITS) + [nn.Tanh()]
        encoder = [
            nn.Sequential(skip_init(nn.Linear, n_in, n_out), activation)
            for n_in, n_out, activation in zip(
                widths[:-1], widths[1:], activations, strict=True
            )
        ]
        activations = [nn.LeakyReLU(0.01)] * len(HIDDEN_UNITS) + [nn.Identity()]
        decoder = [
            nn.Sequential(skip_init(nn.Linear, n_in, n_out), activation)
            for n_in, n_out, activation in zip(
                widths[:0:-1], widths[-2::-1], activations, strict=True
            )
        ]
        if len(input_shape) > 1:
            encoder[0].insert(0, nn.Flatten())
            decoder[-1].append(nn.Unflatten(1, input_shape))
        super().__init__(encoder, decoder)
