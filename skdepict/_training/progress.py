"""Where a fit is, and all that it needs to continue from there."""

import copy
import logging
import math
from typing import Any

import numpy as np
import torch

from skdepict._training.average import WeightAverage
from skdepict._training.joined import JoinedGroups, check_joined
from skdepict._training.streams import stream_seed
from skdepict.networks._inference import double_precision_device

logger = logging.getLogger("skdepict")

PHASES = ("pretrain", "initialise", "joint", "done")
MAX_COUNT = 2**31
# The plain values of a checkpoint, with their types; all else is tensors.
VALUES = {
    "seed": int,
    "n_clusters": int,
    "round": int,
    "phase": str,
    "epoch": int,
    "n_iter": int,
    "converged": bool,
    "stopped": bool,
    "lowest": float,
    "estimated": bool,
    "final": bool,
    "apart": bool,
    "best": dict,
    "history": list,
}
OF_BEST = {"round": int, "divergence": float, "converged": bool}


class Progress:
    """The cursor of a fit, with everything that training changes.

    Parameters
    ----------
    model : ClusteringModel
    settings : Settings
    generators : dict of str to torch.Generator
        What is drawn from, by name: "order", "noise" and those of a user's module.
    new_optimizer : callable
        Returns one for the weights of the model.

    Attributes
    ----------
    round, phase, epoch : int, str, int
        The cursor: the round from 1, 0 in "pretrain"; one of `PHASES`; and how many
        epochs of it are done.
    n_clusters : int
        The number of clusters; 0 while it is not known.
    labels : ndarray of shape (n_members,) or None
        The starting labels of the round.
    prior : tensor of shape (n_groups,)
        The prior frequencies of the round's groups; of none in "pretrain".
    guess : tensor of shape (n_groups,)
        The prior frequencies that the round started with.
    estimated, final, apart : bool
        See `Start`.
    joined : JoinedGroups or None
        How fine groups were joined, or in which order clusters would be.
    optimizer : Adam
        That of the phase.
    average : WeightAverage or None
        In "joint", and where some samples are held out.
    lowest, lowest_average : float, list of tensor
        The least KL(f || u) of the phase in nats, and the average then; before "joint"
        of what held-out samples say.
    best : dict
        Of the round whose sizes are nearest to the prior: "round", "divergence" in
        nats, "converged"; empty before there is one.
    best_weights : dict of str to tensor
        Its weights.
    history, n_iter, converged : list, int, bool
        See `DEPICTClustering`.
    phase_ends : bool
        Whether the phase needs no other epoch.
    stopped : bool
        Whether a callback asked to end the phase that ran last. After "joint" there is
        no other round then.
    interrupted : bool
    """

    def __init__(self, model, settings, generators, new_optimizer):
        self._model, self._settings = model, settings
        self._generators, self._new_optimizer = generators, new_optimizer
        self.n_clusters = settings.n_clusters or 0
        self.round, self.n_iter = 0, 0
        self.labels: np.ndarray | None = None
        self.guess = self.prior = torch.empty(0, dtype=torch.float64)
        self.estimated = self.final = self.apart = False
        self.joined: Any = None
        self.best: dict = {}
        self.best_weights: dict = {}
        self.history: list = []
        self.converged = self.stopped = self.interrupted = False
        self.enter("pretrain")

    def enter(self, phase):
        """Move the cursor to the beginning of a phase."""
        self.phase, self.epoch, self.phase_ends = phase, 0, False
        self.optimizer = self._new_optimizer()
        self.average: Any = None
        # Where samples are held out, all phases go back to their best epoch.
        if phase == "joint" or self._settings.as_published:
            self.average = WeightAverage(self._model, self._settings.average_decay)
        self.lowest, self.lowest_average = math.inf, []

    def new_record(self, n_samples, weighed, reconstruction, clustering):
        """What the history says of the epoch that has ended.

        Parameters
        ----------
        n_samples : int
        weighed : float
            The weights of the reconstruction loss, summed over the samples: not all
            batches are reconstructed, and of some epochs one more than of others.
        reconstruction, clustering : float
            Both terms of the loss, summed over the samples.

        Raises
        ------
        FloatingPointError
            If the loss is not finite.
        """
        weight = self._settings.reconstruction_weight
        if self.phase == "pretrain":
            weight = 1.0
        reconstruction *= weight / weighed if weighed else 1.0
        clustering /= n_samples
        loss = reconstruction + clustering
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"The loss became {loss} in epoch {self.epoch + 1} of the "
                f"{self.phase!r} phase. Use a learning_rate below "
                f"{self._settings.learning_rate:g}, and look for extreme values in X."
            )
        return {
            "phase": self.phase,
            "round": self.round,
            "epoch": self.epoch,
            "loss": loss,
            "reconstruction": reconstruction,
            "clustering": clustering,
        }

    def keep_if_lowest(self, value):
        """Keep the average of weights of an epoch that is better than those before."""
        if value < self.lowest:
            self.lowest = value
            self.lowest_average = self.average.copy()

    def go_back_to_lowest(self):
        """Let the model be that of the best epoch of the phase, if one was kept."""
        if self.lowest_average:
            self.average.restore(self.lowest_average)
            self.average.apply()

    def keep_if_best(self, divergence):
        """Keep the weights of a round whose sizes are nearer to the prior than all."""
        if not self.best or divergence < self.best["divergence"]:
            values = self.round, divergence, self.converged
            self.best = dict(zip(OF_BEST, values, strict=True))
            self.best_weights = copy.deepcopy(self._model.state_dict())

    def model_so_far(self):
        """A copy of the model, if training ended now; None while it has no clusters."""
        if not self.final:
            return None
        if self.average is None:
            return copy.deepcopy(self._model)
        with self.average.applied():
            return copy.deepcopy(self._model)

    def state_dict(self):
        """All of it, as plain values and as tensors by their names."""
        values = {name: vars(self)[name] for name in VALUES if name != "seed"}
        values["seed"] = self._settings.seed
        parts = {
            "prior": {"now": self.prior, "guess": self.guess},
            "model": self._model.state_dict(),
            "best": self.best_weights,
            "average": dict(enumerate(self.average.copy() if self.average else [])),
            "lowest": dict(enumerate(self.lowest_average)),
            "generator": {
                name: generator.get_state()
                for name, generator in self._generators.items()
            },
        }
        if self.joined is not None:
            arrays = self.joined._asdict().items()
            parts["joined"] = {name: torch.as_tensor(array) for name, array in arrays}
        for number, state in self.optimizer.state.items():
            parts[f"optimizer/{number}"] = state
        tensors = {
            f"{part}/{name}": tensor
            for part, named in parts.items()
            for name, tensor in named.items()
        }
        if self.labels is not None:
            tensors["labels"] = torch.as_tensor(self.labels)
        return values, tensors

    def load_state_dict(self, values, tensors):
        """Set the cursor, and everything else, to what `state_dict` returned.

        Parameters
        ----------
        values : dict
            Which `check_values` has accepted.
        tensors : dict of str to tensor

        Raises
        ------
        ValueError, KeyError
            If it is no state of this fit.
        """
        set_before = {"seed", "phase", "epoch", "lowest"}
        for name in VALUES.keys() - set_before:
            setattr(self, name, values[name])
        self._load_prior(tensors)
        if "joined/groups" in tensors:
            arrays = (tensors[f"joined/{name}"] for name in JoinedGroups._fields)
            self.joined = JoinedGroups(*(array.numpy() for array in arrays))
            check_joined(self.joined, self._settings.n_samples)
        self.enter(values["phase"])
        self.epoch, self.lowest = values["epoch"], values["lowest"]
        weights = self._model.state_dict()
        self._model.load_state_dict(_part(tensors, "model", weights))
        if self.best:
            self.best_weights = _part(tensors, "best", weights)
        if self.phase != "pretrain":
            self.labels = self._checked_labels(tensors["labels"].numpy())
        if self.average is not None:
            held = dict(enumerate(self.average.copy()))
            self.lowest_average = list(_part(tensors, "lowest", held).values())
            self.average.restore(_part(tensors, "average", held).values())
        self._load_optimizer(tensors)
        for name, generator in self._generators.items():
            generator.set_state(tensors[f"generator/{name}"])

    def _load_prior(self, tensors):
        """The prior, and a softmax layer for as many groups."""
        self.prior, self.guess = tensors["prior/now"], tensors["prior/guess"]
        for prior in (self.prior, self.guess):
            wrong_type = prior.dtype != torch.float64 or prior.ndim != 1
            if wrong_type or len(prior) != len(self.guess) or not (prior > 0).all():
                raise ValueError(f"prior of shape {tuple(prior.shape)}")
        if len(self.prior) > self._settings.n_samples:
            raise ValueError(f"prior of {len(self.prior)} groups")
        device = double_precision_device(self._model.assignment.weight.device)
        self.prior, self.guess = self.prior.to(device), self.guess.to(device)
        if len(self.prior):
            self._model.resize(len(self.prior))

    def _load_optimizer(self, tensors):
        for number in range(len(self.optimizer.parameters)):
            # Weights that had no gradients yet have no state.
            if f"optimizer/{number}/step" in tensors:
                like = self.optimizer.like(number)
                state = _part(tensors, f"optimizer/{number}", like)
                self.optimizer.state[number] = state

    def _checked_labels(self, labels):
        """The starting labels, which are of the samples and clusters there are."""
        settings = self._settings
        n_labels = settings.n_samples
        if settings.members is not None:
            n_labels = len(settings.members)
        if labels.shape != (n_labels,) or labels.dtype.kind != "i":
            raise ValueError(f"labels of shape {labels.shape}, type {labels.dtype}")
        if labels.min() < 0 or labels.max() >= len(self.prior):
            raise ValueError(f"labels from {labels.min()} to {labels.max()}")
        return labels

    def draw_anew(self, rank):
        """Seed the noise of one process of a group.

        A checkpoint has the generators of the first process only.
        """
        for name, generator in self._generators.items():
            if name != "order":
                use = "noise" if name == "noise" else "module"
                n_epochs = len(self.history)
                seed = stream_seed(self._settings.seed, use, rank, n_epochs)
                generator.manual_seed(seed)


