"""Files: fitted models, checkpoints, and models for other runtimes.

What opens a model is handed the class of it, so that nothing here imports that.
"""

from skdepict.persistence._checkpoint import CheckpointError
from skdepict.persistence._model_file import ModelFileError

__all__ = ["CheckpointError", "ModelFileError"]
