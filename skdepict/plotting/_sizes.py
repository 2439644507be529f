"""How many samples each cluster has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_consistent_length, column_or_1d
from sklearn.utils._optional_dependencies import check_matplotlib_support

from skdepict._data.hints import SamplesLike
from skdepict.plotting._axes import MAX_LEGEND, fitted_model, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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

    def __init__(self, sizes: NDArray[np.int64], prior: NDArray[np.float64]) -> None:
        self.sizes = sizes
        self.prior = prior

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        X: SamplesLike | None = None,
        *,
        ax: Axes | None = None,
    ) -> Self:
        """Draw the cluster sizes of a fitted model.

        Parameters
        ----------
        estimator : DEPICTClustering
            Fitted; or a pipeline that ends in one, or a search for one.
        X : array-like, default=None
            Samples to count; by default those of `fit`.
        ax : matplotlib Axes, default=None
            Where to draw; by default a new figure.

        Returns
        -------
        display : ClusterSizesDisplay
            With what was drawn.
        """
        estimator, X = fitted_model(cls, estimator, X)
        labels = estimator.labels_ if X is None else estimator.predict(X)
        return cls.from_predictions(
            labels, prior=estimator.prior_, n_clusters=estimator.n_clusters_, ax=ax
        )

    @classmethod
    def from_predictions(
        cls,
        labels: ArrayLike,
        *,
        prior: ArrayLike | None = None,
        n_clusters: int | None = None,
        ax: Axes | None = None,
    ) -> Self:
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
        shares = None if prior is None else np.asarray(prior)
        if n_clusters is None and shares is not None:
            n_clusters = len(shares)
        sizes = np.bincount(column_or_1d(labels), minlength=n_clusters or 0)
        if shares is None:
            n_clusters = n_clusters or len(sizes)
            shares = np.full(n_clusters, 1 / n_clusters)
        check_consistent_length(sizes, shares)
        return cls(sizes, shares).plot(ax=ax)

    def plot(self, ax: Axes | None = None) -> Self:
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
