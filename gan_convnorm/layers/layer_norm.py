"""Layer normalization of images of any size, as torch implements it."""

from __future__ import annotations

from torch import nn

from gan_convnorm.layers.arguments import check_number

__all__ = ["layer"]


def layer(channels: int, *, eps: float = 1e-5) -> nn.Module:
    """Return a layer normalization: it bounds the mean square over an image's C, H, W, and no Lipschitz constant.

    Layer Normalization (Ba et al., 2016, arXiv:1607.06450) over channels and pixels, with a scale and a shift for each
    channel, so that it needs no image size: group normalization with one group. At an image of variance v its
    derivative has norm at most max_k |gamma_k| / sqrt(v + eps).

    Args:
        channels: of the activations.
        eps: added to the variance.

    Returns:
        A layer that takes and gives activations of shape (B, channels, H, W).

    Raises:
        BadInput: a negative eps.

    >>> layer(8)(nn.Parameter().new_ones(1, 8, 2, 2)).abs().max().item()
    0.0
    """
    check_number("layer", "eps", eps, least=0)
    return nn.GroupNorm(1, channels, eps=eps)
