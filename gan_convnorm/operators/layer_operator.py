"""A layer as a linear operator on an image of a given size, whatever the layer's forward does."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from typing_extensions import override

from gan_convnorm.errors import BadInput
from gan_convnorm.evaluation_mode import evaluating
from gan_convnorm.fourier.direct import CONVOLVE_TRANSPOSED
from gan_convnorm.fourier.execution import autocast_off, exact_dtype
from gan_convnorm.operators.kernel import check_size, effective_weight, is_plain
from gan_convnorm.operators.linear_operator import LinearOperator, MatrixOperator

__all__ = ["LayerOperator", "layer_operator", "linear_matrix", "variant"]

PADDINGS = ("zeros", "circular", "reflect", "replicate")


def layer_operator(
    layer: nn.Module, input_size: Sequence[int] = (), *, padding: str | None = None
) -> LayerOperator | MatrixOperator:
    """Return the linear operator that a layer is in evaluation mode on an image of the given size.

    >>> operator = layer_operator(nn.Conv2d(3, 8, 3, stride=2, padding=1), (6, 6))
    >>> operator.input_shape, operator.output_shape
    ((3, 6, 6), (8, 3, 3))

    Args:
        layer: a convolution of torch.nn, transposed or not, a ConvNorm layer, nn.Linear, its subclasses, or any other
            layer that is affine in its input in evaluation mode and has `in_channels`. A parametrized layer has its
            effective weight.
        input_size: pixels of the layer's input; nothing for nn.Linear.
        padding: another padding mode of equal width: zeros, circular, reflect or replicate; by default the layer's.

    Returns:
        The linear part of the layer: f(x) - f(0).

    Raises:
        BadInput: an image size or a padding mode that is not possible, or a layer without `in_channels`.
    """
    if isinstance(layer, nn.Linear):
        return MatrixOperator(linear_matrix(layer))
    channels: int | None = getattr(layer, "in_channels", None)
    if channels is None:
        raise BadInput(f"{type(layer).__name__} has no in_channels; expected a convolution or nn.Linear")
    size = check_size(layer, input_size)
    if padding is not None:
        known = PADDINGS[:1] if isinstance(layer, _ConvTransposeNd) else PADDINGS
        if not isinstance(layer, _ConvNd) or padding not in known:
            choices = ", ".join(known) if isinstance(layer, _ConvNd) else "none"
            raise BadInput(f"{type(layer).__name__}: padding is {padding!r}; choose one of: {choices}")
        layer = variant(layer, padding_mode=padding)
    return LayerOperator(layer, (channels, *size))


@torch.no_grad()
def linear_matrix(layer: nn.Linear) -> Tensor:
    """Return the matrix of a linear layer, whatever it does to its weight: (outputs, inputs), at least float32.

    >>> linear_matrix(nn.Linear(3, 2)).shape
    torch.Size([2, 3])
    """
    if type(layer).forward is nn.Linear.forward:
        return effective_weight(layer)
    return exact_dtype(LayerOperator(layer, (layer.in_features,)).matrix())


def variant(layer: nn.Module, **attributes: object) -> nn.Module:
    """Return the layer with other attributes: a copy that shares every tensor; the layer stays as it is.

    >>> layer = nn.Conv2d(3, 8, 3)
    >>> variant(layer, padding_mode="circular").weight is layer.weight
    True
    """
    clone: nn.Module = object.__new__(type(layer))
    clone.__dict__.update(layer.__dict__)
    for registry in ("_parameters", "_buffers", "_modules"):
        clone.__dict__[registry] = dict(layer.__dict__[registry])
    for name, value in attributes.items():
        setattr(clone, name, value)
    return clone


class LayerOperator(LinearOperator):
    """The linear part x -> f(x) - f(0) of a layer f in evaluation mode; its adjoint is autograd's.

    The layer's weights are read when the operator is made: make another one when they have changed.

    >>> layer = nn.Conv1d(1, 1, 2)
    >>> layer.weight.data = torch.tensor([[[1.0, 10.0]]])
    >>> LayerOperator(layer, (1, 3)).matrix()
    tensor([[ 1., 10.,  0.],
            [ 0.,  1., 10.]])

    Args:
        layer: affine in its input in evaluation mode, with at least one parameter.
        input_shape: of its input without the batch.
    """

    def __init__(self, layer: nn.Module, input_shape: tuple[int, ...]) -> None:
        parameter = next(layer.parameters())
        self.input_shape = input_shape
        self.groups = layer.groups if isinstance(layer, _ConvNd) else 1
        self.dtype, self.device = parameter.dtype, parameter.device
        self._layer = layer
        # An inference tensor cannot be saved for autograd.
        with torch.inference_mode(False):
            if is_plain(layer):
                self.dtype = exact_dtype(parameter.detach()[:0]).dtype
                self._run = _plain(layer)
            else:
                self._run = _general(layer)

    @cached_property
    def output_shape(self) -> tuple[int, ...]:  # type: ignore[override]
        """The shape of the layer's output without the batch."""
        return tuple(self.apply(self._zeros(1)).shape[1:])

    @override
    def apply(self, inputs: Tensor) -> Tensor:
        with self._measuring(), torch.no_grad():
            return self._run(inputs)

    @override
    def adjoint(self, outputs: Tensor) -> Tensor:
        with self._measuring():
            image = self._zeros(len(outputs)).requires_grad_()
            (back,) = torch.autograd.grad(self._run(image), image, outputs)
        return back

    @override
    def gram(self, inputs: Tensor) -> Tensor:
        # One forward serves both: its graph is the adjoint's.
        with self._measuring():
            image = inputs.detach().requires_grad_()
            output = self._run(image)
            (back,) = torch.autograd.grad(output, image, output.detach())
        return back

    def _zeros(self, count: int) -> Tensor:
        return torch.zeros(count, *self.input_shape, dtype=self.dtype, device=self.device)

    @contextlib.contextmanager
    def _measuring(self) -> Iterator[None]:
        exactly = autocast_off(self.device)
        with torch.inference_mode(False), torch.enable_grad(), evaluating(self._layer), exactly:
            yield


def _plain(module: nn.Module) -> Callable[[Tensor], Tensor]:
    layer: Any = module  # one of torch's convolutions
    # The effective weight once, not a parametrization in every forward.
    weight = effective_weight(layer)
    if not isinstance(layer, _ConvTransposeNd):
        return lambda image: layer._conv_forward(image, weight, None)
    convolve_transposed = CONVOLVE_TRANSPOSED[weight.dim() - 2]
    geometry = (layer.stride, layer.padding, layer.output_padding, layer.groups, layer.dilation)
    return lambda image: convolve_transposed(image, weight, None, *geometry)


def _general(layer: nn.Module) -> Callable[[Tensor], Tensor]:
    tensors = {name: tensor.detach() for name, tensor in layer.named_parameters()}
    constant: dict[Sequence[int], Tensor] = {}

    def run(image: Tensor) -> Tensor:
        if image.shape not in constant:
            with torch.no_grad():
                constant[image.shape] = torch.func.functional_call(layer, tensors, torch.zeros_like(image))
        output: Tensor = torch.func.functional_call(layer, tensors, image) - constant[image.shape]
        return output

    return run
