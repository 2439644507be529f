"""What displays share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sklearn.base import BaseEstimator
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils.validation import check_is_fitted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


MAX_LEGEND = 20  # More colours than these nobody can tell apart.


def check_model(display: type, estimator: BaseEstimator) -> None:
    """Check what `from_estimator` of any display needs."""
    check_matplotlib_support(f"{display.__name__}.from_estimator")
    check_is_fitted(estimator)


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
