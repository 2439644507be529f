"""Calls give the same result whatever the program around them has set."""

import logging
import os
import subprocess
import sys
import threading
import warnings
from contextlib import ExitStack, contextmanager

import joblib
import numpy as np
import pytest
import sklearn
import torch
from sklearn.exceptions import ConvergenceWarning

import skdepict
from skdepict import PathIntegralClustering, WhitenedComponents, metrics
from skdepict._surroundings import repeatable_convolutions
from skdepict.report import make_report

from . import conftest
from .matrix import record

X = np.random.default_rng(0).normal(size=(90, 6)) + 9 * np.eye(6)[np.arange(90) % 3]
# Batches of 24, and halves of these: what 2 and 3 threads can share evenly.
IMAGES = np.random.default_rng(0).random((72, 8, 8))
IMAGES += (np.arange(72) % 3)[:, None, None]


def quick(n_clusters=3, **parameters):
    """An estimator that trains for less than a moment: there are many cases."""
    brief = {"fit_epochs": 5, "max_iter": 2}
    return conftest.quick(n_clusters, **(brief | parameters))


def values(result):
    """A result as an array, whatever container it came in."""
    return np.asarray(result)


CALLS = {
    "fit": lambda model, folder: quick(3).fit(X).embedding_,
    "fit of images": lambda model, folder: (
        quick(3, pretrain_epochs=1, reconstruction_weight=1.0).fit(IMAGES).embedding_
    ),
    "fit from k-means": lambda model, folder: quick(3, init="kmeans").fit(X).labels_,
    "auto": lambda model, folder: quick("auto").fit(X).labels_,
    "predict": lambda model, folder: model.predict(X),
    "predict_proba": lambda model, folder: model.predict_proba(X),
    "transform": lambda model, folder: model.transform(X),
    "inverse_transform": lambda model, folder: model.inverse_transform(
        model.embedding_
    ),
    "score": lambda model, folder: model.score(X),
    "path integral": lambda model, folder: PathIntegralClustering(3).fit_predict(X),
    "components": lambda model, folder: WhitenedComponents(3).fit_transform(X),
    "silhouette": lambda model, folder: metrics.silhouette(model, X),
    "confidence": lambda model, folder: metrics.confidence(model, X),
    "stability": lambda model, folder: metrics.stability(quick(3), X),
    "load": lambda model, folder: skdepict.load(folder / "model.skdepict").predict(X),
    "save": lambda model, folder: (
        model.save(folder / "again.skdepict"),
        len((folder / "again.skdepict").read_bytes()),
    )[1],
    "report": lambda model, folder: len(make_report(model, X)),
    "checkpoints": lambda model, folder: (
        quick(3, checkpoint_dir=folder / "checkpoints").fit(X).embedding_
    ),
}


@contextmanager
def changed(get, put, value):
    """Have something be another way for a while."""
    before = get()
    put(value)
    try:
        yield
    finally:
        put(before)


def default_device(device):
    # None is no device context at all.
    return changed(lambda: None, torch.set_default_device, device)


def default_dtype(dtype):
    return changed(torch.get_default_dtype, torch.set_default_dtype, dtype)


def threads(number):
    return changed(torch.get_num_threads, torch.set_num_threads, number)


def deterministic():
    get = torch.are_deterministic_algorithms_enabled
    return changed(get, torch.use_deterministic_algorithms, True)


def log_level(level):
    root = logging.getLogger()
    return changed(lambda: root.level, root.setLevel, level)


@contextmanager
def warnings_as_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Of a short training, which ends before it has converged.
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def read_only_folder():
    return changed(os.getcwd, os.chdir, "/proc" if os.path.isdir("/proc") else os.sep)


