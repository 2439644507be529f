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
from skdepict.benchmark.sets import set_file
from skdepict.benchmark.speed import (
    COLUMNS,
    GROWTH_SET,
    PHASE_SET,
    draw_speed,
    measure_speed,
    summarise_speed,
)
from skdepict.benchmark.study import processor
from skdepict.benchmark.suites import SUITES, run_suite

DEFAULT_METHODS = "kmeans,gmm,depict"
DEFAULT_SIZES = "10000,20000,40000,70000"


def make_parser():
    """The options of the command."""
    parser = argparse.ArgumentParser(
        prog="python -m skdepict.benchmark",
        description="Measure clusterers on the X (and y) of an .npz file (--data), or "
        "on the data sets of a study (--suite paper or ablation, and --data-dir).",
    )
    parser.add_argument("--data", help=".npz file with X, and maybe y")
    parser.add_argument("--subset", choices=("all", "train", "test"), default="all")
    parser.add_argument(
        "--suite",
        choices=("compare", "growth", "speed", *SUITES),
        default="compare",
        help="compare methods on one file (default); growth: how the cost of "
        "PathIntegralClustering grows with the number of samples; paper: the study of "
        "many data sets; ablation: what each part of DEPICTClustering adds; speed: "
        "what a fit costs, beside what the machine can do",
    )
    parser.add_argument(
        "--methods",
        help=f"comma-separated, of {', '.join(METHODS)} (default: {DEFAULT_METHODS}, "
        "or those of the suite that are installed)",
    )
    parser.add_argument(
        "--seeds",
        type=int,
        help="seeds 0, 1, ... (default: 3, or the number of the suite)",
    )
    parser.add_argument(
        "--sizes",
        default=DEFAULT_SIZES,
        help="numbers of samples for --suite growth and speed (default: "
        f"{DEFAULT_SIZES})",
    )
    parser.add_argument(
        "--n-clusters", type=int, help="default: the number of classes in y"
    )
    parser.add_argument(
        "--data-dir",
        help="folder of the data sets of --suite paper, ablation and speed; those that "
        "are missing are left out",
    )
    parser.add_argument(
        "--sets",
        help="comma-separated data sets of --suite paper and ablation (default: all)",
    )
    parser.add_argument(
        "--output",
        help="where to write OUTPUT.csv and OUTPUT.md, and OUTPUT.png of a suite of "
        "many data sets; such a suite goes on with the rows that OUTPUT.csv has "
        "(default: benchmark, or the name of the suite)",
    )
    return parser


def parse_arguments(argv=None):
    """Read the command line."""
    parser = make_parser()
    arguments = parser.parse_args(argv)
    of_study = arguments.suite in (*SUITES, "speed")
    if (arguments.data_dir if of_study else arguments.data) is None:
        needed = "--data-dir" if of_study else "--data"
        parser.error(f"--suite {arguments.suite} needs {needed}")
    if not of_study:
        arguments.methods = arguments.methods or DEFAULT_METHODS
        arguments.seeds = 3 if arguments.seeds is None else arguments.seeds
    if arguments.methods is not None:
        arguments.methods = arguments.methods.split(",")
        unknown = set(arguments.methods) - set(METHODS)
        if unknown:
            parser.error(f"unknown methods {sorted(unknown)}; known: {list(METHODS)}")
    try:
        arguments.sizes = [int(size) for size in arguments.sizes.split(",")]
    except ValueError:
        parser.error(f"--sizes {arguments.sizes} must be integers and commas")
    if arguments.output is None:
        arguments.output = arguments.suite if of_study else "benchmark"
    if not Path(arguments.output).parent.is_dir():
        parser.error(f"--output {arguments.output}: its folder does not exist")
    if arguments.seeds is not None and arguments.seeds < 1:
        parser.error(f"--seeds {arguments.seeds} must be at least 1")
    return parser, arguments


def run_speed(arguments):
    """Measure the speed, printing and saving what comes out."""
    missing = [
        name
        for name in (PHASE_SET, GROWTH_SET)
        if not set_file(name, arguments.data_dir).exists()
    ]
    if missing:
        raise ValueError(f"--data-dir {arguments.data_dir} lacks {missing}")
    rows = []
    for row in measure_speed(arguments.data_dir, arguments.sizes):
        rows.append(row)
        print(f"{row['measurement']}, {row['subject']}: {row['value']:.4g}", flush=True)
    description = describe_run(PHASE_SET, processor())
    with Path(f"{arguments.output}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    table = f"{description}\n\n{summarise_speed(rows)}\n"
    Path(f"{arguments.output}.md").write_text(table)
    draw_speed(rows, f"{arguments.output}.png")
    print(f"\n{table}")


def main(argv=None):
    """Run the command."""
    parser, arguments = parse_arguments(argv)
    if arguments.suite in (*SUITES, "speed"):
        run = run_speed if arguments.suite == "speed" else run_suite
        try:
            run(arguments)
        except (OSError, ValueError) as error:
            parser.error(str(error))
        return
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
