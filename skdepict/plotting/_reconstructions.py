"""Images beside what the decoder makes of their embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils._optional_dependencies import check_matplotlib_support

from skdepict._data.hints import RandomStateLike, SamplesLike
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


class ReconstructionDisplay:
    """Images, and below each what the decoder makes of its embedding.

    What a reconstruction lacks, the embedding does not hold: clusters cannot be told
    apart by it.

    Use :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    images : ndarray of shape (n_images, height, width[, n_channels])
        What is drawn above.
    reconstructions : ndarray of shape (n_images, height, width[, n_channels])
        What is drawn below.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes, of shape (2,)
    figure_ : matplotlib Figure
    """

    def __init__(
        self, images: NDArray[np.float64], reconstructions: NDArray[np.float64]
    ) -> None:
        self.images = images
        self.reconstructions = reconstructions

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        X: SamplesLike,
        *,
        n_images: int = 16,
        random_state: RandomStateLike = 0,
        figure: Figure | None = None,
    ) -> Self:
        """Draw some images and their reconstructions by a fitted model.

        Parameters
        ----------
        estimator : DEPICTClustering
            Fitted to images, with a decoder that has learned something: not with
            ``reconstruction_weight=0``. Or a pipeline that ends in one, or a search for
            one.
        X : array-like, or what `fit` reads in parts
            Images, or their flattened rows. Of a file only what is drawn is read.
        n_images : int, default=16
            How many are drawn, at random.
        random_state : int, RandomState instance or None, default=0
            Which ones.
        figure : matplotlib Figure, default=None
            Where to draw; by default a new one.

        Returns
        -------
        display : ReconstructionDisplay
            With what was drawn.
        """
        estimator, X = fitted_model(cls, estimator, X)
        layout = check_images(estimator)
        if not has_learned_to_decode(estimator):
            raise ValueError(
                "The decoder of this model has learned nothing, so there are no "
                "reconstructions. Fit with a reconstruction_weight above 0."
            )
        rows, _ = check_rows(estimator, X, estimator._input_format.sample_shape)
        order = check_random_state(random_state).permutation(len(rows))
        images = np.asarray(rows[np.sort(order[:n_images])])
        decoded = estimator.inverse_transform(estimator.transform(images))
        both = (
            np.moveaxis(layout.arrange(part.reshape(len(images), -1)), 1, -1)
            for part in (images, decoded)
        )
        return cls.from_predictions(*both, figure=figure)

    @classmethod
    def from_predictions(
        cls,
        images: ArrayLike,
        reconstructions: ArrayLike,
        *,
        figure: Figure | None = None,
    ) -> Self:
        """Draw images and their reconstructions.

        Parameters
        ----------
        images : array-like of shape (n_images, height, width[, n_channels])
            What is drawn above.
        reconstructions : array-like of shape (n_images, height, width[, n_channels])
            What is drawn below, in the same units.
        figure : matplotlib Figure, default=None
            Where to draw; by default a new one.

        Returns
        -------
        display : ReconstructionDisplay
            With what was drawn.
        """
        check_matplotlib_support(f"{cls.__name__}.from_predictions")
        images, reconstructions = np.asarray(images), np.asarray(reconstructions)
        if images.shape != reconstructions.shape or images.ndim not in (3, 4):
            raise ValueError(
                f"images have the shape {images.shape} and reconstructions "
                f"{reconstructions.shape}. Both must be (n_images, height, width) or "
                "(n_images, height, width, n_channels)."
            )
        return cls(images, reconstructions).plot(figure)

    def plot(self, figure: Figure | None = None) -> Self:
        """Draw them.

        Parameters
        ----------
        figure : matplotlib Figure, default=None
            Where to draw; by default a new one.

        Returns
        -------
        display : ReconstructionDisplay
            With what was drawn.
        """
        n_images, height, width = self.images.shape[:3]
        side = min(0.6, 12 / n_images)
        size: Any = side * n_images + 1.3, 2 * side * height / width + 0.2
        figure = new_figure(self, figure, figsize=size)
        self.axes_ = figure.subplots(2, 1)
        limits = float(self.images.min()), float(self.images.max())
        rows = self.images, self.reconstructions
        names = "image", "reconstruction"
        for ax, images, name in zip(self.axes_, rows, names, strict=True):
            draw_strip(ax, images, limits)
            ax.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
        left = 1.2 / size[0]
        figure.subplots_adjust(left, right=0.99, bottom=0.02, top=0.98, hspace=0.05)
        return self
