"""Real time series of the UCR and UEA archives, with the number of clusters told.

Both parts of each set that aeon (1.6) ships, with their own values; series of unequal
length are interpolated to the longest. In an environment with aeon and tslearn::

    python docs/results/series.py --seeds 3
"""

import argparse

import aeon.datasets
import numpy as np
from aeon.clustering import KShape, TimeSeriesKMeans
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from skdepict import DEPICTClustering
from skdepict.benchmark.summaries import markdown
from skdepict.metrics import clustering_accuracy

LOADERS = {
    "ItalyPowerDemand": aeon.datasets.load_italy_power_demand,
    "GunPoint": aeon.datasets.load_gunpoint,
    "ArrowHead": aeon.datasets.load_arrow_head,
    "OSULeaf": aeon.datasets.load_osuleaf,
    "BasicMotions": aeon.datasets.load_basic_motions,
    "JapaneseVowels": aeon.datasets.load_japanese_vowels,
}


def of_one_length(series):
    """Series as one array of shape (n, n_channels, length)."""
    length = max(sample.shape[1] for sample in series)
    moments = np.linspace(0, 1, length)
    return np.array(
        [
            [np.interp(moments, np.linspace(0, 1, len(values)), values) for values in s]
            for s in series
        ]
    )


def cluster(name, X, n_clusters, seed):
    """Labels by one of the methods."""
    given = {"n_clusters": n_clusters, "random_state": seed}
    rows = X.reshape(len(X), -1)
    if name == "KMeans":
        return KMeans(n_init=10, **given).fit_predict(rows)
    if name == "DTW":
        return TimeSeriesKMeans(distance="dtw", **given).fit_predict(X)
    if name == "KShape":
        return KShape(**given).fit_predict(X)
    if name == "table":
        return DEPICTClustering(**given).fit_predict(rows)
    return DEPICTClustering(network="sequence", **given).fit_predict(X)


def main():
    """Print a table of ACC / ARI, the mean and the deviation of ACC over seeds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sets", default=",".join(LOADERS))
    parser.add_argument("--methods", default="KMeans,DTW,KShape,table,sequence")
    options = parser.parse_args()
    methods = options.methods.split(",")
    lines = []
    for name in options.sets.split(","):
        series, classes = LOADERS[name]()
        X, y = of_one_length(series), np.unique(classes, return_inverse=True)[1]
        n_clusters = int(y.max()) + 1
        line = [name, str(X.shape), str(n_clusters)]
        for method in methods:
            found = [
                cluster(method, X, n_clusters, seed) for seed in range(options.seeds)
            ]
            accuracies = [clustering_accuracy(y, labels) for labels in found]
            index = np.mean([adjusted_rand_score(y, labels) for labels in found])
            mean, deviation = np.mean(accuracies), np.std(accuracies)
            line.append(f"{mean:.3f} +- {deviation:.3f} / {index:.3f}")
        lines.append(line)
        print(*line, sep="  ", flush=True)
    print(markdown(["set", "shape", "classes", *methods], lines))


if __name__ == "__main__":
    main()
