"""Steps as captured graphs of kernels, for GPUs; knows nothing of what a step is.

A step of a small network is some hundred kernels, and the GPU is done with each before
the next one is launched. Captured once, they are launched as one.
"""

import os
import sys
import threading
from contextlib import contextmanager
from functools import cache

import torch

from skdepict._surroundings import warn

# Steps of a kind that are taken kernel by kernel first: libraries set themselves up.
DIRECT_STEPS = 3
SWITCH = "SKDEPICT_CUDA_GRAPHS"
# Another thread's kernels in the stream would become part of a capture, and any graph
# also moves torch's own generator, which a capture holds.
_one_at_a_time = threading.RLock()


def graphs_for(generator):
    """`CudaGraphs` of what draws from a generator; None where there are to be none."""
    if generator.device.type != "cuda" or os.environ.get(SWITCH) == "0":
        return None
    return CudaGraphs(generator)


def is_capturing():
    """Whether kernels are being recorded at the moment, and not run."""
    return torch.cuda.is_available() and torch.cuda.is_current_stream_capturing()


class CudaGraphs:
    """Captures the kernels of functions, and replays them.

    What one graph leaves must not be needed any more when another is replayed: they
    share memory.

    Parameters
    ----------
    generator : torch.Generator
        What the functions draw from, on their device. Each replay moves it on.

    Attributes
    ----------
    failed : bool
        Whether a capture failed; no other is begun then.
    """

    def __init__(self, generator):
        self.failed = False
        self._generator = generator
        self._stream = _stream_of(generator.device)
        self._pool = torch.cuda.graph_pool_handle()

    def run(self, function):
        """Call a function where it is to be captured, and return what it does."""
        with self._in_stream():
            return function()

    @contextmanager
    def _in_stream(self):
        """Launch kernels between those before and those after the context.

        A capture launches some, too: they set the state of generators, and fill new
        memory where the user wants it deterministic.
        """
        current = torch.cuda.current_stream(self._stream.device)
        with _one_at_a_time:
            self._stream.wait_stream(current)
            try:
                with torch.cuda.stream(self._stream):
                    yield
            finally:
                current.wait_stream(self._stream)

    def capture(self, function):
        """Record the kernels of a function, which are not run.

        Returns
        -------
        replay : callable
            Runs them.
        result : object
            What the function returned: tensors that replays write to.
        """
        graph = torch.cuda.CUDAGraph()
        before = self._generator.get_state()
        with self._in_stream():
            try:
                # On the device of the stream, which the current one need not be.
                graph.register_generator_state(self._generator)
                with torch.cuda.graph(
                    graph,
                    pool=self._pool,
                    stream=self._stream,
                    capture_error_mode="thread_local",
                ):
                    result = function()
            except BaseException:
                self._free_generators(before)
                raise

        def replay():
            with _one_at_a_time:
                graph.replay()

        return replay, result

    def _free_generators(self, before):
        """Take generators from a capture that failed, which may still hold them."""
        device = self._stream.device
        own = torch.cuda.default_generators[device.index]
        for generator, state in ((self._generator, before), (own, own.get_state())):
            free = torch.Generator(device)
            free.set_state(state)
            generator.graphsafe_set_state(free)


@cache
def _stream_of(device):
    """The stream of a device that all graphs are captured in.

    Memory is shared within one stream only, and libraries keep a workspace for each
    stream they have seen, for good: 64 MiB and more of a GPU's memory.
    """
    return torch.cuda.Stream(device)


class CapturedStep:
    """Takes steps by replaying a graph for each kind of batch.

    Where there can be no graph, one warning says so, and steps are taken kernel by
    kernel.

    Parameters
    ----------
    step : callable
        Takes a tensor of numbers and something hashable, which with the length of the
        tensor tells apart what it does. It does not wait for the device.
    graphs : CudaGraphs
    """

    def __init__(self, step, graphs):
        self._step, self._graphs = step, graphs
        self._n_direct: dict = {}
        self._captured: dict = {}

    def __call__(self, index, how):
        """Take a step; what it returns is valid until the next one."""
        kind = len(index), how
        if kind in self._captured:
            read, replay, result = self._captured[kind]
            read.copy_(index)
            replay()
            return result
        if self._graphs.failed:
            return self._step(index, how)
        n_direct = self._n_direct[kind] = self._n_direct.get(kind, 0) + 1
        if n_direct > DIRECT_STEPS:
            read, handled = index.clone(), sys.exc_info()[1]
            try:
                replay, result = self._graphs.capture(lambda: self._step(read, how))
            except Exception as error:
                self._graphs.failed = True
                # Their memory may be what was missing.
                self._captured.clear()
                warn(
                    "Training on the GPU will take longer than it could: its steps "
                    f"cannot be captured as a graph ({_first_of(error, handled)}). "
                    "Nothing else changes.",
                    RuntimeWarning,
                )
            else:
                self._captured[kind] = read, replay, result
                return self(index, how)
        return self._graphs.run(lambda: self._step(index, how))


def _first_of(error, handled):
    """What went wrong first, since the program handled another exception, if it did."""
    while error.__context__ not in (None, handled):
        error = error.__context__
    return f"{type(error).__name__}: {error}"
