"""The three phases of DEPICT as one loop: pretrain, initialise, joint."""

import copy
import logging
import math
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from skdepict._average import WeightAverage
from skdepict._device import is_out_of_memory, training_precision
from skdepict._initialization import (
    class_means,
    class_sums,
    initial_labels,
    labels_are_given,
    mean_of_sums,
    order_by_prior,
    path_integral_labels,
    size_divergence,
)
from skdepict._model import (
    assign,
    double_precision_device,
    embed_all,
    warn_of_memory,
)
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
# New starting labels must be nearer to the prior than the network's by this factor and
# by so much more. Smaller gains are chance.
NEARER = 0.9
LEAST_GAIN = 5e-4  # nats
# A fit that was killed loses the epochs since the last checkpoint: those of so many
# seconds, or one.
SECONDS_BETWEEN_CHECKPOINTS = 5.0
# An embedding, from -1 to 1, in which no unit deviates by as much is one point.
COLLAPSED = 1e-4


@dataclass(frozen=True)
class Plan:
    """Everything that the loop needs to know; see `DEPICTClustering` for meanings."""

    n_clusters: int
    init: Any
    n_samples: int
    members: np.ndarray | None
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
    own_network: bool = False
    verbose: int = 0


@dataclass
class Outcome:
    """What the loop leaves behind beside the trained model."""

    history: list = field(default_factory=list)
    n_iter: int = 0
    n_rounds: int = 0
    best_round: int = 0
    converged: bool = False
    interrupted: bool = False


@dataclass
class Round:
    """What a finished round has reached."""

    number: int
    divergence: float
    state: dict
    converged: bool


