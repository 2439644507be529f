"""
Choosing parameters without classes
===================================

The number of clusters, and the noise.

Each scorer of `skdepict.metrics` picks the setting that it scores highest in a grid
search. The classes, which the search never sees, then judge the picks by the accuracy
(ACC) of a fit to all samples. At most 2,000 samples of each file, drawn at random, and
the digits that come with scikit-learn::

    python examples/model_selection.py usps11000.npz pendigits.npz
"""

# sphinx_gallery_thumbnail_path = "_static/examples/model_selection.png"

import argparse
import math
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, ShuffleSplit

from skdepict import DEPICTClustering
from skdepict.metrics import SCORERS, clustering_accuracy

GRID = {"n_clusters": [5, 8, 10, 12, 15], "distortion": [True, False]}
N_SAMPLES = 2000


def data_sets(files):
    yield "digits", *load_digits(return_X_y=True)
    for file in map(Path, files):
        with np.load(file) as data:
            yield file.stem, data["X"], data["y"]


def as_images(X):
    side = math.isqrt(X.shape[1])
    if X.ndim == 2 and side >= 8 and side**2 == X.shape[1]:
        return X.reshape(len(X), side, side)
    return X


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("files", nargs="*", help=".npz files with X and y")
    for name, X, y in data_sets(parser.parse_args().files):
        chosen = np.random.default_rng(0).permutation(len(X))[:N_SAMPLES]
        X, y = as_images(X[chosen]), y[chosen]
        search = GridSearchCV(
            DEPICTClustering(random_state=0),
            GRID,
            scoring=SCORERS,
            refit=False,
            cv=ShuffleSplit(1, test_size=0.5, random_state=0),
        ).fit(X)
        settings = search.cv_results_["params"]
        accuracies = [
            clustering_accuracy(
                y, DEPICTClustering(**setting, random_state=0).fit_predict(X)
            )
            for setting in settings
        ]
        print(f"\n{name}: {len(X)} samples, {len(np.unique(y))} classes")
        for number, setting in enumerate(settings):
            scores = ", ".join(
                f"{scorer} {search.cv_results_[f'mean_test_{scorer}'][number]:.3f}"
                for scorer in SCORERS
            )
            print(f"  {setting}: ACC {accuracies[number]:.3f}, {scores}")
        print(f"  best: ACC {max(accuracies):.3f}")
        for scorer in SCORERS:
            picked = int(np.argmax(search.cv_results_[f"mean_test_{scorer}"]))
            print(
                f"  {scorer} picks {settings[picked]}: ACC {accuracies[picked]:.3f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
