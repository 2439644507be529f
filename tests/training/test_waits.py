"""How long threads wait, by what steps are said to take and by what threads do."""

import os
import subprocess
import sys
import threading

import pytest
import torch

from skdepict._training.waits import N_TIMED, PAUSE, Waits

CPU = torch.device("cpu")
needs_two_cores = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2,
    reason="needs Linux and two cores",
)


@pytest.fixture
def waits(monkeypatch):
    """Waits of as many threads as there are cores, where there are two or more."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1}, raising=False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    with Waits(CPU) as waits:
        yield waits


def take_steps(waits, n_steps, of_long, of_short):
    """Take steps that need so many seconds; returns how many had short waits."""
    n_short = 0
    for _ in range(n_steps):
        n_short += waits.are_short
        waits.heed(of_short if waits.are_short else of_long)
    return n_short


def test_waits_are_long_where_that_is_faster(waits):
    assert waits.can_change
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


def test_the_second_set_of_threads_ends_with_the_context(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1}, raising=False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    before = threading.active_count()
    waits = Waits(CPU)

    def interrupted():
        with waits:
            take_steps(waits, 1000, of_long=30.0, of_short=1.0)
            assert threading.active_count() == before + 1
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert threading.active_count() == before
    assert not waits.are_short


@pytest.mark.parametrize(
    ("device", "n_threads", "n_cores"),
    [("cpu", 1, 1), ("cpu", 1, 8), ("cpu", 4, 8), ("meta", 8, 8)],
)
def test_where_waits_cannot_matter_nothing_is_tried(
    device, n_threads, n_cores, monkeypatch
):
    """One thread waits for none, and half of the cores are not short of any."""
    cores = set(range(n_cores))
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: cores, raising=False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: n_threads)
    with Waits(torch.device(device)) as waits:
        assert not waits.can_change
        assert take_steps(waits, 100, of_long=30.0, of_short=1.0) == 0


# How often the process sleeps by its own will in products of two threads or more, with
# waits that are long, short, and long again.
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

with Waits(torch.device("cpu")) as waits:
    long = n_sleeps()
    while not waits.are_short:
        waits.heed(1.0)
    short = n_sleeps()
print(long, short, n_sleeps())
"""


@needs_two_cores
def test_threads_sleep_while_waits_are_short():
    names = ("OMP_", "GOMP_", "MKL_", "KMP_", "PYTEST_")
    surroundings = {k: v for k, v in os.environ.items() if not k.startswith(names)}
    result = subprocess.run(
        [sys.executable, "-c", SLEEPS],
        env=surroundings,
        capture_output=True,
        text=True,
        check=True,
    )
    long, short, long_again = map(int, result.stdout.split())
    # Twice in each product, but for those that the others end in time for.
    assert short > 100
    assert short > 5 * max(long, long_again)
