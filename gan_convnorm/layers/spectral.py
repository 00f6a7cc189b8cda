"""Spectral normalization, as torch implements it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

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
    dim = 1 if isinstance(layer, nn.modules.conv._ConvTransposeNd) else 0
    weight: Tensor = layer.weight  # type: ignore[assignment]
    parametrize.register_parametrization(layer, "weight", _SpectralNorm(weight, n_power_iterations, dim, eps))
    return layer


class _SpectralNorm(parametrizations._SpectralNorm):
    """torch's, whose matrix-vector products autocast would round on a GPU."""

    def forward(self, weight: Tensor) -> Tensor:
        with torch.autocast(weight.device.type, enabled=False):
            return super().forward(weight)

    def extra_repr(self) -> str:
        return f"n_power_iterations={self.n_power_iterations}, eps={self.eps:g}"
