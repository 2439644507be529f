"""What a sample is: a row of a table, an image or a series."""

import math
from dataclasses import dataclass
from numbers import Integral

import numpy as np

IMAGE_CHANNELS = (1, 3, 4)
MIN_IMAGE_SIDE = 8


@dataclass(frozen=True)
class Layout:
    """How one row of the flattened data is laid out.

    Attributes
    ----------
    kind : {"table", "image", "series"}
        What a sample is.
    shape : tuple of int
        (n_features,), (n_channels, height, width) or (n_channels, length): the shape
        that networks see.
    channels_last : bool
        Whether the user's images have their channels on the last axis.
    """

    kind: str
    shape: tuple[int, ...]
    channels_last: bool = False

    @property
    def n_features(self):
        """The number of values of one sample."""
        return math.prod(self.shape)

    def arrange(self, X):
        """View flat rows, or arrays in the user's layout, in the networks' layout."""
        if self.channels_last:
            channels, *sides = self.shape
            return np.moveaxis(X.reshape(len(X), *sides, channels), -1, 1)
        return X.reshape(len(X), *self.shape)

    def restore(self, samples):
        """The inverse of `arrange`, to flat rows."""
        if self.channels_last:
            samples = np.moveaxis(samples, 1, -1)
        return samples.reshape(len(samples), -1)


def find_layout(X_shape, image_shape, network):
    """Decide what a sample is, from the shape of X and the parameters.

    Parameters
    ----------
    X_shape : tuple of int
        Two, three or four axes, samples first.
    image_shape : tuple of int or None
        (height, width), (n_channels, height, width) or (height, width, n_channels).
    network : str or object
        "sequence" reads two axes as series and three as multi-channel series.

    Returns
    -------
    layout : Layout

    Raises
    ------
    ValueError
        If the shape of X and image_shape disagree, or the axis of the channels cannot
        be told.
    """
    if len(X_shape) > 4:
        raise ValueError(
            f"X has {len(X_shape)} axes; tables have 2, grey images 3 and images with "
            "channels 4."
        )
    if network == "sequence":
        if image_shape is not None:
            raise ValueError(
                f"image_shape={image_shape!r} was given with network='sequence', which "
                "reads series, not images. Drop one of the two."
            )
        if len(X_shape) == 4:
            raise ValueError(
                f"X has shape {X_shape}; network='sequence' reads (n_samples, length) "
                "or (n_samples, n_channels, length)."
            )
        return Layout("series", X_shape[1:] if len(X_shape) == 3 else (1, X_shape[1]))
    if image_shape is not None:
        return _given_image_layout(X_shape, image_shape)
    if len(X_shape) == 2:
        return Layout("table", X_shape[1:])
    if len(X_shape) == 3:
        return Layout("image", (1, *X_shape[1:]))
    return _image_layout(X_shape[1:], f"X has shape {X_shape}")


def _given_image_layout(X_shape, image_shape):
    is_shape = (
        isinstance(image_shape, (tuple, list))
        and len(image_shape) in (2, 3)
        and all(isinstance(side, Integral) and int(side) > 0 for side in image_shape)
    )
    if not is_shape:
        raise ValueError(
            f"image_shape={image_shape!r} must be (height, width), (n_channels, "
            "height, width) or (height, width, n_channels), positive integers."
        )
    image_shape = tuple(int(side) for side in image_shape)
    n_values, n_asked = math.prod(X_shape[1:]), math.prod(image_shape)
    sides, asked_sides = (
        [side for side in shape if side > 1] for shape in (X_shape[1:], image_shape)
    )
    if n_values != n_asked or (len(X_shape) > 2 and sides != asked_sides):
        why = f"has {n_values} values and image_shape asks for {n_asked}"
        if n_values == n_asked:
            why = f"has the shape {X_shape[1:]} already"
        raise ValueError(
            f"image_shape={image_shape} does not fit X of shape {X_shape}: a sample "
            f"{why}. Pass the shape of one image."
        )
    if len(image_shape) == 2:
        return Layout("image", (1, *image_shape))
    return _image_layout(image_shape, f"image_shape={image_shape}", any_channels=True)


def _image_layout(shape, origin, any_channels=False):
    legal = range(1, 5) if any_channels else IMAGE_CHANNELS
    first, last = shape[0] in legal, shape[-1] in legal
    if first and last and shape[0] != shape[-1]:
        raise ValueError(
            f"{origin}: the first and the last axis of an image could both be its "
            "channels. Move the channels first, drop an axis of length 1, or flatten "
            "each image and give image_shape=(height, width) for one channel."
        )
    if first:
        return Layout("image", shape)
    if last:
        return Layout("image", (shape[-1], *shape[:-1]), channels_last=True)
    raise ValueError(
        f"{origin}: no axis has a legal number of channels ({list(legal)}). Images are "
        "(n_samples, height, width), or have their channels first or last."
    )


def check_image_sides(layout, network):
    """Refuse images that are too small to convolve."""
    sides = layout.shape[1:]
    if min(sides) < MIN_IMAGE_SIDE:
        what = "series" if layout.kind == "series" else "images"
        raise ValueError(
            f"network={network!r} needs {what} of at least {MIN_IMAGE_SIDE} in each "
            f"direction, got {' x '.join(map(str, sides))}. Pass the samples as a "
            "table, (n_samples, n_features), without image_shape, and use "
            "network='dense' or 'auto'."
        )
