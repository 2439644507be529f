"""How far training has come, and how a killed fit takes that up again."""

import math
import time
from dataclasses import dataclass, field

import numpy as np
import torch

from skdepict._training.average import WeightAverage
from skdepict._training.streams import stream_seed

# A fit that was killed loses the epochs since the last checkpoint: those of so many
# seconds, or one.
SECONDS_BETWEEN_CHECKPOINTS = 5.0


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


@dataclass
class Progress:
    """What training knows at any moment, beside the weights and their optimiser.

    Attributes
    ----------
    outcome : Outcome
    labels : ndarray of shape (n_members,) or None
        The starting labels of the present round.
    best : Round or None
        The best of the rounds before.
    average : WeightAverage or None
        In the joint phase.
    best_average : list of tensor or None
        The average when the clusters' sizes were nearest to the prior.
    lowest : float
        KL(f || u) then, in nats.
    stopped : bool
        Whether a callback wants an end.
    """

    outcome: Outcome = field(default_factory=Outcome)
    labels: np.ndarray | None = None
    best: Round | None = None
    average: WeightAverage | None = None
    best_average: list | None = None
    lowest: float = math.inf
    stopped: bool = False


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


class Journal:
    """Writes down the progress of a fit, and takes it up again.

    Parameters
    ----------
    checkpoints : Checkpoints or None
        Where the first process writes; None for nowhere.
    saved : tuple (dict, dict of ndarray) or None
        What was read from there, to go on with.
    model : ClusteringModel
    progress : Progress
    plan : Plan
    processes : Processes
    generators : dict of str to torch.Generator
        What is drawn from, by name: "order", "noise" and those of a user's module.

    Attributes
    ----------
    phase : str or None
        The phase to go on with, until its steps are taken up.
    """

    def __init__(
        self, checkpoints, saved, model, progress, plan, processes, generators
    ):
        self._checkpoints = checkpoints
        self._content, self._arrays = ({}, {}) if saved is None else saved
        self.phase = self._content.get("phase")
        self._model = model
        self._progress = progress
        self._plan = plan
        self._processes = processes
        self._generators = generators
        self._written = time.monotonic()

    def write(self, phase, n_done, n_epochs, optimizer):
        """Write a checkpoint at the end of a phase, and where the last one is old."""
        if self._checkpoints is None or self._processes.rank > 0:
            return
        age = time.monotonic() - self._written
        if n_done < n_epochs and age < SECONDS_BETWEEN_CHECKPOINTS:
            return
        progress, outcome = self._progress, self._progress.outcome
        content = {
            "seed": self._plan.seed,
            "phase": phase,
            "n_done": n_done,
            "stopped": progress.stopped,
            "lowest": progress.lowest,
            "history": outcome.history,
            "n_iter": outcome.n_iter,
            "n_rounds": outcome.n_rounds,
            "converged": outcome.converged,
        }
        average = progress.average.copy() if progress.average else []
        parts = {
            "model": self._model.state_dict(),
            "optimizer": {
                f"{number} {name}": value
                for number, parameter in enumerate(self._model.parameters())
                for name, value in optimizer.state.get(parameter, {}).items()
            },
            "generator": {
                name: generator.get_state()
                for name, generator in self._generators.items()
            },
            "average": dict(enumerate(average)),
            "best average": dict(enumerate(progress.best_average or [])),
        }
        best = progress.best
        if best is not None:
            content["best"] = [best.number, best.divergence, best.converged]
            parts["best"] = best.state
        arrays = {
            f"{part}/{name}": tensor.numpy(force=True)
            for part, tensors in parts.items()
            for name, tensor in tensors.items()
        }
        if progress.labels is not None:
            arrays["labels/"] = np.asarray(progress.labels)
        self._checkpoints.write(content, arrays)
        self._written = time.monotonic()

    def take_up(self):
        """Take over all but the phase's average and steps, where there was a fit."""
        if self.phase is None:
            return
        content, progress = self._content, self._progress
        outcome = progress.outcome
        with self._checkpoints.guarded():
            self._model.load_state_dict(self._part("model"))
            outcome.history = list(content["history"])
            outcome.n_iter, outcome.n_rounds = content["n_iter"], content["n_rounds"]
            outcome.converged = content["converged"]
            progress.stopped = content["stopped"]
            if self.phase != "pretrain":
                progress.labels = self._labels()
            if "best" in content:
                progress.best = self._best_round(*content["best"])

    def _labels(self):
        """The starting labels, which are of the samples and the clusters there are."""
        plan, labels = self._plan, self._arrays["labels/"]
        n_members = plan.n_samples if plan.members is None else len(plan.members)
        if labels.shape != (n_members,) or labels.dtype.kind != "i":
            raise ValueError(f"labels of shape {labels.shape}, type {labels.dtype}")
        if labels.min() < 0 or labels.max() >= plan.n_clusters:
            raise ValueError(f"labels from {labels.min()} to {labels.max()}")
        return labels

    def _best_round(self, number, divergence, converged):
        if [type(number), type(divergence), type(converged)] != [int, float, bool]:
            raise ValueError("the best round is none")
        state = {
            name: tensor.to(self._generators["noise"].device)
            for name, tensor in self._part("best").items()
        }
        here = {name: tensor.shape for name, tensor in self._model.state_dict().items()}
        if {name: tensor.shape for name, tensor in state.items()} != here:
            raise ValueError("the weights of the best round are of another network")
        return Round(number, divergence, state, converged)

    def take_up_average(self):
        """Take over the averages of the joint phase, where a fit was killed in it."""
        if self.phase != "joint":
            return
        progress, average = self._progress, self._progress.average
        mean, best = average.copy(), average.copy()
        with self._checkpoints.guarded():
            progress.lowest = self._content["lowest"]
            for part, tensors in (("average", mean), ("best average", best)):
                for number, tensor in enumerate(tensors):
                    tensor.copy_(self._part(part)[str(number)])
        average.restore(mean)
        progress.best_average = best

    def take_up_steps(self, optimizer, schedule, n_batches):
        """Take over the state of the phase's steps, and be done with it.

        Returns
        -------
        n_done : int
            How many epochs of the phase are done; 0 where there was no fit before.
        """
        if self.phase is None:
            return 0
        with self._checkpoints.guarded():
            self._restore_optimizer(optimizer)
            n_done = self._content["n_done"]
            schedule.last_epoch = n_done * n_batches
            share = schedule.lr_lambdas[0](schedule.last_epoch)
            for group in optimizer.param_groups:
                group["lr"] = self._plan.learning_rate * share
            self._restore_generators()
        self.phase, self._content, self._arrays = None, {}, {}
        return n_done

    def _restore_optimizer(self, optimizer):
        for number, parameter in enumerate(self._model.parameters()):
            state = self._part(f"optimizer/{number}", " ")
            if state:
                shapes = {name: value.shape for name, value in state.items()}
                moments = dict.fromkeys(("exp_avg", "exp_avg_sq"), parameter.shape)
                if shapes != {"step": torch.Size([]), **moments}:
                    raise ValueError(f"the state of weights {number} has {shapes}")
                # Averages in the memory order of the weights: fused steps pair them so.
                optimizer.state[parameter] = {
                    name: value.to(parameter.device)
                    if value.ndim == 0
                    else torch.zeros_like(parameter).copy_(value)
                    for name, value in state.items()
                }

    def _restore_generators(self):
        states, rank = self._part("generator"), self._processes.rank
        n_epochs = len(self._progress.outcome.history)
        for name, generator in self._generators.items():
            if name == "order" or self._processes.size == 1:
                generator.set_state(states[name])
                continue
            # Each process has noise of its own, and only the first one writes.
            use = "noise" if name == "noise" else "module"
            generator.manual_seed(stream_seed(self._plan.seed, use, rank, n_epochs))

    def _part(self, name, separator="/"):
        """The tensors of one part of the checkpoint, by their names in it."""
        start = f"{name}{separator}"
        return {
            key.removeprefix(start): torch.from_numpy(array)
            for key, array in self._arrays.items()
            if key.startswith(start)
        }
