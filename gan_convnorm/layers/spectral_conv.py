"""Spectral normalization of the convolution itself, by power iteration on the operator."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from gan_convnorm.fourier.direct import CONVOLVE, CONVOLVE_TRANSPOSED
from gan_convnorm.fourier.execution import autocast_off, exact_dtype
from gan_convnorm.layers.arguments import check_number, check_whole
from gan_convnorm.layers.kernels import kernel_layout
from gan_convnorm.layers.operator_grid import GridConvolution, every_size, one_size
from gan_convnorm.layers.parametrized import ExactParametrization, parametrize_weight, recomputing
from gan_convnorm.layers.spectral import spectral

__all__ = ["spectral_conv"]

#: power iterations on the layer's first weight
FIRST_ITERATIONS = 30


def spectral_conv(
    layer: nn.Module, *, size: int | None = None, n_power_iterations: int = 1, eps: float = 1e-12
) -> nn.Module:
    """Divide by the convolution's operator norm: ||A|| <= 1 for every image size once the power iteration converged.

    Without a `size`, the norm is that of the circular convolution on a grid of N = 8 (k-1) pixels, divided by
    sqrt(cos(pi (k-1) / N)) per dimension (1.08 for two dimensions). It bounds the convolution on the infinite grid, and
    so every zero-padded one, and every circular one whose stride divides the image and whose output is no larger. The
    reason: ||A(w) x||^2 is a trigonometric polynomial of degree k-1, and its maximum is at most 1 / cos(pi (k-1) / N)
    times that on the grid (Ehlich & Zeller, Math. Z. 86, 1964). With a stride s the same holds on the coarse grid, with
    degree floor((k-1) / s). A dilation changes nothing. Padding that copies pixels (reflection, replication, wider
    circular padding) can raise norms; the bound is then of the map that follows the padding.

    With a `size`, the norm is the layer's own on images of that many pixels, with its padding. The layer's norm is then
    1 at that size. With zero padding it is at most 1 for smaller images and slightly above 1 for larger ones
    (Ryu et al., ICML 2019, arXiv:1905.05406; Farnia et al., ICLR 2019, arXiv:1811.07457).

    The state is one input, `vector`, whose shape follows from the layer and `size` alone. Every forward in training
    advances it by `n_power_iterations` before the norm is computed; evaluation only reads it. Power iteration
    approaches the norm from below: while weights move, the norm can exceed 1 by as much as they moved. Zero, infinite
    and NaN weights leave the vector as it is, and so does the second forward of gradient checkpointing.

    Args:
        layer: a (transposed) convolution, parametrized in place. A linear layer gets `spectral`, which is the same.
        size: side of the images; by default the bound for all sizes.
        n_power_iterations: iterations per forward in training.
        eps: squared norm up to which weights count as zero, and leave the vector as it is.

    Returns:
        The layer, whose `weight` is now the normalized one.

    Raises:
        BadInput: another module, no iteration, an eps that is not above zero, or a size below the kernel.

    >>> layer = spectral_conv(nn.Conv2d(1, 1, 1))
    >>> round(abs(layer.weight.item()), 5)
    1.0
    """
    kernel_layout("spectral_conv", layer)
    check_whole("spectral_conv", "n_power_iterations", n_power_iterations)
    check_number("spectral_conv", "eps", eps, above=0)
    if size is not None:
        check_whole("spectral_conv", "size", size)
    if isinstance(layer, nn.Linear):
        return spectral(layer, n_power_iterations=n_power_iterations, eps=eps)
    assert isinstance(layer, nn.modules.conv._ConvNd)
    operator = every_size(layer) if size is None else one_size(layer, size)
    return parametrize_weight(layer, _OperatorNorm(layer, operator, n_power_iterations, eps))


class _OperatorNorm(ExactParametrization):
    vector: Tensor

    def __init__(
        self, layer: nn.modules.conv._ConvNd, operator: GridConvolution, n_power_iterations: int, eps: float
    ) -> None:
        super().__init__()
        self.grid, self.reads, self.factor = operator.grid, operator.reads, operator.factor
        self.geometry: dict[str, Any] = {
            "stride": operator.stride,
            "dilation": operator.dilation,
            "groups": layer.groups,
        }
        self.n_power_iterations, self.eps = n_power_iterations, eps
        weight = exact_dtype(layer.weight.detach())
        self.register_buffer("vector", weight.new_empty(layer.groups * weight.shape[1], *self.grid))
        self.reset_state(weight)

    @torch.no_grad()
    def reset_state(self, weight: Tensor) -> None:
        """Draw the vector, and iterate until it is of use."""
        self.vector.normal_()
        self.vector /= torch.linalg.vector_norm(self.vector)
        with autocast_off(weight.device):
            self._iterate(exact_dtype(weight), FIRST_ITERATIONS, self._indices(weight))

    def normalize(self, weight: Tensor) -> Tensor:
        indices = self._indices(weight)
        if self.training and not recomputing():
            self._iterate(weight, self.n_power_iterations, indices)
        # A copy, for a second forward before this one's backward.
        vector = self.vector.clone().to(weight.dtype)
        # At a fixed v the gradient of ||A v|| is that of u^T A v.
        norm = torch.linalg.vector_norm(self._convolve(vector, weight, indices))
        # Zero weights are left as they are, so that their gradient is neither NaN nor huge.
        return weight / torch.where(norm == 0, 1, norm * self.factor)

    @torch.no_grad()
    def _iterate(self, weight: Tensor, count: int, indices: list[Tensor]) -> None:
        vector = self.vector.to(weight.dtype)
        for _ in range(count):
            found = self._adjoint(self._convolve(vector, weight, indices), weight, indices)
            length = torch.linalg.vector_norm(found)
            # Not so where the weights are zero, infinite or NaN: the vector stays, and finds the next weights' norm.
            vector = torch.where((length > self.eps) & (length < math.inf), found / length, vector)
        # As an output: function transforms such as torch.func.grad forbid to change a buffer by their own values.
        torch.add(vector, 0, out=self.vector)

    def _indices(self, weight: Tensor) -> list[Tensor]:
        return [reads.index(weight.device) for reads in self.reads]

    def _convolve(self, image: Tensor, weight: Tensor, indices: list[Tensor]) -> Tensor:
        """Return A x."""
        image = nn.functional.pad(image, (0, 1) * len(self.grid))
        for axis, index in enumerate(indices, start=1):
            image = image.index_select(axis, index)
        return CONVOLVE[len(self.grid)](image, weight, **self.geometry)

    def _adjoint(self, output: Tensor, weight: Tensor, indices: list[Tensor]) -> Tensor:
        """Return A^T y."""
        image = CONVOLVE_TRANSPOSED[len(self.grid)](output, weight, **self.geometry)
        for axis, (index, n) in enumerate(zip(indices, self.grid, strict=True), start=1):
            # The last pixels may be read by no stride.
            index = index[: image.shape[axis]]
            shape = (*image.shape[:axis], n + 1, *image.shape[axis + 1 :])
            image = image.new_zeros(shape).index_add(axis, index, image).narrow(axis, 0, n)
        return image

    def extra_repr(self) -> str:
        return f"grid={self.grid}, n_power_iterations={self.n_power_iterations}, eps={self.eps:g}"
