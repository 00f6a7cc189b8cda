"""Row normalization: ConvNorm where there is no space, in a linear layer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from gan_convnorm.errors import BadInput
from gan_convnorm.fourier.execution import autocast_off, exact_dtype
from gan_convnorm.fourier.roots import inverse_root_above
from gan_convnorm.layers.arguments import check_whole
from gan_convnorm.layers.convnorm.options import Gain, check_scale
from gan_convnorm.layers.convnorm.preconditioned import gain_factor, gain_parameter, gain_start
from gan_convnorm.layers.like import check_plain_weight

__all__ = ["LinearRowNorm", "convnorm_linear"]


class LinearRowNorm(nn.Linear):
    """Linear layer with rows ||w_k|| <= 1, so ||W|| <= sqrt(out_features): ConvNorm of a 1x1 kernel on one pixel.

    Args:
        in_features: as in `torch.nn.Linear`.
        out_features: as in `torch.nn.Linear`.
        bias: as in `torch.nn.Linear`.
        device: as in `torch.nn.Linear`.
        dtype: as in `torch.nn.Linear`.
        eps: added to ||w_k||^2.
        gain: a fixed factor; "lipschitz" for 1 / sqrt(out_features); or "learned", a scalar that is at most
            max_gain / sqrt(out_features).
        max_gain: the cap on gain * sqrt(out_features) of gain "learned", 1 when not given.

    Raises:
        BadInput: a size or an option value that no layer has.

    >>> rows = LinearRowNorm(8, 2, eps=0.0).normalized_weight().norm(dim=1)
    >>> torch.allclose(rows, torch.ones(2))
    True
    """

    gain_logit: nn.Parameter | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        eps: float = 1e-4,
        gain: Gain = 1.0,
        max_gain: float | None = None,
    ) -> None:
        check_whole("LinearRowNorm", "in_features", in_features)
        check_whole("LinearRowNorm", "out_features", out_features)
        check_scale("LinearRowNorm", eps, gain, max_gain)
        super().__init__(in_features, out_features, bias, device, dtype)
        self.eps = eps
        self.gain, self.max_gain = gain, max_gain
        self.gain_logit = gain_parameter(gain, max_gain, out_features, self.weight)

    def reset_parameters(self) -> None:
        """Draw weight and bias as torch's layer does, and start a learned gain."""
        super().reset_parameters()
        theta = getattr(self, "gain_logit", None)  # torch's constructor draws before there is one
        if theta is not None:
            nn.init.constant_(theta, gain_start(self.max_gain, self.out_features))

    def forward(self, input: Tensor) -> Tensor:
        """Return the output, shape (..., out_features)."""
        return nn.functional.linear(input, self.normalized_weight(), self.bias)

    def normalized_weight(self) -> Tensor:
        """Return gain * w_k / sqrt(||w_k||^2 + eps), shape (out_features, in_features)."""
        with autocast_off(self.weight.device):
            exact = exact_dtype(self.weight)
            scale = inverse_root_above(exact.square().sum(dim=1, keepdim=True), self.eps)
            return (exact * (scale * gain_factor(self.gain, self.max_gain, self.out_features, self.gain_logit))).to(
                self.weight.dtype
            )

    def extra_repr(self) -> str:
        """Return sizes and options."""
        return (
            super().extra_repr()
            + f", eps={self.eps:g}, gain={self.gain!r}"
            + ("" if self.max_gain is None else f", max_gain={self.max_gain:g}")
        )


def convnorm_linear(
    linear: nn.Linear, *, eps: float = 1e-4, gain: Gain = 1.0, max_gain: float | None = None
) -> LinearRowNorm:
    """Return the `LinearRowNorm` that takes over a linear layer's weights; it bounds every row, ||w_k|| <= 1.

    Args:
        linear: `nn.Linear`.
        eps: as in `LinearRowNorm`.
        gain: as in `LinearRowNorm`.
        max_gain: as in `LinearRowNorm`.

    Returns:
        The layer, in the mode of `linear`.

    Raises:
        BadInput: another module, or an option value that no layer has.

    >>> type(convnorm_linear(nn.Linear(3, 8))).__name__
    'LinearRowNorm'
    """
    if not isinstance(linear, nn.Linear):
        raise BadInput(f"convnorm: found {type(linear).__name__}, and can take Linear")
    check_plain_weight("convnorm", linear)
    has_bias = linear.bias is not None
    options: dict[str, Any] = {"eps": eps, "gain": gain, "max_gain": max_gain}
    like = linear.weight
    layer = LinearRowNorm(linear.in_features, linear.out_features, has_bias, like.device, like.dtype, **options)
    layer.weight, layer.bias = linear.weight, linear.bias
    return layer.train(linear.training)
