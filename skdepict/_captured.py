"""Gradients from a captured graph of kernels, for GPUs.

A step of a small network is some hundred kernels, and the GPU is done with each before
the next one is launched. Captured once, they are launched as one.
"""

import threading
import warnings

import torch

# Batches of a kind that are taken kernel by kernel first: libraries set themselves up.
WARM_UP_BATCHES = 3
# Rounding makes a captured batch differ by less; one that is wrong differs by more.
MAX_DIFFERENCE = 0.05
_one_at_a_time = threading.Lock()


class CudaGraph:
    """The kernels of a function, captured once, launched as one.

    Parameters
    ----------
    noise : torch.Generator
        What the function draws from, on its device. Each replay goes on with it.
    """

    def __init__(self, noise):
        self._noise = noise
        self._graph = torch.cuda.CUDAGraph()
        self._stream = torch.cuda.Stream(noise.device)

    def warm_up(self, function):
        """Call the function where it is to be captured."""
        current = torch.cuda.current_stream(self._stream.device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            result = function()
        current.wait_stream(self._stream)
        return result

    def capture(self, function):
        """Record the kernels of the function, which are not run, and its result."""
        self._graph.register_generator_state(self._noise)
        # Other threads may go on, but not capture.
        with (
            _one_at_a_time,
            torch.cuda.stream(self._stream),
            torch.cuda.graph(
                self._graph, stream=self._stream, capture_error_mode="thread_local"
            ),
        ):
            return function()

    def replay(self):
        """Run what was captured; results are where they were then."""
        self._graph.replay()

    def abandon(self):
        """Free the generator from a capture that failed."""
        self._noise.graphsafe_set_state(torch.Generator(self._noise.device))


def graph_for(device):
    """The class of graphs for a device, or None where there are none."""
    return CudaGraph if device.type == "cuda" else None


class CapturedGradients:
    """Computes gradients by replaying a graph for each kind of batch.

    Before a graph is used, its gradients are compared with those that are computed
    without it, from the same weights, batch and noise. Where they differ, or there can
    be no graph, training goes on without.

    Parameters
    ----------
    compute : callable
        Leaves gradients at the weights and returns losses, both from the numbers of a
        batch's samples. It must not wait for the device, and do the same each time.
    kind : callable
        What, beside its size, tells batches apart that `compute` treats differently.
    model : torch.nn.Module
        Whose weights get the gradients.
    noise : torch.Generator
        What `compute` draws from.
    new_graph : type
        As `CudaGraph`.
    """

    def __init__(self, compute, kind, model, noise, new_graph):
        self._compute, self._kind = compute, kind
        self._noise, self._new_graph = noise, new_graph
        self._parameters = list(model.parameters())
        self._buffers = list(model.buffers())
        self._batches = {}
        self._given_up = False

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
        if self._given_up:
            return self._compute(index)
        kind = (len(index), self._kind())
        if kind not in self._batches:
            self._batches[kind] = _Batch(self._new_graph(self._noise), index.clone())
        batch = self._batches[kind]
        batch.n_taken += 1
        if batch.n_taken <= WARM_UP_BATCHES:
            return batch.graph.warm_up(lambda: self._compute(index))
        if batch.n_taken == WARM_UP_BATCHES + 1:
            return self._capture(batch, index)
        return self._replay(batch, index)

    def _replay(self, batch, index):
        batch.index.copy_(index)
        batch.graph.replay()
        for parameter, gradient in zip(self._parameters, batch.gradients, strict=True):
            parameter.grad = gradient
        return batch.losses

    def _capture(self, batch, index):
        """Capture on an earlier batch, replay on this one, and compare."""
        before = self._state()
        losses = batch.graph.warm_up(lambda: self._compute(index))
        gradients, after = self._gradients(), self._state()
        self._restore(before)
        try:
            batch.losses = batch.graph.capture(lambda: self._compute(batch.index))
            batch.gradients = self._gradients()
            found = self._replay(batch, index)
            problem = _difference("losses", [found], [losses]) or _difference(
                "gradients", batch.gradients, gradients
            )
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
            batch.graph.abandon()
        if not problem:
            return found
        warnings.warn(
            f"Training on the GPU will take longer than it could: its steps cannot be "
            f"captured as a graph ({problem}). Results stay the same.",
            RuntimeWarning,
            stacklevel=2,
        )
        self._given_up = True
        self._batches.clear()
        self._restore(after)
        for parameter, gradient in zip(self._parameters, gradients, strict=True):
            parameter.grad = gradient
        return losses

    def _gradients(self):
        return [parameter.grad for parameter in self._parameters]

    def _state(self):
        """What a batch changes beside gradients: the noise, and running statistics."""
        return self._noise.get_state(), [buffer.clone() for buffer in self._buffers]

    def _restore(self, state):
        noise, buffers = state
        self._noise.set_state(noise)
        for buffer, value in zip(self._buffers, buffers, strict=True):
            buffer.copy_(value)


class _Batch:
    """What is kept of a kind of batch."""

    def __init__(self, graph, index):
        self.graph, self.index = graph, index
        self.n_taken = 0
        self.gradients: list = []
        self.losses = None


def _difference(name, found, expected):
    """Say by how much tensors differ together, if that is more than rounding does."""
    if [t is None for t in found] != [t is None for t in expected]:
        return f"it has {name} elsewhere"
    pairs = [
        (a.float(), b.float())
        for a, b in zip(found, expected, strict=True)
        if a is not None
    ]
    distance = torch.stack([(a - b).norm() for a, b in pairs]).norm().item()
    length = torch.stack([b.norm() for _, b in pairs]).norm().item()
    if distance <= MAX_DIFFERENCE * length:
        return ""
    return f"its {name} differ by {distance:.3g} from those of length {length:.3g}"
