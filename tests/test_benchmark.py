"""The benchmark command."""

import csv
import os
import signal
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from skdepict import DEPICTClustering, _depict
from skdepict._training import start
from skdepict.benchmark import ablations, compare, methods, speed, study, suites
from skdepict.benchmark.__main__ import main
from skdepict.benchmark.data import load

from .conftest import quick


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


def sleep_long(begun):
    """What a benchmark runs in a process of its own, for two minutes."""
    Path(begun).touch()
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
def test_an_interrupt_ends_a_benchmark_and_what_it_runs(tmp_path):
    script, begun = tmp_path / "interrupted.py", tmp_path / "begun"
    script.write_text(INTERRUPTED)
    root = str(Path(__file__).parents[1])
    process = subprocess.Popen(
        [sys.executable, str(script), str(begun)],
        env=os.environ | {"PYTHONPATH": root},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        while not begun.exists():
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        errors = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    assert "KeyboardInterrupt" in errors
    assert process.returncode == -signal.SIGINT


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
        (["--suite", "paper"], "--suite paper needs --data-dir"),
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


def run_paper(folder, *arguments):
    suite = ["--suite", "paper", "--data-dir", str(folder), "--sets", "digits"]
    main([*suite, "--output", str(folder / "paper"), *arguments])
    with (folder / "paper.csv").open() as file:
        return list(csv.DictReader(file))


def test_study_writes_rows_with_all_that_made_them(tmp_path, capsys):
    rows = run_paper(tmp_path, "--methods", "kmeans,path-integral", "--seeds", "2")
    done = [(row["set"], row["method"], row["seed"]) for row in rows]
    kmeans = [("digits", "kmeans", "0"), ("digits", "kmeans", "1")]
    # The same for every seed, so run once.
    assert done == [*kmeans, ("digits", "path-integral", "0")]
    for row in rows:
        assert float(row["accuracy"]) > 0.7
        optional = {"error"}
        assert all(row[name] for name in study.COLUMNS if name not in optional)
    assert "KMeans(n_clusters=10, n_init=10, random_state=1)" in rows[1]["parameters"]
    table = (tmp_path / "paper.md").read_text()
    mean = np.mean([float(row["accuracy"]) for row in rows[:2]])
    assert f"| kmeans | {mean:.4f} ±" in table
    assert table.split("\n\n", 1)[1].strip() in capsys.readouterr().out
    assert (tmp_path / "paper.png").read_bytes()[:4] == b"\x89PNG"


def test_killed_study_goes_on_where_it_stopped(tmp_path, monkeypatch):
    run_paper(tmp_path, "--methods", "kmeans", "--seeds", "3")
    whole = (tmp_path / "paper.csv").read_text()
    first, second, _ = whole.splitlines()[1:]
    # As a kill leaves it: the last row is cut in two.
    (tmp_path / "paper.csv").write_text(whole[: whole.index(first) + len(first) + 30])
    ran = []
    original = study.in_fresh_process

    def in_fresh_process(function, *task):
        ran.append(task[:3])
        return original(function, *task)

    monkeypatch.setattr(study, "in_fresh_process", in_fresh_process)
    rows = run_paper(tmp_path, "--methods", "kmeans", "--seeds", "3")
    assert ran == [("digits", "kmeans", 1), ("digits", "kmeans", 2)]
    complete = study.read_rows(tmp_path / "paper.csv")
    assert sorted(complete) == [("digits", "kmeans", seed) for seed in range(3)]
    assert complete["digits", "kmeans", 1]["accuracy"] == second.split(",")[3]
    assert len(rows) == 3


def test_a_method_that_fails_is_a_row_with_the_reason(tmp_path, monkeypatch, capsys):
    class Broken:
        def fit_predict(self, X):
            raise RuntimeError("no luck, today")

    def run_here(function, *task):
        return function(*task)

    monkeypatch.setitem(methods.METHODS, "ward", lambda *arguments: Broken())
    monkeypatch.setattr(study, "in_fresh_process", run_here)
    rows = run_paper(tmp_path, "--methods", "ward,kmeans", "--seeds", "1")
    assert rows[0]["error"] == "RuntimeError: no luck, today"
    assert rows[0]["accuracy"] == ""
    assert float(rows[1]["accuracy"]) > 0.7
    assert "no luck, today" in (tmp_path / "paper.md").read_text()
    assert ("digits", "ward", 0) not in study.read_rows(tmp_path / "paper.csv")


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "a,b\n1,2", "a,b\n", "notes"])
def test_table_of_something_else_is_not_written_to(text, tmp_path):
    (tmp_path / "paper.csv").write_text(text)
    with pytest.raises(SystemExit):
        run_paper(tmp_path, "--methods", "kmeans")
    assert (tmp_path / "paper.csv").read_text() == text


