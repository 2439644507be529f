"""The network as a whole: an autoencoder and the softmax layer on its embedding."""

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import skip_init

from skdepict.networks._base import no_corruption
from skdepict.networks._device import is_out_of_memory, warn_of_memory

# Samples per forward pass outside training; fewer of large ones, which have so many
# values together at most, and maps of about 16 times the memory. The last batch is
# filled up to a multiple of PADDED_ROWS, so that a row's result does not depend on how
# many rows come with it: matrix products of other heights add up in another order.
INFERENCE_BATCH = 1024
INFERENCE_VALUES = 2**24
PADDED_ROWS = 32
# Values of an embedding, or of probabilities, that are held in float64 at once.
ASSIGNED_VALUES = 2**22


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


def inference_batch(n_features):
    """How many samples of so many values one forward pass takes outside training."""
    n_samples = INFERENCE_VALUES // n_features // PADDED_ROWS * PADDED_ROWS
    return min(max(n_samples, PADDED_ROWS), INFERENCE_BATCH)


def embed_batches(model, samples):
    """Clean embeddings of all samples, batch by batch.

    Parameters
    ----------
    model : ClusteringModel
    samples : Samples

    Yields
    ------
    place : slice
        Which samples these are.
    embedding : tensor of shape (batch_size, embedding_dim)
        On the device of the samples, float32.

    Warns
    -----
    UserWarning
        If the device has no memory for a batch; halves of it are taken then.
    """
    model.eval()
    start, size = 0, inference_batch(samples.n_features)
    while start < len(samples):
        place = slice(start, start + size)
        try:
            embedding = _embed_padded(model, samples.batch(place))
        except Exception as error:
            if not is_out_of_memory(error) or size <= PADDED_ROWS:
                raise
            size = size // 2 // PADDED_ROWS * PADDED_ROWS
            warn_of_memory(f"{size} samples at a time are embedded")
        else:
            yield place, embedding
            start += size


@torch.inference_mode()
def embed_all(model, samples):
    """Clean embedding of all samples: a tensor of shape (n_samples, embedding_dim)."""
    shape = (len(samples), model.assignment.in_features)
    embedding = torch.empty(shape, dtype=torch.float32, device=samples.device)
    for place, batch in embed_batches(model, samples):
        embedding[place] = batch
    return embedding


@torch.inference_mode()
def assign_all(model, samples):
    """Softmax prediction P for all samples, as `assign` makes it of embeddings.

    Only a batch of them is embedded at any time.
    """
    n_clusters = model.assignment.out_features
    probabilities = torch.empty(
        (len(samples), n_clusters),
        dtype=torch.float64,
        device=double_precision_device(samples.device),
    )
    for place, embedding in embed_batches(model, samples):
        probabilities[place] = assign(model, embedding)
    return probabilities


@torch.inference_mode()
def _embed_padded(model, batch):
    n = len(batch)
    missing = -n % PADDED_ROWS
    if missing:
        batch = torch.cat([batch, batch.new_zeros((missing, *batch.shape[1:]))])
    return model.embed(batch)[:n]


@torch.inference_mode()
def decode_all(model, embedding, n_features):
    """Reconstruct samples of so many values from embeddings, in bounded batches."""
    model.eval()
    n_rows = inference_batch(n_features)
    return torch.cat(
        [model.autoencoder.decode(batch)[-1] for batch in embedding.split(n_rows)]
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
    shape = (len(embedding), model.assignment.out_features)
    probabilities = torch.empty(shape, dtype=torch.float64, device=device)
    n_rows = max(1, ASSIGNED_VALUES // max(embedding.shape[1], shape[1]))
    parts = (tensor.split(n_rows) for tensor in (embedding, probabilities))
    for part, place in zip(*parts, strict=True):
        logits = functional.linear(part.to(device).double(), weight, bias)
        place.copy_(logits.softmax(dim=1))
    return probabilities


def double_precision_device(device):
    """The device itself, or the CPU for one that does not compute in float64."""
    return torch.device("cpu") if device.type == "mps" else device
