"""Group normalization, as torch implements it."""

from __future__ import annotations

import math

from torch import nn

from gan_convnorm.layers.arguments import check_number, check_whole

__all__ = ["group"]


def group(channels: int, *, num_groups: int = 32, eps: float = 1e-5) -> nn.Module:
    """Return a group normalization: it bounds the mean square over a group of channels, and no Lipschitz constant.

    Group Normalization (Wu & He, ECCV 2018, arXiv:1803.08494, eq. 7), before a scale and a shift for each channel. At a
    group of variance v its derivative has norm at most max_k |gamma_k| / sqrt(v + eps).

    Args:
        channels: of the activations.
        num_groups: groups of channels; the greatest common divisor with `channels` is taken.
        eps: added to the variance.

    Returns:
        A layer that takes and gives activations of shape (B, channels, H, W).

    Raises:
        BadInput: no group, or a negative eps.

    >>> group(8)(nn.Parameter().new_ones(1, 8, 2, 2)).abs().max().item()
    0.0
    """
    check_whole("group", "num_groups", num_groups)
    check_number("group", "eps", eps, least=0)
    return nn.GroupNorm(math.gcd(num_groups, channels), channels, eps=eps)
