"""The largest singular value of the operator that a layer is on an image of some size."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gan_convnorm.operators.kernel import check_tolerance
from gan_convnorm.operators.lanczos import Largest, largest_singular
from gan_convnorm.operators.layer_operator import layer_operator
from gan_convnorm.operators.linear_operator import LinearOperator, MatrixOperator
from gan_convnorm.operators.matrix_norm import matrix_norm

__all__ = ["measure_operator", "operator_norm"]

#: share of noise in a warm start, so that a vector that has become the largest is found
NOISE = 0.03
#: runs of A and A^T, after which the best value so far is returned
ITERATIONS = 500


def operator_norm(
    conv: nn.Module, input_size: Sequence[int] = (), *, padding: str | None = None, tolerance: float = 1e-3
) -> float:
    """Return ||A||_2 of a layer as it acts: with its padding, stride and dilation; the largest group's of grouped ones.

    Draws nothing from the global random state. The method is `measure_operator`'s.

    >>> layer = nn.Conv2d(1, 1, 1)
    >>> layer.weight.data.fill_(-3.0)
    tensor([[[[-3.]]]])
    >>> round(operator_norm(layer, (4, 4)), 4)
    3.0

    Args:
        conv: as `layer` in `layer_operator`.
        input_size: pixels of the layer's input; nothing for nn.Linear.
        padding: another padding mode of equal width: zeros, circular, reflect or replicate; by default the layer's.
        tolerance: relative, above 0 and below 1.

    Returns:
        The norm, zero or above; NaN where a weight is NaN or infinite. An image size, a padding mode or a tolerance
        that is not possible raises `BadInput`, and so does a layer without `in_channels`.
    """
    check_tolerance(tolerance)
    return measure_operator(layer_operator(conv, input_size, padding=padding), tolerance=tolerance).value


def measure_operator(operator: LinearOperator, *, tolerance: float = 1e-3, start: Tensor | None = None) -> Largest:
    """Return an operator's norm and its singular vector, which makes the next measurement of changed weights short.

    A matrix's is exact. Every other operator's is by Lanczos iteration on A^T A (`largest_singular`).

    >>> measure_operator(MatrixOperator(torch.tensor([[3.0], [4.0]]))).value
    5.0

    Args:
        operator: such as that of `layer_operator`.
        tolerance: relative, above 0 and below 1.
        start: `vector` of an earlier measurement.

    Returns:
        The norm, with how it was found. A tolerance that is not possible raises `BadInput`.
    """
    check_tolerance(tolerance)
    if isinstance(operator, MatrixOperator):
        return Largest(matrix_norm(operator.matrix()), torch.empty(0), 0, 0.0)
    # On the CPU and of one seed: the same on every device.
    noise = torch.randn((1, *operator.input_shape), generator=torch.Generator().manual_seed(0), dtype=torch.float32)
    first = noise.to(operator.device, operator.dtype).view(operator.groups, -1)
    if start is not None and start.shape == first.shape:
        first = first * (NOISE / first.norm(dim=1, keepdim=True))
        first = first + start.to(first)
    with torch.inference_mode(False):
        return largest_singular(operator, first.clone(), tolerance=tolerance, max_iterations=ITERATIONS)
