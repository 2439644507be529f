"""Samples that lie in files: pictures in folders, arrays of numpy."""

import os
import stat
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skdepict._data.paths import as_path

# Of the files that cannot be read, a message names so many.
MAX_NAMED = 10
MAX_FILE_BYTES = 2**30
# What its file manager leaves in folders of pictures.
OF_WINDOWS = {"thumbs.db", "desktop.ini"}


def read_samples(path: str) -> Any:
    """Samples of an ``.npy`` file, as a memory map, or X of an ``.npz`` file."""
    suffix = Path(path).suffix.lower()
    if suffix not in (".npy", ".npz"):
        raise ValueError(f"{path} must be an .npz file with X, or an .npy file.")
    if suffix == ".npy":
        return np.load(path, mmap_mode="r", allow_pickle=False)
    # numpy leaves a damaged file open that it has opened itself.
    with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
        names = list(arrays)
        if "X" not in names and len(names) != 1:
            raise ValueError(
                f"{path} holds the arrays {names}: name the samples X, or pass a file "
                "that holds nothing else."
            )
        return arrays["X" if "X" in names else names[0]]


def read_image_folder(
    path: str | os.PathLike[str],
    image_shape: Sequence[int],
    tell: Callable[[int, int], object] = lambda n_read, n_files: None,
) -> tuple[NDArray[np.uint8], list[str], list[str]]:
    """As `load_image_folder`, without a warning.

    Parameters
    ----------
    path, image_shape
        See there.
    tell : callable
        Called before each file with how many were tried, and how many there are.

    Returns
    -------
    images : ndarray of uint8, of shape (n_images, height, width[, 3])
    filenames : list of str
    failed : list of str
        The name of each file that could not be read, with the reason.
    """
    shape = _check_shape(image_shape)
    try:
        from PIL import UnidentifiedImageError
    except ImportError as error:
        raise ImportError(
            'Images are read by Pillow: pip install "skdepict[images]".'
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
    for number, name in enumerate(names):
        tell(number, len(names))
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
    if not read:
        why = unread_in_words(failed, len(names)) if names else "It has no files."
        raise ValueError(f"{folder} has no images. {why}")
    if deep:
        # One scale for all, or brightness would mean another thing in each.
        n_bits = max(8, int(max(image.max() for image in deep.values())).bit_length())
        for place, image in deep.items():
            scaled = image.astype(np.uint32) * 255 // (2**n_bits - 1)
            images[place] = scaled if len(shape) == 2 else scaled[..., None]
    return images[: len(read)], read, failed


def unread_in_words(failed: list[str], n_files: int) -> str:
    message = f"{len(failed)} of {n_files} files could not be read as images: "
    return message + "; ".join(failed[:MAX_NAMED]) + "; ..." * (len(failed) > MAX_NAMED)


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
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and not _is_junction(Path(parent, name))
        ]
        below = Path(parent).relative_to(folder)
        names += [
            (below / name).as_posix()
            for name in files
            if not name.startswith(".")
            and name.lower() not in OF_WINDOWS
            and _may_be_file(Path(parent, name))
        ]
    return sorted(names)


def _is_junction(path: Path) -> bool:
    """Whether a folder is a link of Windows that is no symbolic link."""
    mount_point = getattr(stat, "IO_REPARSE_TAG_MOUNT_POINT", None)
    return mount_point is not None and (
        getattr(os.lstat(path), "st_reparse_tag", 0) == mount_point
    )


def _may_be_file(path: Path) -> bool:
    """Whether a path is no pipe, socket or device, at which reading would wait."""
    return path.is_file() or not path.exists()


def _read(path: Path, shape: tuple[int, ...]) -> NDArray[Any]:
    """One image as an array of this shape; of 16 bits if it is grey and has them."""
    from PIL import Image, ImageOps

    size = (shape[1], shape[0])
    if path.stat().st_size > MAX_FILE_BYTES:
        raise ValueError(f"larger than {MAX_FILE_BYTES / 2**30:g} GiB")
    with warnings.catch_warnings():
        # Of half the number of pixels that Pillow refuses.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        opened = Image.open(path)
    with opened as file:
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
