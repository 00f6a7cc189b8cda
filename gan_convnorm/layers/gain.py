"""The scale of ConvNorm layers: a fixed factor, the certified one, or one learned under a cap."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from gan_convnorm.errors import BadInput
from gan_convnorm.fourier.circular_grid import exact_dtype
from gan_convnorm.layers.arguments import check_number

__all__ = ["Gain", "check_scale", "gain_factor", "gain_parameter", "gain_start"]

Gain = float | Literal["lipschitz", "learned"]

#: a learned gain starts at 1, or at this part of its limit where that is lower: at the limit it has no gradient
START = 0.9


def check_scale(layer: str, eps: object, gain: object, max_gain: object) -> None:
    """Refuse an eps, a gain or a cap that is not finite or has the wrong sign.

    Raises:
        BadInput: such a value.
    """
    check_number(layer, "eps", eps, least=0)
    if isinstance(gain, str) and gain not in ("lipschitz", "learned"):
        raise BadInput(f"{layer}: gain is {gain!r}, and must be a number or 'lipschitz' or 'learned'")
    if not isinstance(gain, str):
        check_number(layer, "gain", gain, above=0)
    if max_gain is not None and gain != "learned":
        raise BadInput(f"{layer}: max_gain is the cap of gain='learned', and gain is {gain!r}; omit max_gain")
    if max_gain is not None:
        check_number(layer, "max_gain", max_gain, above=0)


def gain_parameter(gain: float | str, max_gain: float | None, channels: int, like: Tensor) -> nn.Parameter | None:
    """Return theta of a learned gain, a scalar with the dtype and the device of `like`; None for the other gains."""
    return nn.Parameter(like.new_tensor(gain_start(max_gain, channels))) if gain == "learned" else None


def gain_start(max_gain: float | None, channels: int) -> float:
    """Return the theta with which a learned gain starts.

    >>> round(gain_start(2.0, 1), 3)
    0.0
    """
    share = min(START, 1 / _limit(max_gain, channels))
    return math.log(share / (1 - share))


def gain_factor(gain: float | str, max_gain: float | None, channels: int, parameter: Tensor | None) -> float | Tensor:
    """Return the factor that gives a stack of channels of norm one its gain.

    gain * sqrt(channels) is 1 with "lipschitz", and at most max_gain with "learned", where it is
    max_gain * sigmoid(theta): no value of theta goes beyond.

    >>> gain_factor("lipschitz", None, 4, None)
    0.5
    """
    if gain == "lipschitz":
        return 1 / math.sqrt(channels)
    if parameter is not None:
        return _limit(max_gain, channels) * torch.sigmoid(exact_dtype(parameter))
    return float(gain)


def _limit(max_gain: float | None, channels: int) -> float:
    return (1.0 if max_gain is None else max_gain) / math.sqrt(channels)
