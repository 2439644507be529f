"""scikit-learn's callbacks and interrupts."""

import signal
import subprocess
import sys

import numpy as np
import pytest
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.cluster import KMeans
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdepict.metrics import stability
from tests.conftest import quick


class Recorder:
    """Keep the names of the tasks; act at one of them."""

    def __init__(self, at=None, action=lambda: False):
        self.tasks = []
        self.begun = 0
        self.torn_down = False
        self.at = at
        self.action = action

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        self.torn_down = True

    def on_fit_task_begin(self, estimator, context):
        self.begun += 1

    def on_fit_task_end(self, estimator, context):
        name = context.task_name
        if name == "epoch":
            name = f"{context.parent.task_name} {context.task_id}"
        self.tasks.append(name)
        if name == self.at:
            return self.action()
        return False


def test_phases_and_epochs_are_nested_tasks(blobs):
    recorder = Recorder()
    quick(3, pretrain_epochs=1).set_callbacks(recorder).fit(blobs[0])
    assert recorder.tasks == [
        "pretrain 0",
        "pretrain",
        *(f"initialise {epoch}" for epoch in range(20)),
        "initialise",
        *("joint 0", "joint 1", "joint"),
        "fit",
    ]
    assert recorder.begun == len(recorder.tasks)
    assert recorder.torn_down


def test_a_callback_can_stop_a_phase(blobs):
    recorder = Recorder("joint 1", lambda: True)
    model = quick(3, max_iter=9).set_callbacks(recorder).fit(blobs[0])
    assert model.n_iter_ == 2
    assert recorder.tasks[-2:] == ["joint", "fit"]
    assert not model.converged_


def test_progress_bar_shows_the_phases(blobs, capsys):
    quick(3).set_callbacks(ProgressBar()).fit(blobs[0])
    shown = capsys.readouterr().out
    assert "DEPICTClustering - fit" in shown
    assert "joint" in shown


def test_progress_bar_in_a_grid_search_with_processes(blobs, capsys):
    search = GridSearchCV(quick(3), {"n_neighbors": [0, 5]}, cv=2, n_jobs=2)
    search.set_callbacks(ProgressBar(max_propagation_depth=None)).fit(blobs[0])
    assert "DEPICTClustering" in capsys.readouterr().out


def test_progress_bar_of_a_pipeline(blobs, capsys):
    model = make_pipeline(StandardScaler(), quick(3))
    model.set_callbacks(ProgressBar(max_propagation_depth=None)).fit(blobs[0])
    shown = capsys.readouterr().out
    assert "DEPICTClustering" in shown
    assert "joint" in shown


def test_scoring_monitor_scores_every_epoch_that_has_clusters(blobs):
    X, y = blobs
    monitor = ScoringMonitor(scoring="adjusted_rand_score")
    model = quick(3, pretrain_epochs=1).set_callbacks(monitor).fit(X, y)
    rows = monitor.get_logs().data
    epochs = [row for row in rows if row["task_name"] == "epoch"]
    assert len(epochs) == 22
    assert np.all(np.isfinite([row["adjusted_rand_score"] for row in rows]))
    assert model.labels_.shape == (200,)


def interrupt(*args, **kwargs):
    raise KeyboardInterrupt


@pytest.mark.parametrize("at", ["initialise 1", "joint 0"])
def test_an_interrupt_leaves_a_usable_model(at, few_digits):
    images, _ = few_digits
    model = quick(10, pretrain_epochs=3, max_iter=5)
    model.set_callbacks(Recorder(at, interrupt))
    with pytest.raises(KeyboardInterrupt, match=r"after \d+ epochs. The model can be"):
        model.fit(images)
    assert not model.converged_
    np.testing.assert_array_equal(model.predict(images), model.labels_)
    assert model.history_[-1]["phase"] == at.split()[0]


class InterruptedKMeans(KMeans):
    """Whoever waits for starting labels loses patience."""

    fit_predict = interrupt


@pytest.mark.parametrize(
    ("init", "at"), [("kmeans", "pretrain 1"), (InterruptedKMeans(), "no epoch")]
)
def test_an_interrupt_before_there_are_clusters_keeps_the_fit_before(
    init, at, few_digits
):
    images, _ = few_digits
    model = quick(10).fit(images)
    labels = model.labels_.copy()
    model.set_params(init=init).set_callbacks(Recorder(at, interrupt))
    with pytest.raises(KeyboardInterrupt):
        model.fit(images)
    np.testing.assert_array_equal(model.predict(images), labels)


def loop(X):
    for seed in range(3):
        quick(3, random_state=seed).set_callbacks(Recorder("joint 0", interrupt)).fit(X)


def search(X):
    model = quick(3).set_callbacks(Recorder("joint 0", interrupt))
    GridSearchCV(model, {"n_clusters": [2, 3]}, cv=2).fit(X)


def halves(X):
    stability(quick(3).set_callbacks(Recorder("joint 0", interrupt)), X)


def pipeline(X):
    model = quick(3).set_callbacks(Recorder("joint 0", interrupt))
    make_pipeline(StandardScaler(), model).fit_predict(X)


@pytest.mark.parametrize("caller", [loop, search, halves, pipeline])
def test_an_interrupt_ends_what_called_fit(caller, blobs):
    """And no half-trained fit is scored as if it were whole."""
    with pytest.raises(KeyboardInterrupt):
        caller(blobs[0])


INTERRUPTED_FIT = """
import signal
from sklearn.datasets import load_digits
from skdepict import DEPICTClustering

signal.signal(signal.SIGINT, signal.default_int_handler)  # Even in the background.
images = load_digits().images
model = DEPICTClustering(10, fit_epochs=10_000, verbose=1)
try:
    model.fit(images)
finally:
    print("usable", model.converged_, model.predict(images).shape)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
def test_ctrl_c_in_a_process_of_its_own():
    with subprocess.Popen(
        [sys.executable, "-u", "-c", INTERRUPTED_FIT],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert "phase initialise" in process.stdout.readline()
            process.send_signal(signal.SIGINT)
            output, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert "usable False (1797,)" in output
    assert "KeyboardInterrupt: The fit was interrupted after" in errors
    assert process.returncode == -signal.SIGINT
