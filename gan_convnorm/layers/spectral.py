"""Spectral normalization, as torch implements it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from gan_convnorm.errors import BadInput
from gan_convnorm.fourier.execution import autocast_off
from gan_convnorm.layers.arguments import check_number, check_whole
from gan_convnorm.layers.parametrized import parametrize_weight, recomputing

__all__ = ["spectral"]


def spectral(layer: nn.Module, *, n_power_iterations: int = 1, eps: float = 1e-12) -> nn.Module:
    """Divide the weight by the flattened kernel's norm, sigma(W as C_out x C_in k_h k_w), not the operator norm.

    Spectral Normalization (Miyato et al., ICLR 2018, arXiv:1802.05957, algorithm 1): power iterations on vectors that
    are kept between steps, advanced by every forward in training mode only (not by the second forward of gradient
    checkpointing). The operator norm of the zero-padded convolution is at most sqrt(k_h k_w) times the bounded one.

    Args:
        layer: a layer with a `weight`, parametrized in place.
        n_power_iterations: iterations per forward in training.
        eps: guards the vectors' normalization against division by zero. Weights of zeros stay as they are.

    Returns:
        The layer, whose `weight` is now the normalized one.

    Raises:
        BadInput: a module without a weight, no iteration, or an eps that is not above zero.

    >>> round(spectral(nn.Linear(3, 1)).weight.norm().item(), 5)
    1.0
    """
    check_whole("spectral", "n_power_iterations", n_power_iterations)
    check_number("spectral", "eps", eps, above=0)
    if not isinstance(getattr(layer, "weight", None), Tensor):
        raise BadInput(f"spectral: found {type(layer).__name__}, and can take a layer with a weight")
    dim = 1 if isinstance(layer, nn.modules.conv._ConvTransposeNd) else 0
    weight: Tensor = layer.weight  # type: ignore[assignment]
    return parametrize_weight(layer, _SpectralNorm(weight, n_power_iterations, dim, eps))


class _SpectralNorm(parametrizations._SpectralNorm):
    """torch's parametrization in full precision under autocast, which recovers from zero or infinite weights."""

    _u: Tensor
    _v: Tensor

    def forward(self, weight: Tensor) -> Tensor:
        with autocast_off(weight.device):
            if weight.ndim == 1:
                return super().forward(weight)
            matrix = self._reshape_weight_to_matrix(weight)
            if self.training and not recomputing():
                self._power_method(matrix, self.n_power_iterations)
            # Copies, for a second forward before this one's backward.
            left, right = (vector.clone(memory_format=torch.contiguous_format) for vector in (self._u, self._v))
            sigma = torch.vdot(left, torch.mv(matrix, right))
            # Zero weights are left as they are, so that their gradient is neither NaN nor huge.
            return weight / torch.where(sigma == 0, 1, sigma)

    @torch.no_grad()
    def _power_method(self, weight_mat: Tensor, n_power_iterations: int) -> None:
        for _ in range(n_power_iterations):
            left = nn.functional.normalize(torch.mv(weight_mat, self._v), dim=0, eps=self.eps)
            right = nn.functional.normalize(torch.mv(weight_mat.H, left), dim=0, eps=self.eps)
            # Not so where the weights are zero, infinite or NaN: the vectors stay, and find the next weights' norm.
            has_length = torch.dot(right, right) > 0.5
            # In place, as replicas of the layer on other devices share the first one's buffers.
            torch.where(has_length, left, self._u, out=self._u)
            torch.where(has_length, right, self._v, out=self._v)

    @torch.no_grad()
    def reset_state(self, weight: Tensor) -> None:
        """Draw the vectors as a new layer does."""
        if weight.ndim == 1:
            return
        for vector in (self._u, self._v):
            vector.copy_(nn.functional.normalize(vector.normal_(), dim=0, eps=self.eps))
        self._power_method(self._reshape_weight_to_matrix(weight), 15)

    def extra_repr(self) -> str:
        return f"n_power_iterations={self.n_power_iterations}, eps={self.eps:g}"
