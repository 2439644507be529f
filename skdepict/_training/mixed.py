"""Tables with quantities and categories: gaps between values that mean nothing."""

import numpy as np

from skdepict._training.streams import stream_seed

# A column of more different values is a quantity. So is one that is mostly one value,
# whose other values fewer rows share than this.
MAX_VALUES = 20
MIN_SHARED = 10
# Of so many rows first, which tells of most columns.
N_LOOKED_AT = 1000


def rows_to_compare(labelled, settings):
    """Rows among which neighbours are searched for; those of tables `dequantized`.

    Parameters
    ----------
    labelled : Samples
    settings : Settings

    Returns
    -------
    rows : ndarray of shape (n_samples, n_features)
    """
    rows = labelled.rows()
    if not settings.is_table:
        return rows
    return dequantized(rows, stream_seed(settings.seed, "columns"))


def dequantized(rows, seed):
    """Spread the few values of a column, where other columns have many.

    No row lies between two categories or two answers. So neighbours, and walks along
    them, would not lead from one to the other, and any such column would part the rows,
    whatever all others say. With a uniform random number in place of each value, from
    half-way to the next lower one to half-way to the next higher one, there is no gap;
    what values go together is seen as before.

    Parameters
    ----------
    rows : ndarray of shape (n_samples, n_features)
    seed : int

    Returns
    -------
    rows : ndarray of shape (n_samples, n_features)
        The same array where no column, or each, has few values, and where these are
        rare: noise would hide them.
    """
    first = np.sort(rows[:N_LOOKED_AT], axis=0)
    n_values = 1 + (first[1:] != first[:-1]).sum(axis=0)
    of_few = {}
    for column in np.flatnonzero(n_values <= MAX_VALUES):
        values, counts = np.unique(rows[:, column], return_counts=True)
        if len(values) <= MAX_VALUES:
            of_few[column] = values, counts
    if len(of_few) == rows.shape[1]:
        return rows
    generator, spread = np.random.default_rng(seed), rows
    for column, (values, counts) in of_few.items():
        n_others = counts.sum() - counts.max()
        if n_others < MIN_SHARED * (len(values) - 1) or len(values) == 1:
            continue
        middle = (values[1:] + values[:-1]) / 2
        lowest, highest = 2 * values[[0, -1]] - middle[[0, -1]]
        lower, upper = np.append(lowest, middle), np.append(middle, highest)
        noise = np.average((upper - lower) ** 2 / 12, weights=counts)
        if noise > rows[:, column].var():
            continue
        spread = rows.copy() if spread is rows else spread
        place = np.searchsorted(values, rows[:, column])
        spread[:, column] = generator.uniform(lower[place], upper[place])
    return spread
