"""The common part of the parametrizations of weights: float32 or float64, under autocast too."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from typing_extensions import override

from gan_convnorm.fourier.circular_grid import autocast_off, exact_dtype, memory_format_of

__all__ = ["ExactParametrization", "inverse_root", "least_power"]

#: squared weights below are not enlarged to 1
TINY = 1e-12


def inverse_root(square: Tensor) -> Tensor:
    """Return the (-1/2)th power of squared weights, 1 where they are zero: their gradient is not made huge.

    >>> inverse_root(torch.tensor([4.0, 0.0]))
    tensor([0.5000, 1.0000])
    """
    return torch.where(square == 0, 1, square.clamp_min(TINY)).rsqrt()


def least_power(dtype: torch.dtype) -> float:
    """Return the power below which a channel is taken for zero: its (-1/2)th power has two finite derivatives above.

    It is 7e-16 in float32. A transform of weights that are not tiny has larger rounding errors there.

    >>> f"{least_power(torch.float32):.0e}"
    '7e-16'
    """
    return torch.finfo(dtype).tiny ** 0.4


class ExactParametrization(nn.Module):
    """The weight that a layer computes with, from the one that it stores: `normalize` in float32 or float64."""

    @override
    def forward(self, weight: Tensor) -> Tensor:
        with autocast_off(weight.device):
            found = self.normalize(exact_dtype(weight)).to(weight.dtype)
        return found.contiguous(memory_format=memory_format_of(weight))

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Return the weight to store for one that is assigned: the same."""
        return weight

    def normalize(self, weight: Tensor) -> Tensor:
        """Return the weight to compute with, from a stored one in float32 or float64."""
        raise NotImplementedError
