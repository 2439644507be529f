"""The studies of many data sets: which methods, data sets and seeds they run."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from skdepict.benchmark.data import (
    EMBEDDINGS,
    SETS,
    TABLES,
    TIMED_SETS,
    UNEVEN_SETS,
    DataSet,
    UnevenSet,
    missing_files,
)
from skdepict.benchmark.methods import (
    METHODS,
    TABLE_METHODS,
    TIMED_METHODS,
    TOLD,
    UNEVEN_METHODS,
    WITHOUT_SEED,
    available,
)
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
        Names in `known`.
    methods : dict of str to callable
        What makes the clusterers, as in `METHODS`: module functions, which another
        process can import, or partial objects of them.
    n_seeds : int
        A seed also is the draw of a set that is drawn.
    known : dict of str to DataSet
    """

    sets: tuple[str, ...]
    methods: Mapping[str, Callable]
    n_seeds: int
    known: Mapping[str, DataSet] = field(default_factory=lambda: SETS)


SUITES = {
    "paper": Study(tuple(SETS), METHODS, n_seeds=5),
    "uneven": Study(tuple(UNEVEN_SETS), UNEVEN_METHODS, 3, UNEVEN_SETS),
    "embeddings": Study(tuple(EMBEDDINGS), TABLE_METHODS, 3, EMBEDDINGS),
    "tables": Study(tuple(TABLES), TABLE_METHODS, 3, TABLES),
    "times": Study(tuple(TIMED_SETS), TIMED_METHODS, 3, TIMED_SETS),
}


def run_suite(study, arguments):
    """Run a study, or continue it, and write its table and figure.

    Parameters
    ----------
    study : Study
    arguments : argparse.Namespace
        Values of the options of `study_parser`.
    """
    tasks = {}
    methods = _choose_methods(study.methods, arguments.methods)
    sets = arguments.sets or study.sets
    check_words(sets, study.known, "data sets")
    # Some packages bring their data sets with them.
    have_files = any(study.known[name].file for name in sets)
    data_dir = needed(arguments, "--data-dir") if have_files else "."
    for name in _choose_sets(sets, study.known, data_dir):
        chosen = study.known[name]
        for method in methods:
            n_seeds = arguments.seeds or study.n_seeds
            if name == MANY_SAMPLES:
                if method not in METHODS_FOR_MANY_SAMPLES and not arguments.methods:
                    continue
                n_seeds = min(n_seeds, SEEDS_FOR_MANY_SAMPLES)
            make = study.methods[method]
            if method == TOLD:
                make = partial(make, ratio=chosen.ratio)
            drawn = isinstance(chosen, UnevenSet)
            for seed in range(1 if method in WITHOUT_SEED and not drawn else n_seeds):
                read = partial(chosen.read, data_dir, seed)
                tasks[name, method, seed] = read, make
    path = Path(f"{arguments.output}.csv")
    rows_before = read_rows(path)
    kept = [row for task, row in rows_before.items() if task in tasks]
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
    parser = study_parser(description, study.methods, study.known)
    parser.set_defaults(output=output)
    try:
        run_suite(study, parser.parse_args(argv))
    except (OSError, ValueError) as error:
        parser.error(str(error))


def _choose_sets(names, known, data_dir):
    missing = missing_files({name: known[name] for name in names}, data_dir)
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
