"""A layer as a linear map that can be run forwards and backwards, whatever its forward does."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from gan_convnorm.errors import BadInput
from gan_convnorm.operators.evaluation_mode import evaluating
from gan_convnorm.operators.kernel import effective_weight, is_plain

__all__ = ["linear_map", "linear_matrix", "variant"]

PADDINGS = ("zeros", "circular", "reflect", "replicate")


def variant(layer: nn.Module, **attributes: Any) -> nn.Module:
    """The same layer with other attributes: it shares every tensor, and the layer stays as it is."""
    clone: nn.Module = object.__new__(type(layer))
    clone.__dict__.update(layer.__dict__)
    for registry in ("_parameters", "_buffers", "_modules"):
        clone.__dict__[registry] = dict(layer.__dict__[registry])
    for name, value in attributes.items():
        setattr(clone, name, value)
    return clone


@contextlib.contextmanager
def linear_map(layer: nn.Module, padding: str | None = None) -> Iterator[Callable[[Tensor], Tensor]]:
    """The layer's linear part, x -> f(x) - f(0), differentiable in x alone, in evaluation mode inside the block.

    Args:
        layer: affine in its input in evaluation mode.
        padding: another `padding_mode` for a convolution.

    Raises:
        BadInput: an unknown padding mode, or one for a layer that has none.
    """
    if padding is not None:
        known = PADDINGS[:1] if isinstance(layer, _ConvTransposeNd) else PADDINGS
        if not isinstance(layer, _ConvNd) or padding not in known:
            choices = ", ".join(known) if isinstance(layer, _ConvNd) else "none"
            raise BadInput(f"{type(layer).__name__}: padding is {padding!r}; choose one of: {choices}")
        layer = variant(layer, padding_mode=padding)
    with evaluating(layer), torch.autocast(_device(layer).type, enabled=False):
        yield _plain(layer) if is_plain(layer) else _general(layer)


@torch.no_grad()
def linear_matrix(layer: nn.Linear) -> Tensor:
    """The matrix of a linear layer, whatever it does to its weight; at least float32, shape (outputs, inputs)."""
    if type(layer).forward is nn.Linear.forward:
        return effective_weight(layer)
    # The images of the unit vectors are its columns.
    with linear_map(layer) as run:
        columns = run(torch.eye(layer.in_features, dtype=layer.weight.dtype, device=layer.weight.device))
    return columns.T.to(torch.promote_types(columns.dtype, torch.float32))


def _plain(layer: Any) -> Callable[[Tensor], Tensor]:
    # The effective weight once, not a parametrization in every forward.
    weight = effective_weight(layer)
    if not isinstance(layer, _ConvTransposeNd):
        return lambda image: layer._conv_forward(image, weight, None)
    transpose = (nn.functional.conv_transpose1d, nn.functional.conv_transpose2d, nn.functional.conv_transpose3d)
    convolve: Any = transpose[weight.dim() - 3]
    geometry = (layer.stride, layer.padding, layer.output_padding, layer.groups, layer.dilation)
    return lambda image: convolve(image, weight, None, *geometry)


def _general(layer: nn.Module) -> Callable[[Tensor], Tensor]:
    tensors = {name: tensor.detach() for name, tensor in layer.named_parameters()}
    constant: dict[Sequence[int], Tensor] = {}

    def run(image: Tensor) -> Tensor:
        if image.shape not in constant:
            with torch.no_grad():
                constant[image.shape] = torch.func.functional_call(layer, tensors, torch.zeros_like(image))
        return torch.func.functional_call(layer, tensors, image) - constant[image.shape]

    return run


def _device(layer: nn.Module) -> torch.device:
    return next(layer.parameters()).device
