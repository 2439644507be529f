"""What training is asked to do: defaults that depend on the data, and their checks."""

import math
from contextlib import nullcontext
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from sklearn.utils import check_array, column_or_1d

from skdepict._training.number import number_in_distorted_views
from skdepict.networks._build import choose_network
from skdepict.networks._device import training_precision

# Fewer steps of gradient descent than these teach a phase too little: small data take
# more epochs, and so do many clusters.
MIN_FIT_STEPS = 800
FIT_STEPS_PER_CLUSTER = 25
MIN_JOINT_STEPS = 1280
MIN_FIT_EPOCHS = 12
MAX_JOINT_EPOCHS = 20
# The shares of these epochs that images take where groups are yet to be joined, and in
# a round whose network another one has trained, more of which brought nothing; but no
# fewer than so many, if there are.
SHARES_OF_FINE = {"initialise": (0.5, 40), "joint": (0.6, 40)}
SHARES_OF_LATER = {
    "initialise": (0.25, MIN_FIT_EPOCHS),
    "joint": (0.5, MAX_JOINT_EPOCHS),
}
# And where starting labels lie apart: the smallest clusters are learned, too, and
# nothing leads away from them.
SHARES_OF_APART = {"initialise": (2.0, 0), "joint": (0.0, 0)}
# Fine groups for each cluster that is asked for, at least so many in all, and samples
# in each of them.
FINE_PER_CLUSTER = 3
MIN_FINE = 30
MIN_FINE_GROUP = 10
# Of images more, so that rare kinds have groups of their own: distorted views tell
# what belongs together.
FINER_IMAGES = 2
# Where neighbours say that clusters lie apart, and there are fewer groups than these to
# a cluster, there may be more clusters than groups.
MIN_FINE_PER_CLUSTER = 2
# Large data take no more steps than these, but enough epochs to renew Q.
MAX_JOINT_STEPS = 12_000
MIN_JOINT_EPOCHS = 4
# Small data are split into so many batches, but not into smaller ones than these.
N_BATCHES = 8
MIN_BATCH_SIZE = 32
# The least numbers of steps, the rate and the average's decay are for twice as many
# batches. With batches c times as large a c-th of the steps do, with sqrt(c) times the
# rate (Malladi et al. 2022, who also change Adam's other constants) and the c-th power
# of the decay (Busbridge et al. 2023).
N_REFERENCE_BATCHES = 16
DEFAULT_EMBEDDING_DIM = 64
# The share of the inputs and of the hidden units that the noisy pathway drops.
DROPOUT = 0.1
LEARNING_RATE = 4e-3
# Weights of smaller kernels are drawn larger, and Adam's steps are as long for all.
LEARNING_RATE_OF_CONV = 6e-3
# The first steps of a phase, as a share: the learning rate climbs to its peak, in
# "pretrain" the decoder alone learns, and in "joint" convergence is not looked for.
WARM_UP = 0.25
# So many steps the decoder needs for what all samples have in common: of 50, 100 and
# 200 the fewest that did no harm on 500 images of MNIST, then seen on four other sets.
MIN_DECODER_STEPS = 100
# What the parameter `algorithm` stands for.
ALGORITHMS: dict[str, dict[str, Any]] = {
    "stabilised": {
        "target": "squared",
        "schedule": "one-cycle",
        "average_decay": 0.99,
        "early_stopping": True,
        "as_published": False,
        "tol": 2e-3,
    },
    "paper": {
        "target": "square-root",
        "schedule": "constant",
        "average_decay": 0.0,
        "early_stopping": False,
        "as_published": True,
        "tol": 1e-7,
    },
}
ALGORITHMS["program"] = ALGORITHMS["paper"] | {"target": "squared"}
# How many epochs the phases of `DEPICTClustering.as_published` have at most; "pretrain"
# has as many as the longer of the others.
BUDGETS = {
    "full": {"fit_epochs": 4000, "max_iter": 4000},
    "short": {"fit_epochs": 20, "max_iter": 50},
}
# What differs for the small variant; its code has a size of its own.
SIGMOID_CONV = {"algorithm": "paper", "learning_rate": 1e-3}


