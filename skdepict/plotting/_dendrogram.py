"""The tree of merges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from skdepict.plotting._axes import fitted_model, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class DendrogramDisplay:
    """The last merges of a tree of clusters.

    Use :meth:`from_estimator`.

    Parameters
    ----------
    linkage : ndarray of shape (n_samples - 1, 4)
        As :func:`scipy.cluster.hierarchy.linkage` returns it.
    n_clusters : int
        Where the tree is cut.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    """

    def __init__(self, linkage: NDArray[np.float64], n_clusters: int) -> None:
        self.linkage = linkage
        self.n_clusters = n_clusters

    @classmethod
    def from_estimator(
        cls, estimator: BaseEstimator, *, n_leaves: int = 30, ax: Axes | None = None
    ) -> Self:
        """Draw the tree of a fitted model.

        Parameters
        ----------
        estimator : PathIntegralClustering
            Fitted; or a pipeline that ends in one, or a search for one.
        n_leaves : int, default=30
            How many clusters are drawn at the bottom.
        ax : matplotlib Axes, default=None
            Where to draw; by default a new figure.

        Returns
        -------
        display : DendrogramDisplay
            With what was drawn.
        """
        model, _ = fitted_model(cls, estimator)
        display = cls(model.linkage_matrix(), model.n_clusters_)
        return display.plot(n_leaves=n_leaves, ax=ax)

    def plot(self, *, n_leaves: int = 30, ax: Axes | None = None) -> Self:
        """Draw the tree, with a colour for each cluster and a line at the cut.

        Parameters
        ----------
        n_leaves : int, default=30
            How many clusters are drawn at the bottom.
        ax : matplotlib Axes, default=None
            Where to draw; by default a new figure.

        Returns
        -------
        display : DendrogramDisplay
            With what was drawn.
        """
        from scipy.cluster.hierarchy import dendrogram

        ax = new_axes(self, ax)
        heights = self.linkage[:, 2]
        k = self.n_clusters
        # Between the last merge inside a cluster and the first one between two.
        above = heights[-(k - 1)] if k > 1 else heights[-1] * 1.05
        below = heights[-k] if k <= len(heights) else 0.0
        cut = (above + below) / 2
        dendrogram(
            self.linkage,
            p=max(n_leaves, k),
            truncate_mode="lastp",
            color_threshold=cut,
            above_threshold_color="0.4",
            leaf_font_size=7,
            ax=ax,
        )
        ax.axhline(cut, color="black", lw=0.8, ls="--")
        ax.set(ylabel="log of the fall in affinity", xlabel="samples of each branch")
        ax.tick_params(axis="x", labelrotation=90)
        return self
