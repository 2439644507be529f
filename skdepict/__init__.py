"""Deep clustering behind scikit-learn's interface.

`DEPICTClustering` finds groups in images, tables and series without labels.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skdepict._depict import DEPICTClustering as DEPICTClustering
    from skdepict._depict import load as load
    from skdepict._path_integral.components import (
        WhitenedComponents as WhitenedComponents,
    )
    from skdepict._path_integral.estimator import (
        PathIntegralClustering as PathIntegralClustering,
    )

__version__ = "0.1.0"

# Loaded on first use, since torch takes seconds to import.
_HOMES = {
    "DEPICTClustering": "skdepict._depict",
    "PathIntegralClustering": "skdepict._path_integral.estimator",
    "WhitenedComponents": "skdepict._path_integral.components",
    "load": "skdepict._depict",
}

_SUBMODULES = (
    "benchmark",
    "datasets",
    "metrics",
    "networks",
    "persistence",
    "plotting",
    "report",
)

__all__ = [*_HOMES, "__version__"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name in _SUBMODULES:
        return import_module(f"skdepict.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, *_SUBMODULES]
