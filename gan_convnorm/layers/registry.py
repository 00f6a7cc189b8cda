"""Normalizations by name: one row each."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import nn

from gan_convnorm.errors import BadInput
from gan_convnorm.layers.from_plain import convnorm, convnorm_linear
from gan_convnorm.layers.spectral import spectral

__all__ = ["NORMS", "Norm", "find_norm"]


def _keep(layer: nn.Module) -> nn.Module:
    return layer


def _no_layer(channels: int) -> nn.Module:
    return nn.Identity()


def _batch(channels: int, *, eps: float = 1e-5, momentum: float | None = 0.1) -> nn.Module:
    return nn.BatchNorm2d(channels, eps=eps, momentum=momentum)


@dataclass(frozen=True)
class Norm:
    """What one normalization does to a network.

    Attributes:
        conv: makes a plain `nn.Conv2d` the normalized layer (it may reuse the module or its weights).
        linear: the same for a plain `nn.Linear`.
        activation: builds the layer that normalizes activations of a number of channels, before the nonlinearity.
    """

    conv: Callable[..., nn.Module] = _keep
    linear: Callable[..., nn.Module] = _keep
    activation: Callable[..., nn.Module] = _no_layer


NORMS: dict[str, Norm] = {
    "none": Norm(),
    "batch": Norm(activation=_batch),
    "spectral": Norm(conv=spectral, linear=spectral),
    "convnorm": Norm(conv=convnorm, linear=convnorm_linear),
}


def find_norm(name: str, options: dict[str, Any] | None = None) -> Norm:
    """The row of a name, with options bound to the functions that take them.

    Args:
        name: a key of `NORMS`.
        options: keyword options of the normalization, such as ``{"gain": "lipschitz"}`` for convnorm.

    Raises:
        BadInput: an unknown name, or an option that nothing in the row takes; both list the choices.
    """
    if name not in NORMS:
        raise BadInput(f"norm {name!r} is not known; choose one of: {', '.join(NORMS)}")
    row, options = NORMS[name], options or {}
    taken = {role: _options_of(getattr(row, role)) for role in ("conv", "linear", "activation")}
    choices = sorted(set().union(*taken.values()))
    for option in options:
        if option not in choices:
            raise BadInput(f"norm {name!r} has no option {option!r}; it takes: {', '.join(choices) or 'none'}")
    return Norm(
        **{
            role: partial(getattr(row, role), **{key: options[key] for key in options if key in names})
            for role, names in taken.items()
        }
    )


def _options_of(function: Callable[..., nn.Module]) -> set[str]:
    return {p.name for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY}
