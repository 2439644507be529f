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
        if self.size == 1:
            return function()
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
        counts = self.sum(counts).tolist()
        parts = []
        for rank, count in enumerate(counts):
            part = rows.new_empty((count, *rows.shape[1:]), device=self._device)
            if rank == self.rank:
                part.copy_(rows)
            with _partners():
                distributed.broadcast(part, src=rank)
            parts.append(part.cpu())
        return torch.cat(parts)

    def start_alike(self, module):
        """Copy the weights of the first process into all others."""
        if self.size == 1:
            return
        for tensor in module.state_dict().values():
            sent = tensor.to(self._device, copy=True)
            with _partners():
                distributed.broadcast(sent, src=0)
            tensor.copy_(sent)

    def sum_gradients(self, parameters):
        """Add up the gradients of all processes, in one message."""
        if self.size == 1:
            return
        parameters = list(parameters)
        device = parameters[0].device
        has_gradient = torch.tensor([float(p.grad is not None) for p in parameters])
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients = [parameter.grad for parameter in parameters]
        message = [g.flatten() for g in gradients] + [has_gradient.to(device)]
        *parts, has_gradient = self.sum(torch.cat(message)).split(
            [len(part) for part in message]
        )
        for parameter, part, has in zip(
            parameters, parts, has_gradient.tolist(), strict=True
        ):
            if has:
                # In place: the optimiser wants gradients in the order that the weights
                # have in memory, which is not that of the message.
                parameter.grad.copy_(part.view_as(parameter))
            else:
                parameter.grad = None

    @torch.no_grad()
    def average_buffers(self, module):
        """Let statistics of batches be the means of those of all processes."""
        if self.size == 1:
            return
        for buffer in module.buffers():
            if buffer.is_floating_point():
                buffer.copy_(self.sum(buffer) / self.size)

    def check_alike(self, rows, fingerprint):
        """Refuse to go on if processes were given different samples.

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
        if len(rows) < self.size:
            raise ValueError(
                f"{len(rows)} samples cannot be shared by {self.size} processes."
            )

        def describe():
            return rows.shape, str(rows.dtype), f"fingerprint {fingerprint()[:16]}"

        all_of_them: list = [None] * self.size
        description = self.each(describe)
        with _partners():
            distributed.all_gather_object(all_of_them, description)
        if any(other != all_of_them[0] for other in all_of_them):
            raise ValueError(
                "The processes of the group were given different data: "
                f"{all_of_them} by rank. Pass the same X to fit in each of them, as a "
                "memory map, say; each takes its own share of it."
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


def _is_of_connection(error):
    """Whether an error of torch is that other processes cannot be reached."""
    if isinstance(error, (distributed.DistNetworkError, distributed.DistStoreError)):
        return True
    words = (
        "connection",
        "connect to",
        "peer",
        "socket",
        "closed",
        "timed out",
        "remote",
    )
    return any(word in str(error).lower() for word in words)


@contextmanager
def _partners():
    """Say what a failure to reach the other processes means."""
    try:
        yield
    except RuntimeError as error:
        if not _is_of_connection(error):
            raise
        raise RuntimeError(
            f"Another process of the group cannot be reached any more ({error}). It "
            "has ended or failed: look at its output, and start all of them again."
        ) from error
