"""Autoencoders behind one small protocol; see `skdepict.networks.Autoencoder`."""

from skdepict.networks._base import Autoencoder
from skdepict.networks._conv import ConvAutoencoder, PublishedConvAutoencoder
from skdepict.networks._dense import DenseAutoencoder
from skdepict.networks._sequence import SequenceAutoencoder
from skdepict.networks._sigmoid_conv import SigmoidConvAutoencoder

__all__ = [
    "Autoencoder",
    "ConvAutoencoder",
    "DenseAutoencoder",
    "PublishedConvAutoencoder",
    "SequenceAutoencoder",
    "SigmoidConvAutoencoder",
]
