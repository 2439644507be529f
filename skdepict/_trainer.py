"""The three phases of DEPICT as one loop: pretrain, initialise, joint."""

import copy
import logging
import math
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from skdepict._device import training_precision
from skdepict._initialization import (
    class_means,
    initial_labels,
    order_by_prior,
    path_integral_labels,
    size_divergence,
)
from skdepict._model import assign, embed_all
from skdepict._noise import Dropout, distort, no_corruption
from skdepict._objectives import (
    clustering_loss,
    prior_divergence,
    squared_reconstruction_loss,
    target_distribution,
)

logger = logging.getLogger("skdepict")

# The share of a phase's steps in which the learning rate climbs to its peak.
WARM_UP = 0.25
# The joint phase is ended when KL(f || u) has grown by this factor and by so much more:
# samples that clusters lose to each other step by step do not come back.
MAX_GROWTH = 1.4
MAX_RISE = 5e-4  # nats; cluster sizes that are 3 % off
# New starting labels must be nearer to the prior than the network's by this factor.
# Smaller gains are chance.
NEARER = 0.9


@dataclass(frozen=True)
class Plan:
    """Everything that the loop needs to know; see `DEPICTClustering` for meanings."""

    n_clusters: int
    init: Any
    prior: np.ndarray | None
    target_form: str
    max_rounds: int
    pretrain_epochs: int
    fit_epochs: int
    max_iter: int
    batch_size: int
    learning_rate: float
    schedule: str
    dropout: float
    affine_noise: bool
    elastic_noise: bool
    tol: float
    average_decay: float
    early_stopping: bool
    seed: int
    reconstruction_weight: float
    verbose: int = 0


