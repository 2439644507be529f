"""The network as a whole: an autoencoder and the softmax layer on its embedding."""

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import skip_init

from skdepict._noise import no_corruption

# Samples per forward pass outside training. The last batch is filled up to a multiple
# of PADDED_ROWS, so that a row's result does not depend on how many rows come with it:
# matrix products of other heights add up in another order.
INFERENCE_BATCH = 1024
PADDED_ROWS = 32


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
        self.assignment = skip_init(
            nn.Linear, embedding_dim, n_clusters, dtype=torch.float32
        )
        nn.init.zeros_(self.assignment.weight)
        nn.init.zeros_(self.assignment.bias)

    def set_centers(self, centers):
        """Start the softmax layer at unit-length cluster means, bias 0.

        A cluster without samples, whose mean is NaN, starts at weights of zero.

        Parameters
        ----------
        centers : tensor of shape (n_clusters, embedding_dim)
        """
        with torch.no_grad():
            unit_length = functional.normalize(centers.nan_to_num(0.0), dim=1)
            self.assignment.weight.copy_(unit_length)
            self.assignment.bias.zero_()

    def embed(self, x):
        """The clean embedding of a batch."""
        return self.autoencoder.encode(x, no_corruption)[-1]


@torch.inference_mode()
def embed_all(model, samples):
    """Clean embedding of all samples in bounded batches.

    Parameters
    ----------
    model : ClusteringModel
    samples : Samples

    Returns
    -------
    embedding : tensor of shape (n_samples, embedding_dim)
        On the device of the samples, float32.
    """
    model.eval()
    batches = []
    for start in range(0, len(samples), INFERENCE_BATCH):
        batch = samples.batch(slice(start, start + INFERENCE_BATCH))
        n = len(batch)
        missing = -n % PADDED_ROWS
        if missing:
            batch = torch.cat([batch, batch.new_zeros((missing, *batch.shape[1:]))])
        batches.append(model.embed(batch)[:n])
    return torch.cat(batches)


@torch.inference_mode()
def decode_all(model, embedding):
    """Reconstruct samples from embeddings, in bounded batches."""
    model.eval()
    return torch.cat(
        [
            model.autoencoder.decode(batch)[-1]
            for batch in embedding.split(INFERENCE_BATCH)
        ]
    )


@torch.inference_mode()
def assign(model, embedding):
    """Softmax prediction P for embeddings.

    Computed in float64, which makes a row's probabilities sum to 1 exactly enough and
    keeps them independent of the other rows.

    Parameters
    ----------
    model : ClusteringModel
    embedding : tensor of shape (n_samples, embedding_dim)

    Returns
    -------
    probabilities : tensor of shape (n_samples, n_clusters)
        float64, on the device of the embedding, or on the CPU where that has no double
        precision.
    """
    device = double_precision_device(embedding.device)
    weight, bias = (
        tensor.detach().to(device).double()
        for tensor in (model.assignment.weight, model.assignment.bias)
    )
    logits = functional.linear(embedding.to(device).double(), weight, bias)
    return logits.softmax(dim=1)


def double_precision_device(device):
    """The device itself, or the CPU for one that does not compute in float64."""
    return torch.device("cpu") if device.type == "mps" else device
