"""Any network with another normalization: its convolutions and their batch normalizations are exchanged."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import Any, Literal

from torch import fx, nn
from torch.nn.utils import parametrize

from gan_convnorm.errors import BadInput
from gan_convnorm.layers.registry import find_norm

__all__ = ["Conversion", "convert", "exchange"]


@dataclass
class Conversion:
    """What `convert` did.

    Attributes:
        changed: name of a layer and what it became.
        left: name of a layer that stays and why.
    """

    changed: dict[str, str] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = [f"changed {name}: {what}" for name, what in self.changed.items()]
        lines += [f"left {name}: {why}" for name, why in self.left.items()]
        return "\n".join([*lines, f"{len(self.changed)} layers changed, {len(self.left)} left"])


def convert(
    network: nn.Module,
    norm: str = "convnorm",
    *,
    options: dict[str, Any] | None = None,
    include: str | Iterable[str] = "*",
    exclude: str | Iterable[str] = (),
    batch_norm: Literal["replace", "keep"] = "replace",
) -> tuple[nn.Module, Conversion]:
    """Exchange the normalization of every `nn.Conv2d` of a network, keeping the weights.

    Args:
        network: changed in place.
        norm: a name of `gan_convnorm.layers.NORMS`.
        options: keyword options of the normalization.
        include: patterns of layer names (as in `named_modules`, `*` matches dots too) that are converted.
        exclude: patterns of names that are not.
        batch_norm: "replace" puts the norm in the place of convolution and BatchNorm where one follows the other (found
            by tracing the network with torch.fx); the convolution gets a bias, at zero, if it has none. "keep" leaves
            every BatchNorm, which undoes a bound on the convolution before it.

    Returns:
        The network (another module only if it is itself a convolution), and a report that prints as a list.

    Raises:
        BadInput: an unknown norm or option, or patterns that match no convolution.
    """
    row = find_norm(norm, options)
    if batch_norm not in ("replace", "keep"):
        raise BadInput(f"convert: batch_norm is {batch_norm!r}, and must be 'replace' or 'keep'")
    report = Conversion()
    followers, why_not = _following_batch_norms(network) if batch_norm == "replace" else ({}, "batch_norm='keep'")
    chosen = {}
    for name, module in network.named_modules():
        reason = None
        if isinstance(module, nn.BatchNorm2d):
            if name not in followers.values():
                reason = why_not or "it follows no convolution directly"
        elif not isinstance(module, nn.Conv2d):
            continue
        elif type(module) is not nn.Conv2d:
            reason = "parametrized already" if parametrize.is_parametrized(module) else f"is a {type(module).__name__}"
        elif not _matches(name, include) or _matches(name, exclude):
            reason = "not included" if not _matches(name, include) else "excluded"
            if name in followers:
                report.left[followers[name]] = f"its convolution is {reason}"
        else:
            chosen[name] = module
        if reason is not None:
            report.left[name] = reason
    if not chosen:
        found = ", ".join(report.left) or "none"
        raise BadInput(f"convert: no Conv2d to convert with include={include!r}, exclude={exclude!r}; left: {found}")
    for name, conv in chosen.items():
        follower = followers.get(name)
        activation = row.activation(conv.out_channels)
        has_activation = not isinstance(activation, nn.Identity)
        adds_bias = follower is not None and conv.bias is None and not has_activation
        if adds_bias:
            conv.bias = nn.Parameter(conv.weight.new_zeros(conv.out_channels))
        try:
            layer = row.conv(conv)
        except BadInput as error:
            report.left[name] = str(error)
            conv.bias = None if adds_bias else conv.bias
            if follower is not None:
                report.left[follower] = "its convolution is left"
            continue
        what = type(layer).__name__
        if follower is not None:
            old = network.get_submodule(follower)
            if type(activation) is not type(old):
                exchange(network, follower, activation.to(conv.weight.device))
                what += f", in place of {follower} too" + (f" ({type(activation).__name__})" * has_activation)
        elif has_activation:
            layer = nn.Sequential(layer, activation.to(conv.weight.device))
            what += f" and {type(activation).__name__}"
        if layer is not conv:
            network = exchange(network, name, layer)
        report.changed[name or "(the network)"] = what
    return network, report


class _Tracer(fx.Tracer):
    """Every convolution is one call, a subclass of torch's too."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, nn.modules.conv._ConvNd) or super().is_leaf_module(m, module_qualified_name)


def _following_batch_norms(network: nn.Module) -> tuple[dict[str, str], str]:
    """Names of the BatchNorm that alone reads a convolution's output; or why that could not be found out."""
    try:
        graph = _Tracer().trace(network)
    except Exception as error:
        return {}, f"torch.fx cannot trace the network ({str(error).splitlines()[0]}), so what it follows is unknown"
    pairs, calls = {}, [node.target for node in graph.nodes if node.op == "call_module"]
    modules = dict(network.named_modules())
    for node in graph.nodes:
        users = list(node.users)
        if node.op != "call_module" or len(users) != 1 or users[0].op != "call_module":
            continue
        conv, norm = str(node.target), str(users[0].target)
        once = calls.count(conv) == 1 and calls.count(norm) == 1
        if isinstance(modules[conv], nn.Conv2d) and isinstance(modules[norm], nn.BatchNorm2d) and once:
            pairs[conv] = norm
    return pairs, ""


def _matches(name: str, patterns: str | Iterable[str]) -> bool:
    return any(fnmatch(name, p) for p in ([patterns] if isinstance(patterns, str) else patterns))


def exchange(network: nn.Module, name: str, layer: nn.Module) -> nn.Module:
    """Put a layer wherever the module of a name is registered; the network, which is the layer if the name is empty."""
    if not name:
        return layer
    old = network.get_submodule(name)
    # A module that is registered twice is exchanged twice.
    places = [(parent, key) for parent in network.modules() for key, child in parent._modules.items() if child is old]
    for parent, key in places:
        setattr(parent, key, layer.train(old.training))
    return network
