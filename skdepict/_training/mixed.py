"""Tables with quantities and categories: gaps between values that mean nothing."""

import numpy as np

from skdepict._training.streams import stream_seed

# Tables are changed where some column has more different values, so that it surely is
# a quantity, and others have fewer: of eleven equally likely values the noise is less
# than a hundredth of the variance, and gaps part nothing.
MIN_QUANTITY = 20
MAX_VALUES = 10
# So many rows have to share each value but the most common one.
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
    whatever all others say. With a uniform random number in place of each value, nearer
    to it than half-way to the next one, there is no gap; what values go together is
    seen as before.

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
    for column in np.flatnonzero(n_values <= MIN_QUANTITY):
        values, counts = np.unique(rows[:, column], return_counts=True)
        if len(values) <= MIN_QUANTITY:
            of_few[column] = values, counts
    if len(of_few) == rows.shape[1]:
        return rows
    generator, spread = np.random.default_rng(seed), rows
    for column, (values, counts) in of_few.items():
        n_others = counts.sum() - counts.max()
        is_shared = n_others >= MIN_SHARED * (len(values) - 1)
        if not 1 < len(values) <= MAX_VALUES or not is_shared:
            continue
        gaps = np.diff(values.astype(np.float64))
        # One that is far from all others says nothing of these.
        reach = np.minimum(np.append(gaps[0], gaps), np.append(gaps, gaps[-1])) / 2
        if np.average(reach**2 / 3, weights=counts) > rows[:, column].var():
            continue
        spread = rows.copy() if spread is rows else spread
        noise = reach[np.searchsorted(values, rows[:, column])]
        spread[:, column] += noise * generator.uniform(-1, 1, len(rows))
    return spread
