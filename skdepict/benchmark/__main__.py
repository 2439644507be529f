"""The command ``python -m skdepict.benchmark``."""

from functools import partial
from pathlib import Path

from skdepict.benchmark import speed, study
from skdepict.benchmark.data import load
from skdepict.benchmark.methods import METHODS
from skdepict.benchmark.options import check_words, needed, positives, study_parser
from skdepict.benchmark.processes import describe_machine
from skdepict.benchmark.suites import SUITES, run_suite
from skdepict.benchmark.summaries import describe, write_study, write_table

DEFAULT_METHODS = ("kmeans", "gmm", "depict")
DEFAULT_SEEDS = 3
DEFAULT_SIZES = "10000,20000,40000,70000"


def make_parser():
    """The options of the command."""
    parser = study_parser(
        "Measure clusterers on the X (and y) of an .npz file (--data), or on the data "
        f"sets of a study ({', '.join(SUITES)}) and of --suite speed (--data-dir).",
        METHODS,
        dict.fromkeys(name for suite in SUITES.values() for name in suite.known),
        prog="python -m skdepict.benchmark",
    )
    parser.add_argument("--data", help=".npz file with X, and maybe y")
    parser.add_argument("--subset", choices=("all", "train", "test"), default="all")
    parser.add_argument(
        "--suite",
        choices=(*COMMANDS, *SUITES),
        default="compare",
        help="compare methods on one file (default; --methods "
        f"{','.join(DEFAULT_METHODS)} and --seeds {DEFAULT_SEEDS}, if these are not "
        "given); speed: what a fit costs, beside what the machine can do; or a study "
        "of many data sets",
    )
    parser.add_argument(
        "--sizes",
        type=positives,
        default=DEFAULT_SIZES,
        help=f"numbers of samples for --suite speed (default: {DEFAULT_SIZES})",
    )
    parser.add_argument(
        "--n-clusters", type=int, help="default: the number of classes in y"
    )
    return parser


def compare(arguments):
    """Compare methods on one file."""
    y = load(needed(arguments, "--data"), arguments.subset)[1]
    if y is None and arguments.n_clusters is None:
        raise ValueError(f"{arguments.data} has no y: give --n-clusters")
    methods = arguments.methods or DEFAULT_METHODS
    check_words(methods, METHODS, "methods")
    read = partial(load, arguments.data, arguments.subset)
    name = f"{Path(arguments.data).name}, {arguments.subset}"
    tasks = {
        (name, method, seed): (read, METHODS[method], arguments.n_clusters)
        for method in methods
        for seed in range(arguments.seeds or DEFAULT_SEEDS)
    }
    path = Path(f"{arguments.output}.csv")
    # Its rows may be of other data in a file of the same name.
    path.unlink(missing_ok=True)
    scores = study.UNJUDGED if y is None else study.JUDGED
    rows = study.run_study(tasks, path, study.columns_of(scores))
    write_study(rows, arguments.output)


def measure_speed(arguments):
    """Measure the speed of DEPICTClustering, printing and writing rows as they come."""
    path = Path(f"{arguments.output}.csv")
    rows = []
    measurements = speed.measure_speed(needed(arguments, "--data-dir"), arguments.sizes)
    path.unlink(missing_ok=True)
    for row in measurements:
        rows.append(row)
        study.append_row(path, row, tuple(row))
        print(study.in_words(row), flush=True)
    described = f"{speed.PHASE_SET}; {describe([describe_machine()])}"
    write_table(speed.summarise_speed(rows), described, arguments.output)


COMMANDS = {"compare": compare, "speed": measure_speed}


def main(argv=None):
    """Run the command."""
    parser = make_parser()
    arguments = parser.parse_args(argv)
    suite = arguments.suite
    if arguments.output is None:
        arguments.output = "benchmark" if suite == "compare" else suite
    try:
        if suite in COMMANDS:
            COMMANDS[suite](arguments)
        else:
            run_suite(SUITES[suite], arguments)
    except (OSError, ValueError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
