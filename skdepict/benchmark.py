"""Compare clusterers on one data set: ``python -m skdepict.benchmark --help``.

Every fit runs in a fresh process, so that its peak memory is its own, and none runs
beside another, so that its time is its own.
"""

import argparse
import csv
import os
import platform
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from skdepict import __version__

TEST_ROWS = 10_000
SILHOUETTE_ROWS = 5_000
JUDGED = ("accuracy", "nmi", "ari")
UNJUDGED = ("silhouette", "davies_bouldin")
COSTS = ("seconds", "peak_memory_mib")


def make_kmeans(shape, n_clusters, seed):
    """KMeans with ten starts."""
    from sklearn.cluster import KMeans

    return KMeans(n_clusters, n_init=10, random_state=seed)


def make_gmm(shape, n_clusters, seed):
    """A Gaussian mixture on at most 50 principal components."""
    from sklearn.decomposition import PCA
    from sklearn.mixture import GaussianMixture
    from sklearn.pipeline import make_pipeline

    return make_pipeline(
        PCA(min(50, *shape), random_state=seed),
        GaussianMixture(n_clusters, random_state=seed),
    )


def make_depict(shape, n_clusters, seed):
    """DEPICTClustering with its default parameters."""
    from skdepict import DEPICTClustering

    return DEPICTClustering(n_clusters, random_state=seed)


METHODS = {"kmeans": make_kmeans, "gmm": make_gmm, "depict": make_depict}
TAKES_IMAGES = {"depict"}


def load(path, subset):
    """Read X, and y if there is one, from an .npz file.

    Parameters
    ----------
    path : str or Path
        The file; loaded without pickle.
    subset : {"all", "train", "test"}
        "test" is the last 10,000 rows, "train" what comes before them.

    Returns
    -------
    X : ndarray of shape (n_samples, ...)
    y : ndarray of shape (n_samples,) or None

    Raises
    ------
    ValueError
        If the file has no X, or no rows are left.
    """
    with np.load(path, allow_pickle=False) as data:
        if "X" not in data.files:
            raise ValueError(
                f"{path} has no array named X, only {data.files}. Save one with "
                "numpy.savez(path, X=X) or numpy.savez(path, X=X, y=y)."
            )
        X, y = data["X"], data["y"] if "y" in data.files else None
    rows = {
        "all": slice(None),
        "train": slice(0, max(0, len(X) - TEST_ROWS)),
        "test": slice(-TEST_ROWS, None),
    }[subset]
    X = X[rows]
    if len(X) == 0:
        raise ValueError(f"subset={subset!r} of {path} has no rows.")
    return X, None if y is None else y[rows]


def run_one(method, path, subset, n_clusters, seed):
    """Fit one method once and score it; runs in a process of its own.

    Returns
    -------
    row : dict
        Scores and costs.
    """
    import resource

    X, y = load(path, subset)
    flat_shape = (len(X), X[0].size)
    model = METHODS[method](flat_shape, n_clusters, seed)
    samples = X if method in TAKES_IMAGES else flatten(X)
    start = time.perf_counter()
    labels = model.fit_predict(samples)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    kib = peak / 1024 if sys.platform == "darwin" else peak
    row = {"method": method, "seed": seed, "seconds": seconds}
    row["peak_memory_mib"] = kib / 1024
    return row | scores(X, y, labels)


def flatten(X):
    """Rows for clusterers that take no images, bytes scaled to [0, 1]."""
    rows = X.reshape(len(X), -1)
    return rows / np.float32(255) if X.dtype == np.uint8 else rows


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


def describe_run(arguments):
    """One line that says what ran where."""
    versions = ", ".join(
        f"{name} {version(name)}" for name in ("torch", "scikit-learn", "numpy")
    )
    return (
        f"{Path(arguments.data).name}, subset {arguments.subset}, {arguments.seeds} "
        f"seeds; {os.cpu_count()} cores, {platform.machine()}; Python "
        f"{platform.python_version()}, skdepict {__version__}, {versions}"
    )


def parse_arguments(argv=None):
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m skdepict.benchmark",
        description="Compare clusterers on the X (and y) of an .npz file.",
    )
    parser.add_argument("--data", required=True, help=".npz file with X, and maybe y")
    parser.add_argument("--subset", choices=("all", "train", "test"), default="all")
    parser.add_argument(
        "--methods",
        default=",".join(METHODS),
        help=f"comma-separated, of {', '.join(METHODS)} (default: all)",
    )
    parser.add_argument("--seeds", type=int, default=3, help="seeds 0, 1, ... (3)")
    parser.add_argument(
        "--n-clusters", type=int, help="default: the number of classes in y"
    )
    parser.add_argument(
        "--output",
        default="benchmark",
        help="where to write OUTPUT.csv and OUTPUT.md (default: benchmark)",
    )
    arguments = parser.parse_args(argv)
    arguments.methods = arguments.methods.split(",")
    unknown = set(arguments.methods) - set(METHODS)
    if unknown:
        parser.error(f"unknown methods {sorted(unknown)}; known: {list(METHODS)}")
    if not Path(arguments.output).parent.is_dir():
        parser.error(f"--output {arguments.output}: its folder does not exist")
    if arguments.seeds < 1:
        parser.error(f"--seeds {arguments.seeds} must be at least 1")
    return parser, arguments


def main(argv=None):
    """Run the command."""
    parser, arguments = parse_arguments(argv)
    try:
        X, y = load(arguments.data, arguments.subset)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    n_clusters = arguments.n_clusters
    if n_clusters is None:
        if y is None:
            parser.error(f"{arguments.data} has no y: give --n-clusters")
        n_clusters = len(np.unique(y))
    shape = X.shape
    del X, y
    print(f"{describe_run(arguments)}\nX {shape}, n_clusters={n_clusters}", flush=True)
    rows = []
    for method in arguments.methods:
        for seed in range(arguments.seeds):
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                row = pool.submit(
                    run_one, method, arguments.data, arguments.subset, n_clusters, seed
                ).result()
            rows.append(row)
            print(
                ", ".join(
                    f"{key} {value:.4g}" if isinstance(value, float) else str(value)
                    for key, value in row.items()
                ),
                flush=True,
            )
    table = summarise(rows)
    print(f"\n{table}")
    with Path(f"{arguments.output}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    Path(f"{arguments.output}.md").write_text(f"{describe_run(arguments)}\n\n{table}\n")


if __name__ == "__main__":
    main()
