"""Batch normalization, as torch implements it."""

from __future__ import annotations

from torch import nn

from gan_convnorm.layers.arguments import check_number

__all__ = ["batch"]


def batch(channels: int, *, eps: float = 1e-5, momentum: float | None = 0.1) -> nn.Module:
    """Return a batch normalization: it bounds each channel's variance over a batch, <= 1, and no Lipschitz constant.

    Batch Normalization (Ioffe & Szegedy, ICML 2015, arXiv:1502.03167, algorithm 1), before a scale and a shift. In
    evaluation it is a diagonal map by the running statistics, of norm max_k |gamma_k| / sqrt(var_k + eps).

    Args:
        channels: of the activations.
        eps: added to the variance.
        momentum: weight of a batch in the running statistics; None averages over all batches.

    Returns:
        A layer that takes and gives activations of shape (B, channels, H, W).

    Raises:
        BadInput: a negative eps, or a momentum that is not between 0 and 1.

    >>> batch(8)(nn.Parameter().new_ones(1, 8, 2, 2)).abs().max().item()
    0.0
    """
    check_number("batch", "eps", eps, least=0)
    if momentum is not None:
        check_number("batch", "momentum", momentum, least=0, most=1)
    return nn.BatchNorm2d(channels, eps=eps, momentum=momentum)