class Trainer:
    """Train a model on samples.

    Parameters
    ----------
    model : ClusteringModel
        Trained in place.
    samples : Samples
        The data, or this process's share of them, scaled, on the device of the model.
    labelled : Samples
        Those that get starting labels; may be `samples`. Only the first process looks
        at them.
    plan : Plan
        The settings.
    processes : Processes
        Those that train the model together.
    checkpoints : Checkpoints, default=None
        Where the first process writes how far it has come.
    saved : tuple (dict, dict of ndarray), default=None
        What was read from there, to go on with.
    """

    def __init__(
        self, model, samples, labelled, plan, processes, checkpoints=None, saved=None
    ):
        self.model = model
        self.samples = samples
        self.labelled = labelled
        self.plan = plan
        self.processes = processes
        self.outcome = Outcome()
        self.has_clusters = False
        self._average: WeightAverage | None = None
        self._lowest = math.inf
        self._best_average: list | None = None
        self._best: Round | None = None
        self._labels: np.ndarray | None = None
        self._checkpoints = checkpoints
        self._written = time.monotonic()
        self._saved = None if saved is None else Saved(*saved)
        self._last_points: np.ndarray | None = None
        self._stopped = False
        self._decoder_only = False
        self._n_parts = 1
        self._order = torch.Generator().manual_seed(plan.seed)
        self._noise = torch.Generator(samples.device)
        self._noise.manual_seed(plan.seed + processes.rank)
        self._dropout = Dropout(plan.dropout, self._noise)
        self._frequencies = plan.prior
        if plan.prior is None:
            self._frequencies = np.full(plan.n_clusters, 1.0 / plan.n_clusters)
        self._prior = torch.tensor(
            self._frequencies,
            dtype=torch.float64,
            device=double_precision_device(samples.device),
        )
        self._reconstruction_loss = getattr(
            model.autoencoder, "reconstruction_loss", default_reconstruction_loss
        )
        self._target_within_batch = getattr(
            model.autoencoder, "target_within_batch", False
        )
        self._share = processes.share(plan.n_samples)
        self._members = None
        if plan.members is not None:
            self._members = torch.as_tensor(plan.members, device=samples.device)

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
            If the loss stops being finite, or the embedding collapses to one point.
        """
        self.events = events
        if self._saved is not None:
            with self._checkpoints.guarded():
                self._go_on_from(self._saved)
        if self._saved is None or self._saved.phase == "pretrain":
            with self._interruptible():
                self._pretrain()
            self._labels = self.processes.from_first(self._initial_labels)
        best = self._best
        while self._labels is not None:
            self._run_round(self._labels)
            self._labels = None
            # A round that was cut short does not replace a whole one.
            if best is None or not self.outcome.interrupted:
                with self._interruptible():
                    best, self._labels = self._judge_round(best)
                    self._best = best
        self.outcome.best_round = self.outcome.n_rounds
        if best is not None:
            self.model.load_state_dict(best.state)
            self.outcome.best_round = best.number
            self.outcome.converged = best.converged
        if self.outcome.interrupted:
            self.outcome.converged = False
        self.model.eval()
        return self.outcome

    def model_so_far(self):
        """A copy of the model as it would be if training ended now.

        Returns
        -------
        model : ClusteringModel or None
            None while there are no clusters.
        """
        if not self.has_clusters:
            return None
        if self._average is None:
            return copy.deepcopy(self.model)
        with self._average.applied():
            return copy.deepcopy(self.model)

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
            self._note_interrupt()
            labels = self._labels_by("kmeans")
        if plan.prior is not None and not given:
            labels = order_by_prior(labels, plan.prior)
        return labels

    def _labels_by(self, method):
        return initial_labels(
            method,
            self.plan.n_clusters,
            self.labelled.rows,
            self._embedding,
            self._frequencies,
            self.plan.seed,
            self.samples.device,
        )

    def _embedding(self):
        return embed_all(self.model, self.labelled).cpu().numpy()

    def _run_round(self, labels):
        """Phases 2 and 3, from starting labels."""
        if self._saved is None:
            self.outcome.n_rounds += 1
            self.outcome.converged = False
            try:
                self._start_from(labels)
            except KeyboardInterrupt:
                self._note_interrupt()
                self._start_from(labels)
        self.has_clusters = True
        if self._saved is None or self._saved.phase == "initialise":
            with self._interruptible():
                self._fit_to_labels(labels)
        with self._interruptible():
            self._train_jointly()

    def _start_from(self, labels):
        """Phase 2, second part: the softmax layer starts at the means of the labels."""
        n_clusters = self.plan.n_clusters
        if labels_are_given(self.plan.init):
            # Of all samples, so that each process looks at its own.
            own = embed_all(self.model, self.samples).cpu().double().numpy()
            sums, counts = class_sums(own, labels[self._share], n_clusters)
            sums, counts = (
                self.processes.sum(torch.from_numpy(part)).numpy()
                for part in (sums, counts)
            )
            centers = mean_of_sums(sums, counts)
        else:
            centers = self.processes.from_first(
                lambda: class_means(self._points(), labels, n_clusters)
            )
        self.model.set_centers(
            torch.as_tensor(centers, dtype=torch.float32, device=self.samples.device)
        )

    def _points(self):
        """The embedding that labels were just found in, or the present one."""
        points, self._last_points = self._last_points, None
        return self._embedding() if points is None else points

    def _fit_to_labels(self, labels):
        """Phase 2, third part: network and softmax layer learn the starting labels."""
        if self._members is None:
            labels = labels[self._share]
        targets = functional.one_hot(
            torch.as_tensor(labels, dtype=torch.int64), self.plan.n_clusters
        )
        targets = targets.float().to(self.samples.device)
        for _ in self._epochs(
            "initialise", self.plan.fit_epochs, targets, members=self._members
        ):
            pass

    def _train_jointly(self):
        """Phase 3: Q from the clean pathway, then an epoch towards it, in turns."""
        average = WeightAverage(self.model, self.plan.average_decay)
        self._average = average
        if self._saved is not None:
            with self._checkpoints.guarded():
                self._go_on_with_average(self._saved, average)
        previous = self._target_distribution(average)
        if self._best_average is None:
            self._lowest = self._divergence(previous)
            self._best_average = average.copy()
        targets = previous.float().to(self.samples.device)
        try:
            for epoch in self._epochs(
                "joint", self.plan.max_iter, targets, average.update
            ):
                current = self._target_distribution(average)
                change = self._mean((current - previous).square()).mean().item()
                targets.copy_(current)
                previous = current
                divergence = self._divergence(current)
                epoch.record["prior_divergence"] = divergence
                epoch.record["target_change"] = change
                self.outcome.n_iter += 1
                # While the learning rate climbs, Q says little about convergence.
                climbing = epoch.record["epoch"] < WARM_UP * self.plan.max_iter
                self.outcome.converged = change < self.plan.tol and not climbing
                drifting = (
                    self.plan.early_stopping
                    and divergence > MAX_GROWTH * self._lowest + MAX_RISE
                )
                epoch.stop = self.outcome.converged or drifting
                if drifting:
                    average.restore(self._best_average)
                elif divergence < self._lowest:
                    self._lowest = divergence
                    self._best_average = average.copy()
        finally:
            average.apply()
            self._average = self._best_average = None
        self.processes.average_buffers(self.model)

    def _target_distribution(self, average):
        with average.applied():
            self.processes.average_buffers(self.model)
            probabilities = assign(self.model, embed_all(self.model, self.samples))
        mass = self.processes.sum(probabilities.sum(dim=0))
        return target_distribution(
            probabilities, self._prior, self.plan.target_form, mass
        )

    def _mean(self, rows):
        """The mean over the samples of all processes."""
        return self.processes.sum(rows.sum(dim=0)) / self.plan.n_samples

    def _divergence(self, targets):
        return prior_divergence(self._mean(targets), self._prior).item()

    def _judge_round(self, best):
        """Compare a round with the best one, and look for labels to start another from.

        Clusters that the first graph had mixed up may lie apart in the embedding.

        Parameters
        ----------
        best : Round or None
            The best of the rounds before.

        Returns
        -------
        best : Round
            The one whose cluster sizes are nearest to the prior.
        labels : ndarray of shape (n_members,) or None
            Starting labels for another round; None if there is to be none.
        """
        plan, outcome = self.plan, self.outcome
        own = embed_all(self.model, self.samples)
        self._check_spread(own)
        found = assign(self.model, own).argmax(dim=1)
        sizes = self.processes.sum(found.bincount(minlength=plan.n_clusters))
        divergence = size_divergence(sizes.cpu().numpy(), self._frequencies)
        if best is None or divergence < best.divergence:
            state = copy.deepcopy(self.model.state_dict())
            best = Round(outcome.n_rounds, divergence, state, outcome.converged)
        by_path_integral = isinstance(plan.init, str) and plan.init == "path-integral"
        last = (
            outcome.interrupted or self._stopped or outcome.n_rounds == plan.max_rounds
        )
        needed = NEARER * divergence - LEAST_GAIN
        if last or not by_path_integral or needed < 0:
            return best, None

        def find_labels():
            is_own = self.labelled is self.samples
            points = own.cpu().numpy() if is_own else self._embedding()
            labels, new_divergence = path_integral_labels(
                points, plan.n_clusters, self._frequencies, self.samples.device
            )
            if new_divergence > needed:
                return None
            self._last_points = points
            return labels if plan.prior is None else order_by_prior(labels, plan.prior)

        try:
            return best, self.processes.from_first(find_labels)
        except KeyboardInterrupt:
            self._note_interrupt()
            return best, None

    def _epochs(
        self,
        phase,
        n_epochs,
        targets=None,
        after_step=lambda: None,
        members=None,
    ):
        """Train epoch by epoch, yielding after each so that the phase can add to it.

        Parameters
        ----------
        phase : str
        n_epochs : int
        targets : tensor of shape (n_members, n_clusters), default=None
            What to predict; without members, for this process's share of the samples.
        after_step : callable
            Called after each step.
        members : tensor of shape (n_members,), default=None
            Which samples to train on; None for all.
        """
        if self.outcome.interrupted or n_epochs == 0:
            return
        n_samples = self.plan.n_samples if members is None else len(members)
        n_batches = math.ceil(n_samples / self.plan.batch_size)
        peak = self.plan.learning_rate
        optimizer = torch.optim.Adam(self.model.parameters(), lr=peak, fused=True)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer,
            lambda step: SCHEDULES[self.plan.schedule](step, n_epochs * n_batches),
        )
        first = 0
        if self._saved is not None:
            with self._checkpoints.guarded():
                first = self._saved.n_done
                self._go_on_with_steps(self._saved, optimizer, schedule, n_batches)
            self._saved = None
        self.events.begin_phase(phase, n_epochs)
        for number in range(first, n_epochs):
            self.events.begin_epoch()
            self.model.train()
            losses = torch.zeros(2, device=self.samples.device, dtype=torch.float32)
            order = torch.randperm(n_samples, generator=self._order)
            for index in order.to(self.samples.device).tensor_split(n_batches):
                optimizer.zero_grad()
                # Until the decoder knows what all samples have in common, it would be
                # the embedding that learns it.
                self._decoder_only = (
                    phase == "pretrain"
                    and schedule.last_epoch < WARM_UP * n_epochs * n_batches
                )
                losses += self._add_gradients(optimizer, phase, index, targets, members)
                self.processes.sum_gradients(self.model.parameters())
                optimizer.step()
                schedule.step()
                after_step()
            losses = self.processes.sum(losses)
            self.processes.average_buffers(self.model)
            epoch = Epoch(
                phase, self.outcome.n_rounds, number, *(losses / n_samples).tolist()
            )
            self._check_finite(epoch)
            yield epoch
            self.outcome.history.append(epoch.record)
            self._log(epoch.record)
            self._stopped = self.processes.any(self.events.end_epoch())
            last = self._stopped or epoch.stop
            self._save(phase, n_epochs if last else number + 1, n_epochs, optimizer)
            if last:
                break
        self.events.end_phase()

    def _save(self, phase, n_done, n_epochs, optimizer):
        """Write a checkpoint at the end of a phase, and where the last one is old."""
        if self._checkpoints is None or self.processes.rank > 0:
            return
        age = time.monotonic() - self._written
        if n_done < n_epochs and age < SECONDS_BETWEEN_CHECKPOINTS:
            return
        outcome = self.outcome
        content = {
            "seed": self.plan.seed,
            "phase": phase,
            "n_done": n_done,
            "stopped": self._stopped,
            "lowest": self._lowest,
            "history": outcome.history,
            "n_iter": outcome.n_iter,
            "n_rounds": outcome.n_rounds,
            "converged": outcome.converged,
        }
        parts = {
            "model": self.model.state_dict(),
            "optimizer": {
                f"{number} {name}": value
                for number, parameter in enumerate(self.model.parameters())
                for name, value in optimizer.state.get(parameter, {}).items()
            },
            "generator": {
                "order": self._order.get_state(),
                "noise": self._noise.get_state(),
                "global": torch.get_rng_state(),
            },
            "average": dict(enumerate(self._average.copy() if self._average else [])),
            "best average": dict(enumerate(self._best_average or [])),
        }
        if self._best is not None:
            content["best"] = [
                self._best.number,
                self._best.divergence,
                self._best.converged,
            ]
            parts["best"] = self._best.state
        arrays = {
            f"{part}/{name}": tensor.numpy(force=True)
            for part, tensors in parts.items()
            for name, tensor in tensors.items()
        }
        if self._labels is not None:
            arrays["labels/"] = np.asarray(self._labels)
        self._checkpoints.write(content, arrays)
        self._written = time.monotonic()

    def _go_on_from(self, saved):
        """Take over what the checkpoint has of everything but the phase's steps."""
        outcome, content = self.outcome, saved.content
        self.model.load_state_dict(saved.part("model"))
        outcome.history = list(content["history"])
        outcome.n_iter, outcome.n_rounds = content["n_iter"], content["n_rounds"]
        outcome.converged, self._stopped = content["converged"], content["stopped"]
        self._labels = saved.arrays.get("labels/")
        if "best" in content:
            number, divergence, converged = content["best"]
            state = {
                name: tensor.to(self.samples.device)
                for name, tensor in saved.part("best").items()
            }
            self._best = Round(number, divergence, state, converged)

    def _go_on_with_average(self, saved, average):
        if saved.phase != "joint":
            return
        self._lowest = saved.content["lowest"]
        self._best_average, mean = average.copy(), average.copy()
        for part, tensors in (("best average", self._best_average), ("average", mean)):
            for number, tensor in enumerate(tensors):
                tensor.copy_(saved.part(part)[str(number)])
        average.restore(mean)

    def _go_on_with_steps(self, saved, optimizer, schedule, n_batches):
        for number, parameter in enumerate(self.model.parameters()):
            state = saved.part(f"optimizer/{number}", " ")
            if state:
                # Averages in the memory order of the weights: fused steps pair them so.
                optimizer.state[parameter] = {
                    name: value.to(self.samples.device)
                    if value.ndim == 0
                    else torch.zeros_like(parameter).copy_(value)
                    for name, value in state.items()
                }
        schedule.last_epoch = saved.n_done * n_batches
        share = schedule.lr_lambdas[0](schedule.last_epoch)
        for group in optimizer.param_groups:
            group["lr"] = self.plan.learning_rate * share
        generators = saved.part("generator")
        self._order.set_state(generators["order"])
        if self.processes.size == 1:
            self._noise.set_state(generators["noise"])
            if self.plan.own_network:
                torch.set_rng_state(generators["global"])
        else:
            # Each process has noise of its own, and only the first one writes.
            self._noise.manual_seed(
                self.plan.seed + self.processes.rank + 7919 * len(self.outcome.history)
            )

    def _add_gradients(self, optimizer, phase, index, targets, members):
        """Add this process's part of the gradients of one batch.

        Where the device has no memory for all of it, part by part.

        Returns
        -------
        losses : tensor of shape (2,)
            The terms of the loss, summed over the samples.
        """
        while True:
            try:
                losses = torch.zeros(2, device=self.samples.device)
                for part in index.tensor_split(self._n_parts):
                    share = len(part) / len(index)
                    losses += self._add_part(phase, part, targets, members, share)
                return losses
            except Exception as error:
                if not is_out_of_memory(error) or 2 * self._n_parts > len(index):
                    raise
            optimizer.zero_grad()
            self._n_parts *= 2
            warn_of_memory(f"a batch is taken in {self._n_parts} parts")

    def _add_part(self, phase, index, targets, members, share):
        """Add this process's part of the gradients of a share of a batch.

        Returns
        -------
        losses : tensor of shape (2,)
            The terms of the loss, summed over the samples.
        """
        chosen = index if members is None else members[index]
        if self.processes.size > 1:
            own = (chosen >= self._share.start) & (chosen < self._share.stop)
            chosen = chosen[own] - self._share.start
            if len(chosen) == 0:
                return torch.zeros(2, device=self.samples.device)
            index = chosen if members is None else index[own]
            share *= len(chosen) / len(own)
        terms = self._losses(
            phase,
            self.samples.batch(chosen),
            None if targets is None else targets[index],
        )
        (share * sum(terms)).backward()
        return len(chosen) * torch.stack(terms).detach()

    def _losses(self, phase, x, targets):
        """Weighted reconstruction loss and KL(Q || P) of one batch."""
        network, assignment = self.model.autoencoder, self.model.assignment
        weight = {"pretrain": 1.0, "initialise": 0.0}.get(
            phase, self.plan.reconstruction_weight
        )
        target_within_batch = self._target_within_batch and phase == "joint"
        # A network may change its input in place, and x is a target too.
        noisy_x = distort(
            x.clone() if weight else x,
            self._noise,
            self.plan.affine_noise,
            self.plan.elastic_noise,
        )
        with training_precision(x.device):
            noisy = network.encode(noisy_x, self._dropout)
            logits = assignment(noisy[-1])
            if weight:
                embedding = noisy[-1].detach() if self._decoder_only else noisy[-1]
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
                    self._prior.float().to(x.device),
                    self.plan.target_form,
                )
            clustering = clustering_loss(targets, logits.float().log_softmax(dim=1))
        return reconstruction, clustering

    @torch.no_grad()
    def _encode_clean(self, x):
        return self.model.autoencoder.encode(x, no_corruption)

    def _check_spread(self, embedding):
        """Refuse to return an embedding of which nothing can be told apart."""
        if self.plan.n_clusters == 1 or not self.outcome.history:
            return
        highest = self.processes.max(embedding.amax(dim=0))
        lowest = -self.processes.max(-embedding.amin(dim=0))
        if (highest - lowest).max() < COLLAPSED:
            raise FloatingPointError(
                "The embedding of all samples has collapsed to one point. Use a "
                f"learning_rate below {self.plan.learning_rate:g} or another network, "
                "and look for extreme values in X, beside which all others are alike."
            )

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
            self._note_interrupt()

    def _note_interrupt(self):
        """Go on to the end with what there is; in a group, end the job."""
        if self.processes.size > 1:
            # The other processes know nothing of it, and would wait.
            raise
        self.outcome.interrupted = True

    def _log(self, record):
        message = ", ".join(
            f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
            for key, value in record.items()
        )
        logger.info(message)
        if self.plan.verbose and self.processes.rank == 0:
            print(message)


class Saved:
    """A checkpoint to go on from.

    Parameters
    ----------
    content : dict
    arrays : dict of ndarray
    """

    def __init__(self, content, arrays):
        self.content, self.arrays = content, arrays
        self.phase, self.n_done = content["phase"], content["n_done"]

    def part(self, name, separator="/"):
        """The tensors of one part, by their names in it."""
        start = f"{name}{separator}"
        return {
            key.removeprefix(start): torch.from_numpy(array)
            for key, array in self.arrays.items()
            if key.startswith(start)
        }


class Epoch:
    """A finished epoch: what goes into the history, and whether to stop here."""

    def __init__(self, phase, n_rounds, number, reconstruction, clustering):
        self.stop = False
        self.record = {
            "phase": phase,
            "round": n_rounds,
            "epoch": number,
            "loss": reconstruction + clustering,
            "reconstruction": reconstruction,
            "clustering": clustering,
        }


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
