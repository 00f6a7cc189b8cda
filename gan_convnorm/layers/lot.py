"""Orthogonal convolutions by the inverse root of every frequency's Gram matrix."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from gan_convnorm.errors import BadInput
from gan_convnorm.layers.arguments import check_choice, check_whole
from gan_convnorm.layers.cayley import CayleyConv2d
from gan_convnorm.layers.like import adopt
from gan_convnorm.layers.oni import newton_orthogonal, oni

__all__ = ["LOTConv2d", "lot", "lot_linear"]


class LOTConv2d(CayleyConv2d):
    """Convolution with (V V^H)^(-1/2) V in place of every frequency's matrix V; with zero padding ||A|| <= 1.

    LOT: Layer-wise Orthogonal Training on Improving l2 Certified Robustness (Xu, Li & Li, NeurIPS 2022,
    arXiv:2210.11620) takes the inverse root by Newton's iteration. Here the iteration is on V itself
    (`newton_orthogonal`): the same in exact arithmetic, and no singular value passes 1, whatever the number of
    iterations. The more of them, the nearer all singular values are to 1.

    Grid, padding, stride and precision are those of `CayleyConv2d`, and so is what the padding does to the bound. With
    circular padding it is the published layer. The layer stores its weights and nothing else. The arguments are those
    of `torch.nn.Conv2d`, and `iterations`.

    Raises:
        BadInput: as `CayleyConv2d`; and a number of iterations below 1.

    >>> layer = LOTConv2d(2, 2, 3, padding=1, padding_mode="circular", bias=False, iterations=30)
    >>> image = torch.randn(1, 2, 8, 8)
    >>> bool((layer(image).norm() / image.norm() - 1).abs() < 1e-4)
    True
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: Literal["zeros", "circular", "reflect", "replicate"] = "zeros",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        iterations: int = 10,
    ) -> None:
        check_whole("LOTConv2d", "iterations", iterations)
        channels = (in_channels, out_channels, kernel_size)
        super().__init__(*channels, stride, padding, dilation, groups, bias, padding_mode, device, dtype)
        self.iterations = iterations

    def orthogonal(self, matrix: Tensor) -> Tensor:
        """Return the nearly orthogonal matrices for those of the frequencies, shape (..., outputs, inputs)."""
        return newton_orthogonal(matrix, self.iterations)

    def extra_repr(self) -> str:
        """Return the geometry and the number of iterations."""
        return f"{super().extra_repr()}, iterations={self.iterations}"


def lot(conv: nn.Module, *, iterations: int = 10, circular: bool = False) -> LOTConv2d:
    """Return the `LOTConv2d` with a convolution's weights; it bounds the operator norm, ||A|| <= 1.

    Args:
        conv: `nn.Conv2d`.
        iterations: of Newton's method.
        circular: pad by wrapping around, as published, whatever the layer's own padding is.

    Returns:
        The layer, which shares weight and bias with `conv`.

    Raises:
        BadInput: another module, or option value.

    >>> lot(nn.Conv2d(3, 8, 3, padding=1), circular=True).padding_mode
    'circular'
    """
    check_whole("lot", "iterations", iterations)
    check_choice("lot", "circular", circular, (True, False))
    if type(conv) is not nn.Conv2d:
        raise BadInput(f"lot: found {type(conv).__name__}, and can take Conv2d")
    padding_mode = "circular" if circular else conv.padding_mode
    return adopt(conv, LOTConv2d, padding_mode=padding_mode, iterations=iterations)


def lot_linear(linear: nn.Module, *, iterations: int = 10) -> nn.Module:
    """Make a linear layer's weight (W W^T)^(-1/2) W by the same iteration, so that sigma(W) <= 1.

    Args:
        linear: `nn.Linear`, parametrized in place.
        iterations: of Newton's method.

    Returns:
        The layer.

    Raises:
        BadInput: another module, or number of iterations.

    >>> lot_linear(nn.Linear(4, 4)).weight.norm(2).item() <= 2.0 + 1e-6
    True
    """
    check_whole("lot", "iterations", iterations)
    if not isinstance(linear, nn.Linear):
        raise BadInput(f"lot: found {type(linear).__name__}, and can take Linear")
    return oni(linear, iterations=iterations, center=False)
