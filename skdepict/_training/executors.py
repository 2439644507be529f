"""How a batch is computed where it cannot be as a whole; knows nothing of what it is.

As a graph of kernels, on a GPU: `skdepict._training.captured`.
"""

from skdepict._training.captured import is_capturing
from skdepict.networks._device import is_out_of_memory, warn_of_memory


def own_share(numbers, share):
    """Which of some samples are this process's.

    Parameters
    ----------
    numbers : tensor of shape (n_chosen,)
        Of samples of all processes.
    share : slice
        The samples of this process.

    Returns
    -------
    own_numbers : tensor of shape (n_own,)
        Counted from the first sample of this process.
    is_own : tensor of bool, of shape (n_chosen,)
    """
    is_own = (numbers >= share.start) & (numbers < share.stop)
    return numbers[is_own] - share.start, is_own


class InParts:
    """Computes a batch in as many parts as the device has memory for so far."""

    def __init__(self):
        self._n_parts = 1

    def __call__(self, compute, index):
        """What a function makes of a batch.

        Parameters
        ----------
        compute : callable
            Takes a tuple of tensors, the parts, and begins anew each time it is called.
        index : tensor of shape (batch_size,)

        Returns
        -------
        result : object

        Warns
        -----
        UserWarning
            If the device has no memory for the parts, and smaller ones are tried.
        """
        while True:
            try:
                return compute(index.tensor_split(self._n_parts))
            except Exception as error:
                too_small = 2 * self._n_parts > len(index)
                # Within a capture, a second try would be recorded beside the first.
                if too_small or is_capturing() or not is_out_of_memory(error):
                    raise
            # Not before the exception is gone, which holds tensors.
            self._n_parts *= 2
            warn_of_memory(
                f"a batch is taken in {self._n_parts} parts",
                "Results are those of other noise, which is drawn for each part",
            )
