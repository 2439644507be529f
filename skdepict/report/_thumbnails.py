"""Small pictures of samples, and many of them in one."""

import base64
import io
import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skdepict._data.samples import InputFormat

# Sprites of more pixels on a side are not shown by every browser.
MAX_SPRITE_SIDE = 8192
MAX_THUMBNAIL_SIDE = 64
MAX_EXACT_SIDE = 32
# Of JPEG. The image of all pictures gets the first that fits into this many letters.
QUALITIES = (85, 60, 35)
MAX_SPRITE_LENGTH = 14 * 2**20
SERIES_SIZE = (32, 64)


class Thumbnails:
    """Small pictures of images or series, as arrays of grey or colour bytes.

    Parameters
    ----------
    input_format : InputFormat
    rows : ndarray or PartwiseRows of shape (n_samples, n_features)
    """

    def __init__(self, input_format: InputFormat, rows: Any) -> None:
        self._format, self._rows = input_format, rows
        self.exist = self.show_rows = input_format.layout.kind != "table"
        # One range for all, from a few; what lies outside is cut off.
        places = np.unique(np.linspace(0, len(rows) - 1, 1000).astype(int))
        some = input_format.scaled_rows(rows[places])
        self._low, self._high = float(some.min()), float(some.max())

    def fit_into_one(self, n_pictures: int, max_side: int = MAX_SPRITE_SIDE) -> bool:
        """Whether so many pictures can be one image."""
        height, width = self.draw([0]).shape[1:3]
        n_fitting: int = (max_side // height) * (max_side // width)
        return n_pictures <= n_fitting

    def draw(self, index: ArrayLike) -> NDArray[np.uint8]:
        """Pictures of samples, of shape (n_chosen, height, width[, 3])."""
        return self.draw_rows(self._rows[np.asarray(index)])

    def draw_rows(self, rows: NDArray[Any]) -> NDArray[np.uint8]:
        """Pictures of samples that are none of the rows."""
        rows = self._format.scaled_rows(rows)
        samples = rows.reshape(len(rows), *self._format.layout.shape)
        shares = (samples - self._low) / ((self._high - self._low) or 1.0)
        shares = shares.clip(0, 1)
        if self._format.layout.kind == "series":
            return np.stack([_curves(sample) for sample in shares])
        step = _step(samples.shape[2:])
        levels = np.rint(255 * shares[:, :, ::step, ::step])
        pixels: NDArray[np.uint8] = levels.astype(np.uint8)
        if pixels.shape[1] in (3, 4):
            return np.moveaxis(pixels[:, :3], 1, -1)
        return pixels[:, 0]


class PictureThumbnails(Thumbnails):
    """Small pictures of what samples were made of, such as photographs.

    Parameters
    ----------
    pictures : ndarray of uint8, of shape (n_samples, height, width[, 3])
    n_samples : int

    Raises
    ------
    ValueError
        If they are no such pictures, or more or fewer.
    """

    def __init__(self, pictures: NDArray[np.uint8], n_samples: int) -> None:
        array = np.asarray(pictures)
        grey_or_colour = array.ndim == 3 or (array.ndim == 4 and array.shape[3] == 3)
        if array.dtype != np.uint8 or not grey_or_colour or len(array) != n_samples:
            raise ValueError(
                f"pictures is an array of {array.dtype} of shape {array.shape}. Pass "
                f"uint8 of shape ({n_samples}, height, width) or ({n_samples}, height, "
                "width, 3)."
            )
        self._pictures = array
        self.exist, self.show_rows = True, False

    def draw(self, index: ArrayLike) -> NDArray[np.uint8]:
        """Pictures of samples, of shape (n_chosen, height, width[, 3])."""
        step = _step(self._pictures.shape[1:3])
        chosen: NDArray[np.uint8] = self._pictures[np.asarray(index)]
        return np.ascontiguousarray(chosen[:, ::step, ::step])


def _step(sides: tuple[int, ...]) -> int:
    return math.ceil(max(sides) / MAX_THUMBNAIL_SIDE)


def _curves(channels: NDArray[Any]) -> NDArray[np.uint8]:
    """Series of shape (n_channels, length), from 0 to 1, as lines in one picture."""
    height, width = SERIES_SIZE
    picture = np.full(SERIES_SIZE, 255, dtype=np.uint8)
    for values in channels:
        at = np.linspace(0, len(values) - 1, width)
        level = np.interp(at, np.arange(len(values)), values)
        line = np.rint((1 - level) * (height - 1)).astype(int)
        ends = np.append(line[1:], line[-1])
        for column, (start, stop) in enumerate(zip(line, ends, strict=True)):
            picture[min(start, stop) : max(start, stop) + 1, column] = 0
    return picture


def image(picture: NDArray[np.uint8]) -> str:
    """One picture as the address of an image that is in the page itself."""
    return _address(picture, None if _stays_exact(picture.shape) else QUALITIES[0])


def _stays_exact(shape: tuple[int, ...]) -> bool:
    # Of many pixels a loss is not seen, and pictures stay small.
    return max(shape[:2]) <= MAX_EXACT_SIDE


def _address(pixels: NDArray[np.uint8], quality: int | None) -> str:
    """JPEG of a quality, or PNG."""
    from PIL import Image  # matplotlib needs it, too

    file = io.BytesIO()
    form = "png" if quality is None else "jpeg"
    options = {} if quality is None else {"quality": quality}
    Image.fromarray(pixels).save(file, form, **options)
    return f"data:image/{form};base64,{base64.b64encode(file.getvalue()).decode()}"


def sprite(
    pictures: NDArray[np.uint8], max_length: int = MAX_SPRITE_LENGTH
) -> dict[str, Any]:
    """All pictures side by side in one image, as exact as `max_length` lets it be.

    Parameters
    ----------
    pictures : ndarray of shape (n_pictures, height, width[, 3])
    max_length : int, default=MAX_SPRITE_LENGTH
        Letters.

    Returns
    -------
    content : dict
        The address of the image, its columns, and the width and height of a picture.
    """
    height, width = pictures.shape[1:3]
    # As nearly square as can be, so that both sides stay below the limit.
    n_columns = math.ceil(math.sqrt(len(pictures) * height / width))
    n_columns = max(1, min(n_columns, MAX_SPRITE_SIDE // width))
    n_lines = -(-len(pictures) // n_columns)
    padded = np.full((n_lines * n_columns, *pictures.shape[1:]), 255, dtype=np.uint8)
    padded[: len(pictures)] = pictures
    lines = padded.reshape(n_lines, n_columns, *pictures.shape[1:])
    whole = np.concatenate([np.concatenate(list(line), axis=1) for line in lines])
    exact = (None,) * _stays_exact(pictures.shape[1:])
    for quality in (*exact, *QUALITIES):
        picture = _address(np.ascontiguousarray(whole), quality)
        if len(picture) <= max_length or max(height, width) == 1:
            return {"sprite": picture, "columns": n_columns, "size": [width, height]}
    return sprite(pictures[:, ::2, ::2], max_length)
