"""Spectral normalization, as torch implements it."""

from __future__ import annotations

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

__all__ = ["spectral"]


def spectral(layer: nn.Module, *, n_power_iterations: int = 1, eps: float = 1e-12) -> nn.Module:
    """Bounds the flattened kernel's norm, sigma(W as C_out x C_in k_h k_w) = 1, not the convolution's operator norm.

    Spectral Normalization (Miyato et al., ICLR 2018, arXiv:1802.05957, algorithm 1): power iterations on vectors that
    are kept between steps, advanced by every forward in training mode only. The operator norm of the zero-padded
    convolution is at most sqrt(k_h k_w) times the bounded one.

    Args:
        layer: a layer with a `weight`, parametrized in place.
        n_power_iterations: iterations per forward in training.
        eps: guards the vectors' normalization against division by zero.
    """
    return spectral_norm(layer, n_power_iterations=n_power_iterations, eps=eps)