def check_values(values):
    """Refuse values that a fit does not write.

    Raises
    ------
    ValueError, KeyError
    """
    of_best = OF_BEST if values["best"] else {}
    for kinds, found in ((VALUES, values), (of_best, values["best"])):
        for name, kind in kinds.items():
            value = found[name]
            if type(value) is not kind or (
                isinstance(value, int) and not 0 <= value < MAX_COUNT
            ):
                raise ValueError(f"{name} is {value!r:.80}")
    if values["phase"] not in PHASES:
        raise ValueError(f"phase is {values['phase']!r:.80}")
    if not all(type(record) is dict for record in values["history"]):
        raise ValueError("history is no list of epochs")


def _part(tensors, part, like):
    """The tensors of a part, of the shapes and in the memory order of others.

    Fused steps pair weights with the moments of Adam by their order in memory.
    """
    found = {}
    for name, template in like.items():
        tensor = tensors[f"{part}/{name}"]
        if tensor.shape != template.shape:
            raise ValueError(f"{part}/{name} has the shape {tuple(tensor.shape)}")
        found[name] = torch.empty_like(template).copy_(tensor)
    return found


def tell(record, aloud):
    """Print what the history says of an epoch, or log it for who listens.

    Parameters
    ----------
    record : dict
    aloud : bool
    """
    message = ", ".join(
        f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in record.items()
    )
    if aloud:
        print(message, flush=True)
    else:
        logger.debug(message)
