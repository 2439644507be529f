"""The three phases of DEPICT as one loop: pretrain, initialise, joint."""

import logging
import math
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from skdepict._device import training_precision
from skdepict._initialization import class_means, initial_labels, order_by_prior
from skdepict._model import assign, embed_all
from skdepict._noise import Dropout, no_corruption, random_affine
from skdepict._objectives import (
    clustering_loss,
    prior_divergence,
    squared_reconstruction_loss,
    target_distribution,
)

logger = logging.getLogger("skdepict")

PHASES = ("pretrain", "initialise", "joint")

# The share of a phase's steps in which the learning rate climbs to its peak.
WARM_UP = 0.25


@dataclass(frozen=True)
class Plan:
    """Everything that the loop needs to know; see `DEPICTClustering` for meanings."""

    n_clusters: int
    init: Any
    prior: np.ndarray | None
    target_form: str
    pretrain_epochs: int
    fit_epochs: int
    max_iter: int
    batch_size: int
    learning_rate: float
    dropout: float
    affine_noise: bool
    tol: float
    seed: int
    reconstruction_weight: float
    verbose: int = 0


@dataclass
class Outcome:
    """What the loop leaves behind beside the trained model."""

    history: list = field(default_factory=list)
    n_iter: int = 0
    converged: bool = False
    interrupted: bool = False


