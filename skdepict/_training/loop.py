"""The method from top to bottom: pretrain, then in rounds initialise, joint, judge."""

import math
from typing import Any

import torch
from torch.nn import functional

from skdepict._training import graphs, judge
from skdepict._training.held_out import HeldOut
from skdepict._training.mixed import rows_to_compare
from skdepict._training.neighbors import embedded_frequencies, neighbors_of
from skdepict._training.noise import Noise
from skdepict._training.number import are_apart, number_before_fall
from skdepict._training.objectives import (
    class_means,
    class_sums,
    estimated_prior,
    mean_of_sums,
    prior_divergence,
    size_divergence,
    target_distribution,
)
from skdepict._training.progress import Progress, tell
from skdepict._training.settings import SCHEDULES
from skdepict._training.start import (
    PRIOR_STRENGTH,
    Start,
    labels_are_given,
    start_by_graphs,
    start_of_joined,
    starting_labels,
)
from skdepict._training.step import GradientDescent, loss_weights
from skdepict._training.streams import stream_seed
from skdepict.networks._inference import assign_all, double_precision_device, embed_all


class Training:
    """Trains a model on samples.

    Parameters
    ----------
    model : ClusteringModel
        Trained in place.
    samples : Samples
        The data, or this process's share of them, on the device of the model.
    labelled : Samples
        Those that get starting labels; may be `samples`. Only the first process looks
        at them.
    settings : Settings
    processes : Processes
        Those that train the model together.
    generators : dict of str to torch.Generator
        Torch's own, by name, which a module of the user's may draw from.
    checkpoints : Checkpoints, default=None
        Where the first process writes how far it has come.

    Attributes
    ----------
    model : ClusteringModel
    progress : Progress
    """

    def __init__(
        self,
        model,
        samples,
        labelled,
        settings,
        processes,
        generators,
        checkpoints=None,
    ):
        self.model, self._samples, self._labelled = model, samples, labelled
        self._settings, self._processes = settings, processes
        self._checkpoints, self._merged = checkpoints, None
        self._share = processes.share(settings.n_samples)
        self._members = None
        if settings.members is not None:
            self._members = torch.as_tensor(settings.members, device=samples.device)
        self._order = torch.Generator().manual_seed(stream_seed(settings.seed, "order"))
        of_noise = torch.Generator(samples.device)
        of_noise.manual_seed(stream_seed(settings.seed, "noise", processes.rank, 0))
        self._noise = Noise(settings, of_noise)
        self._neighbors: Any = None
        self._held_out = HeldOut(model, samples, settings, processes)
        self._descent = GradientDescent(
            model, samples, settings, processes, self._noise
        )
        named = {f"global {name}": g for name, g in generators.items()}
        named = {"order": self._order, "noise": of_noise, **named}
        new_optimizer = self._descent.new_optimizer
        self.progress = Progress(model, settings, named, new_optimizer)

    def resume(self, saved):
        """Continue from what a checkpoint holds.

        Parameters
        ----------
        saved : tuple (dict, dict of ndarray) or None
            What was read there; None to begin anew.
        """
        if saved is None:
            return
        values, arrays = saved
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        with self._checkpoints.guarded():
            self.progress.load_state_dict(values, tensors)
        if self._processes.size > 1:
            self.progress.draw_anew(self._processes.rank)

    def run(self, events):
        """Go through the phases, and leave the best model there is.

        Parameters
        ----------
        events : FitEvents
            Told of phases and epochs.

        Raises
        ------
        FloatingPointError
            If the loss stops being finite, or the embedding collapses to one point.
        KeyboardInterrupt
            If an interrupt came before there were clusters, or in one of several
            processes: the others know nothing of it, and would wait. Otherwise
            `progress.interrupted` says that there was one.
        """
        progress = self.progress
        self._neighbors = neighbors_of(
            *(self._labelled, self._settings, self._processes),
            double_precision_device(self._samples.device),
        )
        try:
            with self._descent.waits:
                self._train(events)
        except KeyboardInterrupt:
            if not progress.final or self._processes.size > 1:
                raise
            progress.interrupted = True
        # A round that was cut short does not replace a whole one.
        if progress.best:
            self.model.load_state_dict(progress.best_weights)
            progress.converged = progress.best["converged"]
        elif progress.average is not None:
            progress.average.apply()
        progress.converged &= not progress.interrupted
        if progress.joined is None:
            # Of clusters that were found at once: in which order they would be joined.
            self._join_groups()
        self.model.zero_grad()
        self.model.eval()

    def _train(self, events):
        settings, progress, samples = self._settings, self.progress, self._samples

        # Phase 1: the autoencoder alone, noisy in, clean targets.
        if progress.phase == "pretrain":
            others = self._held_out.others
            for record in self._epochs(events, None, others):
                self._held_out.judge(record, progress)
            progress.go_back_to_lowest()
            self._start_round(self._first_start(settings))

        while progress.phase != "done":
            # Phase 2: the network and the softmax layer learn the starting labels.
            if progress.phase == "initialise":
                targets, members = self._one_hot(progress.labels)
                for record in self._epochs(events, targets, members):
                    self._held_out.judge(record, progress)
                progress.go_back_to_lowest()
                progress.enter("joint")

            # Phase 3: Q from the clean pathway, then an epoch towards it, in turns.
            current = self._target_distribution()
            progress.keep_if_lowest(self._divergence(current, progress.prior))
            targets = current.float().to(samples.device)
            for record in self._epochs(events, targets):
                self._estimate_prior(current)
                previous, current = current, self._target_distribution()
                targets.copy_(current)
                self._judge_epoch(record, current, previous)
            progress.average.apply()
            self._processes.average_buffers(self.model)

            sizes, spread = judge.sizes_and_spread(self.model, samples, self._processes)
            if len(progress.prior) > 1 and progress.history:
                judge.check_spread(spread, settings.learning_rate)
            if not progress.final:
                # Fine groups that the network confuses are joined.
                self._start_round(self._joined_start())
                continue
            # The round whose sizes are nearest to the prior is kept, and another one
            # begins where its embedding shows labels that are nearer still.
            progress.keep_if_best(size_divergence(sizes, progress.prior.cpu().numpy()))
            labels = self._processes.from_first(self._labels_for_another_round)
            if labels is None:
                progress.enter("done")
            else:
                self._start_round(Start(labels, progress.prior.cpu().numpy()))

    def _judge_epoch(self, record, current, previous):
        """Say how far Q has moved, and end "joint" where it needs no other epoch."""
        settings, progress = self._settings, self.progress
        difference = current - previous
        change = self._mean(difference.square()).mean().item()
        moved = self._mean(difference.abs()).sum().item() / 2
        drift = divergence = self._divergence(current, progress.prior)
        record |= {"prior_divergence": divergence, "target_change": change}
        progress.n_iter += 1
        progress.converged = judge.has_converged(
            change, moved, record["epoch"], settings.n_epochs(progress), settings
        )
        if progress.estimated:
            # The prior follows f, the guess does not. But groups that are yet to be
            # joined may have any sizes.
            drift = self._divergence(current, progress.guess) * progress.final
        has_drifted = judge.has_drifted(
            *(drift, progress.lowest, progress.estimated),
            *(settings, len(progress.prior)),
        )
        progress.phase_ends = progress.converged or has_drifted
        if has_drifted:
            progress.average.restore(progress.lowest_average)
        else:
            progress.keep_if_lowest(drift)

    def _epochs(self, events, targets=None, members=None):
        """Train through a phase, yielding each epoch's record to be added to.

        Parameters
        ----------
        events : FitEvents
        targets, members : tensor or None
            As for `GradientDescent.steps`.
        """
        settings, progress, processes = self._settings, self.progress, self._processes
        n_epochs = settings.n_epochs(progress)
        if n_epochs == 0:
            return
        n_samples = settings.n_samples if members is None else len(members)
        n_batches = math.ceil(n_samples / settings.batch_size)
        n_steps = n_epochs * n_batches
        if progress.phase == "joint" and self.model.autoencoder.target_within_batch:
            targets = self._target_of_batch
        step = self._descent.steps(
            progress.optimizer, progress.average, targets, members
        )
        events.begin_phase(progress.phase, n_epochs)
        while progress.epoch < n_epochs:
            events.begin_epoch()
            self.model.train()
            losses = torch.zeros(2, device=self._samples.device, dtype=torch.float32)
            weighed = 0.0
            order = torch.randperm(n_samples, generator=self._order)
            batches = order.to(self._samples.device).tensor_split(n_batches)
            for number, index in enumerate(batches, progress.epoch * n_batches):
                share = SCHEDULES[settings.schedule](number, n_steps)
                progress.optimizer.set_learning_rate(share * settings.learning_rate)
                weights = loss_weights(settings, progress.phase, number, n_steps)
                losses += step(index, weights)
                weighed += weights.reconstruction * len(index)
            losses = processes.sum(losses)
            processes.average_buffers(self.model)
            record = progress.new_record(n_samples, weighed, *losses.tolist())
            yield record
            progress.history.append(record)
            tell(record, aloud=self._settings.verbose and processes.rank == 0)
            progress.stopped = processes.any(events.end_epoch())
            is_last = progress.stopped or progress.phase_ends
            progress.epoch = n_epochs if is_last else progress.epoch + 1
            if self._checkpoints is not None and processes.rank == 0:
                self._checkpoints.write_at_times(
                    progress.state_dict, now=progress.epoch == n_epochs
                )
        events.end_phase()

    def _first_start(self, settings):
        of_data = settings, self._labelled.rows, self._embedding, self._graphs
        return self._processes.from_first(lambda: starting_labels(*of_data))

    def _graphs(self):
        if self._merged is None:
            rows = rows_to_compare(self._labelled, self._settings)
            self._merged = graphs.merged_graphs(rows, self._samples.device)
        return self._merged

    def _labels_for_another_round(self):
        """None if there is to be no other round."""
        settings, progress = self._settings, self.progress
        is_last = progress.stopped or progress.round >= settings.max_rounds
        # Nothing leads away from clusters that lie apart.
        is_last |= progress.apart
        # After a round that made it worse, there is no reason for another one.
        is_last |= progress.best["round"] < progress.round
        # Nor where neighbours have told what belongs together.
        is_last |= progress.joined is not None and self._neighbors is not None
        if is_last or progress.estimated or not settings.by_path_integral:
            return None
        prior, best = progress.prior.cpu().numpy(), progress.best["divergence"]
        return judge.better_labels(
            self._embedding, settings, prior, best, self._samples.device
        )

    def _join_groups(self):
        """Join groups that the network confuses, or see in which order it would.

        Returns whether neighbours say that clusters overlap.
        """
        progress, n_groups = self.progress, len(self.progress.prior)
        n_clusters = n_groups if progress.final else progress.n_clusters or None
        joined, number = self._joined_by(self._neighbors or self._noise, n_clusters)
        overlap = bool(self._neighbors) and not are_apart(joined.numbers, number)
        # Neighbours see no farther than to each other; graphs say more.
        if not overlap and self._settings.by_path_integral and self._neighbors:
            if n_clusters is None and (fall := number_before_fall(joined.numbers)):
                n_clusters = max(fall, self._processes.from_first(self._number_apart))
            joined, number = self._joined_by(self._noise, n_clusters)
        progress.joined, progress.n_clusters = joined, number
        return overlap

    def _joined_by(self, views, n_clusters):
        """How groups are joined that views of a sample are shared between."""
        settings, proposals, nearby, at_least = self._settings, None, None, None
        if views is self._noise and settings.distorts:
            nearby = None if self.progress.final else self._nearby
        elif views is self._noise and settings.by_path_integral:
            # Two views that differ in dropout alone say little of it.
            proposals, at_least = self._proposals, self._number_apart
        model = self.model, self._samples, views, self._processes
        return judge.joined_groups(*model, n_clusters, proposals, nearby, at_least)

    def _nearby(self):
        """J of samples and their neighbours in the embedding."""
        of_labelled = assign_all(self.model, self._labelled), self._embedding()
        return embedded_frequencies(*of_labelled, self._settings.n_neighbors)

    def _proposals(self, groups, n_clusters):
        if self._members is not None:
            groups = groups[self._settings.members]
        n_groups = len(self.progress.prior)
        return graphs.partitions_by_graphs(self._graphs(), groups, n_groups, n_clusters)

    def _number_apart(self):
        return graphs.number_apart(self._graphs(), of_images=False)

    def _joined_start(self):
        overlap, settings, progress = self._join_groups(), self._settings, self.progress
        apart = self._neighbors is not None and not overlap
        finer = settings.with_finer_groups(progress, apart)
        if finer is not None:
            progress.n_clusters = 0
            return self._first_start(finer)
        if settings.n_clusters is None and settings.shows_what_lies_apart:
            found = progress.joined.numbers, progress.n_clusters, settings.is_table
            start = self._processes.from_first(
                lambda: start_by_graphs(self._graphs(), *found)
            )
            if start is not None:
                progress.joined = None
                return start
        n_groups = int(progress.joined.clusters.max()) + 1
        labels = progress.joined.labels(settings.members)
        return start_of_joined(labels, n_groups, settings.prior, overlap)

    def _start_round(self, start):
        """The softmax layer starts at the means of the labels."""
        labels, n_clusters, processes = start.labels, len(start.prior), self._processes
        if labels_are_given(self._settings.init):
            # Of all samples, while each process has its share of them.
            points = embed_all(self.model, self._samples).cpu().numpy()
            of_share = class_sums(points, labels[self._share], n_clusters)
            centers = mean_of_sums(
                *(processes.sum(torch.from_numpy(part)).numpy() for part in of_share)
            )
        else:
            centers = processes.from_first(
                lambda: class_means(self._embedding(), labels, n_clusters)
            )
        self.model.set_centers(
            torch.as_tensor(centers, dtype=torch.float32, device=self._samples.device)
        )
        progress = self.progress
        progress.labels = labels
        device = double_precision_device(self._samples.device)
        progress.guess = torch.tensor(start.prior, device=device)
        progress.prior = progress.guess.clone()
        progress.estimated, progress.apart = start.estimated, start.apart
        progress.final = start.final
        if start.final:
            progress.n_clusters = n_clusters
        progress.round += 1
        progress.converged = False
        progress.enter("initialise")

    def _embedding(self):
        return embed_all(self.model, self._labelled).cpu().numpy()

    def _one_hot(self, labels):
        """Rows of Q that are sure of the labels, and of which samples they are.

        With None for these, of all of this process's share.
        """
        members, taught = self._members, self._held_out.taught
        device = self._samples.device
        if taught is not None:
            labels, places = labels[taught], torch.from_numpy(taught).to(device)
            members = places if members is None else members[places]
        elif members is None:
            labels = labels[self._share]
        labels = torch.as_tensor(labels, dtype=torch.int64)
        targets = functional.one_hot(labels, len(self.progress.prior))
        return targets.float().to(device), members

    def _target_distribution(self):
        """Q of this process's samples, by the average of the weights."""
        with self.progress.average.applied():
            self._processes.average_buffers(self.model)
            with self._settings.precision_on(self._samples.device):
                probabilities = assign_all(self.model, self._samples)
        if self._neighbors is not None:
            everyones = self._processes.everyones(probabilities)
            probabilities = self._neighbors.means(probabilities, everyones)
        mass = self._processes.sum(probabilities.sum(dim=0))
        return target_distribution(
            probabilities, self.progress.prior, self._settings.target, mass
        )

    def _estimate_prior(self, targets):
        """Let the prior, if it is not known, be what suits Q best."""
        progress = self.progress
        if progress.estimated:
            frequencies = self._mean(targets)
            # In place: a captured step may read it.
            progress.prior.copy_(
                estimated_prior(frequencies, progress.guess, PRIOR_STRENGTH)
            )

    def _target_of_batch(self, probabilities):
        prior = self.progress.prior.float().to(probabilities.device)
        return target_distribution(probabilities, prior, self._settings.target)

    def _mean(self, rows):
        """The mean over the samples of all processes."""
        return self._processes.sum(rows.sum(dim=0)) / self._settings.n_samples

    def _divergence(self, targets, prior):
        return prior_divergence(self._mean(targets), prior).item()
