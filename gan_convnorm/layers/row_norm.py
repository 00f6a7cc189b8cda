"""Row normalization: ConvNorm where there is no space, in a linear layer."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn

from gan_convnorm.errors import BadInput
from gan_convnorm.layers.circular_grid import exact_dtype

__all__ = ["LinearRowNorm", "check_scale", "gain_factor"]


class LinearRowNorm(nn.Linear):
    """Bounds each row, ||w_k|| <= 1, and so ||W|| <= sqrt(out_features): `ConvNorm2d` of a 1x1 kernel on one pixel.

    Args:
        in_features: as in `torch.nn.Linear`.
        out_features: as in `torch.nn.Linear`.
        bias: as in `torch.nn.Linear`.
        device: as in `torch.nn.Linear`.
        dtype: as in `torch.nn.Linear`.
        eps: added to ||w_k||^2.
        gain: a fixed factor, or "lipschitz" for 1 / sqrt(out_features).
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        eps: float = 1e-4,
        gain: float | Literal["lipschitz"] = 1.0,
    ) -> None:
        check_scale("LinearRowNorm", eps, gain)
        super().__init__(in_features, out_features, bias, device, dtype)
        self.eps = eps
        self.gain = gain

    def forward(self, input: Tensor) -> Tensor:
        return nn.functional.linear(input, self.normalized_weight(), self.bias)

    def normalized_weight(self) -> Tensor:
        """gain * w_k / sqrt(||w_k||^2 + eps), shape (out_features, in_features)."""
        with torch.autocast(self.weight.device.type, enabled=False):
            exact = exact_dtype(self.weight)
            scale = (exact.square().sum(dim=1, keepdim=True) + self.eps).rsqrt()
            return (exact * (scale * gain_factor(self.gain, self.out_features))).to(self.weight.dtype)

    def extra_repr(self) -> str:
        return super().extra_repr() + f", eps={self.eps:g}, gain={self.gain!r}"


def check_scale(layer: str, eps: float, gain: float | str) -> None:
    """Refuse an eps or a gain that is none."""
    if eps < 0:
        raise BadInput(f"{layer}: eps is {eps}, and must be zero or above")
    if isinstance(gain, str) and gain != "lipschitz":
        raise BadInput(f"{layer}: gain is {gain!r}, and must be a number or 'lipschitz'")


def gain_factor(gain: float | str, channels: int) -> float:
    """The factor of a gain; "lipschitz" makes the stack of so many channels of norm one have norm one."""
    return 1 / math.sqrt(channels) if gain == "lipschitz" else float(gain)
