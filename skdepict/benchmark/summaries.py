"""Rows of results as Markdown tables and figures."""

import re
from pathlib import Path

import numpy as np

from skdepict.benchmark.study import COSTS, JUDGED, ORIGIN, UNJUDGED

# Data sets beside each other in a figure.
PANELS_OF_ROW = 3


def write_table(table, description, output):
    """Print a table, and write it to OUTPUT.md below a line on what was run where."""
    print(f"\n{table}")
    Path(f"{output}.md").write_text(f"{description}\n\n{table}\n", encoding="utf-8")


def write_study(rows, output):
    """Print and write the summary of a study."""
    write_table(summarise_study(rows), describe(rows), output)


def describe(rows):
    """Where rows come from, in one line: each value of the columns that tell it."""
    return "; ".join(
        f"{column} {' / '.join(sorted({str(row[column]) for row in rows}))}"
        for column in ORIGIN
    )


def markdown(columns, lines):
    """A Markdown table of cells; floats are rounded to four digits."""
    lines = [columns, ["---"] * len(columns), *lines]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(value):
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|")


def summarise_study(rows):
    """Mean and standard deviation over seeds: a Markdown table for each data set."""
    columns = [name for name in (*JUDGED, *UNJUDGED, *COSTS) if name in rows[0]]
    blocks = []
    for set_name, methods in _by_set_and_method(rows).items():
        lines = []
        for method, chosen in methods.items():
            done = [row for row in chosen if not row["error"]]
            cells = [_mean_and_deviation(done, column) for column in columns]
            if not done:
                cells[0] = chosen[0]["error"][:60]
            lines.append([method, *cells, len(done)])
        blocks.append(markdown([set_name, *columns, "seeds"], lines))
    return "\n\n".join(blocks)


def _by_set_and_method(rows):
    groups: dict[str, dict[str, list]] = {}
    for row in rows:
        groups.setdefault(row["set"], {}).setdefault(row["method"], []).append(row)
    return groups


def _mean_and_deviation(rows, column):
    # Rows of before a score was known have none.
    values = np.array([float(row[column]) for row in rows if row[column] != ""])
    if len(values) == 0:
        return ""
    digits = 1 if column in COSTS else 4
    cell = f"{values.mean():.{digits}f}"
    if len(values) > 1:
        cell += f" ± {values.std(ddof=1):.{digits}f}"
    return cell


def draw_study(rows, path):
    """Draw the accuracy of each method on each data set, one point for each seed."""
    from matplotlib.figure import Figure

    groups = _by_set_and_method(rows)
    methods = list(dict.fromkeys(row["method"] for row in rows))
    n_columns = min(PANELS_OF_ROW, len(groups))
    n_rows = -(-len(groups) // n_columns)
    size = (2.9 * n_columns + 1.6, n_rows * (0.25 * len(methods) + 0.85))
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False)
    for ax in panels.flat[len(groups) :]:
        ax.set_visible(False)
    # None is below these.
    for ax in panels.flat[: len(groups)][-n_columns:]:
        ax.tick_params(labelbottom=True)
        ax.set_xlabel("ACC")
    for ax, (set_name, of_set) in zip(panels.flat, groups.items(), strict=False):
        for method, chosen in of_set.items():
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
    ax.set_xlim(0, 1.02)
    ax.set_yticks(range(len(methods)), methods)
    ax.set_ylim(len(methods) - 0.5, -0.5)
    figure.savefig(path, dpi=120)
