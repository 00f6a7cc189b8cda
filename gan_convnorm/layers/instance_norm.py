"""Instance normalization, as torch implements it."""

from __future__ import annotations

from torch import nn

from gan_convnorm.layers.arguments import check_number

__all__ = ["instance"]


def instance(channels: int, *, eps: float = 1e-5) -> nn.Module:
    """Return an instance normalization: it bounds the mean square over each channel, and no Lipschitz constant.

    Instance Normalization (Ulyanov et al., 2016, arXiv:1607.08022, eq. 5), before a learned scale and shift for each
    channel. At a channel of variance v its derivative has norm at most |gamma_k| / sqrt(v + eps). Training needs more
    than one pixel.

    Args:
        channels: of the activations.
        eps: added to the variance.

    Returns:
        A layer that takes and gives activations of shape (B, channels, H, W).

    Raises:
        BadInput: a negative eps.

    >>> instance(8)(nn.Parameter().new_ones(1, 8, 2, 2)).abs().max().item()
    0.0
    """
    check_number("instance", "eps", eps, least=0)
    return nn.InstanceNorm2d(channels, eps=eps, affine=True)
