"""How the cost of PathIntegralClustering grows with the number of samples.

Random parts of MNIST, each in a process of its own, phase by phase::

    python docs/results/path_integral_growth.py --data-dir ../shared/data
"""

import argparse
import time

import numpy as np

from skdepict.benchmark.data import SETS, flatten
from skdepict.benchmark.processes import in_fresh_process, peak_memory_mib
from skdepict.benchmark.summaries import markdown

PHASES = ("components_seconds", "neighbors_seconds", "merging_seconds")


def run_size(data_dir, n_samples):
    """Cluster a random part of the data phase by phase.

    Returns
    -------
    row : dict
        Seconds of each phase and of each merge that was computed, peak memory, and the
        accuracy.
    """
    from sklearn.neighbors import KNeighborsTransformer

    from skdepict import PathIntegralClustering, WhitenedComponents
    from skdepict.metrics import clustering_accuracy

    X, y = SETS["MNIST-full"].read(data_dir)
    chosen = np.sort(np.random.default_rng(0).permutation(len(X))[:n_samples])
    X = flatten(X[chosen])
    model = PathIntegralClustering(10, metric="precomputed")
    times = [time.perf_counter()]
    X = WhitenedComponents().fit_transform(X)
    times.append(time.perf_counter())
    graph = KNeighborsTransformer(n_neighbors=model.n_neighbors).fit_transform(X)
    times.append(time.perf_counter())
    model.fit(graph)
    times.append(time.perf_counter())
    n_merges = int(np.isfinite(model.affinities_).sum())
    row = {"n_samples": len(chosen), **dict(zip(PHASES, np.diff(times), strict=True))}
    row["merges"] = n_merges
    row["milliseconds_per_merge"] = 1000 * row["merging_seconds"] / n_merges
    row["peak_memory_mib"] = peak_memory_mib()
    row["accuracy"] = clustering_accuracy(y[chosen], model.labels_)
    return row


def summarise_growth(rows):
    """A Markdown table, with the exponent of growth from the first to the last size."""
    lines = [list(row.values()) for row in rows]
    if len(rows) > 1:
        first, last = rows[0], rows[-1]
        ratio = np.log(last["n_samples"] / first["n_samples"])
        lines.append(
            [
                f"n^{np.log(last[column] / first[column]) / ratio:.2f}"
                if column in PHASES
                else ""
                for column in first
            ]
        )
    return markdown(list(rows[0]), lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", required=True)
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[10_000, 20_000, 40_000, 70_000]
    )
    arguments = parser.parse_args()
    results = [
        in_fresh_process(run_size, arguments.data_dir, size)
        for size in sorted(arguments.sizes)
    ]
    print(summarise_growth(results))
