"""How many clusters there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from skdepict.plotting._axes import fitted_model, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class ClusterNumberDisplay:
    """What the joins of clusters say of their number.

    Use :meth:`from_estimator`.

    Parameters
    ----------
    n_clusters : ndarray of shape (n_numbers,)
        Numbers of clusters.
    agreement : ndarray of shape (n_numbers,)
        How much two views of a sample agree on its cluster, from 0 to 1.
    least_agreement : ndarray of shape (n_numbers,)
        How much they agree on which of the two least distinct clusters it is in.
    chosen : int
        The number of clusters of the model.
    modularity : ndarray of shape (n_numbers,), default=None
        By how much more often two views of a sample, or an image and its neighbour
        where groups were joined, are in one cluster than those of different samples.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    """

    def __init__(
        self,
        n_clusters: NDArray[np.int64],
        agreement: NDArray[np.float64],
        least_agreement: NDArray[np.float64],
        chosen: int,
        modularity: NDArray[np.float64] | None = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.agreement = agreement
        self.least_agreement = least_agreement
        self.chosen = chosen
        self.modularity = modularity

    @classmethod
    def from_estimator(
        cls, estimator: BaseEstimator, *, ax: Axes | None = None
    ) -> Self:
        """Draw the evidence of a fitted model.

        Parameters
        ----------
        estimator : DEPICTClustering
            Fitted; or a pipeline that ends in one, or a search for one.
        ax : matplotlib Axes, default=None
            Where to draw; by default a new figure.

        Returns
        -------
        display : ClusterNumberDisplay
            With what was drawn.
        """
        model, _ = fitted_model(cls, estimator)
        evidence = model.number_evidence_
        return cls(**evidence, chosen=model.n_clusters_).plot(ax=ax)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw the agreements, and the modularity, over the number of clusters.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; by default a new figure.

        Returns
        -------
        display : ClusterNumberDisplay
            With what was drawn.
        """
        ax = new_axes(self, ax)
        ax.plot(self.n_clusters, self.agreement, color="0.6", label="all clusters")
        ax.plot(
            self.n_clusters,
            self.least_agreement,
            color="tab:blue",
            marker="o",
            markersize=4,
            label="the two least distinct",
        )
        if self.modularity is not None:
            highest = [self.modularity.argmax()] if len(self.modularity) else []
            ax.plot(
                self.n_clusters,
                self.modularity,
                color="tab:orange",
                marker="^",
                markevery=highest,
                label="modularity, and its highest",
            )
        ax.axvline(self.chosen, color="black", lw=0.8, ls="--", label="this model")
        ax.legend(frameon=False)
        ax.set(xlabel="clusters", ylabel="agreement of two views, modularity")
        # So wide that whole numbers are marked, be there but one.
        numbers = np.append(self.n_clusters, self.chosen)
        ax.set_xlim(numbers.min() - 0.5, max(numbers.max(), 4) + 0.5)
        ax.set_ylim(-0.02, 1.02)
        ax.locator_params(axis="x", integer=True)
        return self
