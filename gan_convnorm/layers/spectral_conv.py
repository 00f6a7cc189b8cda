"""Spectral normalization of the convolution itself, by power iteration on the operator."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from gan_convnorm.errors import BadInput
from gan_convnorm.layers.circular_grid import exact_dtype
from gan_convnorm.layers.exact import ExactParametrization
from gan_convnorm.layers.kernels import convolve, convolve_transposed, kernels_of
from gan_convnorm.layers.spectral import spectral

__all__ = ["spectral_conv"]

#: points of the circular grid for every degree of the operator's symbol
OVERSAMPLING = 8
#: power iterations on the layer's first weight
FIRST_ITERATIONS = 30


def spectral_conv(
    layer: nn.Module, *, size: int | None = None, n_power_iterations: int = 1, eps: float = 1e-12
) -> nn.Module:
    """Bounds the convolution's operator norm, ||A|| <= 1 for every image size, as far as the power iteration has come.

    Without a `size` the norm is that of the circular convolution on a grid of N = 8 (k-1) pixels, divided by
    sqrt(cos(pi (k-1) / N)) per dimension (1.08 for two). That bounds the convolution on the infinite grid, and so every
    zero-padded or circular one: ||A(w) x||^2 is a trigonometric polynomial of degree k-1, whose maximum is at most
    1 / cos(pi (k-1) / N) times that on the grid (Ehlich & Zeller, Math. Z. 86, 1964). With a stride s the same holds on
    the coarse grid, with degree floor((k-1) / s), and a dilation changes nothing. Padding by reflection or replication
    enlarges norms; there the bound is of what follows it.

    With a `size` the norm is the layer's own on images of that many pixels, its padding included: 1 there, and with
    zero padding at most 1 for smaller images and slightly above 1 for larger ones (Ryu et al., ICML 2019,
    arXiv:1905.05406; Farnia et al., ICLR 2019, arXiv:1811.07457).

    The state is one input, `vector`, whose shape follows from the layer and `size` alone. It advances by
    `n_power_iterations` in every forward in training mode, before the norm is computed; evaluation only reads it. Power
    iteration approaches the norm from below: while weights move, the norm can be above 1 by what they moved.

    Args:
        layer: a (transposed) convolution, parametrized in place; a linear layer gets `spectral`, which is the same.
        size: side of the images; by default the bound for all sizes.
        n_power_iterations: iterations per forward in training.
        eps: guards the vector's normalization against division by zero.

    Raises:
        BadInput: another module, no iteration, or a size below the kernel.
    """
    kernels_of("spectral_conv", layer)
    if n_power_iterations < 1:
        raise BadInput(f"spectral_conv: n_power_iterations is {n_power_iterations}, and must be 1 or more")
    if isinstance(layer, nn.Linear):
        return spectral(layer, n_power_iterations=n_power_iterations, eps=eps)
    assert isinstance(layer, nn.modules.conv._ConvNd)
    operator = _every_size(layer) if size is None else _one_size(layer, size)
    parametrization = _OperatorNorm(layer, operator, n_power_iterations, eps)
    parametrize.register_parametrization(layer, "weight", parametrization)
    return layer


@dataclass(frozen=True)
class _Operator:
    """A convolution on a grid.

    Attributes:
        stride: of the convolution.
        dilation: of the convolution.
        grid: size of its images.
        reads: per dimension the pixels of which the padded image consists; one beyond the last is zero.
        factor: by which the norm on this grid is multiplied.
    """

    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    grid: tuple[int, ...]
    reads: tuple[Tensor, ...]
    factor: float


def _every_size(layer: nn.modules.conv._ConvNd) -> _Operator:
    # A A^T holds the lags d t that s divides, so it is that of the dense kernel with the stride s / gcd(s, d), spread.
    stride = tuple(s // math.gcd(s, d) for s, d in zip(layer.stride, layer.dilation, strict=True))
    reads, grid, factor = [], [], 1.0
    for k, s in zip(layer.kernel_size, stride, strict=True):
        degree = (k - 1) // s
        points = max(1, OVERSAMPLING * degree)
        factor /= math.sqrt(math.cos(math.pi * degree / points))
        grid.append(points * s)
        reads.append(torch.arange(points * s + k - 1) % (points * s))
    return _Operator(stride, (1,) * len(stride), tuple(grid), tuple(reads), factor)


def _one_size(layer: nn.modules.conv._ConvNd, size: int) -> _Operator:
    pairs = [int(p) for p in layer._reversed_padding_repeated_twice][::-1]
    extras = layer.output_padding if layer.transposed else (0,) * len(layer.stride)
    reads, grid = [], []
    for axis, (k, s, d, extra) in enumerate(zip(layer.kernel_size, layer.stride, layer.dilation, extras, strict=True)):
        after, before = pairs[2 * axis : 2 * axis + 2]
        # The adjoint of a transposed convolution maps its outputs to its inputs.
        n = (size - 1) * s - before - after + d * (k - 1) + extra + 1 if layer.transposed else size
        if n < 1 or n + before + after <= d * (k - 1):
            raise BadInput(
                f"spectral_conv: size {size} with padding {before} is below the kernel; choose a larger size"
            )
        index = torch.arange(-before, n + after)
        if layer.padding_mode == "circular":
            index = index % n
        elif layer.padding_mode == "replicate":
            index = index.clamp(0, n - 1)
        elif layer.padding_mode == "reflect":
            index = (n - 1) - ((n - 1) - index.abs()).abs()
        else:
            index = index.where((index >= 0) & (index < n), n)
        reads.append(index)
        grid.append(n)
    return _Operator(layer.stride, layer.dilation, tuple(grid), tuple(reads), 1.0)


class _OperatorNorm(ExactParametrization):
    vector: Tensor

    def __init__(
        self, layer: nn.modules.conv._ConvNd, operator: _Operator, n_power_iterations: int, eps: float
    ) -> None:
        super().__init__()
        self.grid, self.factor = operator.grid, operator.factor
        self.geometry = {"stride": operator.stride, "dilation": operator.dilation, "groups": layer.groups}
        self.n_power_iterations, self.eps = n_power_iterations, eps
        weight = exact_dtype(layer.weight.detach())
        for axis, index in enumerate(operator.reads):
            # They follow from the geometry and are no state, but have to be on the device.
            self.register_buffer(f"reads{axis}", index.to(weight.device), persistent=False)
        self.register_buffer("vector", weight.new_empty(layer.groups * weight.shape[1], *self.grid).normal_())
        self._iterate(weight, FIRST_ITERATIONS)

    def normalize(self, weight: Tensor) -> Tensor:
        if self.training:
            self._iterate(weight, self.n_power_iterations)
        # A copy, for a second forward before this one's backward.
        vector = self.vector.clone().to(weight.dtype)
        # At a fixed v the gradient of ||A v|| is that of u^T A v.
        return weight / (torch.linalg.vector_norm(self._convolve(vector, weight)) * self.factor)

    @torch.no_grad()
    def _iterate(self, weight: Tensor, count: int) -> None:
        vector = self.vector.to(weight.dtype)
        for _ in range(count):
            vector = self._adjoint(self._convolve(vector, weight), weight)
            vector = vector / torch.linalg.vector_norm(vector).clamp_min(self.eps)
        self.vector.copy_(vector)

    def _reads(self) -> list[Tensor]:
        return [getattr(self, f"reads{axis}") for axis in range(len(self.grid))]

    def _convolve(self, image: Tensor, weight: Tensor) -> Tensor:
        """A x."""
        image = nn.functional.pad(image, (0, 1) * len(self.grid))
        for axis, index in enumerate(self._reads(), start=1):
            image = image.index_select(axis, index)
        return convolve(image, weight, **self.geometry)

    def _adjoint(self, output: Tensor, weight: Tensor) -> Tensor:
        """A^T y."""
        image = convolve_transposed(output, weight, **self.geometry)
        for axis, (index, n) in enumerate(zip(self._reads(), self.grid, strict=True), start=1):
            # The last pixels may be read by no stride.
            index = index[: image.shape[axis]]
            shape = (*image.shape[:axis], n + 1, *image.shape[axis + 1 :])
            image = image.new_zeros(shape).index_add(axis, index, image).narrow(axis, 0, n)
        return image

    def extra_repr(self) -> str:
        return f"grid={self.grid}, n_power_iterations={self.n_power_iterations}, eps={self.eps:g}"
