"""Parametrized weights: computed in at least float32, registered, and reset with the layer that has them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from typing_extensions import override

from gan_convnorm.fourier.execution import autocast_off, exact_dtype, memory_format_of

__all__ = ["ExactParametrization", "parametrize_weight", "recomputing", "reset_with_layer"]


class ExactParametrization(nn.Module):
    """The weight that a layer computes with, from the one that it stores: `normalize` in float32 or float64.

    >>> class Halved(ExactParametrization):
    ...     def normalize(self, weight):
    ...         return weight / 2
    >>> layer = parametrize_weight(nn.Linear(1, 1, dtype=torch.bfloat16), Halved())
    >>> layer.weight = torch.ones(1, 1, dtype=torch.bfloat16)
    >>> layer.weight.item(), layer.weight.dtype
    (0.5, torch.bfloat16)
    """

    @override
    def forward(self, weight: Tensor) -> Tensor:
        with autocast_off(weight.device):
            found = self.normalize(exact_dtype(weight)).to(weight.dtype)
        return found.contiguous(memory_format=memory_format_of(weight))

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Return the weight to store for one that is assigned: the same."""
        return weight

    def normalize(self, weight: Tensor) -> Tensor:
        """Return the weight to compute with, from a stored one in float32 or float64."""
        raise NotImplementedError


def parametrize_weight(layer: nn.Module, parametrization: nn.Module) -> nn.Module:
    """Return the layer, with a parametrization of its weight that its `reset_parameters` reaches.

    >>> parametrize_weight(nn.Linear(3, 2), nn.Tanh()).weight.abs().max().item() <= 1
    True
    """
    parametrize.register_parametrization(layer, "weight", parametrization)
    return reset_with_layer(layer)


def reset_with_layer(layer: nn.Module) -> nn.Module:
    """Let the `reset_parameters` of a layer reach its parametrized weight.

    torch's own `reset_parameters` of a parametrized layer draws into a copy of the weight. So after `to_empty` the
    stored weight, and what a parametrization keeps, would stay as they are. Here the stored weight is drawn, and then
    the parametrization's method `reset_state(weight)`, if it has one, is called. A parametrization that stores tensors
    of other shapes has the layer's as `weight_shape`.

    Args:
        layer: with a parametrized `weight`.

    Returns:
        The layer.

    >>> class Halved(ExactParametrization):
    ...     def normalize(self, weight):
    ...         return weight / 2
    >>> layer = parametrize.register_parametrization(nn.Linear(8, 8), "weight", Halved())
    >>> before = layer.weight
    >>> reset_with_layer(layer).reset_parameters()
    >>> torch.equal(layer.weight, before)
    False
    """
    # torch has made a class for this layer alone.
    type(layer).reset_parameters = _reset_parameters  # type: ignore[attr-defined]
    return layer


@torch.no_grad()
def _reset_parameters(layer: Any) -> None:  # noqa: ANN401
    """Draw the weights of a parametrized layer as the plain layer does, and start its parametrizations anew."""
    plain: Any = type(layer).__bases__[0]
    parametrizations = layer.parametrizations.weight
    stored = parametrizations.original if parametrizations.is_tensor else parametrizations.original1
    drawn: Any = object.__new__(plain)
    drawn.__dict__.update(layer.__dict__)
    shape = getattr(parametrizations[0], "weight_shape", None)
    weight = torch.empty_like(stored) if shape is None else stored.new_empty(shape)
    drawn.__dict__["_parameters"] = {**layer._parameters, "weight": nn.Parameter(weight)}
    plain.reset_parameters(drawn)
    layer.weight = drawn.weight.detach()
    for parametrization in parametrizations:
        reset = getattr(parametrization, "reset_state", None)
        if reset is not None:
            reset(drawn.weight.detach())
    # Registering computes the weight once too, which advances a power iteration.
    parametrizations()


def recomputing() -> bool:
    """Return True during a backward: a forward is then gradient checkpointing's second one, and no state advances.

    >>> recomputing()
    False
    """
    return not torch.compiler.is_compiling() and torch._C._current_graph_task_id() != -1
