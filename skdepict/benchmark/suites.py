"""The studies of many data sets: which methods, data sets and seeds they run."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from skdepict.benchmark.data import SETS, missing_files
from skdepict.benchmark.methods import METHODS, WITHOUT_SEED, available
from skdepict.benchmark.options import check_words, needed, study_parser
from skdepict.benchmark.processes import commit
from skdepict.benchmark.study import read_rows, run_study
from skdepict.benchmark.summaries import draw_study, write_study

# The others take hours on 70,000 samples, or more memory than most machines have.
METHODS_FOR_MANY_SAMPLES = ("kmeans", "gmm", "path-integral", "depict")
MANY_SAMPLES = "MNIST-full"
SEEDS_FOR_MANY_SAMPLES = 3


@dataclass(frozen=True)
class Study:
    """What a study runs, unless its user chooses otherwise.

    Attributes
    ----------
    sets : tuple of str
        Names in `SETS`.
    methods : dict of str to callable
        What makes the clusterers, as in `METHODS`: module functions, which another
        process can import, or partial objects of them.
    n_seeds : int
    """

    sets: tuple[str, ...]
    methods: Mapping[str, Callable]
    n_seeds: int


SUITES = {"paper": Study(tuple(SETS), METHODS, n_seeds=5)}


def run_suite(study, arguments):
    """Run a study, or continue it, and write its table and figure.

    Parameters
    ----------
    study : Study
    arguments : argparse.Namespace
        Values of the options of `study_parser`.
    """
    tasks = {}
    data_dir = needed(arguments, "--data-dir")
    methods = _choose_methods(study.methods, arguments.methods)
    for name in _choose_sets(arguments.sets or study.sets, data_dir):
        read = partial(SETS[name].read, data_dir)
        for method in methods:
            n_seeds = arguments.seeds or study.n_seeds
            if name == MANY_SAMPLES:
                if method not in METHODS_FOR_MANY_SAMPLES and not arguments.methods:
                    continue
                n_seeds = min(n_seeds, SEEDS_FOR_MANY_SAMPLES)
            for seed in range(1 if method in WITHOUT_SEED else n_seeds):
                tasks[name, method, seed] = read, study.methods[method]
    path = Path(f"{arguments.output}.csv")
    kept = [row for task, row in read_rows(path).items() if task in tasks]
    others = {row["commit"] for row in kept} - {commit()}
    if others:
        _note(
            f"{path} has rows of other commits ({', '.join(sorted(others))}), which "
            "are kept. Delete them, or choose another --output, to run them again."
        )
    rows = run_study(tasks, path)
    write_study(rows, arguments.output)
    if find_spec("matplotlib") is None:
        _note("No figure: matplotlib is not installed.")
    else:
        draw_study(rows, f"{arguments.output}.png")


def study_command(study, output, description, argv=None):
    """Run a study that is no part of the package, from a script.

    Parameters
    ----------
    study : Study
        Its methods may be functions of the script.
    output : str
        Where results are written by default.
    description : str
    argv : list of str, default=None
        The command line.
    """
    parser = study_parser(description, study.methods)
    parser.set_defaults(output=output)
    try:
        run_suite(study, parser.parse_args(argv))
    except (OSError, ValueError) as error:
        parser.error(str(error))


def _choose_sets(names, data_dir):
    check_words(names, SETS, "data sets")
    missing = missing_files(names, data_dir)
    for name, path in missing.items():
        _note(f"{name} is left out: {path} is missing.")
    chosen = [name for name in dict.fromkeys(names) if name not in missing]
    if not chosen:
        raise ValueError(
            f"--data-dir {data_dir} has none of the data sets {list(names)}"
        )
    return chosen


def _choose_methods(known, names):
    if names:
        check_words(names, known, "methods")
        return list(dict.fromkeys(names))
    chosen = available(known)
    for name in known:
        if name not in chosen:
            _note(f"{name} is left out: its package is not installed.")
    return chosen


def _note(text):
    print(text, file=sys.stderr)
