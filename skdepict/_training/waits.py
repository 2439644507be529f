"""How long threads wait in a loop for each other before they sleep.

The threads of a product wait for each other, and to wake one that sleeps may take as
long as a product of a small step. So GNU's OpenMP, which torch uses on Linux, has them
look again and again first, for some milliseconds. But beside another process, which has
one of the cores, the thread that waits uses up what the one that it waits for needs,
and each product takes a time slice of the system.

While OpenMP has more threads than there are cores, they wait a moment only, as the
manual of GOMP_SPINCOUNT says. So a second set of threads, which has nothing to do,
makes waits short, with no setting of the process changed and no other result. Which way
is faster the steps tell.
"""

import math
import os
from concurrent.futures import ThreadPoolExecutor
from statistics import median

import torch

# A multiple of the steps after which one is longer, with a reconstruction.
N_TIMED = 8
# The next comparison comes after so many times what one took.
PAUSE = 20
# Of fewer bytes to a thread torch has fewer threads fill them.
BYTES_PER_THREAD = 32_768


class Waits:
    """Has the threads of steps wait as long as is fastest; long at first.

    Used as a context, at whose end they wait as before.

    Parameters
    ----------
    device : torch.device
        Where steps are computed.

    Attributes
    ----------
    can_change : bool
        Whether it has an influence: on a processor, where two sets of threads are more
        than there are cores.
    """

    def __init__(self, device):
        n_threads = torch.get_num_threads()
        n_cores = math.inf
        if hasattr(os, "sched_getaffinity"):
            n_cores = len(os.sched_getaffinity(0))
        # A set includes the thread that asks for it, and the first of these all set it.
        n_of_both = 2 * n_threads - 1
        self.can_change = device.type == "cpu" and n_threads > 1 and n_of_both > n_cores
        self._n_bytes = n_threads * BYTES_PER_THREAD
        self._idle: ThreadPoolExecutor | None = None
        self._turns = self._take_turns()
        next(self._turns)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._set_short(False)

    @property
    def are_short(self):
        """Whether a second set of threads makes waits short."""
        return self._idle is not None

    def heed(self, seconds):
        """Choose how threads wait in the next step.

        Parameters
        ----------
        seconds : float
            That the last step took.
        """
        if self.can_change:
            self._turns.send(seconds)

    def _take_turns(self):
        """A generator that is sent what each step took."""
        while True:
            of_chosen = yield from _time_steps(N_TIMED)
            self._set_short(not self.are_short)
            of_other = yield from _time_steps(N_TIMED, sum(of_chosen))
            # The first step of a shape takes much longer than those after it.
            if median(of_other) >= median(of_chosen):
                self._set_short(not self.are_short)
            yield from _time_steps(math.inf, PAUSE * sum(of_chosen + of_other))

    def _set_short(self, are_short):
        if self._idle is not None:
            self._idle.shutdown()
            self._idle = None
        if are_short:
            # Whose thread stays, and with it those that helped it.
            self._idle = ThreadPoolExecutor(1, "skdepict-idle")
            self._idle.submit(self._be_several).result()

    def _be_several(self):
        torch.empty(self._n_bytes, dtype=torch.uint8, device="cpu").fill_(0)


def _time_steps(n_steps, most=math.inf):
    """What each of so many steps took, or of fewer that took `most` seconds in all."""
    seconds: list[float] = []
    total = 0.0
    while len(seconds) < n_steps and total < most:
        seconds.append((yield))
        total += seconds[-1]
    return seconds
