"""The reconstruction loss."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional


def reconstruction_loss(
    decoded: Sequence[Tensor],
    clean: Sequence[Tensor],
    hidden_weight: float = 0.1,
    loss_at_input: Callable[[Tensor, Tensor], Tensor] = functional.mse_loss,
) -> Tensor:
    """Compare the decoder with the clean encoder, layer by layer (equation 7).

    Parameters
    ----------
    decoded : list of tensor
        Decoder outputs from the embedding's side to the input's side.
    clean : list of tensor
        The input and the clean encoder's hidden layers, input first.
    hidden_weight : float, default=0.1
        Weight of the mean squared error at each hidden layer; the input has weight 1.
    loss_at_input : callable, default=torch.nn.functional.mse_loss
        Takes the reconstruction of the input and the input.

    Returns
    -------
    loss : scalar tensor
    """
    loss = loss_at_input(decoded[-1], clean[0])
    for reconstruction, target in zip(decoded[-2::-1], clean[1:], strict=True):
        if reconstruction.is_contiguous(memory_format=torch.channels_last):
            # In their order in memory: the gradient of `mse_loss` has no other one, and
            # what meets it further down would be several times slower.
            reconstruction, target = (
                maps.movedim(1, -1) for maps in (reconstruction, target)
            )
        loss = loss + hidden_weight * functional.mse_loss(reconstruction, target)
    return loss
