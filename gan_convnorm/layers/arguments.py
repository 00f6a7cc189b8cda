"""Checks of arguments, made before anything is built: one line with the layer, the value and the choices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

from torch import Tensor

from gan_convnorm.errors import BadInput

__all__ = ["as_batch", "check_choice", "check_images", "check_number", "check_whole", "checked_geometry"]

#: an argument as the caller gave it: of any type until it is checked
Unchecked = Any

PADDING_MODES = ("zeros", "circular", "reflect", "replicate")
AXES = {1: "length", 2: "height, width", 3: "depth, height, width"}


def check_number(
    owner: str,
    option: str,
    value: Unchecked,
    *,
    least: float = -math.inf,
    above: float = -math.inf,
    most: float = math.inf,
    below: float = math.inf,
) -> None:
    """Refuse a value that is not a finite number within its limits.

    Args:
        owner: name of the layer or norm, for the message.
        option: name of the argument.
        value: of the argument.
        least: lower limit, itself allowed.
        above: lower limit, itself not allowed.
        most: upper limit, itself allowed.
        below: upper limit, itself not allowed.

    Raises:
        BadInput: another value.

    >>> check_number("ConvNorm", "eps", -1, least=0)
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: ConvNorm: eps is -1, and must be a finite number of at least 0
    """
    number = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    if number and least <= value <= most and above < value < below:
        return
    limits = [f"of at least {least:g}"] * (least > -math.inf) + [f"above {above:g}"] * (above > -math.inf)
    limits += [f"of at most {most:g}"] * (most < math.inf) + [f"below {below:g}"] * (below < math.inf)
    expected = " and ".join(limits)
    raise BadInput(f"{owner}: {option} is {value!r}, and must be a finite number {expected}".rstrip())


def check_whole(owner: str, option: str, value: Unchecked, *, least: int = 1) -> None:
    """Refuse a value that is not a whole number, or is below the least.

    Raises:
        BadInput: another value.

    >>> check_whole("oni", "steps", 0)
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: oni: steps is 0, and must be a whole number of at least 1
    """
    if not _is_whole(value, least):
        raise BadInput(f"{owner}: {option} is {value!r}, and must be a whole number of at least {least}")


def check_choice(owner: str, option: str, value: Unchecked, choices: Sequence[object]) -> None:
    """Refuse a value that is not one of the choices.

    Raises:
        BadInput: another value.

    >>> check_choice("ConvNorm", "gradient", "half", ("full", "stop"))
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: ConvNorm: gradient is 'half', and must be one of: 'full', 'stop'
    """
    if not any(value is choice or (type(value) is type(choice) and value == choice) for choice in choices):
        listed = ", ".join(map(repr, choices))
        raise BadInput(f"{owner}: {option} is {value!r}, and must be one of: {listed}")


def checked_geometry(
    owner: str,
    dims: int,
    in_channels: Unchecked,
    out_channels: Unchecked,
    kernel_size: Unchecked,
    stride: Unchecked = 1,
    padding: Unchecked = 0,
    dilation: Unchecked = 1,
    groups: Unchecked = 1,
    padding_mode: Unchecked = "zeros",
    output_padding: Unchecked = 0,
    *,
    transposed: bool = False,
) -> dict[str, Any]:
    """Return the geometry of a convolution as keyword arguments of torch's layer, after checking it.

    torch accepts some impossible geometries, and fails in the forward or never.

    Args:
        owner: name of the layer, for the message.
        dims: number of spatial dimensions.
        in_channels: as in `torch.nn.Conv2d`.
        out_channels: as in `torch.nn.Conv2d`.
        kernel_size: as in `torch.nn.Conv2d`.
        stride: as in `torch.nn.Conv2d`.
        padding: as in `torch.nn.Conv2d`.
        dilation: as in `torch.nn.Conv2d`.
        groups: as in `torch.nn.Conv2d`.
        padding_mode: as in `torch.nn.Conv2d`.
        output_padding: as in `torch.nn.ConvTranspose2d`.
        transposed: the layer is transposed, and pads by zeros, a number of them.

    Raises:
        BadInput: a geometry that no convolution has.

    >>> checked_geometry("Conv", 2, in_channels=3, out_channels=8, kernel_size=3, groups=2)
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: Conv: groups is 2, and must divide in_channels, which is 3
    """
    for option, value in (("in_channels", in_channels), ("out_channels", out_channels), ("groups", groups)):
        check_whole(owner, option, value)
    for option, value in (("in_channels", in_channels), ("out_channels", out_channels)):
        if value % groups:
            raise BadInput(f"{owner}: groups is {groups}, and must divide {option}, which is {value}")
    sizes = {"kernel_size": (kernel_size, 1), "stride": (stride, 1), "dilation": (dilation, 1)}
    if not isinstance(padding, str):
        sizes["padding"] = (padding, 0)
    for option, (value, least) in (sizes | {"output_padding": (output_padding, 0)}).items():
        _check_sizes(owner, option, value, dims, least)
    if isinstance(padding, str):
        if transposed:
            raise BadInput(f"{owner}: padding is {padding!r}; a transposed convolution needs a number")
        check_choice(owner, "padding", padding, ("valid", "same"))
        if padding == "same" and _each(stride, dims) != [1] * dims:
            raise BadInput(f"{owner}: padding is 'same' and stride {stride!r}; 'same' needs stride 1: give a number")
    check_choice(owner, "padding_mode", padding_mode, PADDING_MODES[:1] if transposed else PADDING_MODES)
    triples = zip(_each(output_padding, dims), _each(stride, dims), _each(dilation, dims), strict=True)
    if any(extra >= max(s, d) for extra, s, d in triples):
        raise BadInput(
            f"{owner}: output_padding is {output_padding!r}, and must be below the stride {stride!r} or the dilation "
            f"{dilation!r}"
        )
    geometry = {"in_channels": in_channels, "out_channels": out_channels, "kernel_size": kernel_size, "stride": stride}
    geometry |= {"padding": padding, "dilation": dilation, "groups": groups, "padding_mode": padding_mode}
    return geometry | ({"output_padding": output_padding} if transposed else {})


def as_batch(owner: str, image: Tensor, channels: int, dims: int) -> Tensor:
    """Return one image as a batch.

    Raises:
        BadInput: an input that is neither one image nor a batch of images.

    >>> import torch
    >>> as_batch("Conv", torch.zeros(3, 8, 8), 3, 2).shape
    torch.Size([1, 3, 8, 8])
    """
    check_images(owner, image, channels, dims)
    return image.unsqueeze(0)


def check_images(owner: str, images: Tensor, channels: int, dims: int) -> None:
    """Refuse an input that is neither a batch of images nor one image.

    Raises:
        BadInput: another number of dimensions or of channels.

    >>> import torch
    >>> check_images("Conv", torch.zeros(2, 8, 8), 3, 2)
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: Conv: found an input of shape (2, 8, 8), expected (batch, 3, height, width) or
        (3, height, width)
    """
    if images.dim() - dims not in (1, 2) or images.shape[-dims - 1] != channels:
        raise BadInput(
            f"{owner}: found an input of shape {tuple(images.shape)}, expected (batch, {channels}, {AXES[dims]}) or "
            f"({channels}, {AXES[dims]})"
        )


def _check_sizes(owner: str, option: str, value: Unchecked, dims: int, least: int) -> None:
    listed = _each(value, dims)
    if len(listed) != dims or not all(_is_whole(size, least) for size in listed):
        raise BadInput(
            f"{owner}: {option} is {value!r}, and must be a whole number of at least {least}, or {dims} of them"
        )


def _each(value: Unchecked, dims: int) -> list[int]:
    return list(value) if isinstance(value, (tuple, list)) else [value] * dims


def _is_whole(value: Unchecked, least: int) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least
