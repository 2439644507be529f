"""What each part of DEPICTClustering adds: fits with one part changed or taken away.

The table is ablation.csv, which a run that was killed continues::

    python docs/results/ablation.py --data-dir ../shared/data --seeds 1

Parts that are no parameters are changed inside the package, in the process of the fit.
All are to be compared with "depict", but "no-prior", which lacks everything that looks
at cluster sizes, with "one-graph". Rows of "clean-gradient" are of an earlier commit.
"""

import dataclasses
from functools import partial
from pathlib import Path

import torch

from skdepict import DEPICTClustering
from skdepict._training import graphs, loop, step
from skdepict.benchmark.methods import METHODS
from skdepict.benchmark.suites import Study, study_command


class Changed(DEPICTClustering):
    """Trains with other settings than those that its parameters give."""

    changes = None

    def _settings(self, *arguments, **keywords):
        settings = super()._settings(*arguments, **keywords)
        return dataclasses.replace(settings, **self.changes)

    def __repr__(self):
        return f"{super().__repr__()} with {self.changes}"


def make_changed(shape, n_clusters, seed, prepare=None, changes=None, **parameters):
    """An estimator with some parts changed.

    Parameters
    ----------
    shape, n_clusters, seed
        As for all methods of a study.
    prepare : callable, default=None
        Changes the package, in this process.
    changes : dict, default=None
        Of the settings.
    **parameters
        Of the estimator.
    """
    if prepare is not None:
        prepare()
    parameters = {"random_state": seed} | parameters
    if changes is None:
        return DEPICTClustering(n_clusters, **parameters)
    model = Changed(n_clusters, **parameters)
    model.changes = changes
    return model


def replace_in(owner, name, value):
    """Give a name of the package another value."""
    getattr(owner, name)  # One that is gone would be assigned without any effect.
    setattr(owner, name, value)


def take_one_graph():
    """Take the labels of one graph, that of PathIntegralClustering's defaults."""
    replace_in(graphs, "WHITENINGS", (0.6,))


def take_no_prior():
    """Sharpen the predictions, whatever the cluster sizes."""
    take_one_graph()
    replace_in(loop, "target_distribution", _sharpened)


def _sharpened(probabilities, prior, form, mass):
    return torch.nn.functional.normalize(probabilities.square(), p=1, dim=1)


def reconstruct_all():
    """Reconstruct every batch as a whole, not half of one of eight."""
    replace_in(step, "RECONSTRUCTED_EVERY", 1)
    replace_in(step, "RECONSTRUCTED_SHARE", 1.0)


ABLATIONS = {
    "kmeans-init": {"init": "kmeans"},
    "uniform-prior": {"prior": "uniform"},
    "one-graph": {"prepare": take_one_graph, "prior": "uniform"},
    "one-round": {"max_rounds": 1},
    "no-affine": {"changes": {"affine_noise": False}},
    "no-elastic": {"changes": {"elastic_noise": False}},
    "no-dropout": {"changes": {"dropout": 0.0}},
    "square-root": {"changes": {"target": "square-root"}},
    "no-joint": {"max_iter": 0},
    "no-prior": {
        "prepare": take_no_prior,
        "changes": {"early_stopping": False},
        "max_rounds": 1,
        "prior": "uniform",
    },
    "no-average": {"changes": {"average_decay": 0.0}},
    "no-early-stopping": {"changes": {"early_stopping": False}},
    "no-reconstruction": {"reconstruction_weight": 0.0},
    "reconstruction": {"prepare": reconstruct_all},
}
STUDY = Study(
    ("MNIST-test", "USPS-11000", "CMU-PIE", "Fashion-test"),
    {"depict": METHODS["depict"]}
    | {
        f"depict:{name}": partial(make_changed, **change)
        for name, change in ABLATIONS.items()
    },
    n_seeds=3,
)


if __name__ == "__main__":
    study_command(STUDY, Path(__file__).with_suffix(""), __doc__)