SETTINGS = {
    "output in pandas": lambda: sklearn.config_context(transform_output="pandas"),
    "output in polars": lambda: sklearn.config_context(transform_output="polars"),
    "metadata routing": lambda: sklearn.config_context(enable_metadata_routing=True),
    "assume finite": lambda: sklearn.config_context(assume_finite=True),
    "no checks of parameters": lambda: sklearn.config_context(
        skip_parameter_validation=True
    ),
    "little working memory": lambda: sklearn.config_context(working_memory=1),
    "default device": lambda: default_device("meta"),
    "device context": lambda: torch.device("meta"),
    "double precision": lambda: default_dtype(torch.float64),
    "half precision": lambda: default_dtype(torch.float16),
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "inference mode": torch.inference_mode,
    "no gradients": torch.no_grad,
    "one thread": lambda: threads(1),
    "three threads": lambda: threads(3),
    "deterministic algorithms": deterministic,
    "anomaly detection": lambda: torch.autograd.set_detect_anomaly(
        True, check_nan=True
    ),
    "log at INFO": lambda: log_level(logging.INFO),
    "log at DEBUG": lambda: log_level(logging.DEBUG),
    "warnings are errors": warnings_as_errors,
    "numpy's warnings are errors": lambda: np.errstate(all="raise"),
    "numpy's print options": lambda: np.printoptions(threshold=1, precision=1),
    "joblib in threads": lambda: joblib.parallel_config("threading", n_jobs=2),
    "joblib in processes": lambda: joblib.parallel_config("loky", n_jobs=2),
    "a folder that nobody can write": read_only_folder,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("surroundings")


@pytest.fixture(scope="module")
def model(folder):
    model = quick(3).fit(X)
    model.save(folder / "model.skdepict")
    return model


@pytest.fixture(scope="module")
def expected(model, folder):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {name: values(call(model, folder)) for name, call in CALLS.items()}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:Anomaly Detection")
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("setting", SETTINGS)
def test_results_do_not_depend_on_settings(setting, call, model, expected, folder):
    with SETTINGS[setting]():
        found = CALLS[call](model, folder)
    # The mean silhouette is of as many parts as there are workers. Of the products of a
    # decoder's dense layer, threads may each take a part.
    rounded = call == "fit of images" and setting.endswith(("thread", "threads"))
    atol = 1e-5 if rounded else 0
    np.testing.assert_allclose(values(found), expected[call], rtol=1e-12, atol=atol)


def test_the_output_that_is_set_is_what_comes_out(model):
    for estimator in (model, WhitenedComponents(3).fit(X)):
        with sklearn.config_context(transform_output="pandas"):
            frame = estimator.transform(X)
        assert list(frame.columns) == list(estimator.get_feature_names_out())


def test_nothing_is_printed_or_logged_unless_it_is_asked_for(capsys, caplog):
    with caplog.at_level(logging.INFO):
        quick(3).fit(X)
    assert capsys.readouterr().out == ""
    assert not caplog.records
    with caplog.at_level(logging.DEBUG, logger="skdepict"):
        quick(3).fit(X)
    assert len(caplog.records) == 7
    caplog.clear()
    with caplog.at_level(logging.DEBUG, logger="skdepict"):
        quick(3, verbose=1).fit(X)
    assert capsys.readouterr().out.count("\n") == 7
    assert not caplog.records


PROGRAM = """
import os, sys, threading, warnings
import multiprocessing, concurrent.futures
import numpy as np, torch
{before}
import skdepict
from skdepict import DEPICTClustering, PathIntegralClustering, metrics

warnings.simplefilter("ignore")
images = np.random.default_rng(0).random((128, 28, 28)).astype(np.float32)
images += (np.arange(128) % 2)[:, None, None]

def fit():
    return DEPICTClustering(
        2, fit_epochs=2, max_iter=1, random_state=0
    ).fit(images)

def everything():
    model = fit()
    labels = PathIntegralClustering(2).fit_predict(images.reshape(128, -1))
    return [model.predict(images), model.transform(images), labels]

def in_child(function):
    child = os.fork()
    if child == 0:
        try:
            function()
            os._exit(0)
        finally:
            os._exit(1)
    if os.waitpid(child, 0)[1]:
        sys.exit("the child failed")

if __name__ == "__main__":
    path = sys.argv[1]
{main}
"""

PROGRAMS = {
    "load, then fork, then predict": (
        "torch.set_num_threads(2)",
        "model = skdepict.load(path); in_child(lambda: model.predict(images))",
    ),
    "predict, then fork, then predict": (
        "torch.set_num_threads(2)",
        "model = skdepict.load(path); model.predict(images);"
        "in_child(lambda: model.predict(images))",
    ),
    "fit, then fork, then fit": (
        "torch.set_num_threads(2)",
        "fit(); in_child(everything)",
    ),
    "k-means, then fork, then fit": (
        "torch.set_num_threads(2)",
        "from sklearn.cluster import KMeans;"
        "rows = images.reshape(128, -1); KMeans(2).fit(np.tile(rows, (40, 1)));"
        "in_child(everything)",
    ),
    "two threads chosen after a fork": (
        "torch.set_num_threads(3)",
        "\n    def child():\n"
        "        torch.set_num_threads(2)\n"
        "        skdepict.load(path).predict(images)\n"
        "        assert torch.get_num_threads() == 2\n"
        "    in_child(child)",
    ),
    "a first call in a thread after a fork": (
        "torch.set_num_threads(2)",
        "\n    model = skdepict.load(path); model.predict(images)\n"
        "    def child():\n"
        "        thread = threading.Thread(target=lambda: model.predict(images))\n"
        "        thread.start(); thread.join()\n"
        "        model.predict(images)\n"
        "    in_child(child)",
    ),
    "spawned processes": (
        "",
        "context = multiprocessing.get_context('spawn');"
        "pool = concurrent.futures.ProcessPoolExecutor(1, context);"
        "got = pool.submit(everything).result(); pool.shutdown();"
        "[np.testing.assert_array_equal(a, b) for a, b in zip(got, everything())]",
    ),
    "a thread": (
        "",
        "thread = threading.Thread(target=everything); thread.start(); thread.join()",
    ),
    "array API dispatch": (
        "os.environ['SCIPY_ARRAY_API'] = '1'; import sklearn",
        "expected = everything()\n"
        "    with sklearn.config_context(array_api_dispatch=True):\n"
        "        got = everything()\n"
        "        assert metrics.confidence(fit(), torch.from_numpy(images)) > 0\n"
        "    [np.testing.assert_array_equal(a, b) for a, b in zip(got, expected)]",
    ),
    "python -O": ("", "everything()"),
    "python -OO": ("", "everything()"),
    "python -W error": ("", "everything()"),
}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("name", PROGRAMS)
def test_programs(name, model, folder, tmp_path):
    images = np.random.default_rng(0).random((64, 28, 28)).astype(np.float32)
    path = tmp_path / "model.skdepict"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quick(2, fit_epochs=1, max_iter=0).fit(images).save(path)
    before, main = PROGRAMS[name]
    script = tmp_path / "program.py"
    script.write_text(PROGRAM.format(before=before, main=f"    {main}"))
    options = name.split()[1:] if name.startswith("python") else []
    done = subprocess.run(
        [sys.executable, *options, str(script), str(path)],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"OMP_NUM_THREADS": "2"},
    )
    assert done.returncode == 0, done.stderr


