"""Gradients from a captured graph of kernels, for GPUs.

A step of a small network is some hundred kernels, and the GPU is done with each before
the next one is launched. Captured once, they are launched as one.
"""

import os
import sys
import threading
from functools import cache

import torch

from skdepict._surroundings import warn
from skdepict.networks._device import is_out_of_memory

# Batches of a kind that are taken kernel by kernel first: libraries set themselves up.
DIRECT_BATCHES = 3
# Rounding makes a tensor of a captured batch differ by less of its length, or of that
# of all; one that is wrong differs by more.
MAX_DIFFERENCE = 0.05
MAX_DIFFERENCE_OF_ALL = 0.001
SWITCH = "SKDEPICT_CUDA_GRAPHS"
_one_at_a_time = threading.RLock()


class CudaGraphs:
    """Graphs of the kernels of functions, each captured once and launched as one.

    They share memory: what one leaves must not be needed any more when another is
    replayed.

    Parameters
    ----------
    noise : torch.Generator
        What the functions draw from, on their device. Each replay goes on with it.
    """

    # A capture that failed leaves some versions of torch unable to begin another.
    can_capture = True

    def __init__(self, noise):
        self._noise = noise
        # Memory is shared within one stream only.
        self._stream = _stream_of(noise.device)
        self._pool = torch.cuda.graph_pool_handle()

    def warm_up(self, function):
        """Call a function where it is to be captured."""
        current = torch.cuda.current_stream(self._stream.device)
        # Another thread's kernels in the stream would become part of a capture.
        with _one_at_a_time:
            self._stream.wait_stream(current)
            try:
                with torch.cuda.stream(self._stream):
                    return function()
            finally:
                current.wait_stream(self._stream)

    def capture(self, function):
        """Record the kernels of a function, which are not run.

        Returns
        -------
        graph : torch.cuda.CUDAGraph
        result : object
            What the function returned: tensors that replays write to.
        """
        graph = torch.cuda.CUDAGraph()
        with _one_at_a_time, torch.cuda.stream(self._stream):
            try:
                # On the device of the stream, which the current one need not be.
                graph.register_generator_state(self._noise)
                with torch.cuda.graph(
                    graph,
                    pool=self._pool,
                    stream=self._stream,
                    capture_error_mode="thread_local",
                ):
                    return graph, function()
            except BaseException:
                self._free_generators()
                CudaGraphs.can_capture = False
                raise

    def replay(self, graph):
        """Run what was captured."""
        # Any graph also goes on with torch's own generator, which a capture holds.
        with _one_at_a_time:
            graph.replay()

    def _free_generators(self):
        """Take generators from a capture that failed, which may still hold them."""
        device = self._stream.device
        for generator in (self._noise, torch.cuda.default_generators[device.index]):
            free = torch.Generator(device)
            free.set_state(generator.get_state())
            generator.graphsafe_set_state(free)


@cache
def _stream_of(device):
    """The stream of a device that all graphs are captured in.

    Libraries keep a workspace for each stream they have seen, for good: 64 MiB and more
    of a GPU's memory.
    """
    return torch.cuda.Stream(device)


def graphs_for(device):
    """The class of graphs for a device, or None where there are to be none."""
    switched_off = os.environ.get(SWITCH) == "0"
    if device.type != "cuda" or switched_off or not CudaGraphs.can_capture:
        return None
    return CudaGraphs


