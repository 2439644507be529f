"""How long threads wait in a loop for each other before they sleep.

The threads of a product wait for each other, and to wake one that sleeps may take as
long as a product of a small step. So GNU's OpenMP, which torch uses on Linux, has them
look again and again first, for some milliseconds. But beside another process, which has
one of the cores, the thread that waits uses up what the one that it waits for needs,
and each product takes a time slice of the system.

While OpenMP has more threads than there are cores, they wait a moment only, as the
manual of GOMP_SPINCOUNT says. So sets of threads which have nothing to do make waits
short, with no setting of the process changed and no other result. Which way is faster
the steps tell.
"""

import math
import os
from statistics import median
from threading import Event, Thread
from typing import Any

import torch

# The next comparison comes after so many times what one takes.
PAUSE = 20
# More sets of idle threads than these are not worth it: there are cores enough.
MOST_SETS = 3
# Of fewer bytes to a thread torch has fewer threads fill them.
BYTES_PER_THREAD = 32_768
# Who sets one of these has chosen how long threads wait.
CHOSEN_BY_USER = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")


class Waits:
    """Has the threads of steps wait as long as is fastest; long at first.

    Steps are taken within this context, at whose end threads wait as before.

    Parameters
    ----------
    device : torch.device
        Where steps are computed.
    n_timed : int
        Steps of either way that are compared: a multiple of those after which one is
        longer than others.
    n_threads : int, default=None
        How many share a product; by default torch's number.
    n_cores : int, default=None
        By default those that the process may use, where the system tells.
    """

    def __init__(self, device, n_timed, n_threads=None, n_cores=None):
        self._n_timed = n_timed
        self._n_threads = n_threads or torch.get_num_threads()
        if n_cores is None and hasattr(os, "sched_getaffinity"):
            n_cores = len(os.sched_getaffinity(0))
        self._n_sets = 0
        is_chosen = any(name in os.environ for name in CHOSEN_BY_USER)
        if n_cores and self._n_threads > 1 and device.type == "cpu" and not is_chosen:
            # A set adds its threads but for the one that asks for it.
            n_sets = math.ceil(n_cores / (self._n_threads - 1)) - 1
            self._n_sets = n_sets if n_sets <= MOST_SETS else 0
        self._turns: Any = None
        self._end: Event | None = None
        self._idle: list[Thread] = []

    def __enter__(self):
        if self._n_sets:
            self._turns = self._take_turns()
            next(self._turns)
        return self

    def __exit__(self, *error):
        self._turns = None
        self._set_short(False)

    @property
    def are_short(self):
        """Whether idle threads make waits short."""
        return bool(self._idle)

    def heed(self, seconds):
        """Choose how threads wait in the next step.

        Parameters
        ----------
        seconds : float
            That the last step took.
        """
        if self._turns is not None:
            try:
                self._turns.send(seconds)
            except RuntimeError:
                # No other thread can start. Steps go on without.
                self.__exit__()

    def _take_turns(self):
        """A generator that is sent what each step took."""
        while True:
            # Medians, as the first step of a shape takes much longer than others.
            of_chosen = median((yield from _time_steps(self._n_timed)))
            self._set_short(not self.are_short)
            most = 2 * self._n_timed * of_chosen
            of_other = median((yield from _time_steps(self._n_timed, most)))
            if of_other >= of_chosen:
                self._set_short(not self.are_short)
            pause = PAUSE * self._n_timed * (of_chosen + of_other)
            yield from _time_steps(math.inf, pause)

    def _set_short(self, are_short):
        if self._end is not None:
            self._end.set()
            for thread in self._idle:
                thread.join()
            self._idle, self._end = [], None
        if are_short:
            self._end = Event()
            for _ in range(self._n_sets):
                begun = Event()
                arguments = self._n_threads, begun, self._end
                thread = Thread(target=_be_idle, args=arguments, daemon=True)
                thread.start()
                begun.wait()
                self._idle.append(thread)


def _be_idle(n_threads, begun, end):
    """Stay, and with this thread the set that has helped it once."""
    n_bytes = n_threads * BYTES_PER_THREAD
    try:
        torch.empty(n_bytes, dtype=torch.uint8, device="cpu").fill_(0)
    finally:
        begun.set()
    end.wait()


def _time_steps(n_steps, most=math.inf):
    """What each of so many steps took, or of fewer that took `most` seconds in all."""
    seconds: list[float] = []
    total = 0.0
    while not seconds or (len(seconds) < n_steps and total < most):
        seconds.append((yield))
        total += seconds[-1]
    return seconds
