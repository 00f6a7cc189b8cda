"""The grid on which every output of a convolution stands at the centre of its kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gan_convnorm.errors import BadInput

__all__ = ["CentredGrid", "centred_grid"]


class CentredGrid(NamedTuple):
    """A grid of strided pixels, which has all pixels of an image and all outputs of a layer; one entry per dimension.

    Attributes:
        size: side of the grid.
        firsts: pixels, not strided, from the start of the grid to the first pixel of the image.
        lead: index of the first output.
        counts: number of outputs.

    >>> grid = CentredGrid(size=[8], firsts=[0], lead=[1], counts=[6])
    >>> list(range(grid.size[0]))[grid.lead[0] :][: grid.counts[0]]  # the outputs of 8 pixels, 3 taps, no padding
    [1, 2, 3, 4, 5, 6]
    """

    size: list[int]
    firsts: list[int]
    lead: list[int]
    counts: list[int]


def centred_grid(
    image: Sequence[int],
    padding: Sequence[tuple[int, int]],
    kernel_size: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    reach: Sequence[int],
    *,
    circular: bool,
) -> CentredGrid:
    """Return the grid of a `SOCConv2d`.

    Args:
        image: size of the image.
        padding: of the layer, before and after.
        kernel_size: of the layer.
        stride: of the layer.
        dilation: of the layer.
        reach: strided pixels that a kernel reads on each side of its centre.
        circular: the image is periodic, and is the grid.

    Returns:
        The grid.

    Raises:
        BadInput: an image below the kernel, or a circular one that the stride does not divide.

    >>> centred_grid([8], [(0, 0)], [3], [1], [1], [1], circular=False)
    CentredGrid(size=[8], firsts=[0], lead=[1], counts=[6])
    """
    size, firsts, lead, counts = [], [], [], []
    for n, (before, after), k, s, d, r in zip(image, padding, kernel_size, stride, dilation, reach, strict=True):
        counts.append((n + before + after - d * (k - 1) - 1) // s + 1)
        if counts[-1] <= 0 or (circular and n // s < r):
            pixels = " x ".join(map(str, image))
            raise BadInput(f"SOCConv2d: an image of {pixels} pixels with padding {before} is below the kernel")
        if circular and n % s:
            raise BadInput(f"SOCConv2d: circular padding needs an image that the stride {s} divides, not {n}")
        # Pixels from the first output's centre to the first pixel.
        first = before - d * ((k - 1) // 2)
        if circular:
            lead.append(0)
            size.append(n // s)
        else:
            lead.append(max(0, -(first // s)))
            first += s * lead[-1]
            size.append(max(-(-(first + n) // s), lead[-1] + counts[-1]))
        firsts.append(first)
    return CentredGrid(size, firsts, lead, counts)
