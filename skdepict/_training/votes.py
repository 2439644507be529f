"""What several fits agree on. Arrays in, arrays out; no torch."""

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_rand_score


def agreed_labels(labellings):
    """The cluster that most labellings place each sample in.

    Clusters of each labelling are named after those of the one that is most like all
    others, so that as many samples as possible keep their names.

    Parameters
    ----------
    labellings : list of ndarray of shape (n_samples,)
        Integers from 0, in each of them of the same number of clusters.

    Returns
    -------
    labels : ndarray of shape (n_samples,)
        Where labellings are even, as the one that is most like the others.
    number : int
        Which labelling that is.
    """
    alike = [
        sum(adjusted_rand_score(one, another) for another in labellings)
        for one in labellings
    ]
    number = int(np.argmax(alike))
    central = labellings[number]
    n_clusters = max(int(labels.max()) for labels in labellings) + 1
    rows = np.arange(len(central))
    votes = np.zeros((len(central), n_clusters))
    votes[rows, central] += 0.5
    for labels in labellings:
        shared = np.zeros((n_clusters, n_clusters))
        np.add.at(shared, (labels, central), 1)
        _, names = linear_sum_assignment(shared, maximize=True)
        votes[rows, names[labels]] += 1
    return votes.argmax(axis=1), number
