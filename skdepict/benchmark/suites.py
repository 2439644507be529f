"""The studies of many data sets: which methods, data sets and seeds they run."""

import sys
from importlib.util import find_spec
from pathlib import Path

from skdepict.benchmark.methods import ABLATIONS
from skdepict.benchmark.sets import SETS, set_file
from skdepict.benchmark.study import (
    commit,
    draw_study,
    read_rows,
    run_study,
    summarise_study,
)

SUITES = {
    "paper": (
        *("kmeans", "gmm", "spectral", "ward", "tsne-gmm", "umap-gmm"),
        *("hdbscan", "umap-hdbscan"),
        *("clustpy-dec", "clustpy-idec", "clustpy-dcn", "clustpy-n2d", "clustpy-ddc"),
        *("path-integral", "depict-published", "depict"),
    ),
    "ablation": ("depict", *ABLATIONS),
}
ABLATION_SETS = ("MNIST-test", "USPS-11000", "CMU-PIE", "Fashion-test")
# The others take hours on 70,000 samples, or more memory than most machines have.
METHODS_FOR_MANY_SAMPLES = ("kmeans", "gmm", "path-integral", "depict")
MANY_SAMPLES = "MNIST-full"
# Their results are the same for every seed.
WITHOUT_SEED = ("ward", "path-integral", "hdbscan")
SEEDS = {"paper": 5, "ablation": 3}
SEEDS_FOR_MANY_SAMPLES = 3


def run_suite(arguments):
    """Run a study, with a progress bar, and write its table and figure."""
    sets = dict.fromkeys(_choose_sets(arguments))
    methods = dict.fromkeys(_choose_methods(arguments))
    tasks = []
    for name in sets:
        for method in methods:
            n_seeds = arguments.seeds or SEEDS[arguments.suite]
            if name == MANY_SAMPLES:
                if method not in METHODS_FOR_MANY_SAMPLES and not arguments.methods:
                    continue
                n_seeds = min(n_seeds, SEEDS_FOR_MANY_SAMPLES)
            if method in WITHOUT_SEED:
                n_seeds = 1
            tasks += [(name, method, seed) for seed in range(n_seeds)]
    path = Path(f"{arguments.output}.csv")
    done = read_rows(path)
    others = {row["commit"] for task, row in done.items() if task in tasks} - {commit()}
    if others:
        print(
            f"{path} has rows of other commits ({', '.join(sorted(others))}), which "
            "are kept. Delete them, or choose another --output, to run them again.",
            file=sys.stderr,
        )
    with _Progress(sum(task not in done for task in tasks)) as progress:
        rows = run_study(tasks, arguments.data_dir, path, progress.advance)
    table = summarise_study(rows)
    print(f"\n{table}")
    Path(f"{arguments.output}.md").write_text(f"{_describe(rows)}\n\n{table}\n")
    if find_spec("matplotlib") is None:
        print("No figure: matplotlib is not installed.", file=sys.stderr)
    else:
        draw_study(rows, f"{arguments.output}.png")


def _choose_sets(arguments):
    known = SETS if arguments.suite == "paper" else ABLATION_SETS
    chosen = arguments.sets.split(",") if arguments.sets else known
    unknown = set(chosen) - set(SETS)
    if unknown:
        raise ValueError(f"unknown data sets {sorted(unknown)}; known: {list(SETS)}")
    files = {name: set_file(name, arguments.data_dir) for name in chosen}
    missing = [name for name, file in files.items() if file and not file.exists()]
    for name in missing:
        print(f"{name} is left out: {files[name]} is missing.", file=sys.stderr)
    if len(missing) == len(chosen):
        raise ValueError(
            f"--data-dir {arguments.data_dir} has none of the data sets {list(chosen)}"
        )
    return [name for name in chosen if name not in missing]


def _choose_methods(arguments):
    if arguments.methods:
        return arguments.methods
    packages = {"clustpy": find_spec("clustpy"), "umap": find_spec("umap")}
    chosen = []
    for method in SUITES[arguments.suite]:
        package = method.partition("-")[0]
        if package in packages and packages[package] is None:
            print(f"{method} is left out: {package} is not installed", file=sys.stderr)
        else:
            chosen.append(method)
    return chosen


def _describe(rows):
    """Where the rows come from: each value of the columns that tell it."""
    columns = ("machine", "cores", "device", "python", "torch", "scikit_learn", "numpy")
    return "; ".join(
        f"{column} {' / '.join(sorted({str(row[column]) for row in rows}))}"
        for column in (*columns, "skdepict", "commit")
    )


class _Progress:
    """A progress bar where rich is installed, else lines."""

    def __init__(self, n_tasks):
        self._n_tasks = n_tasks
        self._bar = None

    def __enter__(self):
        if find_spec("rich") is not None:
            from rich.progress import MofNCompleteColumn, Progress

            self._bar = Progress(*Progress.get_default_columns(), MofNCompleteColumn())
            self._bar.start()
            self._task = self._bar.add_task("fits", total=self._n_tasks)
        return self

    def __exit__(self, *exception):
        if self._bar is not None:
            self._bar.stop()

    def advance(self, row):
        """Say what came out, and move on."""
        name = f"{row['set']}, {row['method']}, seed {row['seed']}"
        if row.get("error"):
            line = f"{name}: {row['error']}"
        else:
            line = (
                f"{name}: ACC {row['accuracy']:.4f}, NMI {row['nmi']:.4f}, "
                f"{row['seconds']:.1f} s"
            )
        if self._bar is None:
            print(line, flush=True)
        else:
            self._bar.print(line, highlight=False)
            self._bar.advance(self._task)
