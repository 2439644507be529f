"""Several processes that train one model, each on its share of the samples."""

from contextlib import contextmanager

import torch
from torch import distributed


class Processes:
    """The process group of torch, or this process alone where there is none.

    Parameters
    ----------
    device : torch.device
        Where this process computes.

    Attributes
    ----------
    size : int
        The number of processes.
    rank : int
        The number of this one; the first one is 0.
    """

    def __init__(self, device):
        together = distributed.is_available() and distributed.is_initialized()
        self.size = distributed.get_world_size() if together else 1
        self.rank = distributed.get_rank() if together else 0
        self._device = torch.device("cpu")
        if self.size > 1:
            self._device = device_for_messages(device, distributed.get_backend_config())

    def share(self, n_samples):
        """The samples of this process: a slice of nearly n_samples / size."""
        bounds = [n_samples * rank // self.size for rank in range(self.size + 1)]
        return slice(bounds[self.rank], bounds[self.rank + 1])

    def sum(self, tensor):
        """The sum of a tensor over all processes."""
        return self._reduced(tensor, distributed.ReduceOp.SUM)

    def max(self, tensor):
        """The largest of each entry of a tensor over all processes."""
        return self._reduced(tensor, distributed.ReduceOp.MAX)

    def any(self, flag):
        """Whether a flag is set in any process."""
        return bool(self.max(torch.tensor(float(flag))))

    def from_first(self, function):
        """What a function returns in the first process; no other one calls it.

        An error that it raises there is raised everywhere.
        """
        if self.size == 1:
            return function()
        box: list = [None, None]
        if self.rank == 0:
            try:
                box[0] = function()
            except Exception as error:  # whatever it is, the others must not wait
                box[1] = error
        with _partners():
            distributed.broadcast_object_list(box, src=0, device=self._device)
        if box[1] is not None:
            raise box[1]
        return box[0]

    def each(self, function):
        """What a function returns in each process, unless it fails in one of them.

        The function must not wait for other processes.

        Raises
        ------
        Exception
            What the function raised here.
        RuntimeError
            If it failed in another process.
        """
        result, failure = None, None
        try:
            result = function()
        except Exception as error:
            failure = error
        failed = self.any(failure is not None)
        if failure is not None:
            raise failure
        if failed:
            raise RuntimeError("Another process of the group failed; see its output.")
        return result

    def gather(self, rows):
        """The rows of all processes, in the order of their ranks, in memory."""
        if self.size == 1:
            return rows.cpu()
        counts = torch.zeros(self.size, dtype=torch.int64)
        counts[self.rank] = len(rows)
        counts = self.sum(counts)
        start = int(counts[: self.rank].sum())
        everyones = torch.zeros((int(counts.sum()), *rows.shape[1:]), dtype=rows.dtype)
        everyones[start : start + len(rows)] = rows
        return self.sum(everyones)

    def everyones(self, rows):
        """The rows of all processes, as `gather`, but where this process has its own.

        Returns
        -------
        rows : tensor
            The same one, where there is one process.
        """
        return rows if self.size == 1 else self.gather(rows.cpu()).to(rows.device)

    def start_alike(self, module):
        """Give all processes the weights of the first one."""
        if self.size > 1:
            module.load_state_dict(self.from_first(module.state_dict))

    @torch.no_grad()
    def sum_gradients(self, parameters):
        """Add up the gradients of all processes, in one message."""
        if self.size == 1:
            return
        parameters = list(parameters)
        # A process may have none of a batch's samples, and a decoder no gradients.
        has_gradient = [
            parameter.new_full((1,), float(parameter.grad is not None))
            for parameter in parameters
        ]
        message = [
            torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten()
            for p in parameters
        ]
        message += has_gradient
        parts = self.sum(torch.cat(message)).split([len(part) for part in message])
        flags = torch.cat(parts[len(parameters) :]).tolist()
        # The flags, which are parts too, come last.
        for parameter, part, flag in zip(parameters, parts, flags, strict=False):
            # In the order that the weights have in memory, as the optimiser wants it.
            summed = torch.empty_like(parameter).copy_(part.view(parameter.shape))
            parameter.grad = summed if flag else None

    @torch.no_grad()
    def average_buffers(self, module):
        """Let statistics of batches be the means of those of all processes."""
        if self.size == 1:
            return
        for buffer in module.buffers():
            if buffer.is_floating_point():
                buffer.copy_(self.sum(buffer) / self.size)

    def check_alike(self, rows, fingerprint):
        """Refuse to train if processes were given different samples.

        Parameters
        ----------
        rows : ndarray or PartwiseRows of shape (n_samples, n_features)
        fingerprint : callable
            Returns that of all rows.

        Raises
        ------
        ValueError
            In all processes, also if there are more of them than samples.
        """
        if self.size == 1:
            return
        own = self.each(lambda: (rows.shape, str(rows.dtype), fingerprint()[:16]))
        first = self.from_first(lambda: own)
        if self.any(own != first):
            raise ValueError(
                "The processes of the group were given different data: shape, type and "
                f"fingerprint are {own} in process {self.rank} and {first} in the "
                "first. Pass the same X to fit in each of them, as a memory map, say; "
                "each takes its own share of it."
            )
        if len(rows) < self.size:
            raise ValueError(
                f"{len(rows)} samples cannot be shared by {self.size} processes."
            )

    def _reduced(self, tensor, operation):
        if self.size == 1:
            return tensor
        sent = tensor.detach().to(self._device, copy=True)
        with _partners():
            distributed.all_reduce(sent, op=operation)
        return sent.to(tensor.device)


def device_for_messages(device, backends):
    """Where what processes exchange has to be.

    Parameters
    ----------
    device : torch.device
        Where this process computes.
    backends : str
        A group's backend for each kind of device, as "cpu:gloo,cuda:nccl".

    Returns
    -------
    device : torch.device

    Raises
    ------
    ValueError
        If the group exchanges neither what is on the device nor what is in memory.
    """
    kinds = [backend.partition(":")[0] for backend in backends.split(",")]
    if device.type in kinds:
        return device
    if "cpu" in kinds:
        return torch.device("cpu")
    raise ValueError(
        f"The process group has the backends {backends!r} and cannot exchange what is "
        f"on device={device.type!r}. Use a device that it serves, or "
        "torch.distributed.init_process_group() without a backend, which serves all."
    )


@contextmanager
def _partners():
    """Say what a message that fails means."""
    try:
        yield
    except RuntimeError as error:
        raise RuntimeError(
            f"Another process of the group cannot be reached any more ({error}). If it "
            "has ended or failed, look at its output, and start all of them again."
        ) from error
