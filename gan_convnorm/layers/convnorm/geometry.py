"""The circular grid of a layer's response, and the pixels of it that are the layer's output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gan_convnorm.errors import BadInput

__all__ = ["Geometry", "convolution_geometry", "padding_pairs", "transposed_geometry"]


@dataclass(frozen=True)
class Geometry:
    """The full response of a convolution, one entry per dimension.

    Attributes:
        padding: pixels added before the convolution on both sides of the image; if circular, on the first side only.
        stride: stride at which the response is computed.
        size: pixels of the response.
        grid: size of the circular grid on which it is filtered; the response stands in its first corner.
        crop: (first, count, step) of the grid's pixels that are the output.
        circular: the crop may go around the grid.

    The response of a kernel of 3 taps to 8 pixels, padded by 2, has 10 pixels. A layer that pads by 1 returns the inner
    8.

    >>> geometry = Geometry(padding=(2,), stride=(1,), size=(10,), grid=(10,), crop=((1, 8, 1),), circular=False)
    >>> ((first, count, step),) = geometry.crop
    >>> list(range(10))[first : first + count * step : step]
    [1, 2, 3, 4, 5, 6, 7, 8]
    """

    padding: tuple[int, ...]
    stride: tuple[int, ...]
    size: tuple[int, ...]
    grid: tuple[int, ...]
    crop: tuple[tuple[int, int, int], ...]
    circular: bool


def padding_pairs(
    padding: str | Sequence[int | str], kernel_size: Sequence[int], dilation: Sequence[int]
) -> list[tuple[int, int]]:
    """Return a layer's padding before and after the image, for every dimension.

    Args:
        padding: pixels per dimension, or "valid" or "same", as torch's layers keep it.
        kernel_size: of the layer.
        dilation: of the layer.

    >>> padding_pairs("same", [4], [1])
    [(1, 2)]
    """
    if padding == "valid":
        return [(0, 0)] * len(kernel_size)
    if padding == "same":
        totals = [d * (k - 1) for d, k in zip(dilation, kernel_size, strict=True)]
        return [(total // 2, total - total // 2) for total in totals]
    return [(int(p), int(p)) for p in padding]


def convolution_geometry(
    name: str,
    image: Sequence[int],
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[tuple[int, int]],
    dilation: Sequence[int],
    *,
    circular: bool,
    fold: bool,
    linear: bool,
) -> Geometry:
    """Return the grid on which a convolution's response is filtered, and the crop that is the output.

    With a zero padding of P = max(padding, d (k - 1)), linear and circular convolution agree on it.

    Args:
        name: the layer's, for messages.
        image: size of the image.
        kernel_size: of the layer.
        stride: of the layer.
        padding: of the layer, before and after.
        dilation: of the layer.
        circular: the image is periodic; its own size is the grid.
        fold: the response is computed at the stride, not at every pixel.
        linear: a grid of twice the size, on which nothing that is read has gone around.

    Returns:
        The geometry of the response.

    Raises:
        BadInput: an image below the kernel; or a folded, circular one that the stride does not divide.

    >>> options = {"circular": False, "fold": False, "linear": False}
    >>> geometry = convolution_geometry("ConvNorm1d", [8], [3], [1], [(1, 1)], [1], **options)
    >>> geometry.grid, geometry.crop
    ((10,), ((1, 8, 1),))
    """
    found = []
    for n, k, s, (before, after), d in zip(image, kernel_size, stride, padding, dilation, strict=True):
        span = d * (k - 1)
        count = (n + before + after - span - 1) // s + 1
        if count <= 0:
            pixels = " x ".join(map(str, image))
            raise BadInput(f"{name}: an image of {pixels} pixels with padding {list(padding)} is below the kernel")
        conv_stride, step = (s, 1) if fold else (1, s)
        if circular:
            if n % conv_stride:
                raise BadInput(
                    f"{name}: circular padding with strided='fold' needs an image that the stride {s} divides, not {n}"
                )
            reach, first, size = before, 0, n // conv_stride
        else:
            # Whole strides, so that the output's pixels are among the response's.
            first = -(-(max(span, before, after) - before) // conv_stride)
            reach = before + conv_stride * first
            size = (n + 2 * reach - span - 1) // conv_stride + 1
        found.append((reach, conv_stride, size, 2 * size if linear else size, (first, count, step)))
    paddings, strides, sizes, grids, crop = zip(*found, strict=True)
    return Geometry(paddings, strides, sizes, grids, crop, circular)


def transposed_geometry(
    name: str,
    image: Sequence[int],
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    output_padding: Sequence[int],
    *,
    linear: bool,
) -> Geometry:
    """Return the geometry of a transposed convolution; its unpadded output is the full response.

    Arguments are those of `convolution_geometry`.

    Raises:
        BadInput: a padding that leaves no output.

    >>> transposed_geometry("ConvNormTranspose1d", [4], [3], [2], [1], [1], [1], linear=False).crop
    ((1, 8, 1),)
    """
    found = []
    for n, k, s, p, d, extra in zip(image, kernel_size, stride, padding, dilation, output_padding, strict=True):
        size = (n - 1) * s + d * (k - 1) + 1
        count = size - 2 * p + extra
        if count <= 0:
            pixels = " x ".join(map(str, image))
            raise BadInput(f"{name}: an image of {pixels} pixels has no output with padding {list(padding)}")
        size = max(size, p + count)
        found.append((p, s, size, 2 * size if linear else size, (p, count, 1)))
    paddings, strides, sizes, grids, crop = zip(*found, strict=True)
    return Geometry(paddings, strides, sizes, grids, crop, circular=False)
