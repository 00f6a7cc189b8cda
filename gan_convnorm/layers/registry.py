"""Normalizations by name: one row each, and those of other modules by their path."""

from __future__ import annotations

import contextlib
import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Unpack, get_args, get_origin, get_type_hints

from torch import nn

from gan_convnorm.errors import BadInput
from gan_convnorm.layers.aoc import aoc
from gan_convnorm.layers.aol import aol
from gan_convnorm.layers.batch_norm import batch
from gan_convnorm.layers.cayley import cayley, cayley_linear
from gan_convnorm.layers.convnorm.layer import convnorm
from gan_convnorm.layers.convnorm.original_2021 import convnorm_2021
from gan_convnorm.layers.group_norm import group
from gan_convnorm.layers.instance_norm import instance
from gan_convnorm.layers.layer_norm import layer
from gan_convnorm.layers.lot import lot, lot_linear
from gan_convnorm.layers.ocnn import ocnn
from gan_convnorm.layers.oni import oni
from gan_convnorm.layers.row import row
from gan_convnorm.layers.row_norm import convnorm_linear
from gan_convnorm.layers.soc import soc, soc_linear
from gan_convnorm.layers.spectral import spectral
from gan_convnorm.layers.spectral_conv import spectral_conv
from gan_convnorm.layers.sync_batch_norm import sync_batch
from gan_convnorm.layers.weight import weight

__all__ = ["NORMS", "Norm", "find_normalization", "import_named"]

ROLES = ("conv", "linear", "activation")


def _keep(layer: nn.Module) -> nn.Module:
    return layer


def _no_layer(channels: int) -> nn.Module:
    return nn.Identity()


@dataclass(frozen=True)
class Norm:
    """The three functions by which one normalization changes a network.

    Attributes:
        conv: makes a plain `nn.Conv2d` the normalized layer (it may reuse the module or its weights).
        linear: the same for a plain `nn.Linear`.
        activation: builds the layer that normalizes activations of a number of channels, before the nonlinearity.

    >>> Norm().activation(8)
    Identity()
    """

    conv: Callable[..., nn.Module] = _keep
    linear: Callable[..., nn.Module] = _keep
    activation: Callable[..., nn.Module] = _no_layer


NORMS: dict[str, Norm] = {
    "none": Norm(),
    "batch": Norm(activation=batch),
    "sync_batch": Norm(activation=sync_batch),
    "layer": Norm(activation=layer),
    "group": Norm(activation=group),
    "instance": Norm(activation=instance),
    "weight": Norm(conv=weight, linear=weight),
    "row": Norm(conv=row, linear=row),
    "spectral": Norm(conv=spectral, linear=spectral),
    "spectral_conv": Norm(conv=spectral_conv, linear=spectral_conv),
    "convnorm": Norm(conv=convnorm, linear=convnorm_linear),
    "convnorm_2021": Norm(conv=convnorm_2021, linear=convnorm_linear),
    "oni": Norm(conv=oni, linear=oni),
    "ocnn": Norm(conv=ocnn, linear=ocnn),
    "aol": Norm(conv=aol, linear=aol),
    "aoc": Norm(conv=aoc, linear=lot_linear),
    "cayley": Norm(conv=cayley, linear=cayley_linear),
    "lot": Norm(conv=lot, linear=lot_linear),
    "soc": Norm(conv=soc, linear=soc_linear),
}


