"""Convolutions with the same gradients at any number of threads.

This is why they are there. torch's own gradients of the weights differ between 1, 2 and
4 threads, by 1e-6 to 3e-3 of the largest in bfloat16 and in float32, and training makes
such differences larger. Forward and backward through the convolutions of
`PublishedConvAutoencoder` with channels last take 1.06, 1.06 and 1.14 times torch's
time in bfloat16 for 256 images of 8x8, 256 of 28x28 and 64 of 128x128, and in float32
1.31, 1.12 and 1.13 times (medians of seven turns; 1 thread of an AMD EPYC with bfloat16
products; torch 2.13). On another one it was 0.57 times for 28x28 in bfloat16.

3 threads and more still change last bits of sums over some 40,000 windows in bfloat16
(images in colour, or above 100 pixels), and, where they cannot share a batch evenly, of
what the library itself finds: a transposed convolution, and the gradient of the input.
"""

import math
from typing import Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable

# Of so many parts a long sum is made: the first number that divides it, so that nothing
# is left over. The square of each side from 3 to 17 has one, and on images of up to 32
# pixels windows have as many places on a side.
N_PRODUCTS = 4
MOST_PRODUCTS = 17


class _ReproducibleConvolution(nn.modules.conv._ConvNd):
    """Makes training on a processor use `_Convolution`."""

    # Of the windows that are laid out at a time: what stays in a processor's cache.
    windows_bytes = 4_000_000

    def forward(self, x):
        """Convolve maps of shape (batch_size, n_channels, *sides)."""
        if x.device.type != "cpu" or not torch.is_grad_enabled():
            return super().forward(x)
        weight, bias = self.weight, self.bias
        if torch.is_autocast_enabled("cpu"):
            dtype = torch.get_autocast_dtype("cpu")
            x, weight = x.to(dtype), weight.to(dtype)
            bias = None if bias is None else bias.to(dtype)
        of_windows = (self.stride, self.padding, (1,))
        geometry = (*of_windows, self.transposed, self.output_padding, 1)
        return _Convolution.apply(x, weight, bias, geometry, self.windows_bytes)


class Conv1d(_ReproducibleConvolution, nn.Conv1d):
    """Convolution along series."""


class Conv2d(_ReproducibleConvolution, nn.Conv2d):
    """Convolution of images."""


class ConvTranspose1d(_ReproducibleConvolution, nn.ConvTranspose1d):  # type: ignore[misc]
    """Transposed convolution along series."""


class ConvTranspose2d(_ReproducibleConvolution, nn.ConvTranspose2d):  # type: ignore[misc]
    """Transposed convolution of images."""


class _Convolution(torch.autograd.Function):
    """torch's convolution, but for the gradient of the weights.

    torch splits a batch by threads for it, and rounds otherwise with another number of
    them.
    """

    @staticmethod
    def forward(ctx, x, weight, bias, geometry, windows_bytes):
        """Convolve; geometry is what `torch.convolution` takes after the bias."""
        ctx.save_for_backward(x, weight)
        ctx.geometry, ctx.windows_bytes = geometry, windows_bytes
        stride, padding, _, transposed, output_padding, _ = geometry
        if transposed:
            of_windows = stride, padding, output_padding
            return transposed_convolution(x, weight, bias, *of_windows)
        return torch.convolution(x, weight, bias, *geometry)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        """Gradients of x, the weights and the biases."""
        x, weight = ctx.saved_tensors
        stride, padding, _, transposed, *_ = ctx.geometry
        of_x = of_weight = of_bias = None
        if ctx.needs_input_grad[0]:
            of_x, _, _ = torch.ops.aten.convolution_backward(
                gradient, x, weight, None, *ctx.geometry, (True, False, False)
            )
        if ctx.needs_input_grad[1]:
            read, seen = (gradient, x) if transposed else (x, gradient)
            of_weight = weight_gradient(
                read, seen, weight, stride, padding, ctx.windows_bytes
            )
        if ctx.needs_input_grad[2]:
            if gradient.shape[1] == 1:
                # A single sum would be split by threads.
                precision = torch.promote_types(gradient.dtype, torch.float32)
                gradient = gradient.flatten(1).sum(dim=1, keepdim=True, dtype=precision)
            dims = (0, *range(2, gradient.ndim))
            of_bias = gradient.sum(dim=dims).to(weight.dtype)
        return of_x, of_weight, of_bias, None, None


def transposed_convolution(x, weight, bias, stride, padding, output_padding):
    """A transposed convolution, as the gradient of a convolution's input.

    That is the same sum, and torch finds it up to five times faster in bfloat16.

    Parameters
    ----------
    x : tensor of shape (batch_size, n_seen, *positions)
    weight : tensor of shape (n_seen, n_read, *kernel_size)
    bias : tensor of shape (n_read,) or None
    stride, padding, output_padding : tuple of int
        For each side.

    Returns
    -------
    maps : tensor of shape (batch_size, n_read, *sides)
    """
    of_sides = zip(
        *(x.shape[2:], weight.shape[2:], stride, padding, output_padding), strict=True
    )
    sides = [
        (n - 1) * step + length - 2 * width + more
        for n, length, step, width, more in of_sides
    ]
    # Looked at for its shape and its order in memory alone.
    order = torch.channels_last if len(sides) == 2 else torch.contiguous_format
    shape = len(x), weight.shape[1], *sides
    like_maps = torch.empty(shape, dtype=x.dtype, memory_format=order)
    no_padding = (0,) * len(sides)
    geometry = stride, padding, (1,), False, no_padding, 1
    maps, _, _ = torch.ops.aten.convolution_backward(
        x, like_maps, weight, None, *geometry, (True, False, False)
    )
    return maps if bias is None else maps.add_(bias.view(-1, *[1] * len(sides)))