@dataclass
class Outcome:
    """What the loop leaves behind beside the trained model."""

    history: list = field(default_factory=list)
    n_iter: int = 0
    n_rounds: int = 0
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
        self._frequencies = plan.prior
        if plan.prior is None:
            self._frequencies = np.full(plan.n_clusters, 1.0 / plan.n_clusters)
        self._prior = torch.as_tensor(self._frequencies, dtype=torch.float64)
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
        labels = self._initial_labels()
        best = math.inf, self.model.state_dict()
        while labels is not None:
            self._start_from(labels)
            with self._interruptible():
                self._fit_to_labels(labels)
            with self._interruptible():
                self._train_jointly()
            self.outcome.n_rounds += 1
            divergence = size_divergence(self._labels(), self._frequencies)
            if divergence < best[0]:
                best = divergence, copy.deepcopy(self.model.state_dict())
            labels = self._labels_nearer_to_prior(divergence)
        self.model.load_state_dict(best[1])
        self.model.eval()
        return self.outcome

    def _pretrain(self):
        """Phase 1: the autoencoder alone, noisy in, clean targets."""
        for _ in self._epochs("pretrain", self.plan.pretrain_epochs):
            pass

    def _initial_labels(self):
        """Phase 2, first part: starting labels."""
        plan = self.plan
        given = isinstance(plan.init, np.ndarray)
        method = "kmeans" if self.outcome.interrupted and not given else plan.init
        try:
            labels = self._labels_by(method)
        except KeyboardInterrupt:
            self.outcome.interrupted = True
            labels = self._labels_by("kmeans")
        if plan.prior is not None and not given:
            labels = order_by_prior(labels, plan.prior)
        return labels

    def _labels_by(self, method):
        return initial_labels(
            method,
            self.plan.n_clusters,
            self.samples.rows,
            self._embedding,
            self._frequencies,
            self.plan.seed,
        )

    def _embedding(self):
        return embed_all(self.model, self.samples).cpu().numpy()

    def _start_from(self, labels):
        """Phase 2, second part: the softmax layer starts at the means of the labels."""
        centers = class_means(self._embedding(), labels, self.plan.n_clusters)
        self.model.set_centers(torch.as_tensor(centers, device=self.samples.device))
        self.has_clusters = True

    def _fit_to_labels(self, labels):
        """Phase 2, third part: network and softmax layer learn the starting labels."""
        targets = functional.one_hot(
            torch.as_tensor(labels, dtype=torch.int64), self.plan.n_clusters
        )
        targets = targets.float().to(self.samples.device)
        for _ in self._epochs("initialise", self.plan.fit_epochs, targets):
            pass

    def _train_jointly(self):
        """Phase 3: Q from the clean pathway, then an epoch towards it, in turns."""
        averaged = AveragedModel(
            self.model, multi_avg_fn=get_ema_multi_avg_fn(self.plan.average_decay)
        )
        averaged.update_parameters(self.model)
        previous = self._target_distribution(averaged.module)
        lowest = prior_divergence(previous, self._prior).item()
        best = copy.deepcopy(self.model.state_dict())
        targets = previous.float().to(self.samples.device)
        try:
            for epoch in self._epochs(
                "joint", self.plan.max_iter, targets, averaged.update_parameters
            ):
                current = self._target_distribution(averaged.module)
                change = (current - previous).square().mean().item()
                targets.copy_(current)
                previous = current
                divergence = prior_divergence(current, self._prior).item()
                epoch.record["prior_divergence"] = divergence
                epoch.record["target_change"] = change
                self.outcome.n_iter += 1
                # While the learning rate climbs, Q says little about convergence.
                climbing = epoch.record["epoch"] < WARM_UP * self.plan.max_iter
                self.outcome.converged = change < self.plan.tol and not climbing
                drifting = (
                    self.plan.early_stopping
                    and divergence > MAX_GROWTH * lowest + MAX_RISE
                )
                epoch.stop = self.outcome.converged or drifting
                if divergence < lowest:
                    lowest = divergence
                    best = copy.deepcopy(averaged.module.state_dict())
                if drifting:
                    averaged.module.load_state_dict(best)
        finally:
            self.model.load_state_dict(averaged.module.state_dict())

    def _target_distribution(self, model):
        probabilities = assign(model, embed_all(model, self.samples))
        return target_distribution(probabilities, self._prior, self.plan.target_form)

    def _labels(self):
        embedding = embed_all(self.model, self.samples)
        return assign(self.model, embedding).argmax(dim=1).numpy()

    def _labels_nearer_to_prior(self, divergence):
        """Starting labels for another round, or None if there is to be none.

        Clusters that the first graph had mixed up may lie apart in the embedding.

        Parameters
        ----------
        divergence : float
            KL(f || u) of the labels that the network gives.
        """
        plan = self.plan
        by_path_integral = isinstance(plan.init, str) and plan.init == "path-integral"
        last = self.outcome.interrupted or self.outcome.n_rounds == plan.max_rounds
        if last or not by_path_integral:
            return None
        try:
            labels, new_divergence = path_integral_labels(
                self._embedding(), plan.n_clusters, self._frequencies
            )
        except KeyboardInterrupt:
            self.outcome.interrupted = True
            return None
        if new_divergence > NEARER * divergence - MAX_RISE:
            return None
        return labels if plan.prior is None else order_by_prior(labels, plan.prior)

    def _epochs(self, phase, n_epochs, targets=None, after_step=lambda model: None):
        """Train epoch by epoch, yielding after each so that the phase can add to it."""
        if self.outcome.interrupted or n_epochs == 0:
            return
        n_batches = math.ceil(len(self.samples) / self.plan.batch_size)
        peak = self.plan.learning_rate
        optimizer = torch.optim.Adam(self.model.parameters(), lr=peak, fused=True)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer,
            lambda step: SCHEDULES[self.plan.schedule](step, n_epochs * n_batches),
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
                after_step(self.model)
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
        noisy_x = distort(
            x, self._noise, self.plan.affine_noise, self.plan.elastic_noise
        )
        with training_precision(x.device):
            noisy = network.encode(noisy_x, self._dropout)
            logits = assignment(noisy[-1])
            if weight:
                decoded = network.decode(noisy[-1])
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

    @torch.no_grad()
    def _encode_clean(self, x):
        return self.model.autoencoder.encode(x, no_corruption)

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


SCHEDULES = {"one-cycle": one_cycle, "constant": lambda step, total: 1.0}