@dataclass(frozen=True)
class Settings:
    """Everything that training needs to know; see `DEPICTClustering` for meanings.

    Attributes
    ----------
    n_samples : int
        Of all processes.
    members : ndarray of shape (n_members,) or None
        The samples that get starting labels, if not all do.
    n_clusters : int or None
        None where the joins of fine groups are to tell.
    prior : ndarray of shape (n_clusters,) or None
        None where it is estimated.
    n_fine : int
        How many groups the first round looks for, if clusters are to be joined of
        them; 0 where it looks for the clusters.
    fit_epochs, max_iter : int or None
        As they were given; see `n_epochs`.
    reference_batch_size : int
        The batch size that the least numbers of steps are given for.
    pretrain_epochs : int
        As many as the longer of the other phases has, where starting labels are found
        in the embedding; 0 elsewhere.
    target, schedule, average_decay, early_stopping, as_published, tol
        See `ALGORITHMS`, and for the last one `judge.has_converged`.
    affine_noise, elastic_noise : bool
        Both parts of `distortion`; apart for studies.
    is_table : bool
    own_network : bool
        Whether the network is a module of the user's.
    """

    n_clusters: int | None
    init: Any
    prior: np.ndarray | None
    n_fine: int
    n_samples: int
    members: np.ndarray | None
    seed: int
    own_network: bool
    pretrain_epochs: int
    fit_epochs: int | None
    max_iter: int | None
    max_rounds: int
    reconstruction_weight: float
    dropout: float
    affine_noise: bool
    elastic_noise: bool
    n_neighbors: int
    is_table: bool
    learning_rate: float
    batch_size: int
    reference_batch_size: int
    verbose: int
    target: str
    schedule: str
    average_decay: float
    early_stopping: bool
    as_published: bool
    tol: float

    @classmethod
    def of(cls, parameters, layout, n_samples, n_clusters, members, **found):
        """The settings of a fit.

        Parameters
        ----------
        parameters : dict
            Those of the estimator.
        layout : Layout
            What a sample is.
        n_samples : int
        n_clusters : int or None
        members : ndarray of shape (n_members,) or None
        **found : object
            What was checked or drawn already: init, prior and seed.

        Returns
        -------
        settings : Settings
        """
        names = {field.name for field in fields(cls)}
        given = {name: value for name, value in parameters.items() if name in names}
        is_distorted = parameters["distortion"] and layout.kind == "image"
        algorithm = ALGORITHMS[parameters["algorithm"]]
        batch_size, reference = (
            min(parameters["batch_size"], max(MIN_BATCH_SIZE, n_samples // n_batches))
            for n_batches in (N_BATCHES, N_REFERENCE_BATCHES)
        )
        growth = batch_size / reference
        derived = {
            "n_samples": n_samples,
            "n_clusters": n_clusters,
            "n_fine": 0,
            "members": members,
            "batch_size": batch_size,
            "reference_batch_size": reference,
            "affine_noise": is_distorted,
            "elastic_noise": is_distorted,
            "is_table": layout.kind == "table",
            "own_network": not isinstance(parameters["network"], str),
            "average_decay": algorithm["average_decay"] ** growth,
            "pretrain_epochs": 0,
            "dropout": DROPOUT,
        }
        if n_clusters != 1 and is_in_embedding(found["init"]):
            epochs = parameters["fit_epochs"], parameters["max_iter"]
            is_given = None not in epochs
            derived["pretrain_epochs"] = (
                max(epochs) if is_given else epochs_of_joint(n_samples, reference)
            )
        if given["learning_rate"] is None:
            asked = parameters["network"], layout, parameters["algorithm"]
            is_conv = choose_network(*asked) == "conv"
            rate = LEARNING_RATE_OF_CONV if is_conv else LEARNING_RATE
            derived["learning_rate"] = rate * math.sqrt(growth)
        is_equal = found["prior"] is not None and np.ptp(found["prior"]) == 0
        if not is_equal and (parameters["max_rounds"] > 1 or not n_clusters):
            n_labelled = n_samples if members is None else len(members)
            derived["n_fine"] = n_fine_groups(n_labelled, n_clusters, is_distorted)
        # What was found or derived replaces what the user gave.
        return cls(**given | algorithm | found | derived)

    @property
    def by_path_integral(self):
        """Whether graphs of the samples give the starting labels."""
        return isinstance(self.init, str) and self.init == "path-integral"

    @property
    def distorts(self):
        """Whether noisy views of a sample are moved and bent, too."""
        return self.affine_noise or self.elastic_noise

    @property
    def most_rounds(self):
        """How many there may be: what one joins is the clusters of the next."""
        return max(self.max_rounds, 1 + (self.n_fine > 0))

    @property
    def shows_what_lies_apart(self):
        """Whether graphs may say that there is another number of clusters."""
        return self.by_path_integral and (self.distorts or self.is_table)

    @property
    def n_labelled(self):
        """The samples that get starting labels."""
        return self.n_samples if self.members is None else len(self.members)

    def precision_on(self, device):
        """A context for passes that tell the network what to learn."""
        if self.as_published:
            return nullcontext()
        return training_precision(device, self.is_table)

    def with_finer_groups(self, progress, are_apart):
        """Settings that look for finer groups, if there were too few to find clusters.

        Parameters
        ----------
        progress : Progress
            At the end of a round of fine groups, with the number of clusters in them.
        are_apart : bool
            Whether neighbours say that clusters lie apart. Otherwise parts of clusters
            may be as distinct as clusters, and there are more of these than groups only
            if no groups were joined.

        Returns
        -------
        settings : Settings or None
            None if the number was told, if the groups were fine enough or cannot be
            finer, or if no round would be left for the clusters.
        """
        if self.n_clusters is not None or progress.round + 2 > self.max_rounds:
            return None
        # Of groups that hold samples.
        n_clusters, n_groups = progress.n_clusters, len(progress.joined.numbers) + 1
        if self.by_path_integral and self.distorts:
            n_clusters = max(
                n_clusters, number_in_distorted_views(progress.joined.numbers)
            )
        n_fine = n_fine_groups(self.n_labelled, n_clusters, self.distorts)
        needed = MIN_FINE_PER_CLUSTER * n_clusters if are_apart else n_clusters + 1
        is_fine = needed <= n_groups or n_fine <= n_groups
        return None if is_fine else replace(self, n_fine=n_fine)

    def n_epochs(self, progress):
        """How many epochs a phase has, at most.

        Parameters
        ----------
        progress : Progress
            At the beginning of "pretrain", "initialise" or "joint", or in it.
        """
        given = {
            "pretrain": self.pretrain_epochs,
            "initialise": self.fit_epochs,
            "joint": self.max_iter,
        }[progress.phase]
        if given is not None:
            return given
        if progress.phase == "joint":
            n_epochs = epochs_of_joint(self.n_samples, self.reference_batch_size)
        else:
            n_epochs = self._epochs_of_labels(len(progress.prior))
        share, least = self._share_of_epochs(progress)
        return max(math.ceil(share * n_epochs), min(n_epochs, least))

    def _share_of_epochs(self, progress):
        if progress.apart:
            return SHARES_OF_APART[progress.phase]
        if not self.distorts:
            return 1.0, 0
        if not progress.final:
            return SHARES_OF_FINE[progress.phase]
        return SHARES_OF_LATER[progress.phase] if progress.round > 1 else (1.0, 0)

    def _epochs_of_labels(self, n_groups):
        n_steps = max(MIN_FIT_STEPS, FIT_STEPS_PER_CLUSTER * n_groups)
        n_batches = math.ceil(self.n_labelled / self.reference_batch_size)
        return max(MIN_FIT_EPOCHS, math.ceil(n_steps / n_batches))


def epochs_of_joint(n_samples, reference_batch_size):
    """How many epochs "joint" has at most, if nobody says."""
    n_batches = math.ceil(n_samples / reference_batch_size)
    return max(
        min(MAX_JOINT_EPOCHS, MAX_JOINT_STEPS // n_batches),
        MIN_JOINT_EPOCHS,
        math.ceil(MIN_JOINT_STEPS / n_batches),
    )


def is_in_embedding(init):
    """Whether a checked `init` finds starting labels in the embedding.

    It needs an autoencoder that has learned something.
    """
    if isinstance(init, str):
        return init != "path-integral"
    return not isinstance(init, np.ndarray)


def default_embedding_dim(n_clusters, algorithm):
    """Units of the embedding; the paper has as many as clusters.

    Parameters
    ----------
    n_clusters : int or None
    algorithm : {"stabilised", "paper", "program"}
    """
    if n_clusters is not None and ALGORITHMS[algorithm]["as_published"]:
        return n_clusters
    return max(DEFAULT_EMBEDDING_DIM, n_clusters or 1)


def n_fine_groups(n_samples, n_clusters, of_images=False):
    """How many groups clusters are joined of; 0 if there are too few samples for it."""
    fineness = FINER_IMAGES if of_images else 1
    wanted = fineness * max(MIN_FINE, FINE_PER_CLUSTER * (n_clusters or 0))
    n_groups = min(wanted, n_samples // MIN_FINE_GROUP)
    return n_groups if n_groups > max(n_clusters or 0, 2) else 0


def published(n_clusters, budget, network):
    """The parameters of the paper; see `DEPICTClustering.as_published`."""
    from skdepict._path_integral.estimator import PathIntegralClustering

    parameters = {
        "network": network,
        "working_size": None,
        "init": PathIntegralClustering(
            n_clusters, metric="euclidean", bandwidth=1.0, min_cluster_fraction=0.0
        ),
        "algorithm": "program",
        "max_rounds": 1,
        "prior": "uniform",
        "distortion": False,
        "n_neighbors": 0,
        "learning_rate": 1e-4,
        "batch_size": 100,
        **BUDGETS[budget],
    }
    if isinstance(network, str) and network == "sigmoid_conv":
        parameters |= SIGMOID_CONV
    return parameters


def one_cycle(step, total):
    """The learning rate's share of its peak: a linear climb, then half a cosine."""
    position = (step + 0.5) / total
    if position < WARM_UP:
        return position / WARM_UP
    return 0.5 * (1 + math.cos(math.pi * (position - WARM_UP) / (1 - WARM_UP)))


SCHEDULES = {"one-cycle": one_cycle, "constant": lambda step, total: 1.0}


def check_prior(prior, n_clusters):
    """Check the prior cluster frequencies.

    Parameters
    ----------
    prior : array-like of shape (n_clusters,), "uniform" or None
    n_clusters : int or None

    Returns
    -------
    prior : ndarray of shape (n_clusters,) or None
        None if none was given.

    Raises
    ------
    ValueError
        If it has another length, an entry that is not positive, or another sum than 1.
    """
    if prior is None:
        return None
    if n_clusters is None:
        raise ValueError(
            "A prior was given with n_clusters='auto'. Pass n_clusters=len(prior), or "
            "no prior."
        )
    if isinstance(prior, str) and prior == "uniform":
        return np.full(n_clusters, 1.0 / n_clusters)
    advice = (
        f"Pass n_clusters={n_clusters} positive frequencies that sum to 1, 'uniform' "
        "for clusters of about equal size, or None if you do not know."
    )
    try:
        prior = np.asarray(prior, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"prior holds no numbers ({error}). {advice}") from error
    prior = column_or_1d(check_array(prior, ensure_2d=False, input_name="prior"))
    if len(prior) != n_clusters:
        raise ValueError(f"prior has {len(prior)} entries. {advice}")
    if np.any(prior <= 0):
        raise ValueError(f"prior has an entry of {prior.min():g}. {advice}")
    if not math.isclose(prior.sum(), 1.0, abs_tol=1e-6):
        raise ValueError(f"prior sums to {prior.sum():g}. {advice}")
    return prior
