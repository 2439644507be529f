"""How the defaults of PathIntegralClustering were chosen.

One set of defaults for all data: each row changes one of them, each column is the
accuracy on one data set, with its number of classes as the number of clusters. The
defaults were chosen by such tables, on all sets but pendigits and 20 Newsgroups.
About five minutes on two cores::

    python docs/results/path_integral_defaults.py --data-dir ../shared/data
"""

import argparse
from pathlib import Path

import numpy as np
from sklearn.pipeline import make_pipeline

from skdepict import PathIntegralClustering, WhitenedComponents
from skdepict.benchmark.data import SETS, flatten, load_sparse
from skdepict.metrics import clustering_accuracy

# Parameters of the coordinates, and of the clustering.
SETTINGS = [
    ({}, {}),
    ({"whitening": 0}, {}),
    ({"whitening": 0.5}, {}),
    ({"whitening": 0.7}, {}),
    ({"whitening": 1}, {}),
    ({"n_components": 40}, {}),
    ({"n_components": 64}, {}),
    ({"n_components": 100}, {}),
    ({"unit_length": False}, {}),
    ({}, {"n_neighbors": 10}),
    ({}, {"n_neighbors": 15}),
    ({}, {"n_neighbors": 30}),
    ({}, {"bandwidth": 0.1}),
    ({}, {"bandwidth": 0.3}),
    ({}, {"bandwidth": 1}),
    ({}, {"z": 0.1}),
    ({}, {"z": 0.5}),
    ({}, {"min_cluster_fraction": 0}),
    ({}, {"min_cluster_fraction": 0.3}),
]


def read(name, data_dir):
    """Samples as rows and their classes."""
    if name == "20 Newsgroups":  # the words themselves, in place of singular vectors
        return load_sparse(Path(data_dir, SETS[name].file))
    X, y = SETS[name].read(data_dir)
    return flatten(X), y


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", required=True)
    data_dir = parser.parse_args().data_dir
    data = {name: read(name, data_dir) for name in SETS if name != "MNIST-full"}
    print(f"{'changed':<28}" + "".join(f"{name:>14}" for name in data))
    for of_components, of_clustering in SETTINGS:
        changed = of_components | of_clustering
        name = ", ".join(f"{key}={value}" for key, value in changed.items())
        print(f"{name or 'nothing':<28}", end="", flush=True)
        for X, y in data.values():
            model = make_pipeline(
                WhitenedComponents(**of_components),
                PathIntegralClustering(
                    len(np.unique(y)), metric="euclidean", **of_clustering
                ),
            )
            accuracy = clustering_accuracy(y, model.fit_predict(X))
            print(f"{accuracy:14.3f}", end="", flush=True)
        print()


if __name__ == "__main__":
    main()
