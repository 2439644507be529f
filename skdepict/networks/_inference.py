"""Running a model on samples, in batches of bounded memory."""

import numpy as np
import torch
from sklearn.utils import gen_batches
from torch.nn import functional

from skdepict._data.rows import VALUES_AT_ONCE, reference_samples
from skdepict._data.samples import Samples
from skdepict.networks._dense import Components, DenseAutoencoder
from skdepict.networks._device import is_out_of_memory, warn_of_memory

# Samples per forward pass outside training; fewer of large ones, which have so many
# values together at most, and maps of about 16 times the memory. A processor takes far
# fewer: maps of 32 MB and more the system maps anew, page by page, each time. The last
# batch is filled up to a multiple of PADDED_ROWS, so that a row's result does not
# depend on how many rows come with it: matrix products of other heights add up in
# another order.
INFERENCE_BATCH = 1024
INFERENCE_VALUES = 2**24
INFERENCE_VALUES_ON_CPU = 2**18
PADDED_ROWS = 32
# Values of an embedding, or of probabilities, that are held in float64 at once.
ASSIGNED_VALUES = 2**22


def inference_batch(n_features, device):
    """How many samples of so many values one forward pass takes outside training."""
    on_cpu = device.type == "cpu"
    n_values = INFERENCE_VALUES_ON_CPU if on_cpu else INFERENCE_VALUES
    n_samples = n_values // n_features // PADDED_ROWS * PADDED_ROWS
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
    yield from _in_batches(
        lambda place: _of_padded(model.embed, samples.batch(place)),
        len(samples),
        inference_batch(samples.n_features, samples.device),
        "embedded",
    )


def _in_batches(compute, n_samples, size, done):
    """What a function makes of slices, smaller ones where the device has no memory."""
    start = 0
    while start < n_samples:
        place = slice(start, start + size)
        try:
            result = compute(place)
        except Exception as error:
            if not is_out_of_memory(error) or size <= PADDED_ROWS:
                raise
            size = size // 2 // PADDED_ROWS * PADDED_ROWS
            warn_of_memory(f"{size} samples at a time are {done}")
        else:
            yield place, result
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
    shape = (len(samples), model.assignment.out_features)
    device = double_precision_device(samples.device)
    probabilities = torch.empty(shape, dtype=torch.float64, device=device)
    for place, embedding in embed_batches(model, samples):
        probabilities[place] = assign(model, embedding)
    return probabilities


@torch.inference_mode()
def embed_beside_components(model, samples):
    """Embeddings of all samples, followed by what the network sees of them.

    Returns
    -------
    points : tensor of shape (n_samples, embedding_dim + n_components)
        float32; without components, where the network sees none.
    """
    components = components_of(model)
    if components is None:
        return embed_all(model, samples)
    model.eval()
    parts = _in_batches(
        lambda place: _of_padded(
            lambda batch: torch.cat([model.embed(batch), components(batch)], dim=1),
            samples.batch(place),
        ),
        len(samples),
        inference_batch(samples.n_features, samples.device),
        "embedded",
    )
    return torch.cat([part for _, part in parts])


def components_of(model):
    """The layer by which a network of ours sees components, or None."""
    if type(model.autoencoder) is not DenseAutoencoder:
        return None
    first = next(model.autoencoder.encoder[0].children())
    return first if isinstance(first, Components) else None


def components_of_references(model, rows, input_format, device):
    """What the network sees of the `reference_samples`, as an ndarray; or None."""
    if components_of(model) is None:
        return None
    chosen = reference_samples(len(rows))
    found = []
    for part in gen_batches(len(chosen), max(1, VALUES_AT_ONCE // rows.shape[1])):
        samples = Samples(rows[chosen[part]], input_format, device)
        points = embed_beside_components(model, samples).numpy(force=True)
        found.append(points[:, model.assignment.in_features :])
    return np.concatenate(found)


@torch.inference_mode()
def _of_padded(function, batch):
    n = len(batch)
    missing = -n % PADDED_ROWS
    if missing:
        batch = torch.cat([batch, batch.new_zeros((missing, *batch.shape[1:]))])
    return function(batch)[:n]


@torch.inference_mode()
def decode_all(model, embedding, n_features):
    """Reconstruct samples of so many values from embeddings, in bounded batches."""
    model.eval()
    parts = _in_batches(
        lambda place: model.autoencoder.decode(embedding[place])[-1],
        len(embedding),
        inference_batch(n_features, embedding.device),
        "decoded",
    )
    return torch.cat([part for _, part in parts])


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


def of_parts(function, model, rows, input_format, device, dtype):
    """Put together what a function makes of samples, some of them at a time.

    What is held at once of samples and results is bounded, in whole batches.

    Parameters
    ----------
    function : callable
        Takes a model and `Samples`; returns a tensor with a row for each sample.
    model : ClusteringModel
    rows : ndarray or PartwiseRows of shape (n_samples, n_features)
    input_format : InputFormat
    device : torch.device
    dtype : dtype
        Of the result.

    Returns
    -------
    result : ndarray of shape (n_samples, ...)
    """
    batch = inference_batch(rows.shape[1], device)
    assignment = model.assignment
    n_values = max(rows.shape[1], assignment.in_features, assignment.out_features)
    step = max(VALUES_AT_ONCE // n_values // batch * batch, batch)
    result = None
    for start in range(0, len(rows), step):
        share = slice(start, min(start + step, len(rows)))
        samples = Samples(rows, input_format, device, share)
        part = function(model, samples).cpu().numpy()
        if result is None:
            result = np.empty((len(rows), *part.shape[1:]), dtype)
        result[share] = part
    return result
