"""How many samples each cluster has."""

import numpy as np
from sklearn.utils import check_consistent_length, column_or_1d
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils.validation import check_is_fitted

from skdepict.plotting._axes import MAX_LEGEND, new_axes


class ClusterSizesDisplay:
    """How many samples each cluster has, against the prior.

    Use :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    sizes : ndarray of shape (n_clusters,)
        The samples of each cluster.
    prior : ndarray of shape (n_clusters,)
        Expected frequencies.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    """

    def __init__(self, sizes, prior):
        self.sizes = sizes
        self.prior = prior

    @classmethod
    def from_estimator(cls, estimator, X=None, *, ax=None):
        """Draw the cluster sizes of a fitted model.

        Parameters
        ----------
        estimator : DEPICTClustering
            Fitted.
        X : array-like, default=None
            Samples to count; by default those of `fit`.
        ax : matplotlib Axes, default=None
            Where to draw; by default a new figure.

        Returns
        -------
        display : ClusterSizesDisplay
            With what was drawn.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        check_is_fitted(estimator)
        labels = estimator.labels_ if X is None else estimator.predict(X)
        return cls.from_predictions(
            labels, prior=estimator.prior, n_clusters=estimator.n_clusters_, ax=ax
        )

    @classmethod
    def from_predictions(cls, labels, *, prior=None, n_clusters=None, ax=None):
        """Draw the sizes of clusters by labels.

        Parameters
        ----------
        labels : array-like of shape (n_samples,)
            Values from 0 to n_clusters - 1.
        prior : array-like of shape (n_clusters,), default=None
            Expected frequencies; by default all alike.
        n_clusters : int, default=None
            By default the largest label and 1.
        ax : matplotlib Axes, default=None
            Where to draw; by default a new figure.

        Returns
        -------
        display : ClusterSizesDisplay
            With what was drawn.
        """
        check_matplotlib_support(f"{cls.__name__}.from_predictions")
        labels = column_or_1d(labels)
        if n_clusters is None:
            n_clusters = int(labels.max()) + 1 if prior is None else len(prior)
        sizes = np.bincount(labels, minlength=n_clusters)
        prior = np.full(n_clusters, 1 / n_clusters) if prior is None else prior
        check_consistent_length(sizes, prior)
        return cls(sizes, np.asarray(prior)).plot(ax=ax)

    def plot(self, ax=None):
        """Draw a bar for each cluster and a line where the prior expects its end.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; by default a new figure.

        Returns
        -------
        display : ClusterSizesDisplay
            With what was drawn.
        """
        ax = new_axes(self, ax)
        numbers = np.arange(len(self.sizes))
        ax.bar(numbers, self.sizes, color="tab:blue", alpha=0.7)
        expected = self.prior * self.sizes.sum()
        ax.hlines(expected, numbers - 0.45, numbers + 0.45, color="black", lw=1.5)
        ax.plot([], [], color="black", lw=1.5, label="prior")
        ax.legend(frameon=False, loc="upper right")
        ax.set_ylim(0, 1.15 * max(self.sizes.max(), expected.max()))
        if len(numbers) <= MAX_LEGEND:
            ax.set_xticks(numbers)
        ax.set(xlabel="cluster", ylabel="samples")
        ax.set_xlim(-0.6, len(numbers) - 0.4)
        return self
