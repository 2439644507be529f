"""The three phases of DEPICT as one loop: pretrain, initialise, joint."""

import logging
import math
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from torch.nn import functional

from skdepict._device import training_precision
from skdepict._initialization import class_means, initial_labels, order_by_prior
from skdepict._model import assign, embed_all
from skdepict._noise import Dropout, no_corruption, random_affine
from skdepict._objectives import (
    cross_entropy,
    entropy,
    prior_divergence,
    squared_reconstruction_loss,
    target_distribution,
)

logger = logging.getLogger("skdepict")

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
    verbose: int = 0
    reconstruction_weight: tuple = (1.0, 0.0, 1.0)
    joint_rate: float = 1.0


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
    events : object
        Told of phases and epochs; see `skdepict._callbacks.FitEvents`.
    """

    def __init__(self, model, samples, plan, events):
        self.model = model
        self.samples = samples
        self.plan = plan
        self.events = events
        self.outcome = Outcome()
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

    def run(self):
        """Go through the phases.

        Returns
        -------
        outcome : Outcome

        Raises
        ------
        FloatingPointError
            If the loss stops being finite.
        """
        with self._interruptible():
            self._pretrain()
        labels = self._initialise()
        with self._interruptible():
            self._fit_to_labels(labels)
        with self._interruptible():
            self._train_jointly()
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

        method = "kmeans" if self.outcome.interrupted else plan.init
        try:
            labels = initial_labels(
                method, plan.n_clusters, self._rows, embed, plan.seed
            )
        except KeyboardInterrupt:
            self.outcome.interrupted = True
            labels = initial_labels(
                "kmeans", plan.n_clusters, self._rows, embed, plan.seed
            )
        if plan.prior is not None and not isinstance(plan.init, np.ndarray):
            labels = order_by_prior(labels, plan.prior)
        centers = class_means(embed(), labels, plan.n_clusters)
        self.model.set_centers(torch.as_tensor(centers, device=self.samples.device))
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
        """Phase 3: Q from the clean path, then an epoch towards it, in turns."""
        targets = self._targets()
        for epoch in self._epochs("joint", self.plan.max_iter, targets.float()):
            previous, targets = targets, self._targets()
            change = (targets - previous).square().mean().item()
            epoch.targets.copy_(targets)
            epoch.record["target_change"] = change
            epoch.record["prior_divergence"] = prior_divergence(
                targets, self._prior
            ).item()
            self.outcome.n_iter += 1
            if change < self.plan.tol:
                self.outcome.converged = True
                epoch.stop = True

    def _targets(self):
        probabilities = assign(self.model, embed_all(self.model, self.samples))
        return target_distribution(probabilities, self._prior, self.plan.target_form)

    def _rows(self):
        batches = [
            self.samples.batch(slice(start, start + 4096)).cpu().numpy()
            for start in range(0, len(self.samples), 4096)
        ]
        return np.concatenate(batches).reshape(len(self.samples), -1)

    def _epochs(self, phase, n_epochs, targets=None):
        """Train epoch by epoch, yielding after each one so that the caller can act."""
        if self.outcome.interrupted or n_epochs == 0:
            return
        device = self.samples.device
        if targets is not None:
            targets = targets.to(device)
        n_batches = math.ceil(len(self.samples) / self.plan.batch_size)
        total = n_epochs * n_batches
        peak = self.plan.learning_rate * (self.plan.joint_rate if phase == "joint" else 1.0)
        optimizer = torch.optim.Adam(self.model.parameters(), lr=peak, fused=True)
        step = 0
        for number, finish in self.events.epochs(phase, n_epochs):
            self.model.train()
            sums = torch.zeros(2, device=device, dtype=torch.float64)
            order = torch.randperm(len(self.samples), generator=self._order)
            for index in order.to(device).tensor_split(n_batches):
                for group in optimizer.param_groups:
                    group["lr"] = peak * one_cycle(step, total)
                batch_targets = None if targets is None else targets[index]
                sums += len(index) * self._train_on(
                    self.samples.batch(index), batch_targets, optimizer, phase
                )
                step += 1
            reconstruction, crossed = (sums / len(self.samples)).tolist()
            record = {"phase": phase, "epoch": number}
            record["loss"] = reconstruction + crossed
            record["reconstruction"] = reconstruction
            if targets is not None:
                record["clustering"] = crossed - entropy(targets).item()
            if not math.isfinite(reconstruction + crossed):
                raise FloatingPointError(
                    f"The loss became {reconstruction + crossed} in epoch {number + 1} "
                    f"of the {phase!r} phase. Use a learning_rate below "
                    f"{self.plan.learning_rate:g}, and look for extreme values in X."
                )
            epoch = Epoch(record, targets)
            yield epoch
            self.outcome.history.append(record)
            self._log(record)
            if finish() or epoch.stop:
                return

    def _train_on(self, x, targets, optimizer, phase):
        """One step of gradient descent; returns the two loss terms."""
        network = self.model.autoencoder
        weight = self.plan.reconstruction_weight[("pretrain","initialise","joint").index(phase)]
        noisy_x = random_affine(x, self._noise) if self.plan.affine_noise else x
        with training_precision(x.device):
            noisy = network.encode(noisy_x, self._dropout)
            terms = []
            if weight:
                with torch.no_grad():
                    clean = network.encode(x, no_corruption)
                decoded = network.decode(noisy[-1])
            if targets is not None:
                logits = self.model.assignment(noisy[-1])
        reconstruction = clustering = x.new_zeros(())
        if weight:
            reconstruction = weight * self._reconstruction_loss(
                [layer.float() for layer in decoded],
                [x] + [layer.float() for layer in clean[:-1]],
            )
        if targets is not None:
            clustering = cross_entropy(targets, logits.float().log_softmax(dim=1))
        optimizer.zero_grad()
        (reconstruction + clustering).backward()
        optimizer.step()
        return torch.stack([reconstruction.detach(), clustering.detach()])

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


@dataclass
class Epoch:
    """A finished epoch, open for the phase to add to it."""

    record: dict
    targets: torch.Tensor | None
    stop: bool = False


def default_reconstruction_loss(decoded, clean):
    """The loss of a module that defines none, as in `Autoencoder`."""
    return squared_reconstruction_loss(decoded, clean, hidden_weight=0.1)


def one_cycle(step, total):
    """The learning rate's share of its peak: a linear climb, then half a cosine."""
    position = (step + 1) / total
    if position < WARM_UP:
        return position / WARM_UP
    return 0.5 * (1 + math.cos(math.pi * (position - WARM_UP) / (1 - WARM_UP)))
