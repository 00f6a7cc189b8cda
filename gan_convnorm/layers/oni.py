"""Orthogonalization of the flattened kernel by Newton's iteration."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan_convnorm.fourier.roots import inverse_root
from gan_convnorm.layers.arguments import check_choice, check_whole
from gan_convnorm.layers.kernels import KernelLayout, kernel_layout
from gan_convnorm.layers.parametrized import ExactParametrization, parametrize_weight

__all__ = ["newton_orthogonal", "oni"]


def newton_orthogonal(matrix: Tensor, iterations: int) -> Tensor:
    """Return matrices with every singular value s in [0, 1] nearer to 1: s <- (3 s - s^3) / 2, after a scaling.

    The scaling makes ||M M^H||_F = 1, which bounds the largest singular value.

    Args:
        matrix: M, shape (..., rows, columns), real or complex.
        iterations: of Newton's method.

    Returns:
        W = (M M^H)^(-1/2) M as far as the iteration has come, with ||W|| <= 1.

    >>> newton_orthogonal(torch.tensor([[3.0, 4.0]]), 5)
    tensor([[0.6000, 0.8000]])
    """
    # The smaller Gram matrix, whichever side it is of.
    tall = matrix.shape[-2] > matrix.shape[-1]
    wide = matrix.mH if tall else matrix
    found = wide * inverse_root(torch.linalg.matrix_norm(wide @ wide.mH, keepdim=True))
    for _ in range(iterations):
        found = 1.5 * found - 0.5 * (found @ found.mH) @ found
    return found.mH if tall else found


def oni(layer: nn.Module, *, iterations: int = 5, center: bool = True) -> nn.Module:
    """Orthogonalize the flattened kernel: sigma(W as C_out x C_in k_h k_w) <= 1 for any number of iterations.

    Controllable Orthogonalization in Training DNNs (Huang et al., CVPR 2020, arXiv:2004.00917, algorithm 2): with V
    the weight scaled to singular values s <= 1, W = B V and B from Newton's iteration B <- (3 B - B^3 V V^T) / 2 for
    (V V^T)^(-1/2). It takes every singular value through y <- (3 y - y^3) / 2, which rises to 1 and never passes it;
    the more iterations, the nearer to W W^T = I (or W^T W = I). The code computes W <- (3 W - W W^T W) / 2, which is
    the same in exact arithmetic. On B, rounding errors grow: to ||W|| = 45 for a random 128 x 128 in float32 after 10
    iterations. Each group is a matrix of its own. The operator norm of the zero-padded convolution is at most
    sqrt(k_h k_w). Nothing but the weight is kept.

    Args:
        layer: a linear layer or a (transposed) convolution, parametrized in place.
        iterations: of Newton's method.
        center: subtract every row's mean first, as the paper does; rows with a single entry are left as they are.

    Returns:
        The layer, whose `weight` is now the normalized one.

    Raises:
        BadInput: another module, or option value.

    >>> oni(nn.Linear(4, 4)).weight.norm(2).item() <= 2.0 + 1e-6
    True
    """
    check_whole("oni", "iterations", iterations)
    check_choice("oni", "center", center, (True, False))
    return parametrize_weight(layer, _Newton(kernel_layout("oni", layer), iterations, center))


class _Newton(ExactParametrization):
    """The iteration of `oni`."""

    def __init__(self, kernels: KernelLayout, iterations: int, center: bool) -> None:
        super().__init__()
        self.kernels, self.iterations, self.center = kernels, iterations, center

    def normalize(self, weight: Tensor) -> Tensor:
        """Return the orthogonalized weight."""
        rows = self.kernels.split(weight).flatten(2)
        if self.center and rows.shape[2] > 1:
            rows = rows - rows.mean(2, keepdim=True)
        return newton_orthogonal(rows, self.iterations).reshape(weight.shape)

    def extra_repr(self) -> str:
        """Return the options."""
        return f"iterations={self.iterations}, center={self.center}"
