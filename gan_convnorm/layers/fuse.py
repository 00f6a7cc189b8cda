"""ConvNorm for inference: preconditioners baked into plain convolutions, or into filters of one size."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from gan_convnorm.errors import BadInput
from gan_convnorm.layers.arguments import check_number, check_whole
from gan_convnorm.layers.baked import BakedConvNorm
from gan_convnorm.layers.convert import exchange
from gan_convnorm.layers.convnorm.geometry import Geometry
from gan_convnorm.layers.convnorm.layer import ConvNorm2d
from gan_convnorm.layers.convnorm.preconditioned import Preconditioned
from gan_convnorm.layers.convnorm.truncation import certified_taps
from gan_convnorm.layers.like import like
from gan_convnorm.layers.reasons import hook_of
from gan_convnorm.layers.row_norm import LinearRowNorm

__all__ = ["Fusion", "fuse"]


@dataclass
class Fusion:
    """Report of `fuse`: every layer's new form, and a bound of max_k ||P'_k - P_k|| / ||P_k||.

    >>> network = nn.Sequential(ConvNorm2d(3, 8, 1), nn.ReLU(), ConvNorm2d(8, 8, 3))
    >>> print(fuse(network, torch.zeros(1, 3, 6, 6))[1])
    0: plain convolution, exact
    2: filter baked on a grid of (8, 8), exact
    2 layers, largest bound 0.0e+00
    """

    forms: dict[str, str] = field(default_factory=dict)
    bounds: dict[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = [
            f"{name}: {form}, " + (f"relative error at most {self.bounds[name]:.1e}" if self.bounds[name] else "exact")
            for name, form in self.forms.items()
        ]
        return "\n".join([*lines, f"{len(lines)} layers, largest bound {max(self.bounds.values(), default=0.0):.1e}"])


@torch.no_grad()
def fuse(
    network: nn.Module, example: object, *, tolerance: float = 0.0, max_radius: int = 10
) -> tuple[nn.Module, Fusion]:
    """Return a copy of a network for inference, in which no ConvNorm layer computes a power spectrum.

    A 1x1 layer and a `LinearRowNorm` become the plain layer that they are. With a tolerance a `ConvNorm2d` becomes two
    plain convolutions, the second depthwise, where that is certified. What is left is baked at the example's size.

    Args:
        network: with ConvNorm layers.
        example: a batch that the network takes, of the size at which it will be used.
        tolerance: largest bound of the truncated preconditioner's relative error, as in `ConvNorm2d`.
        max_radius: largest radius of the depthwise filter.

    Returns:
        The copy, in evaluation mode, and a report that prints the bounds.

    Raises:
        BadInput: a network without ConvNorm layers, or one that cannot be copied; an invalid tolerance or radius.

    >>> network, images = nn.Sequential(ConvNorm2d(3, 8, 1), nn.ReLU()), torch.rand(1, 3, 6, 6)
    >>> fused, report = fuse(network, images)
    >>> fused[0]
    Conv2d(3, 8, kernel_size=(1, 1), stride=(1, 1))
    >>> torch.allclose(fused(images), network(images), atol=1e-5)
    True
    """
    check_number("fuse", "tolerance", tolerance, least=0, below=1)
    check_whole("fuse", "max_radius", max_radius)
    try:
        fused = copy.deepcopy(network).eval()
    except Exception as error:
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise BadInput(
            f"fuse: the network cannot be copied ({line}); remove weight hooks such as pruning first"
        ) from error
    layers = {name: m for name, m in fused.named_modules() if isinstance(m, (Preconditioned, LinearRowNorm))}
    if not layers:
        raise BadInput("fuse: the network has no ConvNorm layer; convert it first")
    hooked = {name: hook_of(layer) or _own_forward(layer) for name, layer in layers.items()}
    calls: dict[str, set[Geometry | None]] = {name: set() for name in layers}
    hooks = [
        layer.register_forward_pre_hook(_recorder(calls[name]), with_kwargs=True) for name, layer in layers.items()
    ]
    try:
        fused(example)
    finally:
        for hook in hooks:
            hook.remove()
    report = Fusion()
    for name, layer in layers.items():
        if hooked[name] is None:
            replacement, form, bound = _fused(layer, calls[name], tolerance, max_radius)
        else:
            replacement, form, bound = layer, f"left, has {hooked[name]}", 0.0
        report.forms[name or "(the network)"], report.bounds[name or "(the network)"] = form, bound
        fused = exchange(fused, name, replacement)
    return fused.eval(), report


def _own_forward(layer: nn.Module) -> str | None:
    """Return that a layer is a subclass with a forward of its own, which may do more."""
    own = not type(layer).forward.__module__.startswith("gan_convnorm.")
    return f"a forward of its own ({type(layer).__name__})" if own else None


def _recorder(found: set[Geometry | None]) -> Any:  # noqa: ANN401
    def record(layer: nn.Module, inputs: tuple[Tensor, ...], named: dict[str, Any]) -> None:
        if not isinstance(layer, Preconditioned):
            return
        images = [*inputs, *named.values()]
        if len(images) > 1:  # an output size or a pool
            found.add(None)
        elif not layer.is_pointwise():
            batch = images[0] if images[0].dim() == len(layer.kernel_size) + 2 else images[0].unsqueeze(0)
            found.add(layer.respond(batch)[1])

    return record


def _fused(
    layer: nn.Module, geometries: set[Geometry | None], tolerance: float, max_radius: int
) -> tuple[nn.Module, str, float]:
    if isinstance(layer, LinearRowNorm):
        linear = nn.Linear(layer.in_features, layer.out_features, layer.bias is not None, device="meta")
        return _with_weights(linear, layer.normalized_weight(), layer.bias), "plain linear layer", 0.0
    assert isinstance(layer, Preconditioned)
    if None in geometries:
        return layer, "left, called with more than an image", 0.0
    if layer.is_pointwise():
        return _with_weights(_plain(layer), layer.pointwise_weight(), layer.bias), "plain convolution", 0.0
    if len(geometries) != 1:
        why = "never called" if not geometries else "called at several sizes"
        return layer, f"left, {why} with the example", 0.0
    (geometry,) = geometries
    assert geometry is not None
    if tolerance and isinstance(layer, ConvNorm2d) and layer.padding_mode == "zeros":
        spectrum = layer.power_spectrum(geometry.grid)
        filtered = [k > 1 for k in layer.kernel_size]
        found = certified_taps(spectrum, geometry.grid, tolerance, max_radius, filtered)
        if found is not None:
            convolutions = _two_convolutions(layer, geometry, *layer.with_affine(found.taps))
            return convolutions, f"two plain convolutions, radius {found.radius}", found.bound
    return BakedConvNorm(layer, geometry), f"filter baked on a grid of {geometry.grid}", 0.0


def _two_convolutions(layer: ConvNorm2d, geometry: Geometry, taps: Tensor, reach: list[int]) -> nn.Sequential:
    """Return the full response, the pixels around the output, and the depthwise filter with the stride, in a row."""
    full = _plain(layer, stride=geometry.stride, padding=geometry.padding, bias=False)
    padding: list[int] = []
    for (first, count, step), n, before, k in zip(geometry.crop, geometry.size, reach, taps.shape[1:], strict=True):
        last = first + (count - 1) * step + k - before
        padding = [before - first, last - n, *padding]
    # CircularPad2d would crop before it copies the pixels from the other side.
    crop = nn.ZeroPad2d(tuple(min(p, 0) for p in padding))  # type: ignore[arg-type]
    pad = nn.CircularPad2d if layer.options.boundary == "circular" else nn.ZeroPad2d
    steps = [step for _, _, step in geometry.crop]
    arguments: dict[str, Any] = {"kernel_size": tuple(taps.shape[1:]), "stride": tuple(steps), "groups": len(taps)}
    depthwise = nn.Conv2d(len(taps), len(taps), bias=layer.bias is not None, device="meta", **arguments)
    return nn.Sequential(
        _with_weights(full, layer.weight, None),
        pad(tuple(max(p, 0) for p in padding)),  # type: ignore[arg-type]
        *[crop] * any(p < 0 for p in padding),
        _with_weights(depthwise, taps[:, None].to(layer.weight.dtype), layer.bias),
    )


def _plain(layer: Preconditioned, **changes: Any) -> nn.Module:  # noqa: ANN401
    if layer.transposed:
        return like(layer, nn.ConvTranspose2d, **changes)
    return like(layer, {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[len(layer.kernel_size)], **changes)


def _with_weights(module: Any, weight: Tensor, bias: Tensor | None) -> nn.Module:  # noqa: ANN401
    module.weight = nn.Parameter(weight.detach().clone())
    module.bias = None if bias is None else nn.Parameter(bias.detach().clone())
    return module
