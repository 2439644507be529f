"""Reconstruction losses."""

from torch.nn import functional


def squared_reconstruction_loss(decoded, clean, hidden_weight):
    """Layer-wise mean squared error between decoder and clean encoder (equation 7).

    Parameters
    ----------
    decoded : list of tensor
        Decoder outputs from the embedding's side to the input's side.
    clean : list of tensor
        The input and the clean encoder's hidden layers, input first.
    hidden_weight : float
        Weight of each hidden layer; the input layer has weight 1.

    Returns
    -------
    loss : scalar tensor
    """
    loss = functional.mse_loss(decoded[-1], clean[0])
    for reconstruction, target in zip(decoded[-2::-1], clean[1:], strict=True):
        loss = loss + hidden_weight * functional.mse_loss(reconstruction, target)
    return loss


def binary_reconstruction_loss(decoded, clean, hidden_weight):
    """Binary cross-entropy at an input in [0, 1] plus weighted squared hidden errors.

    Parameters and return value as in `squared_reconstruction_loss`.
    """
    loss = functional.binary_cross_entropy(decoded[-1], clean[0])
    for reconstruction, target in zip(decoded[-2::-1], clean[1:], strict=True):
        loss = loss + hidden_weight * functional.mse_loss(reconstruction, target)
    return loss
