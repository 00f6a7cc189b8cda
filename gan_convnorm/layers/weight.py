"""Weight normalization, as torch implements it."""

from __future__ import annotations

from torch import nn
from torch.nn.utils.parametrizations import weight_norm

__all__ = ["weight"]


def weight(layer: nn.Module) -> nn.Module:
    """Bounds nothing by itself: ||w_k||_2 = |g_k| with a learned g_k, so ||W as C_out x C_in k_h k_w|| <= ||g||_2.

    Weight Normalization (Salimans & Kingma, NeurIPS 2016, arXiv:1602.07868, eq. 2): w_k = g_k v_k / ||v_k||, one
    length and one direction for every output channel, started at the layer's own weight. The operator norm of the
    zero-padded convolution is at most sqrt(k_h k_w) times the flattened kernel's. The grouped transposed convolution
    has one length for the channels of equal place in all groups.

    Args:
        layer: a layer with a `weight`, parametrized in place.
    """
    return weight_norm(layer, dim=1 if isinstance(layer, nn.modules.conv._ConvTransposeNd) else 0)
