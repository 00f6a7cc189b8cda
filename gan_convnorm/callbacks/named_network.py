"""A part of a LightningModule by the name of its attribute."""

from __future__ import annotations

from torch import nn

from gan_convnorm.errors import BadInput

__all__ = ["named_network"]


def named_network(module: nn.Module, name: str) -> nn.Module:
    """Return a module's network of this dotted name.

    >>> named_network(nn.Sequential(nn.Linear(2, 3)), "0")
    Linear(in_features=2, out_features=3, bias=True)

    Raises:
        BadInput: there is none; lists those that there are.
    """
    try:
        return module.get_submodule(name) if name else module
    except AttributeError as error:
        there = ", ".join(child for child, _ in module.named_children()) or "none"
        raise BadInput(f"{type(module).__name__} has no network {name!r}; it has: {there}") from error
