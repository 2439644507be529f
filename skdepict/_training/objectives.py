"""The terms of the DEPICT objective as pure functions.

The reconstruction loss belongs to each network: `skdepict.networks._losses`.

Dizaji et al., "Deep Clustering via Joint Convolutional Autoencoder Embedding and
Relative Entropy Minimization", ICCV 2017, arXiv:1704.06327. With p_ik the prediction,
q_ik the target distribution, u_k the prior and f_k the mean of q_ik over the samples,
the objective is ::

    KL(Q || P) + KL(f || u) + reconstruction

It is minimised in turns: `target_distribution` sets Q with the network fixed, then
stochastic gradients of `clustering_loss` and of a reconstruction loss move the network
with Q fixed.
"""

import numpy as np
import torch
from scipy import sparse
from scipy.special import rel_entr
from torch.nn import functional

# See `same_sizes`.
SAME_SIZES = 0.25


def target_distribution(probabilities, prior, form, mass=None):
    """The target distribution Q in closed form.

    Leaving the rows' sums free but for their total, the objective KL(Q || P) +
    KL(f || u) is least at q_ik proportional to p_ik sqrt(u_k / sum_j p_jk); dividing
    each row by its sum is the projection back onto distributions that is nearest in
    relative entropy. With a uniform prior this is equation 6 of the paper. The
    "squared" form, which the authors' program uses, has sharper rows.

    Parameters
    ----------
    probabilities : tensor of shape (n_samples, n_clusters)
        The prediction P of the clean pathway; rows sum to 1.
    prior : tensor of shape (n_clusters,)
        Expected cluster frequencies u, positive, summing to 1.
    form : {"square-root", "squared"}
        ``p * sqrt(u / sum(p))`` or ``p**2 * u / sum(p)``, rows normalised.
    mass : tensor of shape (n_clusters,), default=None
        ``sum(p)`` over all samples, where `probabilities` are those of a part of them.

    Returns
    -------
    targets : tensor of shape (n_samples, n_clusters)
        Q; rows sum to 1.
    """
    # A cluster without any mass has p = 0 in its whole column: no division by zero.
    mass = probabilities.sum(dim=0) if mass is None else mass
    mass = mass.clamp_min(torch.finfo(probabilities.dtype).tiny)
    if form == "square-root":
        unnormalised = probabilities * (prior / mass).sqrt()
    elif form == "squared":
        unnormalised = probabilities.square() * (prior / mass)
    return unnormalised / unnormalised.sum(dim=1, keepdim=True)


def clustering_loss(targets, log_probabilities):
    """KL(Q || P) in nats, averaged over the batch.

    Parameters
    ----------
    targets : tensor of shape (batch_size, n_clusters)
        Rows of Q, held fixed.
    log_probabilities : tensor of shape (batch_size, n_clusters)
        Logarithm of the noisy pathway's prediction P.

    Returns
    -------
    loss : scalar tensor
        Its gradient is that of the cross-entropy between Q and P.
    """
    return functional.kl_div(log_probabilities, targets, reduction="batchmean")


def prior_divergence(frequencies, prior):
    """KL(f || u) in nats: how far the sizes of the target clusters are from the prior.

    Parameters
    ----------
    frequencies : tensor of shape (n_clusters,)
        The mean f of the target distribution Q over the samples.
    prior : tensor of shape (n_clusters,)
        The prior cluster frequencies u.

    Returns
    -------
    divergence : scalar tensor
        Zero where the clusters have the prior's sizes.
    """
    return torch.xlogy(frequencies, frequencies / prior).sum()


def estimated_prior(frequencies, guess, strength):
    """The prior frequencies u in closed form, where they are not known.

    With Q fixed, KL(f || u) + strength * KL(guess || u) is least at the mean of both,
    f with the weight 1. That is the mode of a Dirichlet posterior, for which the guess
    counts like strength * n_samples samples beside those that there are.

    Parameters
    ----------
    frequencies : tensor of shape (n_clusters,)
        The mean f of the target distribution Q over the samples.
    guess : tensor of shape (n_clusters,)
        Positive, summing to 1.
    strength : float
        With 0 nothing would keep clusters from being emptied: u = f is least for any
        f, for all samples in one cluster too.

    Returns
    -------
    prior : tensor of shape (n_clusters,)
        Positive, summing to 1.
    """
    return (frequencies + strength * guess) / (1.0 + strength)


def same_sizes(n_samples, n_clusters):
    """Up to which KL(f || u) in nats sizes still count as the expected ones.

    Splitting one of k equal clusters in halves makes KL(f || u) = log(1 + 1/k) - log(2)
    / k, nearly (1 - log 2) / k. A share `SAME_SIZES` of that is allowed, and chance.

    Parameters
    ----------
    n_samples : int
    n_clusters : int or ndarray

    Returns
    -------
    bound : float or ndarray
    """
    by_chance = chance(n_samples, n_clusters)
    return SAME_SIZES * (1.0 - np.log(2.0)) / n_clusters + by_chance


def sizes_of(labels, n_clusters):
    """The number of samples of each label."""
    return np.bincount(labels, minlength=n_clusters)


def size_divergence(sizes, prior):
    """KL(f || u) in nats of the sizes of clusters whose names mean nothing.

    As `prior_divergence`, with the largest cluster matched with the largest frequency,
    and so on.

    Parameters
    ----------
    sizes : ndarray of shape (n_clusters,)
    prior : ndarray of shape (n_clusters,)

    Returns
    -------
    divergence : float
        0 where the clusters have the prior's sizes.
    """
    frequencies = sizes / sizes.sum()
    return float(rel_entr(np.sort(frequencies), np.sort(prior)).sum())


def chance(n_samples, n_clusters):
    """The mean of KL(f || u) in nats where only chance makes sizes differ from u.

    For the frequencies f of n samples that are drawn with the probabilities u, 2 n KL(f
    || u) has in the limit the chi-squared distribution of k - 1 degrees of freedom
    (Wilks, Annals of Mathematical Statistics 9, 1938), whose mean is k - 1.

    Parameters
    ----------
    n_samples, n_clusters : int

    Returns
    -------
    divergence : float
    """
    return (n_clusters - 1) / (2 * n_samples)


def class_means(points, labels, n_clusters):
    """The mean of the points of each label; NaN for a label that has none.

    Parameters
    ----------
    points : ndarray of shape (n_samples, n_dimensions)
    labels : ndarray of shape (n_samples,)
        Values in 0 to n_clusters - 1.
    n_clusters : int

    Returns
    -------
    means : ndarray of shape (n_clusters, n_dimensions)
    """
    return mean_of_sums(*class_sums(points, labels, n_clusters))


def class_sums(points, labels, n_clusters):
    """The sum, and the number, of the points of each label; as for `class_means`."""
    places = labels, np.arange(len(labels))
    members = sparse.csr_array(
        (np.ones(len(labels), dtype=points.dtype), places),
        shape=(n_clusters, len(labels)),
    )
    return members @ points, np.bincount(labels, minlength=n_clusters)


def mean_of_sums(sums, counts):
    """Sums over counts; NaN where nothing was counted."""
    sums[counts == 0] = np.nan
    return sums / np.maximum(counts, 1)[:, None].astype(sums.dtype)
