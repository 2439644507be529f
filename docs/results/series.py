"""Real time series of the UCR and UEA archives, with the number of clusters told.

Both parts of each set that aeon (1.6) ships, with their own values; series of unequal
length are interpolated to the longest. The table is series.csv, which a run that was
killed continues, in an environment with aeon and tslearn::

    python docs/results/series.py
"""

from functools import partial
from pathlib import Path
from pkgutil import resolve_name

import numpy as np
from sklearn.pipeline import make_pipeline

from skdepict.benchmark.data import DataSet
from skdepict.benchmark.methods import METHODS, make
from skdepict.benchmark.suites import Study, study_command


def load_series(folder, name):
    """Series of one length that aeon has, and classes, whatever the folder."""
    series, classes = resolve_name(f"aeon.datasets.load_{name}")()
    length = max(sample.shape[1] for sample in series)
    moments = np.linspace(0, 1, length)
    X = [
        [np.interp(moments, np.linspace(0, 1, len(values)), values) for values in s]
        for s in series
    ]
    return np.array(X), classes


class OnSeries:
    """A clusterer of series, which the study would give rows otherwise."""

    image_shape = None

    def __init__(self, clusterer):
        self.clusterer = clusterer

    def __repr__(self):
        return repr(self.clusterer)

    def fit_predict(self, X):
        """Cluster."""
        return self.clusterer.fit_predict(X)


def make_on_series(name, shape, n_clusters, seed, **parameters):
    """A clusterer of aeon by its name."""
    return OnSeries(
        make(f"aeon.clustering.{name}", shape, n_clusters, seed, **parameters)
    )


def make_on_rows(shape, n_clusters, seed):
    """Ours on values in any order; the study gives rows to a Pipeline."""
    return make_pipeline("passthrough", METHODS["depict"](shape, n_clusters, seed))


SETS = {
    "ItalyPowerDemand": "italy_power_demand",
    "GunPoint": "gunpoint",
    "ArrowHead": "arrow_head",
    "OSULeaf": "osuleaf",
    "BasicMotions": "basic_motions",
    "JapaneseVowels": "japanese_vowels",
}
STUDY = Study(
    tuple(SETS),
    {
        "kmeans": METHODS["kmeans"],
        "aeon-dtw": partial(make_on_series, "TimeSeriesKMeans", distance="dtw"),
        "aeon-kshape": partial(make_on_series, "KShape"),
        "depict:table": make_on_rows,
        "depict": partial(METHODS["depict"], network="sequence"),
    },
    n_seeds=3,
    known={
        name: DataSet("", partial(load_series, name=loader))
        for name, loader in SETS.items()
    },
)


if __name__ == "__main__":
    study_command(STUDY, Path(__file__).with_suffix(""), __doc__)
