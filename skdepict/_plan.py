"""What training is asked to do."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

# The share of a phase's steps in which the learning rate climbs to its peak.
WARM_UP = 0.25


@dataclass(frozen=True)
class Plan:
    """Everything that training needs to know; see `DEPICTClustering` for meanings."""

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


def one_cycle(step, total):
    """The learning rate's share of its peak: a linear climb, then half a cosine."""
    position = (step + 0.5) / total
    if position < WARM_UP:
        return position / WARM_UP
    return 0.5 * (1 + math.cos(math.pi * (position - WARM_UP) / (1 - WARM_UP)))


SCHEDULES = {"one-cycle": one_cycle, "constant": lambda step, total: 1.0}
