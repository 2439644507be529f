"""The command ``python -m skdepict.benchmark``."""

import argparse
import csv
from pathlib import Path

import numpy as np

from skdepict.benchmark.compare import compare, summarise
from skdepict.benchmark.data import load
from skdepict.benchmark.growth import grow, summarise_growth
from skdepict.benchmark.methods import METHODS
from skdepict.benchmark.processes import describe_run

DEFAULT_METHODS = "kmeans,gmm,depict"
DEFAULT_SIZES = "10000,20000,40000,70000"


def parse_arguments(argv=None):
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m skdepict.benchmark",
        description="Measure clusterers on the X (and y) of an .npz file.",
    )
    parser.add_argument("--data", required=True, help=".npz file with X, and maybe y")
    parser.add_argument("--subset", choices=("all", "train", "test"), default="all")
    parser.add_argument(
        "--suite",
        choices=("compare", "growth"),
        default="compare",
        help="compare methods (default), or how the cost of PathIntegralClustering "
        "grows with the number of samples",
    )
    parser.add_argument(
        "--methods",
        default=DEFAULT_METHODS,
        help=f"comma-separated, of {', '.join(METHODS)} (default: {DEFAULT_METHODS})",
    )
    parser.add_argument("--seeds", type=int, default=3, help="seeds 0, 1, ... (3)")
    parser.add_argument(
        "--sizes",
        default=DEFAULT_SIZES,
        help=f"numbers of samples for --suite growth (default: {DEFAULT_SIZES})",
    )
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
    try:
        arguments.sizes = [int(size) for size in arguments.sizes.split(",")]
    except ValueError:
        parser.error(f"--sizes {arguments.sizes} must be integers and commas")
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
    details = f"subset {arguments.subset}"
    if arguments.suite == "growth":
        if min(arguments.sizes) < n_clusters or max(arguments.sizes) > shape[0]:
            parser.error(
                f"--sizes {arguments.sizes} must be from {n_clusters}, the number of "
                f"clusters, to {shape[0]}, the number of samples"
            )
        rows, summarise_rows = grow(arguments, n_clusters), summarise_growth
    else:
        details += f", {arguments.seeds} seeds"
        rows, summarise_rows = compare(arguments, n_clusters), summarise
    description = describe_run(arguments.data, details)
    print(f"{description}\nX {shape}, n_clusters={n_clusters}", flush=True)
    done = []
    for row in rows:
        done.append(row)
        print(
            ", ".join(
                f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
                for key, value in row.items()
            ),
            flush=True,
        )
    table = summarise_rows(done)
    print(f"\n{table}")
    with Path(f"{arguments.output}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, done[0].keys())
        writer.writeheader()
        writer.writerows(done)
    Path(f"{arguments.output}.md").write_text(f"{description}\n\n{table}\n")


if __name__ == "__main__":
    main()
