"""What several fits agree on; no torch."""

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.base import clone
from sklearn.metrics import adjusted_rand_score
from sklearn.utils import check_random_state


def agreed_labels(labellings):
    """The cluster that most labellings place each sample in.

    Clusters of each labelling are named after those of the one that is most like all
    others, so that as many samples as possible keep their names.

    Parameters
    ----------
    labellings : list of ndarray of shape (n_samples,)
        Integers from 0.

    Returns
    -------
    labels : ndarray of shape (n_samples,)
        Where labellings are even, as the one that is most like the others.
    number : int
        Which labelling that is.
    renamed : ndarray of shape (n_labellings, n_samples)
        All labellings, their clusters named alike.
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
    renamed = np.empty((len(labellings), len(central)), dtype=np.int32)
    for labels, place in zip(labellings, renamed, strict=True):
        # scikit-learn's confusion_matrix warns of a single cluster.
        shared = np.zeros((n_clusters, n_clusters))
        np.add.at(shared, (labels, central), 1)
        _, names = linear_sum_assignment(shared, maximize=True)
        place[:] = names[labels]
        votes[rows, place] += 1
    return votes.argmax(axis=1), number, renamed


def estimator_of_votes(estimator, X):
    """Fit clones of an estimator, and make one that starts from their votes.

    Parameters
    ----------
    estimator : DEPICTClustering
        With `n_init` above 1; nothing of it is changed.
    X : array-like
        As for its `fit`.

    Returns
    -------
    estimator : DEPICTClustering
        Not fitted; with the number of clusters that is the median of those found.
    votes : ndarray of shape (n_init, n_samples)
        Where each fit places each sample, of the clusters that it starts from.

    Raises
    ------
    KeyboardInterrupt
        If there was one.
    """
    n_fits = estimator.n_init
    seeds = [None] * (n_fits + 1)
    if estimator.random_state is not None:
        generator = check_random_state(estimator.random_state)
        seeds = generator.randint(2**31 - 1, size=n_fits + 1).tolist()
    fits = []
    for number, seed in enumerate(seeds[:-1], 1):
        model = clone(estimator).set_params(n_init=1, random_state=seed)
        try:
            fits.append(model.fit(X))
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"Fit {number} of {n_fits} was interrupted, before there were votes. "
                "Nothing has been kept of it."
            ) from None
    n_clusters = int(np.median([model.n_clusters_ for model in fits]))
    labellings = [labels_of(model, n_clusters) for model in fits]
    labels, number, votes = agreed_labels(labellings)
    prior = estimator.prior
    if prior is None and np.ptp(fits[number].prior_) == 0:
        prior = "uniform"
    of_votes = clone(estimator).set_params(
        n_init=1,
        random_state=seeds[-1],
        n_clusters=n_clusters,
        init=labels,
        prior=prior,
        max_rounds=1,
    )
    return of_votes, votes


def labels_of(model, n_clusters):
    """The labels of a fitted estimator at a number of clusters, or the next it has."""
    if model.n_clusters_ == n_clusters:
        return model.labels_
    return model.cut(min(n_clusters, len(model.linkage_) + 1))
