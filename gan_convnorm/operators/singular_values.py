"""All singular values of a circular convolution, exact: an SVD at every frequency."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gan_convnorm.errors import BadInput
from gan_convnorm.operators.circular_convolution import CircularConvolution
from gan_convnorm.operators.kernel import check_size, kernel_of
from gan_convnorm.operators.layer_operator import linear_matrix

__all__ = ["circular_size", "condition_number", "singular_values"]


@torch.no_grad()
def singular_values(conv: nn.Module, input_size: Sequence[int] = ()) -> Tensor:
    """Return the singular values of the circular convolution with a layer's kernel.

    The method is that of Sedghi et al. (ICLR 2019, arXiv:1805.10408). The image is its own circular grid, whatever the
    layer's padding, because padding only shifts a circular convolution. A ConvNorm layer has its preconditioner, gain
    and affine on that grid.

    >>> layer = nn.Conv1d(1, 1, 2)
    >>> layer.weight.data = torch.tensor([[[1.0, -1.0]]])
    >>> singular_values(layer, (4,))  # |1 - exp(iw)| at w = pi, pi/2, 3pi/2 and 0
    tensor([2.0000, 1.4142, 1.4142, 0.0000])

    Args:
        conv: Conv1d, 2d, 3d, transposed or not, strided, dilated, grouped, parametrized; a ConvNorm layer; or
            nn.Linear, for the singular values of its matrix.
        input_size: pixels of the layer's input, divisible by the stride; nothing for nn.Linear.

    Returns:
        Largest first, shape (count,): min(outputs, inputs) of every frequency and group together; float32, or float64
        for float64 weights; NaN where a weight is NaN or infinite. Another layer raises `BadInput`, and so does a
        stride that does not divide the image.
    """
    if isinstance(conv, nn.Linear):
        return _values(linear_matrix(conv))
    parts = []
    for block in _circular_convolution(conv, input_size).symbols():
        values = _values(block.matrices).flatten(1)
        parts.append(values.repeat_interleave(block.multiplicity, dim=0).flatten())
    return torch.cat(parts).sort(descending=True).values


def condition_number(conv: nn.Module, input_size: Sequence[int] = ()) -> float:
    """Return the largest over the smallest of the `singular_values`: of the circular, not the zero-padded convolution.

    >>> layer = nn.Linear(2, 2)
    >>> layer.weight.data = torch.tensor([[4.0, 0.0], [0.0, 0.5]])
    >>> condition_number(layer)
    8.0

    Args:
        conv: as in `singular_values`.
        input_size: as in `singular_values`.

    Returns:
        1 or above. Infinity where the smallest is only rounding: beyond about 1e6 in float32, 1e15 in float64.
    """
    values = singular_values(conv, input_size)
    largest, smallest = float(values[0]), float(values[-1])
    return float("inf") if smallest <= torch.finfo(values.dtype).eps * largest else largest / smallest


def circular_size(conv: nn.Module, input_size: Sequence[int], largest: int | None = None) -> tuple[int, ...]:
    """Return an image size that `singular_values` takes: `input_size`, or the next one above that the stride divides.

    >>> circular_size(nn.Conv2d(3, 8, 3, stride=2), (33, 32))
    (34, 32)
    >>> circular_size(nn.Conv2d(3, 8, 3), (33, 32), largest=8)
    (8, 8)

    Args:
        conv: as in `singular_values`.
        input_size: pixels of the image that the layer sees.
        largest: pixels at most, or what the kernel spans if that is more. The frequencies of the smaller image are a
            sample of the large one's, at a fraction of the time.

    Returns:
        Pixels per dimension.
    """
    kernel = kernel_of(conv)
    if kernel is None or kernel.transposed:
        return tuple(input_size) if largest is None else tuple(min(n, largest) for n in input_size)
    sizes = zip(input_size, kernel.span, kernel.stride, strict=True)
    return tuple(-(-(n if largest is None else min(n, max(largest, span + 1))) // s) * s for n, span, s in sizes)


def _values(matrices: Tensor) -> Tensor:
    """Return the singular values of matrices; NaN where an entry is NaN or infinite, for which LAPACK raises."""
    if not bool(matrices.isfinite().all()):
        shape = (*matrices.shape[:-2], min(matrices.shape[-2:]))
        return matrices.real.new_full(shape, float("nan"))
    values: Tensor = torch.linalg.svdvals(matrices)
    return values


def _circular_convolution(layer: nn.Module, input_size: Sequence[int]) -> CircularConvolution:
    kernel = kernel_of(layer)
    if kernel is None:
        raise BadInput(
            f"the circular singular values of {type(layer).__name__} are not known; expected a convolution of "
            "torch.nn, parametrized or not, a ConvNorm layer or nn.Linear (operator_norm takes any linear layer)"
        )
    size = check_size(layer, input_size)
    if kernel.transposed:
        return CircularConvolution(kernel, [n * s for n, s in zip(size, kernel.stride, strict=True)])
    if any(n % s for n, s in zip(size, kernel.stride, strict=True)):
        raise BadInput(
            f"{type(layer).__name__}: a circular convolution with stride {kernel.stride} needs an image that the "
            f"stride divides, not {size}"
        )
    return CircularConvolution(kernel, size)
