"""All singular values of a circular convolution, exact: an SVD at every frequency."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gan_convnorm.errors import BadInput
from gan_convnorm.operators.kernel import Kernel, check_size, kernel_of
from gan_convnorm.operators.linear_map import linear_matrix
from gan_convnorm.operators.symbol import symbols

__all__ = ["circular_size", "condition_number", "singular_values"]


@torch.no_grad()
def singular_values(conv: nn.Module, input_size: Sequence[int] = ()) -> Tensor:
    """Singular values of the circular convolution with a layer's kernel (Sedghi et al., ICLR 2019, arXiv:1805.10408).

    The image is its own circular grid, whatever the layer's padding: that only shifts a circular convolution. A
    ConvNorm layer is taken with its preconditioner, gain and affine on that grid.

    Args:
        conv: Conv1d, 2d, 3d, transposed or not, strided, dilated, grouped, parametrized; a ConvNorm layer; or
            nn.Linear, whose singular values they then are.
        input_size: pixels of the layer's input, divisible by the stride; nothing for nn.Linear.

    Returns:
        Shape (min(outputs, inputs) of every group, together), falling; float32, or float64 for such weights.

    Raises:
        BadInput: another layer, or a stride that does not divide the image.
    """
    if isinstance(conv, nn.Linear):
        return _values(linear_matrix(conv))
    kernel = _kernel(conv)
    parts = []
    for matrices, count in symbols(kernel, _grid(conv, kernel, input_size)):
        values = _values(matrices).flatten(1)
        parts.append(values.repeat_interleave(count, dim=0).flatten())
    return torch.cat(parts).sort(descending=True).values


def condition_number(conv: nn.Module, input_size: Sequence[int] = ()) -> float:
    """Largest over smallest of the `singular_values` of the circular convolution, not of the zero-padded one.

    Infinite where the smallest is rounding: beyond about 1e6 in float32, 1e15 in float64.
    """
    values = singular_values(conv, input_size)
    largest, smallest = float(values[0]), float(values[-1])
    return float("inf") if smallest <= torch.finfo(values.dtype).eps * largest else largest / smallest


def circular_size(conv: nn.Module, input_size: Sequence[int], largest: int | None = None) -> tuple[int, ...]:
    """An image that a circular convolution with the layer's kernel can have: whole strides, `input_size` or just above.

    With `largest`, of so many pixels at most, or what the kernel spans if that is more: its frequencies are a sample of
    the large image's, at a fraction of the time.
    """
    kernel = kernel_of(conv)
    if kernel is None or kernel.transposed:
        return tuple(input_size) if largest is None else tuple(min(n, largest) for n in input_size)
    sizes = zip(input_size, kernel.span, kernel.stride, strict=True)
    return tuple(-(-(n if largest is None else min(n, max(largest, span + 1))) // s) * s for n, span, s in sizes)


def _values(matrices: Tensor) -> Tensor:
    """Singular values, not numbers where an entry is none, of which LAPACK makes an error."""
    if not bool(matrices.isfinite().all()):
        shape = (*matrices.shape[:-2], min(matrices.shape[-2:]))
        return matrices.real.new_full(shape, float("nan"))
    return torch.linalg.svdvals(matrices)


def _kernel(layer: nn.Module) -> Kernel:
    kernel = kernel_of(layer)
    if kernel is None:
        raise BadInput(
            f"the circular spectrum of {type(layer).__name__} is not known; expected a convolution of torch.nn, "
            "parametrized or not, a ConvNorm layer or nn.Linear (operator_norm takes any linear layer)"
        )
    return kernel


def _grid(layer: nn.Module, kernel: Kernel, input_size: Sequence[int]) -> list[int]:
    """The fine grid."""
    size = check_size(layer, input_size)
    if kernel.transposed:
        return [n * s for n, s in zip(size, kernel.stride, strict=True)]
    if any(n % s for n, s in zip(size, kernel.stride, strict=True)):
        raise BadInput(
            f"{type(layer).__name__}: a circular convolution with stride {kernel.stride} needs an image that the "
            f"stride divides, not {size}"
        )
    return list(size)