WITHOUT_TORCH = """
import os, sys
import numpy as np
from skdepict import PathIntegralClustering, WhitenedComponents

rows = np.random.default_rng(0).normal(size=(3000, 60))

def work():
    WhitenedComponents(20).fit_transform(rows)
    PathIntegralClustering(3, metric="euclidean").fit(rows)

work()
assert "torch" not in sys.modules
child = os.fork()
if child == 0:
    work()
    os._exit(0)
sys.exit(os.waitpid(child, 0)[1])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_graphs_after_a_fork():
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"OMP_NUM_THREADS": "2"},
    )
    assert done.returncode == 0, done.stderr


def test_an_autocast_of_the_users_keeps_no_old_weights():
    """Casts that torch keeps for its context would be of weights before a step."""
    expected = quick(3, max_iter=10).fit(X).embedding_
    with torch.autocast("cpu", dtype=torch.bfloat16):
        weight = torch.ones(4, 4, requires_grad=True)
        weight @ weight
        found = quick(3, max_iter=10).fit(X).embedding_
    np.testing.assert_array_equal(found, expected)


def test_each_thread_has_its_own_settings(model, expected):
    found = {}

    def work(name, setting):
        with setting():
            found[name] = model.transform(X)

    workers = [
        threading.Thread(target=work, args=(name, SETTINGS[name]))
        for name in ("autocast", "no gradients", "inference mode")
        for _ in range(3)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for embedding in found.values():
        np.testing.assert_array_equal(embedding, expected["transform"])


def test_the_documentation_says_how_many_cases_there_are():
    n_settings, n_calls = len(SETTINGS), len(CALLS)
    record("settings x calls", n_settings, n_calls, n_settings * n_calls)


def test_importing_leaves_the_environment():
    program = (
        "import os, sklearn, torch; before = dict(os.environ)\n"
        "import skdepict; skdepict.DEPICTClustering\n"
        "assert dict(os.environ) == before"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_convolutions_are_repeatable_until_the_last_of_calls_ends():
    cudnn = torch.backends.cudnn
    with changed(lambda: cudnn.deterministic, set_deterministic, False):
        first, second = ExitStack(), ExitStack()
        first.enter_context(repeatable_convolutions)
        second.enter_context(repeatable_convolutions)
        first.close()
        assert cudnn.deterministic
        second.close()
        assert not cudnn.deterministic
        set_deterministic(True)
        with pytest.raises(KeyError), repeatable_convolutions:
            raise KeyError
        assert cudnn.deterministic


def set_deterministic(value):
    torch.backends.cudnn.deterministic = value
