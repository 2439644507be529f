"""The benchmark command."""

import csv
import subprocess
import sys

import numpy as np
import pytest

from skdepict.benchmark import compare, methods
from skdepict.benchmark.__main__ import main
from skdepict.benchmark.data import load


@pytest.fixture
def digits_file(few_digits, tmp_path):
    """A file of 120 digits, with and without classes."""
    images, y = few_digits
    np.savez(tmp_path / "with_y.npz", X=images[:120], y=y[:120])
    np.savez(tmp_path / "without_y.npz", X=images[:120])
    return tmp_path


def test_command_prints_and_saves_every_score(digits_file):
    output = digits_file / "result"
    command = [sys.executable, "-m", "skdepict.benchmark"]
    command += ["--data", str(digits_file / "with_y.npz"), "--seeds", "2"]
    command += ["--methods", "kmeans,gmm", "--output", str(output)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    table = (digits_file / "result.md").read_text()
    assert table.splitlines()[-4:] == done.stdout.splitlines()[-4:]
    assert "| method | accuracy | nmi | ari | seconds | peak_memory_mib |" in table
    with (digits_file / "result.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["method"], row["seed"]) for row in rows] == [
        ("kmeans", "0"),
        ("kmeans", "1"),
        ("gmm", "0"),
        ("gmm", "1"),
    ]
    mean = np.mean([float(row["accuracy"]) for row in rows[:2]])
    assert f"| kmeans | {mean:.4f} ±" in table
    assert all(float(row["peak_memory_mib"]) > 50 for row in rows)


def test_without_classes_the_scores_need_none(digits_file):
    arguments = (str(digits_file / "without_y.npz"), "all", 10, 0)
    row = compare.run_one("kmeans", *arguments)
    assert {"silhouette", "davies_bouldin"} <= row.keys()
    assert "accuracy" not in row


def test_depict_takes_part(digits_file, monkeypatch):
    from .conftest import quick

    monkeypatch.setitem(
        methods.METHODS, "depict", lambda shape, k, seed: quick(k, random_state=seed)
    )
    row = compare.run_one("depict", str(digits_file / "with_y.npz"), "all", 10, 0)
    assert 0 < row["accuracy"] <= 1


def test_subsets_split_the_rows(tmp_path):
    X = np.arange(10_005)[:, None]
    np.savez(tmp_path / "rows.npz", X=X, y=X[:, 0])
    assert len(load(tmp_path / "rows.npz", "all")[0]) == 10_005
    test, y = load(tmp_path / "rows.npz", "test")
    assert (len(test), test[0, 0], y[0]) == (10_000, 5, 5)
    assert load(tmp_path / "rows.npz", "train")[0][-1, 0] == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--methods", "kmeans,magic"], "unknown methods ['magic']"),
        (["--seeds", "0"], "--seeds 0 must be at least 1"),
        (["--data", "nowhere.npz"], "nowhere.npz"),
        (["--data", "without_y.npz"], "has no y: give --n-clusters"),
        (["--data", "no_x.npz"], "has no array named X, only ['Z']"),
        (["--subset", "train"], "has no rows"),
        (["--output", "nowhere/result"], "its folder does not exist"),
        (["--sizes", "10,many"], "must be integers and commas"),
        (["--suite", "growth", "--sizes", "20,121"], "to 120, the number of samples"),
    ],
)
def test_wrong_arguments_are_explained(arguments, message, digits_file, capsys):
    np.savez(digits_file / "no_x.npz", Z=np.zeros(3))
    arguments = [
        str(digits_file / word) if word.endswith(".npz") else word
        for word in ["--data", "with_y.npz", *arguments]
    ]
    with pytest.raises(SystemExit):
        main(arguments)
    assert message in capsys.readouterr().err


def test_growth_is_measured_phase_by_phase(digits_file, capsys):
    arguments = ["--data", str(digits_file / "with_y.npz"), "--suite", "growth"]
    main([*arguments, "--sizes", "120,60", "--output", str(digits_file / "growth")])
    with (digits_file / "growth.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["n_samples"] for row in rows] == ["60", "120"]
    for row in rows:
        assert float(row["merging_seconds"]) > 0
        per_merge = 1000 * float(row["merging_seconds"]) / float(row["merges"])
        assert float(row["milliseconds_per_merge"]) == pytest.approx(per_merge)
    table = (digits_file / "growth.md").read_text()
    assert "| n^" in table.splitlines()[-1]
    assert table.splitlines()[-1] in capsys.readouterr().out


@pytest.mark.parametrize("method", ["path-integral", "spectral", "ward"])
def test_classical_clusterers_take_part(method, digits_file):
    row = compare.run_one(method, str(digits_file / "with_y.npz"), "all", 10, 0)
    assert row["accuracy"] > 0.5
