"""Pictures of what was found, as scikit-learn's displays.

Each display keeps what it has drawn as ``ax_`` (or ``axes_``) and ``figure_``.
"""

from skdepict.plotting._dendrogram import DendrogramDisplay
from skdepict.plotting._embedding import EmbeddingDisplay
from skdepict.plotting._history import TrainingHistoryDisplay
from skdepict.plotting._images import ClusterImagesDisplay
from skdepict.plotting._numbers import ClusterNumberDisplay
from skdepict.plotting._reconstructions import ReconstructionDisplay
from skdepict.plotting._sizes import ClusterSizesDisplay

__all__ = [
    "ClusterImagesDisplay",
    "ClusterNumberDisplay",
    "ClusterSizesDisplay",
    "DendrogramDisplay",
    "EmbeddingDisplay",
    "ReconstructionDisplay",
    "TrainingHistoryDisplay",
]
