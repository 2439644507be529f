"""Fits of methods to data sets in one table, which a run that was killed continues."""

import csv
import io
import os
import time
from concurrent.futures.process import BrokenProcessPool

import numpy as np

from skdepict.benchmark.data import flatten
from skdepict.benchmark.processes import (
    describe_machine,
    in_fresh_process,
    peak_memory_mib,
)

TASK = ("set", "method", "seed")
# The last two: whether small classes count, and how many clusters were found.
JUDGED = ("accuracy", "nmi", "ari", "balanced_accuracy", "n_found")
# Of data without classes.
UNJUDGED = ("silhouette", "davies_bouldin")
COSTS = ("seconds", "peak_memory_mib")
SHOWN = (*JUDGED, *UNJUDGED, *COSTS, "error")
ORIGIN = (
    *("skdepict", "commit", "python", "torch", "scikit_learn", "numpy"),
    *("machine", "cores", "device"),
)
SILHOUETTE_ROWS = 5_000


def columns_of(scores):
    """The columns of a table with these scores."""
    details = ("n_samples", "n_clusters", "parameters", "error")
    return (*TASK, *scores, *COSTS, *details, *ORIGIN)


COLUMNS = columns_of(JUDGED)


def run_study(tasks, path, columns=COLUMNS):
    """Run what is not yet in the table, adding each row to it as soon as it is known.

    Parameters
    ----------
    tasks : dict of tuple (set, method, seed) to tuple (read, make) or (read, make, \
            n_clusters)
        What the table is to hold, and how to get it; see `fit_once`.
    path : Path
        The CSV table. Rows that are there are kept; those of other tasks too.
    columns : tuple of str, default=COLUMNS
        Of the table.

    Returns
    -------
    rows : list of dict
        The table, in the order of the tasks.
    """
    rows = read_rows(path, columns)
    missing = [task for task in tasks if task not in rows]
    for number, task in enumerate(missing, start=1):
        row = dict(zip(TASK, task, strict=True))
        try:
            row |= in_fresh_process(fit_once, row["seed"], *tasks[task])
        except BrokenProcessPool:
            # Killed from outside, for memory as a rule; the others are still run.
            row["error"] = "the process was killed"
        append_row(path, row, columns)
        # As a later run would read it.
        rows[task] = {name: str(row.get(name, "")) for name in columns}
        shown = {name: row[name] for name in (*TASK, *SHOWN) if name in row}
        print(f"{number} of {len(missing)}: {in_words(shown)}", flush=True)
    return [rows[task] for task in tasks]


def in_words(row):
    """A line about a row."""
    return ", ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in row.items()
    )


def read_rows(path, columns=COLUMNS):
    """The rows of a table by (set, method, seed), without those that failed.

    A last line without an end, as a killed run may leave it, is no row.
    """
    if not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    reader = csv.DictReader(line for line in lines if line.endswith("\n"))
    if lines and tuple(reader.fieldnames or ()) != columns:
        raise ValueError(
            f"{path} begins with {lines[0][:80]!r}, not with the columns of a study. "
            "Choose another --output."
        )
    # A later row of a task takes the place of one that failed.
    rows = {(row["set"], row["method"], int(row["seed"])): row for row in reader}
    return {task: row for task, row in rows.items() if not row["error"]}


def append_row(path, row, columns=COLUMNS):
    """Write one row to the end of a table, onto the disk, in place of half a row."""
    with path.open("a+b") as file:
        file.seek(0)
        complete = file.read().rfind(b"\n") + 1
        file.truncate(complete)
        text = io.StringIO()
        writer = csv.DictWriter(
            text, columns, restval="", extrasaction="ignore", lineterminator="\n"
        )
        if complete == 0:
            writer.writeheader()
        writer.writerow(row)
        file.write(text.getvalue().encode())
        file.flush()
        os.fsync(file.fileno())


def fit_once(seed, read, make, n_clusters=None):
    """Fit one method to one data set and score it; runs in a process of its own.

    Parameters
    ----------
    seed : int
    read : callable
        Returns X of shape (n_samples, ...) and y of shape (n_samples,) or None.
    make : callable
        From the shape of the rows, the number of clusters and the seed to a clusterer.
    n_clusters : int, default=None
        By default the number of classes in y.

    Returns
    -------
    row : dict
        Scores, costs, and all that is needed to run it again. A method that fails has
        the message as its "error" and no scores.
    """
    X, y = read()
    n_clusters = len(np.unique(y)) if n_clusters is None else n_clusters
    row = {"n_samples": len(X), "n_clusters": n_clusters}
    try:
        model = make((len(X), X[0].size), n_clusters, seed)
        # Only DEPICTClustering takes images.
        samples = X if hasattr(model, "image_shape") else flatten(X)
        row["parameters"] = " ".join(repr(model).split())
        start = time.perf_counter()
        labels = model.fit_predict(samples)
    except Exception as error:  # a peer may fail in any way: the table says how
        row["error"] = " ".join(f"{type(error).__name__}: {error}".split())
        return row | describe_machine()
    row["seconds"] = time.perf_counter() - start
    row["peak_memory_mib"] = peak_memory_mib()
    # Last, because it imports torch, which is no memory of other methods.
    return row | scores(X, y, labels) | describe_machine()


def scores(X, y, labels):
    """Scores against y, or without it those that need no classes."""
    from sklearn import metrics

    from skdepict.metrics import clustering_accuracy

    if y is not None:
        return {
            "accuracy": clustering_accuracy(y, labels),
            "nmi": metrics.normalized_mutual_info_score(y, labels),
            "ari": metrics.adjusted_rand_score(y, labels),
            "balanced_accuracy": balanced_accuracy(y, labels),
            "n_found": len(np.unique(labels[labels >= 0])),
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


def balanced_accuracy(y, labels):
    """The mean over the classes of the share that is in the cluster mapped to each.

    Under the one-to-one map of clusters to classes that is best for this mean.
    """
    from scipy.optimize import linear_sum_assignment
    from sklearn.metrics.cluster import contingency_matrix

    table = contingency_matrix(y, labels).astype(np.float64)
    table /= table.sum(axis=1, keepdims=True)
    return table[linear_sum_assignment(table, maximize=True)].sum() / len(table)
