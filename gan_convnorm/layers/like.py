"""A layer with the geometry of another."""

from __future__ import annotations

from typing import Any, TypeVar

from torch import nn

from gan_convnorm.errors import BadInput

__all__ = ["adopt", "check_plain_weight", "like"]

GEOMETRY = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "padding_mode")

Layer = TypeVar("Layer", bound=nn.Module)


def like(conv: nn.modules.conv._ConvNd, kind: type[Layer], **changes: object) -> Layer:
    """Return a new layer of a class with the geometry of a convolution, and with weights on the meta device.

    Args:
        conv: the convolution, transposed or not.
        kind: a class with the constructor of torch's convolutions.
        **changes: arguments that differ, and options that `kind` alone has.

    >>> like(nn.Conv2d(3, 8, 3, stride=2), nn.Conv2d, bias=False).weight.is_meta
    True
    """
    arguments = {name: getattr(conv, name) for name in GEOMETRY} | {"bias": conv.bias is not None, "device": "meta"}
    if conv.transposed:
        arguments["output_padding"] = conv.output_padding
    return kind(**arguments | changes)


def check_plain_weight(name: str, module: nn.Module) -> None:
    """Refuse a layer whose weight is computed in every forward, which another layer cannot take over.

    >>> check_plain_weight("ConvNorm2d", nn.utils.parametrizations.weight_norm(nn.Linear(3, 8)))
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: ConvNorm2d: the weight of ParametrizedLinear is computed by another normalization; ...

    Raises:
        BadInput: a parametrized layer, or one with a weight hook.
    """
    if "weight" not in module._parameters:
        found = f"the weight of {type(module).__name__} is computed by another normalization"
        raise BadInput(f"{name}: {found}; remove that first, or give a plain layer")


def adopt(conv: nn.modules.conv._ConvNd, kind: type[Layer], **options: object) -> Layer:
    """Return a layer of a class that takes over a convolution's weight, bias, geometry and mode.

    Args:
        conv: the convolution.
        kind: a class with the constructor of torch's convolutions.
        **options: as in `like`.

    Raises:
        BadInput: a weight that is computed from others.

    >>> conv = nn.Conv2d(3, 8, 3)
    >>> adopt(conv, nn.Conv2d).weight is conv.weight
    True
    """
    check_plain_weight(kind.__name__, conv)
    layer: Any = like(conv, kind, device=conv.weight.device, dtype=conv.weight.dtype, **options)
    layer.requires_grad_(conv.weight.requires_grad)  # what the layer adds is frozen where the weight is
    layer.weight, layer.bias = conv.weight, conv.bias
    return layer.train(conv.training)
