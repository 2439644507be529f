"""The network as a whole: an autoencoder and the softmax layer on its embedding."""

import torch
from torch import nn
from torch.nn import functional

from skdepict.networks._base import no_corruption, without_values


class ClusteringModel(nn.Module):
    """An autoencoder with a softmax layer on its embedding.

    Parameters
    ----------
    autoencoder : nn.Module
        Keeps the protocol of `skdepict.networks.Autoencoder`.
    embedding_dim : int
        Units of the embedding.
    n_clusters : int
        Units of the softmax layer.
    """

    def __init__(self, autoencoder, embedding_dim, n_clusters):
        super().__init__()
        self.autoencoder = autoencoder
        self.assignment = _softmax_layer(embedding_dim, n_clusters, "cpu")

    def set_centers(self, centers):
        """Start the softmax layer at unit-length cluster means, bias 0.

        A cluster without samples, whose mean is NaN, starts at weights of zero. The
        layer gets as many units as there are clusters.

        Parameters
        ----------
        centers : tensor of shape (n_clusters, embedding_dim)
        """
        self.resize(len(centers))
        with torch.no_grad():
            unit_length = functional.normalize(centers.nan_to_num(0.0), dim=1)
            self.assignment.weight.copy_(unit_length)
            self.assignment.bias.zero_()

    def resize(self, n_clusters):
        """Give the softmax layer another number of units, which know nothing yet."""
        weight = self.assignment.weight
        if n_clusters == len(weight):
            return
        self.assignment = _softmax_layer(weight.shape[1], n_clusters, weight.device)

    def embed(self, x):
        """The clean embedding of a batch."""
        return self.autoencoder.encode(x, no_corruption)[-1]


def _softmax_layer(embedding_dim, n_clusters, device):
    layer = without_values(lambda: nn.Linear(embedding_dim, n_clusters), device)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
