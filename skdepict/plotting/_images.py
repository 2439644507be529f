"""The images of each cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_consistent_length, column_or_1d
from sklearn.utils._optional_dependencies import check_matplotlib_support

from skdepict._data.hints import SamplesLike
from skdepict._data.rows import check_rows
from skdepict.plotting._axes import (
    check_images,
    draw_strip,
    fitted_model,
    has_learned_to_decode,
    new_figure,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE_INCHES = 0.3
COLUMNS = ("most certain", "least certain", "least typical")
PROTOTYPE = "prototype"


class ClusterImagesDisplay:
    """The images of each cluster, in a row: its prototype and some that are in it.

    Those it is most certain of, those it is least certain of, and the least typical.

    Use :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    images : ndarray of shape (n_clusters, n_columns, n_images, height, width[, \
            n_channels])
        The most certain ones, the least certain ones, and the least typical ones, if
        they are known; NaN where a cluster has fewer.
    sizes : ndarray of shape (n_clusters,)
        The samples of each cluster.
    prototypes : ndarray of shape (n_clusters, height, width[, n_channels]), \
            default=None
        What the images of each cluster have in common, drawn on the left of them.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes, of shape (n_clusters, n_columns)
        With prototypes these are the first column.
    figure_ : matplotlib Figure
    """

    def __init__(
        self,
        images: NDArray[np.float64],
        sizes: NDArray[np.int64],
        prototypes: NDArray[np.float64] | None = None,
    ) -> None:
        self.images = images
        self.sizes = sizes
        self.prototypes = prototypes

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        X: SamplesLike,
        *,
        n_images: int = 8,
        figure: Figure | None = None,
    ) -> Self:
        """Draw images of each cluster of a fitted model.

        Parameters
        ----------
        estimator : DEPICTClustering
            Fitted to images; or a pipeline that ends in one, or a search for one.
        X : array-like, or what `fit` reads in parts
            Images, or their flattened rows. Of a file only what is drawn is held.
        n_images : int, default=8
            How many of each cluster in each column.
        figure : matplotlib Figure, default=None
            Where to draw; by default a new one.

        Returns
        -------
        display : ClusterImagesDisplay
            With what was drawn.
        """
        estimator, X = fitted_model(cls, estimator, X)
        layout = check_images(estimator)
        probabilities = estimator.predict_proba(X)
        typicality = estimator.score_samples(X)
        rows, _ = check_rows(estimator, X, estimator._input_format.sample_shape)

        def images_at(index: NDArray[np.int64]) -> NDArray[Any]:
            return np.moveaxis(layout.arrange(rows[index]), 1, -1)

        images, sizes = _choose(images_at, probabilities, n_images, typicality)
        prototypes = None
        if has_learned_to_decode(estimator):
            decoded = estimator.cluster_prototypes_.reshape(len(sizes), -1)
            prototypes = np.moveaxis(layout.arrange(decoded), 1, -1)
        return cls(images, sizes, prototypes).plot(figure=figure)

    @classmethod
    def from_predictions(
        cls,
        images: ArrayLike,
        probabilities: ArrayLike,
        *,
        typicality: ArrayLike | None = None,
        n_images: int = 8,
        figure: Figure | None = None,
    ) -> Self:
        """Draw images by the probabilities of their clusters.

        Parameters
        ----------
        images : array-like of shape (n_samples, height, width) or (n_samples, height, \
                width, n_channels)
            What is drawn.
        probabilities : array-like of shape (n_samples, n_clusters)
            As `predict_proba` returns them.
        typicality : array-like of shape (n_samples,), default=None
            As `score_samples` returns it; without it there is no such column.
        n_images : int, default=8
            How many of each cluster in each column.
        figure : matplotlib Figure, default=None
            Where to draw; by default a new one.

        Returns
        -------
        display : ClusterImagesDisplay
            With what was drawn.
        """
        check_matplotlib_support(f"{cls.__name__}.from_predictions")
        images, probabilities = np.asarray(images), np.asarray(probabilities)
        scores = None if typicality is None else column_or_1d(typicality)
        check_consistent_length(images, probabilities, scores)
        chosen = _choose(images.__getitem__, probabilities, n_images, scores)
        return cls(*chosen).plot(figure)

    def plot(self, figure: Figure | None = None) -> Self:
        """Draw the images.

        Parameters
        ----------
        figure : matplotlib Figure, default=None
            Where to draw; by default a new one.

        Returns
        -------
        display : ClusterImagesDisplay
            With what was drawn.
        """
        n_clusters, n_columns, n_images, height, width = self.images.shape[:5]
        columns = [list(column) for column in np.moveaxis(self.images, 1, 0)]
        titles, widths = COLUMNS[:n_columns], [n_images] * n_columns
        if self.prototypes is not None:
            columns = [[[image] for image in self.prototypes], *columns]
            titles, widths = (PROTOTYPE, *titles), [2, *widths]
        side, lines = 0.42 * sum(widths), n_clusters * 0.42 * height / width
        figure = new_figure(self, figure, figsize=(side + 1.6, lines + 0.7))
        self.axes_ = figure.subplots(
            n_clusters, len(columns), squeeze=False, width_ratios=widths
        )
        limits = float(np.nanmin(self.images)), float(np.nanmax(self.images))
        for row, *of_row in zip(self.axes_, *columns, strict=True):
            for ax, images in zip(row, of_row, strict=True):
                draw_strip(ax, images, limits)
        for cluster, size in enumerate(self.sizes):
            self.axes_[cluster, 0].set_ylabel(
                f"{cluster}\n({size:,})",
                rotation=0,
                ha="right",
                va="center",
                fontsize=8,
            )
        for ax, title in zip(self.axes_[0], titles, strict=True):
            ax.set_title(title, fontsize=10)
        # Titles need as much of a low figure as of a high one.
        top = max(0.5, 1 - TITLE_INCHES * figure.dpi / figure.bbox.height)
        figure.subplots_adjust(
            left=0.09, right=0.99, bottom=0.01, top=top, wspace=0.04, hspace=0.06
        )
        return self


def _choose(
    images_at: Callable[[NDArray[np.int64]], NDArray[Any]],
    probabilities: NDArray[Any],
    n_images: int,
    typicality: NDArray[Any] | None,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The images of each cluster that are drawn, and the sizes."""
    if n_images < 1:
        raise ValueError(f"n_images={n_images} must be at least 1.")
    labels, certainty = probabilities.argmax(axis=1), probabilities.max(axis=1)
    n_clusters = probabilities.shape[1]
    image_shape = images_at(np.arange(1)).shape[1:]
    n_columns = len(COLUMNS) if typicality is not None else len(COLUMNS) - 1
    chosen = np.full((n_clusters, n_columns, n_images, *image_shape), np.nan)
    for cluster in range(n_clusters):
        members = np.flatnonzero(labels == cluster)
        members = members[np.argsort(-certainty[members], kind="stable")]
        orders = [members, members[::-1]]
        if typicality is not None:
            orders.append(members[np.argsort(typicality[members], kind="stable")])
        for column, order in enumerate(orders):
            shown = order[:n_images]
            if len(shown) > 0:
                chosen[cluster, column, : len(shown)] = images_at(shown)
    return chosen, np.bincount(labels, minlength=n_clusters)
