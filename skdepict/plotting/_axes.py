"""What displays share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sklearn.utils._optional_dependencies import check_matplotlib_support

if TYPE_CHECKING:
    from matplotlib.axes import Axes


MAX_LEGEND = 20  # More colours than these nobody can tell apart.


def new_axes(display: Any, ax: Axes | None) -> Axes:
    """The axes to draw on; new ones if there are none."""
    check_matplotlib_support(f"{type(display).__name__}.plot")
    import matplotlib.pyplot as plt

    if ax is None:
        _, ax = plt.subplots(layout="constrained")
    display.ax_, display.figure_ = ax, ax.figure
    return ax
