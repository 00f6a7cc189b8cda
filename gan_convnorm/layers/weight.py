"""Weight normalization, as torch implements it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from gan_convnorm.errors import BadInput
from gan_convnorm.fourier.execution import memory_format_of
from gan_convnorm.layers.parametrized import reset_with_layer

__all__ = ["weight"]


def weight(layer: nn.Module) -> nn.Module:
    """Learn each output channel's length, ||w_k||_2 = |g_k|; this bounds ||W as C_out x C_in k_h k_w|| <= ||g||_2.

    Weight Normalization (Salimans & Kingma, NeurIPS 2016, arXiv:1602.07868, eq. 2): w_k = g_k v_k / ||v_k||, one
    length and one direction for every output channel, started at the layer's own weight. The operator norm of the
    zero-padded convolution is at most sqrt(k_h k_w) times the flattened kernel's. The grouped transposed convolution
    has one length for the channels of equal place in all groups. A v_k of zeros, which has no direction, counts as one
    of equal numbers.

    Args:
        layer: a layer with a `weight`, parametrized in place.

    Returns:
        The layer, whose `weight` is now the normalized one.

    Raises:
        BadInput: a module without a weight.

    >>> sorted(name for name, _ in weight(nn.Linear(3, 2)).named_parameters())
    ['bias', 'parametrizations.weight.original0', 'parametrizations.weight.original1']
    """
    if not isinstance(getattr(layer, "weight", None), Tensor):
        raise BadInput(f"weight: found {type(layer).__name__}, and can take a layer with a weight")
    dim = 1 if isinstance(layer, nn.modules.conv._ConvTransposeNd) else 0
    parametrized: Any = parametrizations.weight_norm(layer, dim=dim)
    parametrized.parametrizations.weight[0] = _WeightNorm(dim)
    return reset_with_layer(parametrized)


class _WeightNorm(parametrizations._WeightNorm):
    """torch's parametrization without its division of zero by zero where all of a channel's weights are zero."""

    def forward(self, weight_g: Tensor, weight_v: Tensor) -> Tensor:
        length = torch.norm_except_dim(weight_v.detach(), 2, self.dim)
        found = super().forward(weight_g, weight_v + (length == 0))
        return found.contiguous(memory_format=memory_format_of(weight_v))
