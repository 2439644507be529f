"""The benchmark command, and the studies beside their tables."""

import csv
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from skdepict.benchmark import speed, study
from skdepict.benchmark.__main__ import main
from skdepict.benchmark.data import (
    load,
    load_crops,
    load_enlarged,
    load_few_of_each,
    load_part,
)
from skdepict.benchmark.methods import METHODS, available, make
from skdepict.benchmark.processes import commit
from skdepict.benchmark.suites import SUITES, Study, study_command
from skdepict.benchmark.summaries import summarise_study

from .conftest import quick

ROOT = Path(__file__).parents[1]
STUDIES = sorted((ROOT / "docs" / "results").glob("*.py"))
# DEPICTClustering takes longer, and has tests of its own.
QUICK_METHODS = [
    name
    for name in available(METHODS, is_installed=lambda name: False)
    if not name.startswith("depict")
]


@pytest.fixture
def digits_file(few_digits, tmp_path):
    """A file of 120 digits, with and without classes."""
    images, y = few_digits
    np.savez(tmp_path / "with_y.npz", X=images[:120], y=y[:120])
    np.savez(tmp_path / "without_y.npz", X=images[:120])
    return tmp_path


def read_table(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_command_prints_and_saves_every_score(digits_file):
    output = digits_file / "result"
    (digits_file / "result.csv").write_text("rows of an earlier run")
    command = [sys.executable, "-m", "skdepict.benchmark"]
    command += ["--data", str(digits_file / "with_y.npz"), "--seeds", "2"]
    command += ["--methods", "kmeans", "--output", str(output)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    table = (digits_file / "result.md").read_text(encoding="utf-8")
    assert table.splitlines()[-3:] == done.stdout.splitlines()[-3:]
    columns = "accuracy | nmi | ari | balanced_accuracy | n_found | seconds"
    assert f"| {columns} | peak_memory_mib | seeds |" in table
    rows = read_table(digits_file / "result.csv")
    assert [(row["method"], row["seed"]) for row in rows] == [
        ("kmeans", "0"),
        ("kmeans", "1"),
    ]
    mean = np.mean([float(row["accuracy"]) for row in rows])
    assert f"| kmeans | {mean:.4f} ±" in table
    assert all(float(row["peak_memory_mib"]) > 50 for row in rows)


def test_without_classes_the_scores_need_none(digits_file):
    data = ["--data", str(digits_file / "without_y.npz"), "--n-clusters", "10"]
    output = digits_file / "result"
    main([*data, "--methods", "kmeans", "--seeds", "1", "--output", str(output)])
    (row,) = read_table(digits_file / "result.csv")
    assert 0 < float(row["silhouette"]) < 1
    assert float(row["davies_bouldin"]) > 0
    assert "accuracy" not in row
    assert f"| {float(row['silhouette']):.4f} |" in (
        output.parent / "result.md"
    ).read_text(encoding="utf-8")


def sleep_long(begun):
    """What a benchmark runs in a process of its own, for two minutes."""
    # Whole at once, for what waits for it.
    Path(f"{begun}.part").write_text(str(os.getpid()))
    os.replace(f"{begun}.part", begun)
    time.sleep(120)


INTERRUPTED = """
import signal, sys
from skdepict.benchmark.processes import in_fresh_process
from tests.test_benchmark import sleep_long

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # Even in the background.
    in_fresh_process(sleep_long, sys.argv[1])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_a_signal_ends_a_benchmark_and_what_it_runs(name, tmp_path):
    number = getattr(signal, name)
    script, begun = tmp_path / "interrupted.py", tmp_path / "begun"
    script.write_text(INTERRUPTED)
    process = subprocess.Popen(
        [sys.executable, str(script), str(begun)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        while not begun.exists():
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.1)
        process.send_signal(number)
        errors = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    assert ("KeyboardInterrupt" in errors) == (number == signal.SIGINT)
    assert process.returncode == -number
    child = int(begun.read_text())
    for _ in range(300):
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail(f"the process {child} goes on")


def test_subsets_split_the_rows(tmp_path):
    X = np.arange(10_005)[:, None]
    np.savez(tmp_path / "rows.npz", X=X, y=X[:, 0])
    assert len(load(tmp_path / "rows.npz")[0]) == 10_005
    test, y = load(tmp_path / "rows.npz", "test")
    assert (len(test), test[0, 0], y[0]) == (10_000, 5, 5)
    assert load(tmp_path / "rows.npz", "train")[0][-1, 0] == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--methods", "kmeans,magic"], "unknown methods ['magic']"),
        (["--seeds", "0"], "--seeds: '0' must be an integer of at least 1"),
        (["--data", "nowhere.npz"], "nowhere.npz"),
        (["--data", "without_y.npz"], "has no y: give --n-clusters"),
        (["--data", "no_x.npz"], "has no array named X, only ['Z']"),
        (["--subset", "train"], "has no rows"),
        (["--output", "nowhere/result"], "its folder does not exist"),
        (["--sizes", "10,many"], "--sizes: 'many' must be an integer"),
        (["--suite", "paper"], "--data-dir is needed"),
        (["--suite", "speed"], "--data-dir is needed"),
        (["--suite", "speed", "--data-dir", "."], "lacks ['MNIST-test', 'MNIST-full']"),
        (["--suite", "paper", "--data-dir", ".", "--sets", "cats"], "sets ['cats']"),
        (["--suite", "paper", "--data-dir", ".", "--sets", "CMU-PIE"], "has none of"),
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


def test_sets_that_are_timed_are_made_of_others(digits_file):
    path = digits_file / "with_y.npz"
    images, classes = load(path)
    X, y = load_part(path, n_samples=50)
    assert X.shape == (50, 8, 8)
    assert len(np.unique(np.column_stack([X.reshape(50, -1), y]), axis=0)) == 50
    X, y = load_few_of_each(path, n_classes=4, n_samples=3)
    np.testing.assert_array_equal(y, np.repeat([0, 1, 2, 3], 3))
    X, y = load_enlarged(path, times=3)
    np.testing.assert_array_equal(X[:, 1::3, 2::3], images)
    np.testing.assert_array_equal(y, classes)
    X, y = load_crops(None, n_crops=40)
    assert X.shape == (40, 224, 224, 3)
    assert X.dtype == np.uint8
    assert set(y[::2]) <= set(range(5))
    assert set(y[1::2]) <= set(range(5, 10))


def run_paper(folder, *arguments):
    # scikit-learn brings the digits, so there is no --data-dir.
    suite = ["--suite", "paper", "--sets", "digits"]
    main([*suite, "--output", str(folder / "paper"), *arguments])
    return read_table(folder / "paper.csv")


def test_study_writes_rows_with_all_that_made_them(tmp_path, capsys):
    rows = run_paper(tmp_path, "--methods", "kmeans,path-integral", "--seeds", "2")
    done = [(row["set"], row["method"], row["seed"]) for row in rows]
    kmeans = [("digits", "kmeans", "0"), ("digits", "kmeans", "1")]
    # One that is the same for every seed is run once.
    assert done == [*kmeans, ("digits", "path-integral", "0")]
    for row in rows:
        assert float(row["accuracy"]) > 0.7
        optional = {"error"}
        assert all(row[name] for name in study.COLUMNS if name not in optional)
    assert "KMeans(n_clusters=10, n_init=10, random_state=1)" in rows[1]["parameters"]
    table = (tmp_path / "paper.md").read_text(encoding="utf-8")
    mean = np.mean([float(row["accuracy"]) for row in rows[:2]])
    assert f"| kmeans | {mean:.4f} ±" in table
    assert table.split("\n\n", 1)[1].strip() in capsys.readouterr().out
    assert (tmp_path / "paper.png").read_bytes()[:4] == b"\x89PNG"


def test_killed_study_continues_where_it_stopped(tmp_path, capsys):
    done = dict.fromkeys(study.COLUMNS, "0.5") | {"error": "", "commit": "abc1234"}
    done |= {"set": "digits", "method": "kmeans", "seed": "0"}
    study.append_row(tmp_path / "paper.csv", done)
    with (tmp_path / "paper.csv").open("a") as file:
        file.write("digits,kmeans,1,0.79")  # Cut, as a kill leaves it.
    kept, new = run_paper(tmp_path, "--methods", "kmeans", "--seeds", "2")
    printed, errors = capsys.readouterr()
    assert "1 of 1: set digits, method kmeans, seed 1, accuracy" in printed
    assert kept == done
    assert float(new["accuracy"]) > 0.7
    assert new["commit"] == commit()
    assert "rows of other commits (abc1234)" in errors


def test_rows_of_before_a_score_was_known_count_for_the_others():
    row = dict.fromkeys(study.COLUMNS, "0.5") | {"set": "a", "method": "b", "error": ""}
    before = row | {"accuracy": "0.7", "n_found": ""}
    line = summarise_study([row, before]).splitlines()[-1]
    assert "| 0.6000 ± 0.1414 |" in line
    assert "| 0.5000 | 0.5 ± 0.0 |" in line
    assert "|  |" in summarise_study([before]).splitlines()[-1]


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "a,b\n1,2", "a,b\n", "notes"])
def test_table_of_something_else_is_not_written_to(text, tmp_path):
    (tmp_path / "paper.csv").write_text(text)
    with pytest.raises(SystemExit):
        run_paper(tmp_path, "--methods", "kmeans")
    assert (tmp_path / "paper.csv").read_text(encoding="utf-8") == text


def test_the_table_of_the_documentation_can_be_continued():
    rows = study.read_rows(ROOT / "docs" / "results" / "paper.csv")
    assert ("MNIST-full", "depict", 2) in rows


def make_broken(shape, n_clusters, seed):
    raise RuntimeError("no luck,\n| today")


def make_killed(shape, n_clusters, seed):
    os._exit(1)


def test_methods_that_fail_are_rows_with_the_reason(tmp_path):
    parameters = {"init": "kmeans", "fit_epochs": 2, "max_iter": 0}
    brief = partial(make, "skdepict.DEPICTClustering", **parameters)
    methods = {"broken": make_broken, "killed": make_killed, "depict:brief": brief}
    arguments = ["--data-dir", str(tmp_path), "--output", str(tmp_path / "own")]
    study_command(Study(("digits",), methods, 1), "unused", "A study.", arguments)
    broken, killed, whole = read_table(tmp_path / "own.csv")
    assert broken["error"] == "RuntimeError: no luck, | today"
    assert broken["accuracy"] == ""
    assert killed["error"] == "the process was killed"
    assert whole["error"] == ""
    assert float(whole["accuracy"]) > 0.5
    table = (tmp_path / "own.md").read_text(encoding="utf-8")
    assert r"| broken | RuntimeError: no luck, \| today |" in table
    # They are tried again.
    assert list(study.read_rows(tmp_path / "own.csv")) == [
        ("digits", "depict:brief", 0)
    ]


def test_peers_that_are_not_installed_are_left_out():
    chosen = available(SUITES["paper"].methods, is_installed=lambda name: False)
    assert "umap-gmm" not in chosen
    assert not any(name.startswith("clustpy") for name in chosen)
    assert {"kmeans", "tsne-gmm", "depict"} <= set(chosen)


@pytest.mark.filterwarnings("ignore:Graph is not fully connected")
@pytest.mark.parametrize("name", QUICK_METHODS)
def test_methods_give_a_label_to_each_sample(name, few_digits):
    rows = few_digits[0].reshape(300, 64)
    model = METHODS[name](rows.shape, 10, 0)
    assert model.fit_predict(rows).shape == (300,)
    assert repr(model)


@pytest.mark.filterwarnings("ignore:Clusters")
def test_speed_is_measured_part_by_part(few_digits):
    def read():
        return few_digits

    brief = {"fit_epochs": 2, "max_iter": 2}
    rows = speed.ceilings(matrix_side=64, copied_bytes=4096, repeats=1)
    rows += speed.phases(read, **brief)
    rows += speed.growth_with_n(read, 200, **brief)
    value = {(measurement, subject): value for measurement, subject, value, _ in rows}
    assert all(np.array(list(value.values())) > 0)
    parts = ("initialise: seconds", "joint: seconds", "starting labels and the rest")
    whole = sum(value["fit", part] for part in parts)
    assert whole == pytest.approx(value["fit", "seconds"])
    table = speed.summarise_speed(
        [dict(zip(speed.COLUMNS, row, strict=True)) for row in rows]
    )
    share = value["fit", "joint: work"] / value["ceiling", speed.FP32]
    (line,) = (line for line in table.splitlines() if "joint: work" in line)
    assert f"| {share:.0%} |" in line


def test_operations_are_counted_as_by_hand():
    """Two convolutions, the embedding and the softmax layer on 8x8 images."""
    model = quick(10).fit(np.random.default_rng(0).random((60, 8, 8))).network_
    forward, step = speed.operations_per_sample(model, np.zeros((1, 8, 8)))
    first, second = 4 * 4 * 32 * 9, 3 * 3 * 32 * 64 * 9
    by_hand = 2 * (first + second + 576 * 64 + 64 * 10)
    assert forward == by_hand
    # The weights' gradients cost as much again, and so do the inputs' but the first's.
    assert step == 3 * by_hand - 2 * first


def run_script(*arguments):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    ).stdout


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_studies_run_by_their_path(path):
    assert "--data-dir" in run_script(path, "--help")


def test_every_changed_constant_is_there_and_can_be_told_to_a_process():
    made = run_script(
        "-c",
        "import pickle, sys\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "import constants\n"
        "for kind in constants.KINDS:\n"
        "    for make in constants.study_of(kind).methods.values():\n"
        "        make = pickle.loads(pickle.dumps(make))\n"
        "        print(kind, make((300, 64), 10, 0))",
        ROOT / "docs" / "results",
    )
    # A name that is gone would have been an error.
    for kind in ("image", "table"):
        assert f"{kind} DEPICTClustering(n_clusters=10, n_neighbors=8" in made


def test_every_ablation_changes_what_is_there():
    made = run_script(
        "-c",
        "import runpy, sys\n"
        "for name, make in runpy.run_path(sys.argv[1])['STUDY'].methods.items():\n"
        "    print(name, make((300, 64), 10, 0))",
        ROOT / "docs" / "results" / "ablation.py",
    )
    assert "depict:no-average DEPICT" not in made
    assert "with {'average_decay': 0.0}" in made
    assert "depict:no-joint DEPICTClustering(max_iter=0" in made
