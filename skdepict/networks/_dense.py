"""A fully connected autoencoder for tables."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from skdepict.networks._base import Autoencoder

HIDDEN_UNITS = (500, 500)
# Of components, which are much of what a first layer would learn.
HIDDEN_UNITS_OF_COMPONENTS = (500,)
# Of so many and more the length says little; as `WhitenedComponents` has it.
MIN_COMPONENTS_FOR_UNIT_LENGTH = 8


class Components(nn.Module):
    """Coordinates along fixed axes; many of them are brought to one length.

    The length is that of numbers whose squares are 1 in the mean.

    Parameters
    ----------
    n_features, n_components : int

    Attributes
    ----------
    axes : tensor of shape (n_features, n_components)
        Zero until they are set.
    """

    def __init__(self, n_features: int, n_components: int) -> None:
        super().__init__()
        self.axes: Tensor
        self.register_buffer("axes", torch.zeros(n_features, n_components))

    def forward(self, x: Tensor) -> Tensor:
        """Project samples of shape (batch_size, n_features)."""
        with torch.autocast(x.device.type, enabled=False):
            coordinates = x @ self.axes
            n_components = coordinates.shape[1]
            if n_components < MIN_COMPONENTS_FOR_UNIT_LENGTH:
                return coordinates
            return functional.normalize(coordinates) * math.sqrt(n_components)


class DenseAutoencoder(Autoencoder):
    """Two dense hidden layers and a dense tanh embedding, mirrored by the decoder.

    Parameters
    ----------
    input_shape : tuple of int
        The shape of one sample; images are flattened and restored.
    embedding_dim : int
        Units of the embedding.
    n_components : int, default=None
        The encoder sees so many linear combinations of the inputs, which are not
        trained, and has one hidden layer. By default it sees the inputs.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        embedding_dim: int,
        n_components: int | None = None,
    ) -> None:
        n_features = math.prod(input_shape)
        hidden = HIDDEN_UNITS if n_components is None else HIDDEN_UNITS_OF_COMPONENTS
        widths = (n_components or n_features, *hidden, embedding_dim)
        encoder = _dense_layers(widths, nn.Tanh())
        decoder = _dense_layers((*widths[:0:-1], n_features), nn.Identity())
        if n_components is not None:
            encoder[0].insert(0, Components(n_features, n_components))
        if len(input_shape) > 1:
            encoder[0].insert(0, nn.Flatten())
            decoder[-1].append(nn.Unflatten(1, tuple(input_shape)))
        super().__init__(encoder, decoder)


def _dense_layers(widths: Sequence[int], output: nn.Module) -> list[nn.Sequential]:
    activations = [nn.LeakyReLU(0.01) for _ in widths[2:]] + [output]
    return [
        nn.Sequential(nn.Linear(n_in, n_out), activation)
        for (n_in, n_out), activation in zip(pairwise(widths), activations, strict=True)
    ]
