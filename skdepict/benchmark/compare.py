"""Clusterers on one data set, side by side."""

import time

import numpy as np

from skdepict.benchmark.data import flatten, load
from skdepict.benchmark.methods import METHODS, TAKES_IMAGES
from skdepict.benchmark.processes import in_fresh_process, peak_memory_mib

SILHOUETTE_ROWS = 5_000
JUDGED = ("accuracy", "nmi", "ari")
UNJUDGED = ("silhouette", "davies_bouldin")
COSTS = ("seconds", "peak_memory_mib")


def compare(arguments, n_clusters):
    """Run every method with every seed, yielding a row of scores and costs for each."""
    for method in arguments.methods:
        for seed in range(arguments.seeds):
            yield in_fresh_process(
                run_one, method, arguments.data, arguments.subset, n_clusters, seed
            )


def run_one(method, path, subset, n_clusters, seed):
    """Fit one method once and score it; runs in a process of its own.

    Returns
    -------
    row : dict
        Scores and costs.
    """
    X, y = load(path, subset)
    flat_shape = (len(X), X[0].size)
    model = METHODS[method](flat_shape, n_clusters, seed)
    samples = X if method in TAKES_IMAGES else flatten(X)
    start = time.perf_counter()
    labels = model.fit_predict(samples)
    seconds = time.perf_counter() - start
    row = {"method": method, "seed": seed, "seconds": seconds}
    row["peak_memory_mib"] = peak_memory_mib()
    return row | scores(X, y, labels)


def scores(X, y, labels):
    """Scores against y, or without it those that need no classes."""
    from sklearn import metrics

    from skdepict.metrics import clustering_accuracy

    if y is not None:
        return {
            "accuracy": clustering_accuracy(y, labels),
            "nmi": metrics.normalized_mutual_info_score(y, labels),
            "ari": metrics.adjusted_rand_score(y, labels),
        }
    if len(np.unique(labels)) < 2:
        return dict.fromkeys(UNJUDGED, float("nan"))
    X = flatten(X)
    return {
        "silhouette": metrics.silhouette_score(
            X, labels, sample_size=min(SILHOUETTE_ROWS, len(X)), random_state=0
        ),
        "davies_bouldin": metrics.davies_bouldin_score(X, labels),
    }


def summarise(rows):
    """Mean and standard deviation over seeds as a Markdown table."""
    columns = [name for name in (*JUDGED, *UNJUDGED, *COSTS) if name in rows[0]]
    lines = [
        f"| method | {' | '.join(columns)} |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for method in dict.fromkeys(row["method"] for row in rows):
        cells = [method]
        for column in columns:
            values = [row[column] for row in rows if row["method"] == method]
            digits = 1 if column in COSTS else 4
            cell = f"{np.mean(values):.{digits}f}"
            if len(values) > 1:
                cell += f" ± {np.std(values, ddof=1):.{digits}f}"
            cells.append(cell)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
