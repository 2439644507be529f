"""Images of your own as arrays."""

import os
from collections.abc import Sequence

import numpy as np
from sklearn.utils import Bunch

from skdepict._data.stored import read_image_folder, unread_in_words
from skdepict._surroundings import warn


def load_image_folder(
    path: str | os.PathLike[str], image_shape: Sequence[int]
) -> Bunch:
    """Read all images of a folder and of the folders in it, at one size.

    Every file but those with a hidden name (".DS_Store") is tried, whatever its ending.
    Photographs are turned as their camera says, transparent parts are put on white, and
    what has another size is resized, without keeping the ratio of its sides. Of
    animated images the first frame is read. Links to folders are not followed, and
    pipes and the like are no files. Files above 1 GiB and images above 179 million
    pixels are refused.

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
    images, read, failed = read_image_folder(path, image_shape)
    if failed:
        warn(unread_in_words(failed, len(read) + len(failed)))
    return Bunch(images=images, filenames=np.array(read))
