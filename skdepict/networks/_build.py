"""From the `network` parameter to an autoencoder ready for training."""

import copy

import torch

from skdepict._data.layout import check_image_sides
from skdepict.networks._base import (
    Autoencoder,
    initialise_weights,
    no_corruption,
    without_values,
)
from skdepict.networks._conv import ConvAutoencoder, PublishedConvAutoencoder
from skdepict.networks._dense import DenseAutoencoder
from skdepict.networks._losses import reconstruction_loss
from skdepict.networks._sequence import SequenceAutoencoder
from skdepict.networks._sigmoid_conv import SigmoidConvAutoencoder


def choose_network(network, layout, algorithm):
    """What "auto" means.

    Parameters
    ----------
    network : str or torch.nn.Module
    layout : Layout
    algorithm : str
        The parameter of `DEPICTClustering`.

    Returns
    -------
    network : str or torch.nn.Module
    """
    if network != "auto":
        return network
    if layout.kind == "table":
        return "dense"
    return "conv" if algorithm == "stabilised" else "published_conv"


def build_autoencoder(network, layout, embedding_dim, seed, axes=None):
    """Build the autoencoder for samples of the given layout.

    Parameters
    ----------
    network : str or torch.nn.Module
        A name other than "auto", or a module.
    layout : Layout
        What a sample is.
    embedding_dim : int
        Units of the embedding, where the network lets them be chosen.
    seed : int
        Seed of the weights.
    axes : ndarray of shape (n_features, n_components), default=None
        Along which a "dense" network sees samples; see `Components`.

    Returns
    -------
    autoencoder : torch.nn.Module
        float32, on the CPU.
    embedding_dim : int
        Units of the embedding it has.

    Raises
    ------
    ValueError, TypeError
        If the network does not suit the data, or does not keep the protocol.
    """
    if not isinstance(network, str):
        autoencoder = copy_of_module(network)
        return autoencoder, check_protocol(autoencoder, layout.shape)
    n_components = None if axes is None else axes.shape[1]
    autoencoder = without_values(
        lambda: construct(network, layout, embedding_dim, n_components)
    )
    if axes is not None:
        autoencoder.encoder[0][0].axes.copy_(torch.from_numpy(axes))
    initialise_weights(autoencoder, torch.Generator().manual_seed(seed))
    autoencoder = order_in_memory(autoencoder, layout)
    if network == "sigmoid_conv":
        embedding_dim = check_protocol(autoencoder, layout.shape)
    return autoencoder, embedding_dim


def copy_of_module(network):
    """Copy a module of the user's, and give the copy what it may leave to defaults.

    Parameters
    ----------
    network : torch.nn.Module

    Returns
    -------
    autoencoder : torch.nn.Module
        float32, on the CPU, with all attributes of the protocol.
    """
    autoencoder = copy.deepcopy(network).float().cpu()
    defaults = {
        "input_range": Autoencoder.input_range,
        "target_within_batch": Autoencoder.target_within_batch,
        # A bound method, which holds the module, could not be unpickled with it.
        "reconstruction_loss": reconstruction_loss,
    }
    for name, default in defaults.items():
        if not hasattr(autoencoder, name):
            setattr(autoencoder, name, default)
    return autoencoder


def construct(network, layout, embedding_dim, n_components=None):
    """Construct a built-in network by its name.

    Parameters
    ----------
    network : str
        A name other than "auto".
    layout : Layout
        What a sample is.
    embedding_dim : int
        Units of the embedding, where the network lets them be chosen.
    n_components : int or None
        See `DenseAutoencoder`.

    Returns
    -------
    autoencoder : torch.nn.Module

    Raises
    ------
    ValueError
        If the network does not suit the data.
    """
    if network == "dense":
        return DenseAutoencoder(layout.shape, embedding_dim, n_components)
    if network == "sequence":
        check_image_sides(layout, network)
        return SequenceAutoencoder(layout.shape, embedding_dim)
    if layout.kind != "image":
        raise ValueError(
            f"network={network!r} needs images, but X has rows of {layout.n_features} "
            "values. Pass image_shape, or X of shape (n_samples, height, width)."
        )
    check_image_sides(layout, network)
    if network == "conv":
        return ConvAutoencoder(layout.shape, embedding_dim)
    if network == "published_conv":
        return PublishedConvAutoencoder(layout.shape, embedding_dim)
    return SigmoidConvAutoencoder(layout.shape)


def order_in_memory(autoencoder, layout):
    """Store the weights of image networks channel by channel last.

    Convolutions of this size run about a fifth faster in this order.
    """
    if layout.kind != "image":
        return autoencoder
    return autoencoder.to(memory_format=torch.channels_last)


@torch.no_grad()
def check_protocol(autoencoder, sample_shape):
    """Run two samples through a network and check what comes back.

    Parameters
    ----------
    autoencoder : torch.nn.Module
    sample_shape : tuple of int

    Returns
    -------
    embedding_dim : int

    Raises
    ------
    ValueError
        If `encode` or `decode` return something else than the protocol asks for.
    """
    autoencoder.eval()
    x = torch.zeros((2, *sample_shape), dtype=torch.float32)
    try:
        layers = autoencoder.encode(x, no_corruption)
    except RuntimeError as error:
        raise ValueError(
            f"encode of the network fails on a batch of shape {tuple(x.shape)}, which "
            f"is what X gives it: {error}"
        ) from error
    if not isinstance(layers, (list, tuple)) or not layers or layers[-1].ndim != 2:
        raise ValueError(
            "encode of the network must return a list of layer outputs that ends with "
            "the embedding of shape (batch_size, embedding_dim). See "
            "skdepict.networks.Autoencoder."
        )
    wanted = [tuple(layer.shape) for layer in (x, *layers[:-1])][::-1]
    decoded = autoencoder.decode(layers[-1])
    got = [tuple(layer.shape) for layer in decoded]
    if got != wanted:
        raise ValueError(
            "decode of the network must return reconstructions of the hidden layers, "
            f"deepest first, then of the input: shapes {wanted} for a batch of 2. It "
            f"returned {got}."
        )
    return layers[-1].shape[1]
