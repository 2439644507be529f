"""Tables with quantities and categories: gaps between values that mean nothing."""

import numpy as np

from skdepict._training.streams import stream_seed

# A column of more different values is a quantity.
MAX_VALUES = 20
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
        The same array where no column, or each, has few values.
    """
    first = np.sort(rows[:N_LOOKED_AT], axis=0)
    n_values = 1 + (first[1:] != first[:-1]).sum(axis=0)
    values = {
        column: np.unique(rows[:, column])
        for column in np.flatnonzero(n_values <= MAX_VALUES)
    }
    is_few = {column: len(found) <= MAX_VALUES for column, found in values.items()}
    if sum(is_few.values()) == rows.shape[1]:
        return rows
    generator, spread = np.random.default_rng(seed), rows
    for column, found in values.items():
        if is_few[column] and len(found) > 1:
            spread = rows.copy() if spread is rows else spread
            middle = (found[1:] + found[:-1]) / 2
            lowest, highest = 2 * found[[0, -1]] - middle[[0, -1]]
            place = np.searchsorted(found, rows[:, column])
            spread[:, column] = generator.uniform(
                np.append(lowest, middle)[place], np.append(middle, highest)[place]
            )
    return spread
