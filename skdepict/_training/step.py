"""The gradients of one batch: what a training step computes."""

from functools import partial

import torch

from skdepict._training.captured import CapturedGradients, graphs_for
from skdepict._training.noise import Distortion, Dropout
from skdepict._training.objectives import clustering_loss, target_distribution
from skdepict._training.streams import stream_seed
from skdepict.networks._base import no_corruption
from skdepict.networks._device import (
    is_out_of_memory,
    training_precision,
    warn_of_memory,
)


class Gradients:
    """Computes the gradients of a model's weights, batch by batch.

    Parameters
    ----------
    model : ClusteringModel
        Whose weights get the gradients.
    samples : Samples
        The data, or this process's share of them, scaled, on the device of the model.
    plan : Plan
        The settings.
    prior : tensor of shape (n_clusters,)
        The shares that clusters are expected to have.
    processes : Processes
        Those that train the model together.

    Attributes
    ----------
    model : ClusteringModel
    decoder_only : bool
        Whether the encoder is to get no gradients of the reconstruction loss.
    noise : torch.Generator
        The source of all noise, another one in each process.
    """

    def __init__(self, model, samples, plan, prior, processes):
        self.model = model
        self._samples = samples
        self._plan = plan
        self._prior = prior.float().to(samples.device)
        self._share = processes.share(plan.n_samples) if processes.size > 1 else None
        self._n_parts = 1
        self.decoder_only = False
        self.noise = torch.Generator(samples.device)
        self.noise.manual_seed(stream_seed(plan.seed, "noise", processes.rank, 0))
        # A module of the user's own may do something else each time.
        constant = not plan.own_network and processes.size == 1 and samples.on_device
        self._new_graphs = graphs_for(samples.device) if constant else None
        self._dropout = Dropout(plan.dropout, self.noise)
        self._distortion = Distortion(self.noise, plan.affine_noise, plan.elastic_noise)
        self._reconstruction_loss = model.autoencoder.reconstruction_loss
        self._target_within_batch = model.autoencoder.target_within_batch

    def of_phase(self, optimizer, phase, targets=None, members=None):
        """What computes this process's part of the gradients of a phase's batches.

        Parameters
        ----------
        optimizer : torch.optim.Optimizer
            Whose weights get the gradients, in place of those they had.
        phase : {"pretrain", "initialise", "joint"}
        targets : tensor of shape (n_members, n_clusters), default=None
            What to predict; without members, for this process's share of the samples.
        members : tensor of shape (n_members,), default=None
            Which samples batches count; None for all.

        Returns
        -------
        compute : callable
            From a batch, a tensor of shape (batch_size,) that says which of the members
            or of all samples of all processes are in it, to the terms of the loss, a
            tensor of shape (2,), summed over the samples.
        """
        once, in_less = (
            partial(compute, optimizer, phase, targets=targets, members=members)
            for compute in (self._compute, self._compute_in_less)
        )
        if self._new_graphs is None:
            return in_less
        return CapturedGradients(
            once,
            in_less,
            lambda: self.decoder_only,
            self.model,
            self.noise,
            self._new_graphs,
            self._capture_no_more,
        )

    def _capture_no_more(self):
        self._new_graphs = None

    def _compute_in_less(self, optimizer, phase, index, targets, members):
        """As `_compute`, in more parts where the device has no memory for these."""
        while True:
            try:
                return self._compute(optimizer, phase, index, targets, members)
            except Exception as error:
                if not is_out_of_memory(error) or 2 * self._n_parts > len(index):
                    raise
            self._n_parts *= 2
            warn_of_memory(
                f"a batch is taken in {self._n_parts} parts",
                "Results are those of other noise, which is drawn for each part",
            )

    def _compute(self, optimizer, phase, index, targets, members):
        """The gradients of a batch, in so many parts as it took before.

        Returns
        -------
        losses : tensor of shape (2,)
            The terms of the loss, summed over the samples.
        """
        optimizer.zero_grad()
        losses = torch.zeros(2, device=self._samples.device)
        for part in index.tensor_split(self._n_parts):
            share = len(part) / len(index)
            losses += self._add_part(phase, part, targets, members, share)
        return losses

    def _add_part(self, phase, index, targets, members, share):
        """Add this process's part of the gradients of a share of a batch.

        Returns
        -------
        losses : tensor of shape (2,)
            The terms of the loss, summed over the samples.
        """
        chosen = index if members is None else members[index]
        if self._share is not None:
            own = (chosen >= self._share.start) & (chosen < self._share.stop)
            chosen = chosen[own] - self._share.start
            if len(chosen) == 0:
                return torch.zeros(2, device=self._samples.device)
            index = chosen if members is None else index[own]
            share *= len(chosen) / len(own)
        terms = self._losses(
            phase,
            self._samples.batch(chosen),
            None if targets is None else targets[index],
        )
        (share * sum(terms)).backward()
        return len(chosen) * torch.stack(terms).detach()

    def _losses(self, phase, x, targets):
        """Weighted reconstruction loss and KL(Q || P) of one batch."""
        network, assignment = self.model.autoencoder, self.model.assignment
        weight = {"pretrain": 1.0, "initialise": 0.0}.get(
            phase, self._plan.reconstruction_weight
        )
        target_within_batch = self._target_within_batch and phase == "joint"
        # A network may change its input in place, and x is needed again.
        needed = weight or target_within_batch
        noisy_x = self._distortion(x.clone() if needed else x)
        with training_precision(x.device):
            noisy = network.encode(noisy_x, self._dropout)
            logits = assignment(noisy[-1])
            if weight:
                embedding = noisy[-1].detach() if self.decoder_only else noisy[-1]
                decoded = network.decode(_without_mean_gradient(embedding))
            if weight or target_within_batch:
                clean = self._encode_clean(x)
                clean_logits = assignment(clean[-1]).detach()
        reconstruction = clustering = x.new_zeros(())
        if weight:
            reconstruction = weight * self._reconstruction_loss(
                [layer.float() for layer in decoded],
                [x] + [layer.float() for layer in clean[:-1]],
            )
        if targets is not None:
            if target_within_batch:
                targets = target_distribution(
                    clean_logits.float().softmax(dim=1),
                    self._prior,
                    self._plan.target_form,
                )
            clustering = clustering_loss(targets, logits.float().log_softmax(dim=1))
        return reconstruction, clustering

    @torch.no_grad()
    def _encode_clean(self, x):
        return self.model.autoencoder.encode(x, no_corruption)


def _without_mean_gradient(embedding):
    """Pass on the embedding, but of its gradient only what differs between samples.

    What all samples of a batch want alike is for the decoder's biases to learn. An
    embedding of many inputs learns it faster, by Adam's equal steps for all weights,
    and runs into the ends of its tanh: all samples come to lie at one point.
    """
    passed = embedding.view_as(embedding)
    if passed.requires_grad:
        passed.register_hook(lambda gradient: gradient - gradient.mean(dim=0))
    return passed
