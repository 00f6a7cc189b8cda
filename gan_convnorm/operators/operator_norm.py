"""The largest singular value of the operator that a layer is on an image of some size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from gan_convnorm.errors import BadInput
from gan_convnorm.operators.kernel import check_size, check_tolerance, is_plain
from gan_convnorm.operators.lanczos import Largest, largest_singular
from gan_convnorm.operators.linear_map import linear_map, linear_matrix
from gan_convnorm.operators.matrix_norm import matrix_norm

__all__ = ["measure_operator", "operator_norm"]

#: share of noise in a warm start, so that a vector that has become the largest is found
NOISE = 0.03


def operator_norm(
    conv: nn.Module, input_size: Sequence[int] = (), *, padding: str | None = None, tolerance: float = 1e-3
) -> float:
    """||A||_2 of a layer as it is: with its padding, stride, dilation, groups; of grouped ones the largest group's.

    Lanczos iteration on A^T A (`largest_singular`); A^T is autograd's. Draws nothing from the global random state.

    Args:
        conv: a convolution of torch.nn, transposed or not, a ConvNorm layer, nn.Linear and its subclasses, or any other
            layer that is affine in its input in evaluation mode and has `in_channels`. Parametrized ones are taken with
            their effective weight.
        input_size: pixels of the layer's input; nothing for nn.Linear.
        padding: another padding mode, of as many pixels: zeros, circular, reflect or replicate; the layer's by default.
        tolerance: relative.

    Raises:
        BadInput: an image size, a padding mode or a tolerance that is not possible, or a layer without `in_channels`.
    """
    return measure_operator(conv, input_size, padding=padding, tolerance=tolerance).value


def measure_operator(
    layer: nn.Module,
    input_size: Sequence[int] = (),
    *,
    padding: str | None = None,
    tolerance: float = 1e-3,
    start: Tensor | None = None,
    max_iterations: int = 500,
) -> Largest:
    """`operator_norm` with its singular vector, which makes the next measurement of changed weights short.

    Args:
        layer: as in `operator_norm`.
        input_size: as in `operator_norm`.
        padding: as in `operator_norm`.
        tolerance: as in `operator_norm`.
        start: `vector` of an earlier measurement.
        max_iterations: runs of A and A^T, after which the best value so far is returned.
    """
    check_tolerance(tolerance)
    if isinstance(layer, nn.Linear):
        return Largest(matrix_norm(linear_matrix(layer)), torch.empty(0), 0, 0.0)
    channels: Any = getattr(layer, "in_channels", None)
    if channels is None:
        raise BadInput(f"{type(layer).__name__} has no in_channels; expected a convolution or nn.Linear")
    groups = layer.groups if isinstance(layer, _ConvNd) else 1
    shape = (1, channels, *check_size(layer, input_size))
    parameter = next(layer.parameters())
    dtype = torch.promote_types(parameter.dtype, torch.float32) if is_plain(layer) else parameter.dtype
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(parameter.device, dtype)
    first = noise.view(groups, -1)
    if start is not None and start.shape == first.shape:
        first = first * (NOISE / first.norm(dim=1, keepdim=True))
        first = first + start.to(first)
    with torch.inference_mode(False), torch.enable_grad(), linear_map(layer, padding) as run:

        def gram(vectors: Tensor) -> Tensor:
            image = vectors.reshape(shape).detach().requires_grad_()
            output = run(image)
            (back,) = torch.autograd.grad(output, image, output.detach())
            return back.reshape(groups, -1)

        return largest_singular(gram, first.clone(), tolerance=tolerance, max_iterations=max_iterations)
