"""What comes after a round of training: its clusters' sizes, and labels for another."""

import math

import numpy as np
import torch

from skdepict._training.start import order_by_prior, path_integral_labels
from skdepict._training.streams import stream_seed
from skdepict.networks._model import assign, embed_batches

# New starting labels must be nearer to the prior than the network's by this factor and
# by so much more. Smaller gains are chance.
NEARER = 0.9
LEAST_GAIN = 5e-4  # nats
MAX_SCREENED = 10_000


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


def most_to_go_on(divergence):
    """The divergence from the prior that labels for another round may have.

    Parameters
    ----------
    divergence : float
        KL(f || u) in nats of the clusters that there are.

    Returns
    -------
    needed : float
        Negative if nothing can be better.
    """
    return NEARER * divergence - LEAST_GAIN


def labels_to_go_on(points, plan, prior, needed, device):
    """Label samples anew by a graph of their embedding, if that is nearer to the prior.

    Clusters that the first graph had mixed up may lie apart in the embedding.

    Parameters
    ----------
    points : ndarray of shape (n_samples, embedding_dim)
        The embedding.
    plan : Plan
        The settings.
    prior : ndarray of shape (n_clusters,)
        Expected frequencies of the clusters.
    needed : float
        The largest KL(f || u) in nats that is good enough.
    device : torch.device
        Where neighbours are searched for.

    Returns
    -------
    labels : ndarray of shape (n_samples,) or None
        None if they are not good enough.
    """
    if _is_hopeless(points, plan, prior, needed, device):
        return None
    labels, divergence = path_integral_labels(points, plan.n_clusters, prior, device)
    if divergence > needed:
        return None
    return labels if plan.prior is None else order_by_prior(labels, plan.prior)


def _is_hopeless(points, plan, prior, needed, device):
    """Whether labels of a part of many points are too far from the prior.

    A whole graph of them takes minutes.
    """
    if len(points) <= 2 * MAX_SCREENED:
        return False
    generator = np.random.default_rng(stream_seed(plan.seed, "screening"))
    chosen = generator.choice(len(points), MAX_SCREENED, replace=False)
    _, divergence = path_integral_labels(points[chosen], plan.n_clusters, prior, device)
    # Sizes of a part differ by chance, by so much in the mean.
    by_chance = (plan.n_clusters - 1) / (2 * MAX_SCREENED)
    return divergence - by_chance > needed