def test_a_method_whose_process_dies_is_a_row_too(tmp_path, monkeypatch):
    def die(function, *task):
        raise BrokenProcessPool

    monkeypatch.setattr(study, "in_fresh_process", die)
    rows = run_paper(tmp_path, "--methods", "kmeans,ward", "--seeds", "1")
    assert [row["error"] for row in rows] == ["the process was killed"] * 2


def test_rows_of_another_commit_are_kept_and_named(tmp_path, monkeypatch, capsys):
    run_paper(tmp_path, "--methods", "kmeans", "--seeds", "1")
    monkeypatch.setattr(suites, "commit", lambda: "abc1234")
    rows = run_paper(tmp_path, "--methods", "kmeans", "--seeds", "1")
    assert len(rows) == 1
    assert f"rows of other commits ({rows[0]['commit']})" in capsys.readouterr().err


def test_peers_that_are_not_installed_are_left_out(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(suites, "find_spec", lambda name: None)
    monkeypatch.setattr(
        study, "in_fresh_process", lambda function, *task: ROW | named(task)
    )
    rows = run_paper(tmp_path, "--seeds", "1")
    assert "umap-gmm is left out" in capsys.readouterr().err
    expected = [name for name in suites.SUITES["paper"] if name[:4] not in PEERS]
    assert [row["method"] for row in rows] == expected


PEERS = ("umap", "clus")
ROW = dict.fromkeys(study.COLUMNS, 0.5) | {"error": ""}


def named(task):
    return dict(zip(("set", "method", "seed"), task, strict=False))


@pytest.mark.parametrize("name", methods.ABLATIONS)
def test_ablations_change_what_they_say_and_nothing_after_the_fit(name, few_digits):
    images = few_digits[0]
    class_name, parameters = methods.ABLATIONS[name]
    changed = methods.METHODS[name]((300, 64), 10, 0)
    default = DEPICTClustering(10, random_state=0)
    assert changed.get_params() == default.get_params() | parameters
    if class_name == "DEPICTClustering":
        return
    changes = type(changed).changes
    before = [getattr(owner, attribute) for owner, attribute, _ in changes]
    brief = {"fit_epochs": 10, "max_iter": 3, **parameters}
    model = changed.set_params(**brief).fit(images)
    expected = default.set_params(**brief).fit(images)
    if class_name != "PlainCut":  # at heights that are even on these digits
        assert not np.array_equal(model.embedding_, expected.embedding_)
    after = [getattr(owner, attribute) for owner, attribute, _ in changes]
    assert before == after


@pytest.mark.filterwarnings("ignore:Clusters")
def test_plain_cut_takes_no_uneven_heights(few_digits, monkeypatch):
    seen = []

    def path_integral_labels(points, n_clusters, prior, device):
        seen.append(start.UNEVEN_HEIGHTS)
        return np.arange(300) % 10, 0.0

    monkeypatch.setattr(start, "path_integral_labels", path_integral_labels)
    brief = {"fit_epochs": 1, "max_iter": 0}
    ablations.PlainCut(10, **brief).fit(few_digits[0])
    assert seen == [0.0]


@pytest.mark.filterwarnings("ignore:Clusters")
def test_speed_suite_measures_everything(digits, tmp_path, monkeypatch, capsys):
    (tmp_path / "mnist_full.npz").touch()
    for name, value in {
        "in_fresh_process": lambda function: function(),
        "load_set": lambda *arguments: (digits[0][:600] * 16, digits[1][:600]),
        "OTHERS": ("kmeans",),
        "SIDES": (8, 9),
        "MATRIX_SIDE": 64,
        "COPIED_BYTES": 4096,
        "REPEATS": 1,
        "TURNS": 1,
        "TARGET_ACCURACY": 0.8,
    }.items():
        monkeypatch.setattr(speed, name, value)
    for name in ("MIN_FIT_STEPS", "MIN_JOINT_STEPS"):
        monkeypatch.setattr(_depict, name, 100)
    monkeypatch.setattr(_depict, "FIT_STEPS_PER_CLUSTER", 10)
    output = str(tmp_path / "speed")
    suite = ["--suite", "speed", "--data-dir", str(tmp_path), "--sizes", "200,300"]
    main([*suite, "--output", output])
    with (tmp_path / "speed.csv").open() as file:
        rows = {
            (row["measurement"], row["subject"]): row for row in csv.DictReader(file)
        }
    for key, row in rows.items():
        assert float(row["value"]) > 0, key
    value = {key: float(row["value"]) for key, row in rows.items()}
    assert value["time to ACC 0.8", "accuracy"] >= 0.8
    parts = ("initialise: seconds", "joint: seconds", "starting labels and the rest")
    whole = sum(value["fit", part] for part in parts)
    assert whole == pytest.approx(value["fit", "seconds"])
    joint = {name: value["joint phase", name] for name in ("skdepict", "plain loop")}
    ratio = joint["skdepict"] / joint["plain loop"]
    assert value["joint phase", "ratio"] == pytest.approx(ratio)
    ratio = value["samples from", "a memory map"] / value["samples from", "memory"]
    assert value["samples from", "ratio"] == pytest.approx(ratio)
    assert "| fit | peak memory |" in (tmp_path / "speed.md").read_text()
    assert (tmp_path / "speed.png").read_bytes()[:4] == b"\x89PNG"


def test_a_package_that_fails_costs_no_other_figure(digits, monkeypatch):
    def broken(shape, n_clusters, seed):
        raise RuntimeError("operator\n| does not exist")

    monkeypatch.setattr(speed, "load_set", lambda *arguments: digits)
    monkeypatch.setitem(speed.METHODS, "clustpy-dec", broken)
    ((measurement, subject, value, _),) = speed.other("", "clustpy-dec")
    assert measurement == "other clusterers"
    assert subject == "clustpy-dec: RuntimeError: operator | does not exist"
    assert np.isnan(value)
    row = {"measurement": measurement, "subject": subject, "value": value, "unit": ""}
    assert r"operator \| does not exist | nan |" in speed.summarise_speed([row])


def test_two_loops_are_timed_in_turns():
    speeds = {"first": [1.0, 2.0, 10.0, 3.0], "last": [4.0, 4.0, 10.0, 9.0]}
    called = []

    def next_of(name):
        called.append(name)
        return speeds[name][called.count(name) - 1]

    loops = {name: partial(next_of, name) for name in speeds}
    rows = speed.in_turns("speed", loops)
    assert called == ["first", "last", "last", "first"] * 2
    assert rows == [
        ("speed", "first", 2.5, "samples/s"),
        ("speed", "last", 6.5, "samples/s"),
        ("speed", "ratio", 2.5, ""),
    ]


def test_operations_are_counted_as_by_hand():
    """Two convolutions, the embedding and the softmax layer on 8x8 images."""
    model = quick(10).fit(np.random.default_rng(0).random((60, 8, 8))).network_
    forward, step = speed.operations_per_sample(model, np.zeros((1, 8, 8)))
    first, second = 4 * 4 * 50 * 9, 3 * 3 * 50 * 50 * 9
    by_hand = 2 * (first + second + 450 * 64 + 64 * 10)
    assert forward == by_hand
    # The weights' gradients cost as much again, and so do the inputs' but the first's.
    assert step == 3 * by_hand - 2 * first


def test_speed_suite_needs_its_data(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["--suite", "speed", "--data-dir", str(tmp_path)])
    assert "lacks ['MNIST-test', 'MNIST-full']" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:Graph is not fully connected")
@pytest.mark.parametrize(
    "name",
    ["kmeans", "gmm", "spectral", "ward", "tsne-gmm", "hdbscan", "path-integral"],
)
def test_methods_of_scikit_learn_give_a_label_to_each_sample(name, few_digits):
    rows = few_digits[0].reshape(300, 64)
    model = methods.METHODS[name](rows.shape, 10, 0)
    assert model.fit_predict(rows).shape == (300,)
    assert repr(model)
