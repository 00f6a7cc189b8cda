"""Instance normalization, as torch implements it."""

from __future__ import annotations

from torch import nn

from gan_convnorm.layers.arguments import check_number

__all__ = ["instance"]


def instance(channels: int, *, eps: float = 1e-5) -> nn.Module:
    """Bounds the activations, mean square <= 1 over each channel of an image; no Lipschitz constant.

    Instance Normalization (Ulyanov et al., 2016, arXiv:1607.08022, eq. 5), before a learned scale and shift for each
    channel. At a channel of variance v its derivative has norm at most |gamma_k| / sqrt(v + eps). Training needs more
    than one pixel.

    Args:
        channels: of the activations.
        eps: added to the variance.

    Raises:
        BadInput: a negative eps.
    """
    check_number("instance", "eps", eps, least=0)
    return nn.InstanceNorm2d(channels, eps=eps, affine=True)
