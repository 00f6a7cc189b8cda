"""Skew-symmetric kernels: convolutions that are the negative of their adjoint."""

from __future__ import annotations

from torch import Tensor, nn

from gan_convnorm.fourier.roots import inverse_root

__all__ = ["skew", "unit_skew"]


def skew(kernels: Tensor) -> Tensor:
    """Return the skew-symmetric kernels L = M - M^T, where M is the given ones among zeros.

    With C the larger channel count, M is C x C, and ^T exchanges the channels and turns the kernels around. So L as an
    operator is the negative of its adjoint, also with zero padding.

    Args:
        kernels: shape (groups, outputs, inputs, *kernel_size), with an odd kernel size.

    Returns:
        L, shape (groups, C, C, *kernel_size).

    >>> import torch
    >>> skew(torch.tensor([[[1.0], [2.0]]]))
    tensor([[[ 0., -2.],
             [ 2.,  0.]]])
    """
    outputs, inputs = kernels.shape[1:3]
    taps = kernels.dim() - 3
    size = max(outputs, inputs)
    square = nn.functional.pad(kernels, (0, 0) * taps + (0, size - inputs, 0, size - outputs))
    adjoint = square.transpose(1, 2)
    return square - (adjoint.flip(tuple(range(3, 3 + taps))) if taps else adjoint)


def unit_skew(kernels: Tensor) -> Tensor:
    """Return skew-symmetric kernels divided by an upper bound of each group's operator norm.

    Singla & Feizi, Fantastic Four, ICLR 2021, arXiv:1911.10258: the norm is at most sqrt(k_h k_w) ||F||_2 with F the
    matrix of rows (output, k_h) and columns (input, k_w). ||F||_2 is bounded by the Schatten norm of order 32,

        ||F||_2 <= ||(F F^T)^8||_F^(1/16)

    Zero kernels stay zero.

    Args:
        kernels: shape (groups, C, C, k_h, k_w).

    Returns:
        The scaled kernels, of the same shape.

    >>> import torch
    >>> unit_skew(skew(torch.tensor([[[[[0.0]], [[3.0]]], [[[0.0]], [[0.0]]]]]))).abs().max().item() <= 1
    True
    """
    flat = kernels.transpose(2, 3).flatten(3).flatten(1, 2)
    # Squared numbers stay in range.
    scale = inverse_root(flat.square().sum((1, 2), keepdim=True))
    gram = (flat * scale) @ (flat * scale).mT
    for power in (4, 8, 16):
        root = inverse_root(gram.square().sum((1, 2), keepdim=True))
        gram = (gram * root) @ (gram * root)
        scale = scale * root ** (2 / power)
    scale = scale * inverse_root(gram.square().sum((1, 2), keepdim=True)) ** (1 / 16)
    return kernels * scale[..., None, None] / (kernels.shape[3] * kernels.shape[4]) ** 0.5
