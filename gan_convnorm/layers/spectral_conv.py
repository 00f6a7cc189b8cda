"""Spectral normalization of the convolution itself, by power iteration on the operator."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gan_convnorm.errors import BadInput
from gan_convnorm.fourier.circular_grid import autocast_off, exact_dtype
from gan_convnorm.fourier.exact import ExactParametrization
from gan_convnorm.layers.arguments import check_number, check_whole
from gan_convnorm.layers.kernels import convolve, convolve_transposed, kernels_of
from gan_convnorm.layers.parametrized import parametrize_weight, recomputing
from gan_convnorm.layers.spectral import spectral

__all__ = ["spectral_conv"]

#: points of the circular grid for every degree of the operator's symbol
OVERSAMPLING = 8
#: power iterations on the layer's first weight
FIRST_ITERATIONS = 30


def spectral_conv(
    layer: nn.Module, *, size: int | None = None, n_power_iterations: int = 1, eps: float = 1e-12
) -> nn.Module:
    """Divide by the convolution's operator norm: ||A|| <= 1 for every image size once the power iteration converged.

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
    iteration approaches the norm from below: while weights move, the norm can be above 1 by what they moved. Zero,
    infinite and NaN weights leave the vector as it is, and so does the second forward of gradient checkpointing.

    Args:
        layer: a (transposed) convolution, parametrized in place; a linear layer gets `spectral`, which is the same.
        size: side of the images; by default the bound for all sizes.
        n_power_iterations: iterations per forward in training.
        eps: the squared norm up to which weights count as zero, and leave the vector as it is.

    Returns:
        The layer, whose `weight` is now the normalized one.

    Raises:
        BadInput: another module, no iteration, an eps that is not above zero, or a size below the kernel.
    """
    kernels_of("spectral_conv", layer)
    check_whole("spectral_conv", "n_power_iterations", n_power_iterations)
    check_number("spectral_conv", "eps", eps, above=0)
    if size is not None:
        check_whole("spectral_conv", "size", size)
    if isinstance(layer, nn.Linear):
        return spectral(layer, n_power_iterations=n_power_iterations, eps=eps)
    assert isinstance(layer, nn.modules.conv._ConvNd)
    operator = _every_size(layer) if size is None else _one_size(layer, size)
    return parametrize_weight(layer, _OperatorNorm(layer, operator, n_power_iterations, eps))


@dataclass(frozen=True)
class _Reads:
    """The pixels that a padded row reads, as a rule: no buffer, so that nothing is lost on the meta device.

    Attributes:
        first: position of the first pixel, counted from the row's own first.
        end: position after the last.
        size: pixels of the row.
        mode: how the row goes on beyond its ends.
    """

    first: int
    end: int
    size: int
    mode: str

    def index(self, device: torch.device) -> Tensor:
        """Return the index of every pixel that is read; `size` stands for zero."""
        index, n = torch.arange(self.first, self.end, device=device), self.size
        if self.mode == "circular":
            return index % n
        if self.mode == "replicate":
            return index.clamp(0, n - 1)
        if self.mode == "reflect":
            return (n - 1) - ((n - 1) - index.abs()).abs()
        return index.where((index >= 0) & (index < n), n)


@dataclass(frozen=True)
class _Operator:
    """A convolution on a grid.

    Attributes:
        stride: of the convolution.
        dilation: of the convolution.
        grid: size of its images.
        reads: per dimension which pixels the padded image consists of.
        factor: by which the norm on this grid is multiplied.
    """

    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    grid: tuple[int, ...]
    reads: tuple[_Reads, ...]
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
        reads.append(_Reads(0, points * s + k - 1, points * s, "circular"))
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
        reads.append(_Reads(-before, n + after, n, layer.padding_mode))
        grid.append(n)
    return _Operator(layer.stride, layer.dilation, tuple(grid), tuple(reads), 1.0)


class _OperatorNorm(ExactParametrization):
    vector: Tensor

    def __init__(
        self, layer: nn.modules.conv._ConvNd, operator: _Operator, n_power_iterations: int, eps: float
    ) -> None:
        super().__init__()
        self.grid, self.reads, self.factor = operator.grid, operator.reads, operator.factor
        self.geometry = {"stride": operator.stride, "dilation": operator.dilation, "groups": layer.groups}
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
        return convolve(image, weight, **self.geometry)

    def _adjoint(self, output: Tensor, weight: Tensor, indices: list[Tensor]) -> Tensor:
        """Return A^T y."""
        image = convolve_transposed(output, weight, **self.geometry)
        for axis, (index, n) in enumerate(zip(indices, self.grid, strict=True), start=1):
            # The last pixels may be read by no stride.
            index = index[: image.shape[axis]]
            shape = (*image.shape[:axis], n + 1, *image.shape[axis + 1 :])
            image = image.new_zeros(shape).index_add(axis, index, image).narrow(axis, 0, n)
        return image

    def extra_repr(self) -> str:
        return f"grid={self.grid}, n_power_iterations={self.n_power_iterations}, eps={self.eps:g}"
