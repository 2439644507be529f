"""A stream of random numbers of its own for each use of the seed of a fit."""

import numpy as np

# Only added to: the place of a use decides on its numbers.
USES = (
    "weights",
    "module",
    "order",
    "noise",
    "members",
    "screening",
    "clusterer",
    "held out",
    "columns",
)


def stream_seed(seed, use, *numbers):
    """The seed of one use, independent of those of all others.

    Parameters
    ----------
    seed : int
        Of the fit.
    use : str
        What is drawn, one of `USES`.
    *numbers : int
        Which of several streams for this use, such as the rank of a process.

    Returns
    -------
    stream_seed : int
        From 0 to 2**32 - 1.
    """
    sequence = np.random.SeedSequence(seed, spawn_key=(USES.index(use), *numbers))
    return int(sequence.generate_state(1)[0])
