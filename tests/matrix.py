"""Matrices of cases, whose sizes the documentation reads from what tests write."""

import csv
from pathlib import Path

TABLE = Path(__file__).parents[1] / "docs" / "results" / "matrices.csv"
HEADER = ["Matrix", "Rows", "Columns", "Cases"]


def record(name, rows, columns, n_cases):
    """Write how many cases a matrix has into the table that the documentation shows.

    Fails where that was out of date, so that the table is committed with the tests.
    """
    row = [name, str(rows), str(columns), str(n_cases)]
    known = {}
    if TABLE.exists():
        with TABLE.open(newline="") as file:
            known = {line[0]: line for line in list(csv.reader(file))[1:]}
    if known.get(name) == row:
        return
    known[name] = row
    with TABLE.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([HEADER, *(known[name] for name in sorted(known))])
    raise AssertionError(f"{TABLE.name} was out of date for {name!r}; now it is not.")