def product_of_transposed(a, b):
    """a.T @ b, rounded alike with any number of threads.

    Libraries give threads parts of a long sum. Of several products at once they give
    them whole ones.

    Parameters
    ----------
    a, b : tensor of shape (n_rows, n_left) and (n_rows, n_right)
        Without gaps, in the order of rows or of columns.

    Returns
    -------
    product : tensor of shape (n_left, n_right)
        In single precision at least.
    """
    precision = torch.promote_types(a.dtype, torch.float32)
    numbers = range(N_PRODUCTS, MOST_PRODUCTS + 1)
    n_products, rest = next((n for n in numbers if len(a) % n == 0), N_PRODUCTS), None
    if n_left := len(a) % n_products:
        # Fewer rows than products are summed by one thread.
        rest = a[-n_left:].t() @ b[-n_left:]
        a, b = a[:-n_left], b[:-n_left]
    n_rows = len(a) // n_products
    a_parts = a.view(n_products, n_rows, a.shape[1])
    b_parts = b.view(n_products, n_rows, b.shape[1])
    product = torch.bmm(a_parts.transpose(1, 2), b_parts).sum(dim=0, dtype=precision)
    return product if rest is None else product + rest


def weight_gradient(read, seen, weight, stride, padding, windows_bytes):
    """Gradient of the weights: what was seen times the windows it was seen in.

    The windows of so many samples as `windows_bytes` hold are laid out as a matrix. One
    matrix product adds up their positions, in an order that does not depend on the
    number of threads.

    Parameters
    ----------
    read : tensor of shape (batch_size, n_read, *sides)
        What windows move over: the input, or of a transposed convolution the gradient
        of its output.
    seen : tensor of shape (batch_size, n_seen, *positions)
        One value for each window: the gradient of the output, or of a transposed
        convolution the input.
    weight : tensor of shape (n_seen, n_read, *kernel_size)
        Gives shape and type.
    stride, padding : tuple of int
        For each side.
    windows_bytes : int
        What stays in a processor's cache.

    Returns
    -------
    gradient : tensor of the shape of weight
    """
    n_seen, n_read, *kernel_size = weight.shape
    n_samples, positions = len(seen), seen.shape[2:]
    n_positions = math.prod(positions)
    n_columns = math.prod(kernel_size) * n_read
    n_at_once = windows_bytes // (n_positions * n_columns * read.element_size())
    n_at_once = max(min(n_at_once, n_samples), 1)
    # Channels last, so that a window is a few runs of values beside each other.
    read, seen = read.movedim(1, -1), seen.movedim(1, -1)
    is_padded = any(padding)
    if is_padded:
        sides = list(zip(padding, read.shape[1:-1], strict=True))
        padded = (length + 2 * width for width, length in sides)
        inside = cells = read.new_zeros(n_at_once, *padded, n_read)
        for dim, (width, length) in enumerate(sides, start=1):
            inside = inside.narrow(dim, width, length)
    buffer = read.new_empty(n_at_once * n_positions * n_columns)
    total: Any = None
    for start in range(0, max(n_samples, 1), n_at_once):
        n_some = min(n_at_once, n_samples - start)
        n_places = n_some * n_positions
        some_read = read.narrow(0, start, n_some)
        if is_padded:
            inside.narrow(0, 0, n_some).copy_(some_read)
            some_read = cells
        of_sample, *of_sides, of_channel = some_read.stride()
        of_positions = [
            step * length for step, length in zip(stride, of_sides, strict=True)
        ]
        places = (n_some, *positions), (of_sample, *of_positions)
        of_window = (*kernel_size, n_read), (*of_sides, of_channel)
        # The longer runs of values last, as copies are fastest.
        first, last = (of_window, places) if n_read == 1 else (places, of_window)
        shape, strides = first[0] + last[0], first[1] + last[1]
        columns = buffer.narrow(0, 0, n_places * n_columns)
        columns.view(shape).copy_(some_read.as_strided(shape, strides))
        if n_read == 1:
            columns = columns.view(n_columns, n_places).t()
        else:
            columns = columns.view(n_places, n_columns)
        rows = seen.narrow(0, start, n_some).reshape(-1, n_seen).contiguous()
        product = product_of_transposed(rows, columns)
        # In single precision: half would lose what later parts add.
        total = product if total is None else total.add_(product)
    gradient = total.view(n_seen, *kernel_size, n_read).movedim(-1, 1)
    return gradient.to(weight.dtype)