class CapturedGradients:
    """Computes gradients by replaying a graph for each kind of batch.

    Before a graph is used, what it leaves is compared with what is computed without it,
    from the same weights, batch and noise. Where that differs, or there can be no
    graph, training goes on without.

    Parameters
    ----------
    compute : callable
        Leaves gradients at the weights and returns losses, both from the numbers of a
        batch's samples. It must not wait for the device, and do the same each time.
    compute_in_less : callable
        The same, in less memory where that is all there is.
    kind : callable
        What, beside its size, tells batches apart that `compute` treats differently.
    model : torch.nn.Module
        Whose weights get the gradients.
    noise : torch.Generator
        What `compute` draws from.
    new_graphs : callable
        As `CudaGraphs`.
    give_up : callable
        Called when there is to be no graph from now on.
    """

    def __init__(
        self, compute, compute_in_less, kind, model, noise, new_graphs, give_up
    ):
        self._compute, self._compute_in_less = compute, compute_in_less
        self._kind, self._noise, self._give_up = kind, noise, give_up
        self._parameters = list(model.parameters())
        self._buffers = list(model.buffers())
        self._graphs = new_graphs(noise)
        self._captured = {}

    def __call__(self, index):
        """Compute the gradients of a batch.

        Parameters
        ----------
        index : tensor of shape (batch_size,)

        Returns
        -------
        losses : tensor of shape (2,)
            Valid until the next call.
        """
        if self._graphs is None:
            return self._compute_in_less(index)
        kind = (len(index), self._kind())
        if kind not in self._captured:
            self._captured[kind] = _Captured(index.clone())
        captured = self._captured[kind]
        if captured.graph is not None:
            return self._replay(captured, index)
        before = self._state()
        try:
            captured.n_direct += 1
            if captured.n_direct <= DIRECT_BATCHES:
                return self._graphs.warm_up(lambda: self._compute(index))
            return self._capture(captured, index, before)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        # After the exception, which holds tensors. Graphs hold some, too.
        self._go_on_without("out of memory")
        self._restore(before)
        return self._compute_in_less(index)

    def _replay(self, captured, index):
        captured.index.copy_(index)
        self._graphs.replay(captured.graph)
        self._set_gradients(captured.gradients)
        return captured.losses

    def _capture(self, captured, index, before):
        """Capture on an earlier batch, replay on this one, and compare."""
        losses = self._graphs.warm_up(lambda: self._compute(index))
        gradients, after = self._gradients(), self._state()
        self._restore(before)
        handled = sys.exc_info()[1]
        try:
            captured.graph, captured.losses = self._graphs.capture(
                lambda: self._compute(captured.index)
            )
            captured.gradients = self._gradients()
            self._replay(captured, index)
            problem = (
                _difference("losses", [captured.losses], [losses])
                or _difference("gradients", captured.gradients, gradients)
                or self._difference_of_state(after)
            )
        except Exception as error:
            problem = _first_of(error, handled)
        if not problem:
            return captured.losses
        self._go_on_without(problem)
        self._restore(after)
        self._set_gradients(gradients)
        return losses

    def _go_on_without(self, problem):
        self._graphs = None
        self._captured.clear()
        self._give_up()
        warn(
            f"Training on the GPU will take longer than it could: its steps cannot be "
            f"captured as a graph ({problem}). Nothing else changes.",
            RuntimeWarning,
        )

    def _gradients(self):
        return [parameter.grad for parameter in self._parameters]

    def _set_gradients(self, gradients):
        for parameter, gradient in zip(self._parameters, gradients, strict=True):
            parameter.grad = gradient

    def _state(self):
        """What a batch changes beside gradients: the noise, and running statistics."""
        return self._noise.get_state(), [buffer.clone() for buffer in self._buffers]

    def _difference_of_state(self, expected):
        noise, buffers = expected
        if not torch.equal(self._noise.get_state(), noise):
            return "its noise does not go on as it should"
        return _difference("running statistics", self._buffers, buffers)

    def _restore(self, state):
        noise, buffers = state
        self._noise.set_state(noise)
        for buffer, value in zip(self._buffers, buffers, strict=True):
            buffer.copy_(value)


class _Captured:
    """A graph for a kind of batch, what it reads, and what it leaves."""

    def __init__(self, index):
        self.index = index
        self.n_direct = 0
        self.graph = self.losses = None
        self.gradients: list = []


def _difference(name, found, expected):
    """Say by how much a tensor differs, if that is more than rounding does."""
    if [t is None for t in found] != [t is None for t in expected]:
        return f"it has {name} elsewhere"
    pairs = [(a, b) for a, b in zip(found, expected, strict=True) if a is not None]
    counts = [pair for pair in pairs if not pair[0].is_floating_point()]
    if not all(torch.equal(a, b) for a, b in counts):
        return f"its {name} count something else"
    pairs = [(a.float(), b.float()) for a, b in pairs if a.is_floating_point()]
    if not pairs:
        return ""
    distances = torch.stack([(a - b).norm() for a, b in pairs])
    lengths = torch.stack([b.norm() for _, b in pairs])
    allowed = MAX_DIFFERENCE * lengths + MAX_DIFFERENCE_OF_ALL * lengths.norm()
    if (distances <= allowed).all():
        return ""
    worst = (distances - allowed).argmax()
    return f"its {name} differ by {distances[worst]:.3g} from {lengths[worst]:.3g}"


def _first_of(error, before):
    """What an exception says, or the first that it came after but for one before."""
    while error.__context__ not in (None, before):
        error = error.__context__
    return f"{type(error).__name__}: {error}"
