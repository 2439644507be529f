"""What users pass, for type hints."""

import os
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike


class _SupportsItems(Protocol):
    """Samples by their numbers: a dataset of torch, an array of h5py or zarr."""

    def __getitem__(self, index: int, /) -> Any: ...


SamplesLike = ArrayLike | os.PathLike[str] | _SupportsItems
RandomStateLike = int | np.random.RandomState | None
