"""What training is asked to do."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils import check_array, column_or_1d

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


def check_prior(prior, n_clusters):
    """Check the prior cluster frequencies.

    Parameters
    ----------
    prior : array-like of shape (n_clusters,) or None
    n_clusters : int or "auto"

    Returns
    -------
    prior : ndarray of shape (n_clusters,) or None

    Raises
    ------
    ValueError
        If it has another length, an entry that is not positive, or another sum than 1,
        or if the number of clusters is open.
    """
    if prior is None:
        return None
    if n_clusters == "auto":
        raise ValueError(
            "A prior was given with n_clusters='auto'. Pass n_clusters=len(prior), or "
            "no prior."
        )
    advice = (
        f"Pass n_clusters={n_clusters} positive frequencies that sum to 1, or None for "
        "clusters of about equal size."
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


def check_init(init, n_samples, n_clusters, sample_shape):
    """Check `init`; names and clusterers pass through.

    Parameters
    ----------
    init : str, estimator or array-like
    n_samples, n_clusters : int
    sample_shape : tuple of int

    Returns
    -------
    init : str, estimator or ndarray
        Labels of shape (n_samples,), or centres of shape (n_clusters, n_features).

    Raises
    ------
    ValueError
        If an array is neither.
    """
    if isinstance(init, str) or hasattr(init, "fit_predict"):
        return init
    array = check_init_array(init)
    if array.ndim == 1:
        return _check_labels(array, n_samples, n_clusters)
    n_features = math.prod(sample_shape)
    if len(array) != n_clusters or math.prod(array.shape[1:]) != n_features:
        raise ValueError(
            f"init is an array of shape {array.shape}. Pass labels of shape "
            f"({n_samples},), or centres of shape ({n_clusters}, {n_features})."
        )
    return array.reshape(n_clusters, n_features)


def check_init_array(init):
    """Labels or centres as an array of numbers."""
    array = np.asarray(init)
    if array.dtype.kind in "USOT":
        names = array.ravel()[:1].tolist()
        raise ValueError(
            f"init has entries such as {names}, but labels are integers from 0 to "
            "n_clusters - 1. Number them: init = "
            "sklearn.preprocessing.LabelEncoder().fit_transform(names)."
        )
    return check_array(array, ensure_2d=False, allow_nd=True, input_name="init")


def _check_labels(labels, n_samples, n_clusters):
    if len(labels) != n_samples:
        raise ValueError(
            f"init has {len(labels)} labels, but X has {n_samples} samples."
        )
    whole = labels.astype(np.int64)
    if np.any(whole != labels) or whole.min() < 0 or whole.max() >= n_clusters:
        raise ValueError(
            f"init has labels from {labels.min()} to {labels.max()}. Pass integers "
            f"from 0 to n_clusters - 1 = {n_clusters - 1}."
        )
    return whole
