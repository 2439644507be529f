"""The protocol of an autoencoder and what the built-in ones share."""

from collections.abc import Callable, Iterable
from typing import TypeVar

import torch
from torch import Generator, Tensor, nn

from skdepict.networks._losses import reconstruction_loss

ModuleType = TypeVar("ModuleType", bound=nn.Module)


class Autoencoder(nn.Module):
    """An encoder and a mirrored decoder, layer by layer.

    `DEPICTClustering` asks of a network only the two methods `encode` and `decode`
    with the arguments and results described there; a module of your own need not
    inherit from this class. It may also set the class attributes below and define
    `reconstruction_loss`; where it does not, these defaults hold.

    Parameters
    ----------
    encoder : iterable of Module
        The layers in order; the last one makes the embedding.
    decoder : iterable of Module
        Those that undo them, in the order that they are applied in.

    Attributes
    ----------
    input_range : tuple of two floats
        The range that image intensities are scaled to.
    target_within_batch : bool
        Whether Q is computed from each batch alone, in place of the whole data.
    """

    input_range: tuple[float, float] = (-1.0, 1.0)
    target_within_batch: bool = False

    def __init__(
        self, encoder: Iterable[nn.Module], decoder: Iterable[nn.Module]
    ) -> None:
        super().__init__()
        self.encoder = nn.ModuleList(encoder)
        self.decoder = nn.ModuleList(decoder)

    def encode(self, x: Tensor, corrupt: Callable[[Tensor], Tensor]) -> list[Tensor]:
        """Run the encoder.

        Parameters
        ----------
        x : tensor of shape (batch_size, ...)
            The scaled samples.
        corrupt : callable
            Takes and returns a tensor. The noisy pathway passes dropout here, the
            clean pathway the identity. Apply it to the input and to hidden layers.

        Returns
        -------
        layers : list of tensor
            The output of each layer; the last one is the embedding, of shape
            (batch_size, embedding_dim).
        """
        *hidden_layers, embedding_layer = self.encoder
        layers: list[Tensor] = []
        for layer in hidden_layers:
            layers.append(layer(corrupt(layers[-1] if layers else x)))
        # As in the paper, nothing is dropped right before the embedding.
        layers.append(embedding_layer(layers[-1]))
        return layers

    def decode(self, embedding: Tensor) -> list[Tensor]:
        """Run the decoder.

        Parameters
        ----------
        embedding : tensor of shape (batch_size, embedding_dim)
            The code, of the noisy pathway while training.

        Returns
        -------
        layers : list of tensor
            Reconstructions of the hidden layers, deepest first, then of the input.
        """
        layers = []
        for layer in self.decoder:
            embedding = layer(embedding)
            layers.append(embedding)
        return layers

    def reconstruction_loss(self, decoded: list[Tensor], clean: list[Tensor]) -> Tensor:
        """Squared error with weight 1 at the input and 0.1 at each hidden layer.

        Parameters
        ----------
        decoded : list of tensor
            What `decode` returned.
        clean : list of tensor
            The input and the clean encoder's hidden layers, input first.

        Returns
        -------
        loss : scalar tensor
            With a gradient.
        """
        return reconstruction_loss(decoded, clean)


def without_values(
    construct: Callable[[], ModuleType], device: torch.device | str = "cpu"
) -> ModuleType:
    """What a function constructs, float32, with weights that hold nothing yet.

    No weights are drawn that would only be replaced, and torch's global generator stays
    as it is.
    """
    with torch.device("meta"):
        module = construct().float()
    # `to_empty` would import sympy, for the order in memory of what has no memory.
    empty: ModuleType = module._apply(
        lambda tensor: torch.empty(tensor.shape, dtype=tensor.dtype, device=device)
    )
    return empty


def initialise_weights(network: nn.Module, generator: Generator) -> None:
    """Glorot-uniform weights and zero biases, drawn from the given generator.

    Batch norm starts as torch starts it.
    """
    for module in network.modules():
        if isinstance(module, (nn.Linear, nn.modules.conv._ConvNd)):
            nn.init.xavier_uniform_(module.weight, generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.reset_parameters()


def no_corruption(x: Tensor) -> Tensor:
    """The clean pathway: every layer passes on what it computed."""
    return x
