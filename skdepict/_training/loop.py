"""The three phases of DEPICT as one loop: pretrain, initialise, joint."""

import copy
import logging
import math

import numpy as np
import torch
from torch.nn import functional

from skdepict._training.average import WeightAverage
from skdepict._training.objectives import prior_divergence, target_distribution
from skdepict._training.progress import Epoch, Journal, Progress, Round
from skdepict._training.rounds import labels_to_go_on, most_to_go_on, sizes_and_spread
from skdepict._training.settings import SCHEDULES, WARM_UP
from skdepict._training.start import (
    class_means,
    class_sums,
    initial_labels,
    labels_are_given,
    mean_of_sums,
    order_by_prior,
    size_divergence,
)
from skdepict._training.step import Gradients
from skdepict._training.streams import stream_seed
from skdepict.networks._model import (
    assign_all,
    double_precision_device,
    embed_all,
    embed_batches,
)

logger = logging.getLogger("skdepict")

# The joint phase is ended when KL(f || u) has grown by this factor and by so much more:
# samples that clusters lose to each other step by step do not come back.
MAX_GROWTH = 1.4
MAX_RISE = 5e-4  # nats; cluster sizes that are 3 % off
# An embedding, from -1 to 1, in which no unit deviates by as much is one point.
COLLAPSED = 1e-4


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
    generators : dict of str to torch.Generator
        Torch's own, by name, which a module of the user's may draw from.
    checkpoints : Checkpoints, default=None
        Where the first process writes how far it has come.
    saved : tuple (dict, dict of ndarray), default=None
        What was read from there, to go on with.
    """

    def __init__(
        self,
        model,
        samples,
        labelled,
        plan,
        processes,
        generators,
        checkpoints=None,
        saved=None,
    ):
        self.model = model
        self.samples = samples
        self.labelled = labelled
        self.plan = plan
        self.processes = processes
        self.has_clusters = False
        self._progress = Progress()
        self.outcome = self._progress.outcome
        self._last_points: np.ndarray | None = None
        self._order = torch.Generator().manual_seed(stream_seed(plan.seed, "order"))
        self._frequencies = plan.prior
        if plan.prior is None:
            self._frequencies = np.full(plan.n_clusters, 1.0 / plan.n_clusters)
        self._prior = torch.tensor(
            self._frequencies,
            dtype=torch.float64,
            device=double_precision_device(samples.device),
        )
        self._gradients = Gradients(model, samples, plan, self._prior, processes)
        self._journal = Journal(
            checkpoints,
            saved,
            model,
            self._progress,
            plan,
            processes,
            {
                "order": self._order,
                "noise": self._gradients.noise,
                **{f"global {name}": g for name, g in generators.items()},
            },
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
            Of what there is so far, where an interrupt came after there were clusters.

        Raises
        ------
        FloatingPointError
            If the loss stops being finite, or the embedding collapses to one point.
        KeyboardInterrupt
            If an interrupt came before there were clusters, or in one of several
            processes: the others know nothing of it, and would wait.
        """
        self.events = events
        try:
            self._run_phases()
        except KeyboardInterrupt:
            if not self.has_clusters or self.processes.size > 1:
                raise
            self.outcome.interrupted = True
        finally:
            # They refer to this trainer: none would be freed before the other.
            self.events = None
        best = self._progress.best
        self.outcome.best_round = self.outcome.n_rounds
        # A round that was cut short does not replace a whole one.
        if best is not None:
            self.model.load_state_dict(best.state)
            self.outcome.best_round = best.number
            self.outcome.converged = best.converged
        if self.outcome.interrupted:
            self.outcome.converged = False
        self.model.zero_grad()
        self.model.eval()
        return self.outcome

    def _run_phases(self):
        progress = self._progress
        self._journal.take_up()
        if self._journal.phase in (None, "pretrain"):
            self._pretrain()
            progress.labels = self.processes.from_first(self._initial_labels)
        while progress.labels is not None:
            self._run_round(progress.labels)
            progress.labels = None
            progress.best = self._best_of(progress.best)
            progress.labels = self._labels_for_another_round(progress.best)

    def model_so_far(self):
        """A copy of the model as it would be if training ended now.

        Returns
        -------
        model : ClusteringModel or None
            None while there are no clusters.
        """
        if not self.has_clusters:
            return None
        if self._progress.average is None:
            return copy.deepcopy(self.model)
        with self._progress.average.applied():
            return copy.deepcopy(self.model)

    def _pretrain(self):
        """Phase 1: the autoencoder alone, noisy in, clean targets."""
        for _ in self._epochs("pretrain", self.plan.pretrain_epochs):
            pass

    def _initial_labels(self):
        """Phase 2, first part: starting labels."""
        plan = self.plan
        labels = initial_labels(
            plan.init,
            plan.n_clusters,
            self.labelled.rows,
            self._embedding,
            self._frequencies,
            stream_seed(plan.seed, "clusterer"),
            self.samples.device,
        )
        if plan.prior is not None and not isinstance(plan.init, np.ndarray):
            labels = order_by_prior(labels, plan.prior)
        return labels

    def _embedding(self):
        return embed_all(self.model, self.labelled).cpu().numpy()

    def _run_round(self, labels):
        """Phases 2 and 3, from starting labels."""
        if self._journal.phase is None:
            self.outcome.n_rounds += 1
            self.outcome.converged = False
            self._start_from(labels)
        self.has_clusters = True
        if self._journal.phase in (None, "initialise"):
            self._fit_to_labels(labels)
        self._train_jointly()

    def _start_from(self, labels):
        """Phase 2, second part: the softmax layer starts at the means of the labels."""
        n_clusters = self.plan.n_clusters
        if labels_are_given(self.plan.init):
            centers = self._means_of_all(labels)
        else:
            centers = self.processes.from_first(
                lambda: class_means(self._points(), labels, n_clusters)
            )
        self.model.set_centers(
            torch.as_tensor(centers, dtype=torch.float32, device=self.samples.device)
        )

    @torch.inference_mode()
    def _means_of_all(self, labels):
        """The means of given labels: of all samples, each process of its own."""
        n_clusters, n_units = self.plan.n_clusters, self.model.assignment.in_features
        own = labels[self._share]
        sums = np.zeros((n_clusters, n_units))
        counts = np.zeros(n_clusters, dtype=np.int64)
        for place, embedding in embed_batches(self.model, self.samples):
            points = embedding.cpu().double().numpy()
            of_batch = class_sums(points, own[place], n_clusters)
            sums += of_batch[0]
            counts += of_batch[1]
        sums, counts = (
            self.processes.sum(torch.from_numpy(part)).numpy()
            for part in (sums, counts)
        )
        return mean_of_sums(sums, counts)

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
        progress = self._progress
        progress.average = average = WeightAverage(self.model, self.plan.average_decay)
        self._journal.take_up_average()
        previous = self._target_distribution(average)
        if progress.best_average is None:
            progress.lowest = self._divergence(previous)
            progress.best_average = average.copy()
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
                    and divergence > MAX_GROWTH * progress.lowest + MAX_RISE
                )
                epoch.stop = self.outcome.converged or drifting
                if drifting:
                    average.restore(progress.best_average)
                elif divergence < progress.lowest:
                    progress.lowest = divergence
                    progress.best_average = average.copy()
        finally:
            average.apply()
            progress.average = progress.best_average = None
        self.processes.average_buffers(self.model)

    def _target_distribution(self, average):
        with average.applied():
            self.processes.average_buffers(self.model)
            probabilities = assign_all(self.model, self.samples)
        mass = self.processes.sum(probabilities.sum(dim=0))
        return target_distribution(
            probabilities, self._prior, self.plan.target_form, mass
        )

    def _mean(self, rows):
        """The mean over the samples of all processes."""
        return self.processes.sum(rows.sum(dim=0)) / self.plan.n_samples

    def _divergence(self, targets):
        return prior_divergence(self._mean(targets), self._prior).item()

    def _best_of(self, best):
        """Compare the round with the best of those before.

        Parameters
        ----------
        best : Round or None

        Returns
        -------
        best : Round
            The one whose cluster sizes are nearest to the prior.
        """
        outcome = self.outcome
        sizes, spread = sizes_and_spread(self.model, self.samples, self.processes)
        self._check_spread(spread)
        divergence = size_divergence(sizes, self._frequencies)
        if best is None or divergence < best.divergence:
            state = copy.deepcopy(self.model.state_dict())
            best = Round(outcome.n_rounds, divergence, state, outcome.converged)
        return best

    def _labels_for_another_round(self, best):
        """Starting labels from the embedding of the round that has just ended.

        Parameters
        ----------
        best : Round

        Returns
        -------
        labels : ndarray of shape (n_members,) or None
            None if there is to be no other round.
        """
        plan = self.plan
        by_path_integral = isinstance(plan.init, str) and plan.init == "path-integral"
        last = self._progress.stopped or self.outcome.n_rounds == plan.max_rounds
        needed = most_to_go_on(best.divergence)
        if last or not by_path_integral or needed < 0:
            return None

        def find_labels():
            points = self._embedding()
            labels = labels_to_go_on(
                points, plan, self._frequencies, needed, self.samples.device
            )
            self._last_points = None if labels is None else points
            return labels

        return self.processes.from_first(find_labels)

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
        if n_epochs == 0:
            return
        n_samples = self.plan.n_samples if members is None else len(members)
        n_batches = math.ceil(n_samples / self.plan.batch_size)
        peak = self.plan.learning_rate
        optimizer = torch.optim.Adam(self.model.parameters(), lr=peak, fused=True)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer,
            lambda step: SCHEDULES[self.plan.schedule](step, n_epochs * n_batches),
        )
        compute = self._gradients.of_phase(optimizer, phase, targets, members)
        first = self._journal.take_up_steps(optimizer, schedule, n_batches)
        self.events.begin_phase(phase, n_epochs)
        for number in range(first, n_epochs):
            self.events.begin_epoch()
            self.model.train()
            losses = torch.zeros(2, device=self.samples.device, dtype=torch.float32)
            order = torch.randperm(n_samples, generator=self._order)
            for index in order.to(self.samples.device).tensor_split(n_batches):
                # Until the decoder knows what all samples have in common, it would be
                # the embedding that learns it.
                self._gradients.decoder_only = (
                    phase == "pretrain"
                    and schedule.last_epoch < WARM_UP * n_epochs * n_batches
                )
                losses += compute(index)
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
            self._progress.stopped = self.processes.any(self.events.end_epoch())
            last = self._progress.stopped or epoch.stop
            self._journal.write(
                phase, n_epochs if last else number + 1, n_epochs, optimizer
            )
            if last:
                break
        self.events.end_phase()

    def _check_spread(self, spread):
        """Refuse to return an embedding of which nothing can be told apart."""
        if self.plan.n_clusters == 1 or not self.outcome.history:
            return
        if spread < COLLAPSED:
            raise FloatingPointError(
                "The embedding of all samples has collapsed to one point. Use a "
                f"learning_rate below {self.plan.learning_rate:g} or another network, "
                "and look for extreme values in X, beside which all others are alike, "
                "or for whether there are groups at all."
            )

    def _check_finite(self, epoch):
        loss = epoch.record["loss"]
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"The loss became {loss} in epoch {epoch.record['epoch'] + 1} of the "
                f"{epoch.record['phase']!r} phase. Use a learning_rate below "
                f"{self.plan.learning_rate:g}, and look for extreme values in X."
            )

    def _log(self, record):
        message = ", ".join(
            f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
            for key, value in record.items()
        )
        if self.plan.verbose and self.processes.rank == 0:
            print(message, flush=True)
        else:
            logger.debug(message)
