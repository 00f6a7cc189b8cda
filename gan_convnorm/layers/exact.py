"""What the parametrizations of weights share: single precision or better, whatever autocast and the weight are."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan_convnorm.layers.circular_grid import autocast_off, exact_dtype

__all__ = ["TINY", "ExactParametrization", "least_power"]

#: squared weights below are taken for zero, which no norm enlarges
TINY = 1e-12


def least_power(dtype: torch.dtype) -> float:
    """Return the power below which a channel is taken for zero: its (-1/2)th power has two finite derivatives above.

    7e-16 in float32, where a transform of weights that are not tiny has larger rounding errors.
    """
    return torch.finfo(dtype).tiny ** 0.4


class ExactParametrization(nn.Module):
    """The weight that a layer computes with, from the one that it stores: `normalize` in float32 or float64."""

    def forward(self, weight: Tensor) -> Tensor:
        with autocast_off(weight.device):
            return self.normalize(exact_dtype(weight)).to(weight.dtype)

    def right_inverse(self, weight: Tensor) -> Tensor:
        """A weight that is assigned is stored as it is."""
        return weight

    def normalize(self, weight: Tensor) -> Tensor:
        raise NotImplementedError
