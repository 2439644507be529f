"""Images of your own as arrays."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch

from skdepict._data.paths import as_path
from skdepict._surroundings import warn

# Of the files that cannot be read, a warning names so many.
MAX_NAMED = 10


def load_image_folder(
    path: str | os.PathLike[str], image_shape: Sequence[int]
) -> Bunch:
    """Read all images of a folder and of the folders in it, at one size.

    Every file but those with a hidden name (".DS_Store") is tried, whatever its ending.
    Photographs are turned as their camera says, transparent parts are put on white, and
    what has another size is resized, without keeping the ratio of its sides. Of
    animated images the first frame is read. Links to folders are not followed, and
    pipes and the like are no files.

    Pictures of 16 bits, of microscopes or X-rays, often use only some of them: white is
    the largest number of as many bits as the folder uses, at least 8.

    Parameters
    ----------
    path : str or Path
        The folder.
    image_shape : tuple of int
        (height, width) for grey images, (height, width, 3) for images in colour.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the attributes

        images : ndarray of uint8, of shape (n_images, height, width[, 3])
            In the order of the names of their files.
        filenames : ndarray of str, shape (n_images,)
            Where each came from, relative to the folder.

    Raises
    ------
    ImportError
        If Pillow is not installed.
    OSError
        If there is no such folder, or if it or a folder in it cannot be read.
    ValueError
        If `image_shape` is no shape of an image, or if no file can be read as one.

    Warns
    -----
    UserWarning
        If files cannot be read as images; it names them. They have no row in the
        result.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from PIL import Image
    >>> from skdepict.datasets import load_image_folder
    >>> with TemporaryDirectory() as folder:
    ...     for name, grey in [("a.png", 0), ("b.jpg", 255)]:
    ...         Image.new("L", (40, 30), grey).save(Path(folder, name))
    ...     data = load_image_folder(folder, (28, 28))
    >>> data.images.shape, data.filenames.tolist()
    ((2, 28, 28), ['a.png', 'b.jpg'])
    """
    shape = _check_shape(image_shape)
    try:
        from PIL import UnidentifiedImageError
    except ImportError as error:
        raise ImportError(
            'load_image_folder needs Pillow: pip install "skdepict[images]".'
        ) from error
    folder = as_path(path)
    if not folder.is_dir():
        kind = NotADirectoryError if folder.exists() else FileNotFoundError
        raise kind(f"{folder} is no folder. Pass the folder that the images are in.")
    names = _files_in(folder)
    images = np.empty((len(names), *shape), dtype=np.uint8)
    deep: dict[int, NDArray[np.uint16]] = {}
    read: list[str] = []
    failed: list[str] = []
    for name in names:
        try:
            image = _read(folder / name, shape)
            if image.dtype == np.uint16:
                deep[len(read)] = image
            else:
                images[len(read)] = image
            read.append(name)
        except UnidentifiedImageError:
            failed.append(f"{name} (no image that Pillow knows)")
        except Exception as error:  # Pillow's many readers raise anything on damage
            failed.append(f"{name} ({error or type(error).__name__})")
    message = f"{len(failed)} of {len(names)} files could not be read as images: "
    message += "; ".join(failed[:MAX_NAMED]) + "; ..." * (len(failed) > MAX_NAMED)
    if not read:
        raise ValueError(
            f"{folder} has no images. {message if names else 'It has no files.'}"
        )
    if failed:
        warn(message)
    if deep:
        # One scale for all, or brightness would mean another thing in each.
        n_bits = max(8, int(max(image.max() for image in deep.values())).bit_length())
        for place, image in deep.items():
            scaled = image.astype(np.uint32) * 255 // (2**n_bits - 1)
            images[place] = scaled if len(shape) == 2 else scaled[..., None]
    return Bunch(images=images[: len(read)], filenames=np.array(read))


def _check_shape(image_shape: Sequence[int]) -> tuple[int, ...]:
    try:
        sides = tuple(int(side) for side in image_shape)
        legal = sides == tuple(image_shape) and min(sides) > 0
    except (TypeError, ValueError):
        legal = False
    if not legal or len(sides) not in (2, 3) or sides[2:] not in ((), (3,)):
        raise ValueError(
            f"image_shape={image_shape!r} must be (height, width) for grey images or "
            "(height, width, 3) for images in colour, positive integers."
        )
    return sides


def _files_in(folder: Path) -> list[str]:
    """The files below a folder that are not hidden, by name, relative to it."""

    def refuse(error: OSError) -> None:
        raise error

    names = []
    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        below = Path(parent).relative_to(folder)
        names += [
            (below / name).as_posix()
            for name in files
            if not name.startswith(".") and _may_be_file(Path(parent, name))
        ]
    return sorted(names)


def _may_be_file(path: Path) -> bool:
    """Whether a path is no pipe, socket or device, at which reading would wait."""
    return path.is_file() or not path.exists()


def _read(path: Path, shape: tuple[int, ...]) -> NDArray[Any]:
    """One image as an array of this shape; of 16 bits if it is grey and has them."""
    from PIL import Image, ImageOps

    size = (shape[1], shape[0])
    with Image.open(path) as file:
        image: Image.Image = ImageOps.exif_transpose(file)
        if image.mode.startswith("I;16"):
            # Pillow's own conversion to 8 bits cuts off instead of scaling.
            values = np.asarray(image).astype(np.float32)
            low, high = values.min(), values.max()
            if image.size != size:
                image = Image.fromarray(values)
                values = np.asarray(image.resize(size, Image.Resampling.LANCZOS))
            # Resizing overshoots at edges.
            return np.clip(np.rint(values), low, high).astype(np.uint16)
        if image.mode in ("I", "F"):
            raise ValueError("32-bit pixels, whose black and white are not known")
        if image.has_transparency_data:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        image = image.convert("RGB" if len(shape) == 3 else "L")
        if image.size != size:
            image = image.resize(size, Image.Resampling.LANCZOS)
        return np.asarray(image)
