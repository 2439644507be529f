"""Many data sets, methods and seeds in one table that a killed run goes on with."""

import csv
import io
import os
import platform
import re
import subprocess
import time
from concurrent.futures.process import BrokenProcessPool
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from skdepict import __version__
from skdepict.benchmark.compare import scores
from skdepict.benchmark.data import flatten
from skdepict.benchmark.methods import METHODS, TAKES_IMAGES
from skdepict.benchmark.processes import in_fresh_process, peak_memory_mib
from skdepict.benchmark.sets import load_set

COLUMNS = (
    *("set", "method", "seed", "accuracy", "nmi", "ari", "seconds", "peak_memory_mib"),
    *("n_samples", "n_clusters", "parameters", "error"),
    *("skdepict", "commit", "python", "torch", "scikit_learn", "numpy"),
    *("machine", "cores", "device"),
)
SHOWN = ("accuracy", "nmi", "seconds")
PANELS_PER_LINE = 3


def run_study(tasks, data_dir, path, report):
    """Run what is not yet in the table, adding each row to it as soon as it is known.

    Parameters
    ----------
    tasks : list of tuple (set, method, seed)
        What the table is to hold.
    data_dir : str
        The folder of the data sets.
    path : Path
        The CSV table. Rows that are there are kept; those of other tasks too.
    report : callable
        Called with each new row.

    Returns
    -------
    rows : list of dict
        The table, in the order of the tasks.
    """
    rows = read_rows(path)
    for task in tasks:
        if task not in rows:
            try:
                row = in_fresh_process(run_task, *task, data_dir)
            except BrokenProcessPool:
                # Killed from outside, for memory as a rule; the others go on.
                row = dict(zip(("set", "method", "seed"), task, strict=True))
                row["error"] = "the process was killed"
            append_row(path, row)
            # As a later run would read it.
            rows[task] = {name: str(row.get(name, "")) for name in COLUMNS}
            report(row)
    return [rows[task] for task in tasks]


def read_rows(path):
    """The rows of a table by (set, method, seed), without those that failed.

    A last line without an end, as a killed run may leave it, is no row.
    """
    if not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    reader = csv.DictReader(line for line in lines if line.endswith("\n"))
    if lines and tuple(reader.fieldnames or ()) != COLUMNS:
        raise ValueError(
            f"{path} begins with {lines[0][:80]!r}, not with the columns of a study. "
            "Choose another --output."
        )
    # A later row of a task takes the place of one that failed.
    rows = {(row["set"], row["method"], int(row["seed"])): row for row in reader}
    return {task: row for task, row in rows.items() if not row["error"]}


def append_row(path, row):
    """Write one row to the end of a table, onto the disk, in place of half a row."""
    with path.open("a+b") as file:
        file.seek(0)
        complete = file.read().rfind(b"\n") + 1
        file.truncate(complete)
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
        if complete == 0:
            writer.writeheader()
        writer.writerow(row)
        file.write(text.getvalue().encode())
        file.flush()
        os.fsync(file.fileno())


def run_task(set_name, method, seed, data_dir):
    """Fit one method to one data set and score it; runs in a process of its own.

    Returns
    -------
    row : dict
        Scores, costs, and all that is needed to run it again. A method that fails has
        the message as its "error" and no scores.
    """
    X, y = load_set(set_name, data_dir)
    n_clusters = len(np.unique(y))
    row = {"set": set_name, "method": method, "seed": seed}
    row |= {"n_samples": len(X), "n_clusters": n_clusters}
    samples = X if method in TAKES_IMAGES else flatten(X)
    try:
        model = METHODS[method]((len(X), X[0].size), n_clusters, seed)
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


def describe_machine():
    """Versions, commit and machine, as columns."""
    import torch

    return {
        "skdepict": __version__,
        "commit": commit(),
        "python": platform.python_version(),
        "torch": _version("torch"),
        "scikit_learn": _version("scikit-learn"),
        "numpy": _version("numpy"),
        "machine": processor(),
        "cores": os.cpu_count(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
    }


def commit():
    """The commit of the package's source, with "+" where files differ from it."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        found, changes = (
            subprocess.run(
                [*git, *arguments], capture_output=True, text=True, check=True
            ).stdout.strip()
            for arguments in (
                ["rev-parse", "--short", "HEAD"],
                ["status", "--porcelain", "--", ".."],
            )
        )
    except (OSError, subprocess.CalledProcessError):
        return "not in a repository"
    return found + "+" * bool(changes)


def processor():
    """The name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":")[1].strip() for line in lines if "model name" in line]
    return names[0] if names else platform.processor() or platform.machine()


def _version(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def summarise_study(rows):
    """Mean and standard deviation over seeds: a Markdown table for each data set."""
    blocks = []
    for set_name in dict.fromkeys(row["set"] for row in rows):
        lines = [
            f"| {set_name} | ACC | NMI | seconds | seeds |",
            "|---|---|---|---|---|",
        ]
        for method, chosen in _by_method(rows, set_name).items():
            done = [row for row in chosen if not row["error"]]
            if done:
                cells = [
                    _mean_and_deviation(done, column, 1 if column == "seconds" else 4)
                    for column in SHOWN
                ]
            else:
                cells = [chosen[0]["error"][:60], "", ""]
            lines.append(f"| {method} | {' | '.join(cells)} | {len(done)} |")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _by_method(rows, set_name):
    chosen: dict[str, list] = {}
    for row in rows:
        if row["set"] == set_name:
            chosen.setdefault(row["method"], []).append(row)
    return chosen


def _mean_and_deviation(rows, column, digits):
    values = np.array([float(row[column]) for row in rows])
    cell = f"{values.mean():.{digits}f}"
    if len(values) > 1:
        cell += f" ± {values.std(ddof=1):.{digits}f}"
    return cell


def draw_study(rows, path):
    """Draw the accuracy of each method on each data set, one point for each seed."""
    from matplotlib.figure import Figure

    sets = list(dict.fromkeys(row["set"] for row in rows))
    methods = list(dict.fromkeys(row["method"] for row in rows))
    n_columns = min(PANELS_PER_LINE, len(sets))
    n_lines = -(-len(sets) // n_columns)
    figure = Figure(
        figsize=(2.9 * n_columns + 1.6, n_lines * (0.25 * len(methods) + 0.85)),
        layout="constrained",
    )
    panels = figure.subplots(
        n_lines, n_columns, sharex=True, sharey=True, squeeze=False
    ).ravel()
    for ax, set_name in zip(panels, sets, strict=False):
        for method, chosen in _by_method(rows, set_name).items():
            values = [float(row["accuracy"]) for row in chosen if row["accuracy"]]
            if not values:
                continue
            height = methods.index(method)
            ours = re.split("[-:]", method)[0] == "depict"
            color = "tab:red" if ours else "tab:blue"
            mean = np.mean(values)
            ax.barh(height, mean, height=0.6, color=color, alpha=0.25)
            ax.plot(values, [height] * len(values), "o", color=color, ms=3.5, mew=0)
            ax.text(0.02, height, f"{mean:.3f}", va="center", fontsize=8)
        ax.set_title(set_name, fontsize=10)
    for ax in panels[len(sets) :]:
        ax.set_visible(False)
    for ax in panels[max(0, len(sets) - n_columns) : len(sets)]:
        ax.set_xlabel("ACC")
        ax.tick_params(labelbottom=True)
    panels[0].set_xlim(0, 1.02)
    panels[0].set_yticks(range(len(methods)), methods)
    panels[0].set_ylim(len(methods) - 0.5, -0.5)
    figure.savefig(path, dpi=120)
