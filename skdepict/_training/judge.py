"""What a labelling is worth without classes: how far its sizes are from the prior."""

import math

import numpy as np
import torch

from skdepict._training.graphs import path_integral_labels
from skdepict._training.joins import join
from skdepict._training.neighbors import Neighbors
from skdepict._training.objectives import chance, same_sizes
from skdepict._training.settings import WARM_UP
from skdepict._training.start import order_by_prior
from skdepict._training.streams import stream_seed
from skdepict.networks._inference import (
    assign,
    assign_all,
    double_precision_device,
    embed_batches,
    inference_batch,
)

# Units of the embedding go from -1 to 1. Where none varies by more than this, all
# samples are at one point.
COLLAPSED = 1e-4
# The joint phase is ended when KL(f || u) has grown by this factor and by more than
# this share of chance: samples that clusters lose to each other step by step do not
# come back. They are the same samples all along: less than chance is a drift.
MAX_GROWTH = 1.4
MAX_RISE = 0.25
# New starting labels must be nearer to the prior than the network's by this factor,
# and by more than chance.
NEARER = 0.9
MAX_SCREENED = 10_000
N_VIEWS = 4


def has_converged(change, moved, epoch, n_epochs, settings):
    """Whether the joint phase needs no further epoch.

    In the authors' program that is where Q hardly changes. Where the learning rate is
    to fall to zero, Q mostly changes less in each epoch to come than in the last one:
    so it is where all of them, at its pace, would change too few samples to matter.

    Parameters
    ----------
    change : float
        The mean squared change of Q in an epoch.
    moved : float
        The mean over the samples of the total variation between what Q was and is: the
        share of samples that changed cluster, if all were in one.
    epoch, n_epochs : int
        Which epoch it was, from 0, of how many at most.
    settings : Settings

    Returns
    -------
    has_converged : bool
    """
    if settings.as_published:
        return change < settings.tol
    # At first, while the rate climbs, Q says little.
    is_first = epoch < WARM_UP * n_epochs
    return not is_first and moved * max(n_epochs - 1 - epoch, 1) < settings.tol


def has_drifted(divergence, lowest, estimated, settings, n_clusters):
    """Whether sizes have moved away from the expected ones in the joint phase.

    Parameters
    ----------
    divergence, lowest : float
        KL(f || u) in nats now, and the least before.
    estimated : bool
        Whether u are but the sizes that starting labels had: training may correct them,
        but large clusters that grow at the cost of others would grow ever faster.
    settings : Settings
    n_clusters : int

    Returns
    -------
    has_drifted : bool
    """
    n_samples = settings.n_samples
    allowed = MAX_GROWTH * lowest + MAX_RISE * chance(n_samples, n_clusters)
    if estimated:
        allowed = same_sizes(n_samples, n_clusters)
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


def check_spread(spread, learning_rate):
    """Refuse to return an embedding of which nothing can be told apart.

    Raises
    ------
    FloatingPointError
        If all samples are at one point.
    """
    if spread < COLLAPSED:
        raise FloatingPointError(
            "The embedding of all samples has collapsed to one point. Use a "
            f"learning_rate below {learning_rate:g} or another network, and look for "
            "extreme values in X, beside which all others are alike, or for whether "
            "there are groups at all."
        )


def better_labels(
    embed, settings, prior, divergence, device, max_screened=MAX_SCREENED
):
    """Starting labels for another round, if a graph of the embedding has better ones.

    Clusters that the first graph had mixed up may lie apart in the embedding.

    Parameters
    ----------
    embed : callable
        Returns the embedding, an ndarray of shape (n_samples, embedding_dim).
    settings : Settings
    prior : ndarray of shape (n_clusters,)
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
        None if the sizes count as those of the prior already, or no labels are nearer
        by more than chance.
    """
    n_clusters = len(prior)
    needed = NEARER * divergence - chance(settings.n_samples, n_clusters)
    if needed < 0 or divergence <= same_sizes(settings.n_samples, n_clusters):
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


@torch.inference_mode()
def joint_frequencies(model, samples, noise, n_views=N_VIEWS):
    """How often one noisy view of a sample is in one group and another in another.

    Parameters
    ----------
    model : ClusteringModel
    samples : Samples
        All of them, or this process's share.
    noise : Noise
    n_views : int
        Views of each sample, each of which is compared with all others.

    Returns
    -------
    frequencies : tensor of shape (n_groups, n_groups)
        Symmetric; their sum is the number of pairs of views. float64.
    """
    model.eval()
    device = double_precision_device(samples.device)
    n_groups = model.assignment.out_features
    frequencies = torch.zeros(n_groups, n_groups, dtype=torch.float64, device=device)
    batch = inference_batch(samples.n_features, samples.device)
    for start in range(0, len(samples), batch):
        x = samples.batch(slice(start, start + batch))
        views = [
            assign(model, model.autoencoder.encode(noise.distort(x), noise.drop)[-1])
            for _ in range(n_views)
        ]
        together = sum(views)
        frequencies += together.T @ together - sum(view.T @ view for view in views)
    return frequencies


def joined_groups(
    model,
    samples,
    views,
    processes,
    n_clusters,
    proposals=None,
    nearby=None,
    at_least=None,
):
    """Join the groups of a model; see `join`.

    Parameters
    ----------
    model : ClusteringModel
    samples : Samples
        All of them, or this process's share.
    views : Noise or Neighbors
        What makes views of samples.
    processes : Processes
    n_clusters : int or None
    proposals : callable or None
        As for `join`.
    nearby : callable or None
        Returns J of samples and what is near them, to be called in the first process.
    at_least : callable or None
        Returns how many clusters the joins are to tell at least; likewise, if nobody
        has told the number.

    Returns
    -------
    joined : JoinedGroups
    n_clusters : int
    """
    probabilities = assign_all(model, samples)
    of_neighbors = isinstance(views, Neighbors)
    if of_neighbors:
        everyones = processes.everyones(probabilities)
        frequencies = views.joint_frequencies(probabilities, everyones)
    else:
        frequencies = joint_frequencies(model, samples, views)
    frequencies = processes.sum(frequencies).cpu().numpy()
    frequencies /= frequencies.sum()
    groups = processes.gather(probabilities.argmax(dim=1)).cpu().numpy()

    def joined():
        near = None if nearby is None else nearby()
        least = 0 if at_least is None or n_clusters else at_least()
        of_joins = frequencies, groups, n_clusters, proposals, near, of_neighbors
        return join(*of_joins, at_least=least)

    return processes.from_first(joined)
