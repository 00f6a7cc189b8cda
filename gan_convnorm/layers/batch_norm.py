"""Batch normalization, as torch implements it."""

from __future__ import annotations

from torch import nn

__all__ = ["batch"]


def batch(channels: int, *, eps: float = 1e-5, momentum: float | None = 0.1) -> nn.Module:
    """Bounds no Lipschitz constant: each channel has mean 0 and variance <= 1 over a batch, before scale and shift.

    Batch Normalization (Ioffe & Szegedy, ICML 2015, arXiv:1502.03167, algorithm 1). In evaluation it is a diagonal
    map by the running statistics, of norm max_k |gamma_k| / sqrt(var_k + eps).

    Args:
        channels: of the activations.
        eps: added to the variance.
        momentum: weight of a batch in the running statistics; None averages over all batches.
    """
    return nn.BatchNorm2d(channels, eps=eps, momentum=momentum)
