"""Inverse square roots of squared weights, also where these are zero."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["inverse_root", "inverse_root_above", "least_power"]

#: squared weights below are not enlarged to 1
TINY = 1e-12


def inverse_root(square: Tensor) -> Tensor:
    """Return the (-1/2)th power of squared weights, and 1 where they are zero, so that gradients stay small.

    >>> inverse_root(torch.tensor([4.0, 0.0]))
    tensor([0.5000, 1.0000])
    """
    return torch.where(square == 0, 1, square.clamp_min(TINY)).rsqrt()


def inverse_root_above(square: Tensor, eps: float) -> Tensor:
    """Return (square + eps)^(-1/2). Without eps, squares below `least_power` count as it.

    >>> inverse_root_above(torch.tensor([3.0]), 1.0)
    tensor([0.5000])
    """
    return (square + eps if eps else square.clamp_min(least_power(square.dtype))).rsqrt()


def least_power(dtype: torch.dtype) -> float:
    """Return the power below which a channel counts as zero.

    Above it, the (-1/2)th power and its first two derivatives are finite. It is 7e-16 in float32, less than the
    rounding error of a transform of usual weights.

    >>> f"{least_power(torch.float32):.0e}"
    '7e-16'
    """
    return torch.finfo(dtype).tiny ** 0.4