class Trainer:
    """Train a model on samples.

    Parameters
    ----------
    model : ClusteringModel
        Trained in place.
    samples : Samples
        The data, scaled, on the device of the model.
    plan : Plan
        The settings.
    """

    def __init__(self, model, samples, plan):
        self.model = model
        self.samples = samples
        self.plan = plan
        self.outcome = Outcome()
        self.has_clusters = False
        self._order = torch.Generator().manual_seed(plan.seed)
        self._noise = torch.Generator(samples.device).manual_seed(plan.seed)
        self._dropout = Dropout(plan.dropout, self._noise)
        frequencies = plan.prior
        if frequencies is None:
            frequencies = np.full(plan.n_clusters, 1.0 / plan.n_clusters)
        self._prior = torch.as_tensor(frequencies, dtype=torch.float64)
        self._reconstruction_loss = getattr(
            model.autoencoder, "reconstruction_loss", default_reconstruction_loss
        )
        self._target_within_batch = getattr(
            model.autoencoder, "target_within_batch", False
        )

    def run(self, events):
        """Go through the phases.

        Parameters
        ----------
        events : FitEvents
            Told of phases and epochs.

        Returns
        -------
        outcome : Outcome

        Raises
        ------
        FloatingPointError
            If the loss stops being finite.
        """
        self.events = events
        with self._interruptible():
            self._pretrain()
        labels = self._initialise()
        with self._interruptible():
            self._fit_to_labels(labels)
        with self._interruptible():
            self._train_jointly()
        self.model.eval()
        return self.outcome

    def _pretrain(self):
        """Phase 1: the autoencoder alone, noisy in, clean targets."""
        for _ in self._epochs("pretrain", self.plan.pretrain_epochs):
            pass

    def _initialise(self):
        """Phase 2, first half: starting labels, and the softmax layer from them."""
        plan = self.plan
        embedding = None

        def embed():
            nonlocal embedding
            if embedding is None:
                embedding = embed_all(self.model, self.samples).cpu().numpy()
            return embedding

        given = isinstance(plan.init, np.ndarray)
        method = "kmeans" if self.outcome.interrupted and not given else plan.init
        try:
            labels = initial_labels(
                method, plan.n_clusters, self.samples.rows, embed, plan.seed
            )
        except KeyboardInterrupt:
            self.outcome.interrupted = True
            labels = initial_labels(
                "kmeans", plan.n_clusters, self.samples.rows, embed, plan.seed
            )
        if plan.prior is not None and not given:
            labels = order_by_prior(labels, plan.prior)
        centers = class_means(embed(), labels, plan.n_clusters)
        self.model.set_centers(torch.as_tensor(centers, device=self.samples.device))
        self.has_clusters = True
        return labels

    def _fit_to_labels(self, labels):
        """Phase 2, second half: network and softmax layer learn the starting labels."""
        targets = functional.one_hot(
            torch.as_tensor(labels, dtype=torch.int64), self.plan.n_clusters
        )
        targets = targets.float().to(self.samples.device)
        for _ in self._epochs("initialise", self.plan.fit_epochs, targets):
            pass

    def _train_jointly(self):
        """Phase 3: Q from the clean pathway, then an epoch towards it, in turns."""
        previous = self._target_distribution()
        targets = previous.float().to(self.samples.device)
        for epoch in self._epochs("joint", self.plan.max_iter, targets):
            current = self._target_distribution()
            change = (current - previous).square().mean().item()
            targets.copy_(current)
            previous = current
            divergence = prior_divergence(current, self._prior).item()
            epoch.record["prior_divergence"] = divergence
            epoch.record["target_change"] = change
            self.outcome.n_iter += 1
            self.outcome.converged = epoch.stop = change < self.plan.tol

    def _target_distribution(self):
        probabilities = assign(self.model, embed_all(self.model, self.samples))
        return target_distribution(probabilities, self._prior, self.plan.target_form)

    def _epochs(self, phase, n_epochs, targets=None):
        """Train epoch by epoch, yielding after each so that the phase can add to it."""
        if self.outcome.interrupted or n_epochs == 0:
            return
        n_batches = math.ceil(len(self.samples) / self.plan.batch_size)
        peak = self.plan.learning_rate
        optimizer = torch.optim.Adam(self.model.parameters(), lr=peak, fused=True)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: one_cycle(step, n_epochs * n_batches)
        )
        self.events.begin_phase(phase, n_epochs)
        for number in range(n_epochs):
            self.events.begin_epoch()
            self.model.train()
            losses = torch.zeros(2, device=self.samples.device, dtype=torch.float32)
            order = torch.randperm(len(self.samples), generator=self._order)
            for index in order.to(self.samples.device).tensor_split(n_batches):
                terms = self._losses(phase, index, targets)
                optimizer.zero_grad()
                sum(terms).backward()
                optimizer.step()
                schedule.step()
                losses += len(index) * torch.stack(terms).detach()
            epoch = Epoch(phase, number, *(losses / len(self.samples)).tolist())
            self._check_finite(epoch)
            yield epoch
            self.outcome.history.append(epoch.record)
            self._log(epoch.record)
            if self.events.end_epoch() or epoch.stop:
                break
        self.events.end_phase()

    def _losses(self, phase, index, targets):
        """Weighted reconstruction loss and KL(Q || P) of one batch."""
        network, assignment = self.model.autoencoder, self.model.assignment
        x = self.samples.batch(index)
        weight = {"pretrain": 1.0, "initialise": 0.0}.get(
            phase, self.plan.reconstruction_weight
        )
        target_within_batch = self._target_within_batch and phase == "joint"
        noisy_x = random_affine(x, self._noise) if self.plan.affine_noise else x
        with training_precision(x.device):
            noisy = network.encode(noisy_x, self._dropout)
            logits = assignment(noisy[-1])
            if weight:
                decoded = network.decode(noisy[-1])
            if weight or target_within_batch:
                with torch.no_grad():
                    clean = network.encode(x, no_corruption)
                    clean_logits = assignment(clean[-1])
        reconstruction = clustering = x.new_zeros(())
        if weight:
            reconstruction = weight * self._reconstruction_loss(
                [layer.float() for layer in decoded],
                [x] + [layer.float() for layer in clean[:-1]],
            )
        if targets is not None:
            if target_within_batch:
                batch_targets = target_distribution(
                    clean_logits.float().softmax(dim=1),
                    self._prior.float().to(x.device),
                    self.plan.target_form,
                )
            else:
                batch_targets = targets[index]
            clustering = clustering_loss(
                batch_targets, logits.float().log_softmax(dim=1)
            )
        return reconstruction, clustering

    def _check_finite(self, epoch):
        loss = epoch.record["loss"]
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"The loss became {loss} in epoch {epoch.record['epoch'] + 1} of the "
                f"{epoch.record['phase']!r} phase. Use a learning_rate below "
                f"{self.plan.learning_rate:g}, and look for extreme values in X."
            )

    @contextmanager
    def _interruptible(self):
        try:
            yield
        except KeyboardInterrupt:
            self.outcome.interrupted = True

    def _log(self, record):
        message = ", ".join(
            f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
            for key, value in record.items()
        )
        logger.info(message)
        if self.plan.verbose:
            print(message)


class Epoch:
    """A finished epoch: what goes into the history, and whether to stop here."""

    def __init__(self, phase, number, reconstruction, clustering):
        self.stop = False
        self.record = {
            "phase": phase,
            "epoch": number,
            "loss": reconstruction + clustering,
            "reconstruction": reconstruction,
            "clustering": clustering,
        }


def default_reconstruction_loss(decoded, clean):
    """The loss of a module that defines none, as in `Autoencoder`."""
    return squared_reconstruction_loss(decoded, clean, hidden_weight=0.1)


def one_cycle(step, total):
    """The learning rate's share of its peak: a linear climb, then half a cosine."""
    position = (step + 0.5) / total
    if position < WARM_UP:
        return position / WARM_UP
    return 0.5 * (1 + math.cos(math.pi * (position - WARM_UP) / (1 - WARM_UP)))
