"""How long threads wait, by what steps are said to take and by what threads do."""

import os
import subprocess
import sys
import threading

import pytest
import torch
from threadpoolctl import threadpool_info

from skdepict._training import waits
from skdepict._training.waits import Waits

CPU = torch.device("cpu")
N_TIMED = 8
PAUSE = waits.PAUSE


def of_two():
    """Two threads on two cores."""
    return Waits(CPU, N_TIMED, n_threads=2, n_cores=2)


@pytest.fixture(autouse=True)
def _nothing_chosen(monkeypatch):
    """As if the user had left the environment as it is."""
    for name in waits.CHOSEN_BY_USER:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(name="waits")
def _waits():
    with of_two() as waits:
        yield waits


def n_idle():
    """How many threads there are that do nothing."""
    return sum(
        getattr(thread, "_target", None) is waits._be_idle
        for thread in threading.enumerate()
    )


def take_steps(waits, n_steps, of_long, of_short):
    """Take steps that need so many seconds; returns how many had short waits."""
    n_short = 0
    for _ in range(n_steps):
        n_short += waits.are_short
        waits.heed(of_short if waits.are_short else of_long)
    return n_short


def test_waits_are_long_where_that_is_faster(waits):
    assert not waits.are_short
    n_short = take_steps(waits, 1000, of_long=1.0, of_short=3.0)
    # Tried again and again, and no longer than what they are compared with.
    assert 5 <= n_short <= 1000 / PAUSE


def test_waits_are_short_where_that_is_faster(waits):
    n_short = take_steps(waits, 1000, of_long=30.0, of_short=1.0)
    assert n_short >= 1000 - N_TIMED - 1000 / PAUSE


def test_waits_follow_what_other_processes_do(waits):
    take_steps(waits, 300, of_long=1.0, of_short=3.0)
    n_short = take_steps(waits, 1000, of_long=30.0, of_short=3.0)
    assert n_short > 900
    take_steps(waits, 1000, of_long=1.0, of_short=3.0)
    n_short = take_steps(waits, 1000, of_long=1.0, of_short=3.0)
    assert n_short <= 1000 / PAUSE


def test_a_single_slow_step_does_not_count(waits):
    # The first one, for which a library lays out what the others find.
    waits.heed(1000.0)
    take_steps(waits, 2 * N_TIMED - 1, of_long=1.0, of_short=3.0)
    assert not waits.are_short


def test_equal_times_leave_waits_long(waits):
    assert take_steps(waits, 1000, of_long=1.0, of_short=1.0) < 1000 / PAUSE


def test_idle_threads_end_with_the_context():
    waits = of_two()

    def interrupted():
        with waits:
            take_steps(waits, 1000, of_long=30.0, of_short=1.0)
            assert n_idle() == 1
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert n_idle() == 0
    assert not waits.are_short
    # Outside of it nothing is chosen.
    assert take_steps(waits, 100, of_long=30.0, of_short=1.0) == 0


@pytest.mark.parametrize(("n_threads", "n_cores", "n_sets"), [(4, 4, 1), (4, 8, 2)])
def test_there_are_more_threads_than_cores(n_threads, n_cores, n_sets):
    """torch has a thread for two cores where each core has two numbers."""
    with Waits(CPU, N_TIMED, n_threads, n_cores) as waits:
        take_steps(waits, 100, of_long=30.0, of_short=1.0)
        assert n_idle() == n_sets
        assert 1 + (1 + n_sets) * (n_threads - 1) > n_cores
        assert 1 + n_sets * (n_threads - 1) <= n_cores


@pytest.mark.parametrize(
    ("device", "n_threads", "n_cores"),
    [("cpu", 1, 1), ("cpu", 1, 8), ("cpu", 2, 8), ("meta", 8, 8), ("cpu", 8, 2)],
)
def test_where_waits_cannot_matter_nothing_is_tried(device, n_threads, n_cores):
    """One thread waits for none; there are cores enough, or waits are short anyway."""
    with Waits(torch.device(device), N_TIMED, n_threads, n_cores) as waits:
        assert take_steps(waits, 100, of_long=30.0, of_short=1.0) == 0


@pytest.mark.parametrize("name", waits.CHOSEN_BY_USER)
def test_what_the_user_has_chosen_stays(name, monkeypatch):
    monkeypatch.setenv(name, "ACTIVE" if name == "OMP_WAIT_POLICY" else "5000")
    with of_two() as waits:
        assert take_steps(waits, 100, of_long=30.0, of_short=1.0) == 0


def test_steps_go_on_where_no_thread_can_start(waits, monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert take_steps(waits, 100, of_long=30.0, of_short=1.0) == 0


AT_EXIT = """
import threading
import numpy as np
from skdepict import DEPICTClustering
X = np.random.default_rng(0).random((300, 8, 8), dtype=np.float32)
model = DEPICTClustering(3, fit_epochs=20, max_iter=2, random_state=0)
threading.Thread(target=lambda: print(len(model.fit(X).labels_))).start()
"""


def run_alone(program):
    """What a program prints whose threads are as many as there are cores."""
    names = ("OMP_", "GOMP_", "MKL_", "KMP_", "PYTEST_")
    surroundings = {k: v for k, v in os.environ.items() if not k.startswith(names)}
    return subprocess.run(
        [sys.executable, "-c", program],
        env=surroundings,
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    ).stdout


def test_a_fit_may_outlast_the_main_thread():
    assert run_alone(AT_EXIT).split() == ["300"]


# How often the process sleeps by its own will in products of all threads, with waits
# that are long, short, and long again.
SLEEPS = """
import resource, torch
from skdepict._training.waits import Waits

def n_sleeps():
    a = torch.ones(256, 256)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw
    for _ in range(200):
        a @ a
        sum(range(3000))
    return resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw - before

with Waits(torch.device("cpu"), 8) as waits:
    long = n_sleeps()
    for _ in range(9):
        waits.heed(1.0)
    assert waits.are_short
    short = n_sleeps()
print(long, short, n_sleeps())
"""


@pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) != 2,
    reason="needs Linux, and the two cores that these numbers are of",
)
@pytest.mark.skipif(
    all(pool["prefix"] != "libgomp" for pool in threadpool_info()),
    reason="needs GNU's OpenMP",
)
def test_threads_sleep_while_waits_are_short():
    long, short, long_again = map(int, run_alone(SLEEPS).split())
    # Some 800 times: each thread in most products, but for those that others end in
    # time for.
    assert short > 100
    assert short > 5 * max(long, long_again)
