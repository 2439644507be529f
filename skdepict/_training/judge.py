"""What a labelling is worth without classes: how far its sizes are from the prior."""

import math

import numpy as np
import torch

from skdepict._training.objectives import chance
from skdepict._training.start import order_by_prior, path_integral_labels
from skdepict._training.streams import stream_seed
from skdepict.networks._inference import assign, embed_batches

# The joint phase is ended when KL(f || u) has grown by this factor and by more than
# this share of chance: samples that clusters lose to each other step by step do not
# come back. They are the same samples all along: less than chance is a drift.
MAX_GROWTH = 1.4
MAX_RISE = 0.25
# New starting labels must be nearer to the prior than the network's by this factor,
# and by more than chance.
NEARER = 0.9
MAX_SCREENED = 10_000


def has_drifted(divergence, lowest, settings):
    """Whether sizes have moved away from the prior in the joint phase.

    Parameters
    ----------
    divergence, lowest : float
        KL(f || u) in nats now, and the least before.
    settings : Settings

    Returns
    -------
    has_drifted : bool
    """
    by_chance = chance(settings.n_samples, settings.n_clusters)
    allowed = MAX_GROWTH * lowest + MAX_RISE * by_chance
    return settings.early_stopping and divergence > allowed


@torch.inference_mode()
def sizes_and_spread(model, samples, processes):
    """Count the samples of each cluster, and see how far the embedding reaches.

    Parameters
    ----------
    model : ClusteringModel
    samples : Samples
        All of them, or this process's share.
    processes : Processes

    Returns
    -------
    sizes : ndarray of shape (n_clusters,)
        Of the samples of all processes.
    spread : float
        The largest distance of two samples along one unit of the embedding.
    """
    device = samples.device
    n_clusters = model.assignment.out_features
    sizes = torch.zeros(n_clusters, dtype=torch.int64, device=device)
    n_units = model.assignment.in_features
    lowest = torch.full((n_units,), math.inf, dtype=torch.float32, device=device)
    highest = -lowest
    for _, embedding in embed_batches(model, samples):
        found = assign(model, embedding).argmax(dim=1)
        # On the CPU: CUDA refuses to count where the user wants it deterministic.
        sizes += found.cpu().bincount(minlength=n_clusters).to(device)
        lowest = torch.minimum(lowest, embedding.amin(dim=0))
        highest = torch.maximum(highest, embedding.amax(dim=0))
    spread = processes.max(highest) + processes.max(-lowest)
    return processes.sum(sizes).cpu().numpy(), spread.max().item()


def better_labels(embed, settings, divergence, device, max_screened=MAX_SCREENED):
    """Starting labels for another round, if a graph of the embedding has better ones.

    Clusters that the first graph had mixed up may lie apart in the embedding.

    Parameters
    ----------
    embed : callable
        Returns the embedding, an ndarray of shape (n_samples, embedding_dim).
    settings : Settings
    divergence : float
        KL(f || u) in nats of the clusters that there are.
    device : torch.device
        Where neighbours are searched for.
    max_screened : int
        A graph of many points takes minutes. Of more than twice as many as this, a
        random part of this size is tried first.

    Returns
    -------
    labels : ndarray of shape (n_samples,) or None
        None if none are nearer to the prior by more than chance.
    """
    n_clusters, prior = settings.n_clusters, settings.prior
    needed = NEARER * divergence - chance(settings.n_samples, n_clusters)
    if needed < 0:
        return None
    points = embed()
    if len(points) > 2 * max_screened:
        generator = np.random.default_rng(stream_seed(settings.seed, "screening"))
        part = points[generator.choice(len(points), max_screened, replace=False)]
        _, found = path_integral_labels(part, prior, device)
        if found - chance(max_screened, n_clusters) > needed:
            return None
    labels, found = path_integral_labels(points, prior, device)
    return order_by_prior(labels, prior) if found <= needed else None
