"""
How the defaults of PathIntegralClustering were chosen
======================================================

One set of defaults for all data: each row changes one of them, each column is the
accuracy on one data set, with its number of classes as the number of clusters. The
defaults were chosen by such tables, on all sets but pendigits and 20 News at once.
About five minutes on two cores::

    python examples/study_path_integral_defaults.py --data-dir FOLDER

The folder holds the .npz files that are named below, with arrays X and y, or data,
indices, indptr, shape and y for sparse data.
"""

import argparse
from pathlib import Path

import numpy as np
from scipy import sparse
from sklearn.datasets import load_digits
from sklearn.pipeline import make_pipeline

from skdepict import PathIntegralClustering, WhitenedComponents
from skdepict.metrics import clustering_accuracy

FILES = {
    "MNIST-test": "mnist_full.npz",
    "USPS": "usps11000.npz",
    "CMU-PIE": "cmu_pie.npz",
    "COIL-20": "coil20_32.npz",
    "Fashion": "fashion_mnist_test.npz",
    "pendigits": "pendigits.npz",
    "20 News": "text_20ng_tfidf2000.npz",
}

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


def read(path):
    """Samples as rows and their classes."""
    with np.load(path) as data:
        y = data["y"]
        if "indptr" in data.files:
            parts = data["data"], data["indices"], data["indptr"]
            return sparse.csr_array(parts, shape=tuple(data["shape"])), y
        X = data["X"]
    if path.name == "mnist_full.npz":
        X, y = X[-10_000:], y[-10_000:]
    return X.reshape(len(X), -1) / np.float32(255), y


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    folder = parser.parse_args().data_dir
    data = {name: read(folder / file) for name, file in FILES.items()}
    data["digits"] = load_digits(return_X_y=True)
    print(f"{'changed':<28}" + "".join(f"{name:>11}" for name in data))
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
            print(f"{accuracy:11.3f}", end="", flush=True)
        print()


if __name__ == "__main__":
    main()
