"""What displays share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils.validation import check_is_fitted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from skdepict._data.layout import Layout


MAX_LEGEND = 20  # More colours than these nobody can tell apart.


def fitted_model(
    display: type, estimator: BaseEstimator, X: Any = None
) -> tuple[Any, Any]:
    """What `from_estimator` of any display needs.

    Returns
    -------
    model : estimator
        Fitted; of a search the best one, of a pipeline the last step.
    X : array-like or None
        As that step sees it.
    """
    check_matplotlib_support(f"{display.__name__}.from_estimator")
    check_is_fitted(estimator)
    model: Any = estimator
    while isinstance(model, (Pipeline, BaseSearchCV)):
        if isinstance(model, BaseSearchCV):
            if not hasattr(model, "best_estimator_"):
                raise ValueError(
                    f"This {type(model).__name__} has no best_estimator_. Search with "
                    "refit=True, or with the name of a score."
                )
            model = model.best_estimator_
        else:
            X = X if X is None or len(model) == 1 else model[:-1].transform(X)
            model = model[-1]
    if not hasattr(model, "n_clusters_"):
        raise TypeError(
            f"{display.__name__} draws a fitted clusterer, or a pipeline or search "
            f"that ends in one, but got {model!r}."
        )
    return model, X


def check_images(estimator: Any) -> Layout:
    """What an image is to a model; refuses models of anything else."""
    layout: Layout = estimator._input_format.layout
    if layout.kind != "image":
        raise ValueError(
            f"The model was fitted to samples of shape {layout.shape}, which are "
            "no images. Fit it with image_shape, or to images."
        )
    return layout


def has_learned_to_decode(estimator: Any) -> bool:
    """Whether what the decoder of a fitted model makes of embeddings means anything."""
    return any(epoch["reconstruction"] for epoch in estimator.history_)


def new_figure(display: Any, figure: Figure | None, **parameters: Any) -> Figure:
    """The figure to draw on; a new one with these parameters if there is none."""
    check_matplotlib_support(f"{type(display).__name__}.plot")
    import matplotlib.pyplot as plt

    if figure is None:
        figure = plt.figure(**parameters)
    display.figure_ = figure
    return figure


def new_axes(display: Any, ax: Axes | None) -> Axes:
    """The axes to draw on; new ones if there are none."""
    if ax is None:
        ax = new_figure(display, None, layout="constrained").subplots()
    display.ax_, display.figure_ = ax, ax.figure
    return ax


def draw_strip(ax: Axes, images: Any, limits: tuple[float, float]) -> None:
    """Draw images side by side, with the lowest and the highest value that they have.

    Those of one channel are grey, the higher the darker; NaN is white.
    """
    low, high = limits
    strip: NDArray[Any] = np.concatenate(list(images), axis=1)
    if strip.ndim == 3 and strip.shape[-1] not in (3, 4):
        strip = strip[..., 0]
    if strip.ndim == 3:
        strip = np.nan_to_num((strip - low) / ((high - low) or 1.0), nan=1)
        ax.imshow(strip.clip(0, 1))
    else:
        ax.imshow(strip, cmap="gray_r", vmin=low, vmax=high)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
