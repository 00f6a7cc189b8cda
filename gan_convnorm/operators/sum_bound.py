"""A certified upper bound on a convolution's norm without iteration: the square root of two sums."""

from __future__ import annotations

import math

import torch

from gan_convnorm.operators.kernel import Kernel

__all__ = ["sum_bound"]


@torch.no_grad()
def sum_bound(kernel: Kernel, *, strided: bool = True) -> float:
    """Return sqrt(||A||_1 ||A||_inf) >= ||A||_2 (Golub and Van Loan, 4th ed., corollary 2.3.2), for every image size.

    ||A||_inf is the largest sum of absolute weights of an output channel. ||A||_1 is the largest sum of an input pixel:
    with a stride only taps that are a whole number of strides apart meet the pixel. It holds for zero padding and for
    circular padding.

    >>> from gan_convnorm.operators.kernel import kernel_of
    >>> layer = torch.nn.Conv1d(1, 1, 2)
    >>> layer.weight.data = torch.tensor([[[1.0, -3.0]]])
    >>> sum_bound(kernel_of(layer))
    4.0

    Args:
        kernel: of a plain layer.
        strided: False for an operator whose rows are only known to be some of those at every pixel.

    Returns:
        The bound, zero or above.

    Raises:
        ValueError: a kernel with a filter on a grid, whose sums are not known.
    """
    if kernel.transfer is not None:
        raise ValueError("sum_bound needs a plain kernel, and this one has a filter")
    weight = kernel.weight.abs()
    rows = float(weight.flatten(2).sum(2).max())
    # (groups, columns, taps), summed over the rows; then over the taps of each residue modulo the stride.
    columns = weight.sum(1).flatten(2)
    residue = torch.zeros((), dtype=torch.int64, device=weight.device)
    stride = kernel.stride if strided else (1,) * len(kernel.stride)
    for k, d, s in zip(kernel.weight.shape[3:], kernel.dilation, stride, strict=True):
        residue = residue[..., None] * s + torch.arange(k, device=weight.device) * d % s
    summed = columns.new_zeros(*columns.shape[:2], math.prod(stride)).index_add(2, residue.flatten(), columns)
    return math.sqrt(rows * float(summed.max()))