def find_normalization(name: str, options: dict[str, Any] | None = None) -> Norm:
    """Return the row of a name, with options bound to the functions that take them.

    Args:
        name: a key of `NORMS`, or package.module:Name of your own normalization. It is a `Norm`; or has any of
            its attributes, like a class with static methods `conv` and `linear`; or a function or class that takes
            a convolution and gives the normalized layer, which leaves linear layers as they are. Two are joined as
            a+b, such as convnorm+batch: a normalizes weights, b normalizes activations.
        options: keyword options of the normalization, such as ``{"gain": "lipschitz"}`` for convnorm: the keyword-only
            arguments of its functions; for a+b those of a.

    Returns:
        The three functions, each with its options.

    Raises:
        BadInput: an unknown name, or an option that nothing in the row takes; both list the choices. A module that
            cannot be imported, or has no such norm; a b that normalizes no activations.

    >>> norm = find_normalization("convnorm+batch", {"gain": "lipschitz"})
    >>> norm.conv(nn.Conv2d(3, 8, 3)).options.gain
    'lipschitz'
    """
    first, plus, second = name.partition("+")
    if plus and "+" in second:
        raise BadInput(f"norm {name!r} joins three or more; expected one, or two as a+b")
    if plus:
        weights, activation = find_normalization(first, options), find_normalization(second).activation
        if isinstance(activation(1), nn.Identity):
            raise BadInput(f"norm {name!r}: {second!r} normalizes no activations; after the + one must, such as batch")
        if not isinstance(weights.activation(1), nn.Identity):
            raise BadInput(f"norm {name!r}: {first!r} normalizes activations too; before the + expected one of weights")
        return Norm(conv=weights.conv, linear=weights.linear, activation=activation)
    norm, options = _import_norm(name) if ":" in name else NORMS.get(name), options or {}
    if norm is None:
        raise BadInput(
            f"norm {name!r} is not known; choose one of: {', '.join(NORMS)}, or two as a+b, or give your own as "
            "package.module:Name"
        )
    taken = {role: _options_of(getattr(norm, role)) for role in ROLES}
    choices = sorted(set().union(*taken.values()))
    for option in options:
        if option not in choices:
            raise BadInput(f"norm {name!r} has no option {option!r}; it takes: {', '.join(choices) or 'none'}")
    return Norm(
        **{
            role: partial(getattr(norm, role), **{key: options[key] for key in options if key in names})
            for role, names in taken.items()
        }
    )


def _options_of(function: Callable[..., nn.Module]) -> set[str]:
    """Return the names of a function's keyword-only arguments, those of an unpacked TypedDict too."""
    names: set[str] = set()
    hints = {}
    if inspect.isfunction(function):
        with contextlib.suppress(NameError):  # names that the user's file imports for type checkers alone
            hints = get_type_hints(function)
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY:
            names.add(parameter.name)
        elif parameter.kind is parameter.VAR_KEYWORD and get_origin(hints.get(parameter.name)) is Unpack:
            names |= set(get_args(hints[parameter.name])[0].__annotations__)
    return names


def import_named(kind: str, path: str) -> Any:  # noqa: ANN401
    """Return what a person named as `module:attribute`, which this imports.

    >>> import_named("norm", "math:tau") > 6
    True

    Args:
        kind: what it is, for messages.
        path: the module, a colon and the name in it.

    Raises:
        BadInput: a module that cannot be imported, or that does not have it.
    """
    module_name, _, attribute = path.partition(":")
    try:
        module = importlib.import_module(module_name)
    except (ImportError, ValueError, TypeError) as error:  # no name at all and a relative one raise the others
        raise BadInput(
            f"{kind} {path!r}: importing {module_name!r} failed ({error}); put the folder of its file on PYTHONPATH"
        ) from error
    found = getattr(module, attribute, None)
    if found is None:
        names = [name for name in vars(module) if not name.startswith("_")]
        raise BadInput(f"{kind} {path!r}: {module_name} has no {attribute!r}; it has: {', '.join(names) or 'nothing'}")
    return found


def _import_norm(path: str) -> Norm:
    found = import_named("norm", path)
    if isinstance(found, Norm):
        return found
    roles = {role: getattr(found, role) for role in ROLES if callable(getattr(found, role, None))}
    if not roles and not callable(found):
        raise BadInput(
            f"norm {path!r} is a {type(found).__name__}; expected a Norm, a class with conv, linear or activation, or "
            "a function of a convolution"
        )
    if not roles:
        try:
            inspect.signature(found).bind(nn.Conv2d(1, 1, 1))
        except (TypeError, ValueError) as error:
            raise BadInput(
                f"norm {path!r} does not take a convolution ({error}); expected a function of one"
            ) from error
    return Norm(**roles or {"conv": found})
