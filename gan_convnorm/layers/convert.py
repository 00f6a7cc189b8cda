"""Any network with another normalization: its convolutions and their batch normalizations are exchanged."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import Any, Literal

from torch import nn

from gan_convnorm.errors import BadInput
from gan_convnorm.layers.arguments import check_choice
from gan_convnorm.layers.followers import Followers, followers_of, named_layers
from gan_convnorm.layers.reasons import is_batch_norm, why_no_plain_convolution
from gan_convnorm.layers.registry import Norm, find_normalization
from gan_convnorm.layers.snapshot import Snapshot

__all__ = ["Conversion", "convert", "exchange"]


@dataclass
class Conversion:
    """Report of `convert`: the layers that it changed, and those that it left with the reason.

    Attributes:
        changed: name of a layer and what it became.
        left: name of a layer that stays and why.

    >>> network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3))
    >>> _, report = convert(network, exclude="0")
    >>> print(report)
    changed 2: ConvNorm2d
    left 0: excluded
    1 layers changed, 1 left
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
            by tracing the network with torch.fx); the convolution gets a bias, at zero, if it has none. Only a layer
            with the forward of `nn.BatchNorm2d` is replaced; SyncBatchNorm, FrozenBatchNorm2d and subclasses that do
            more stay, with the reason. "keep" leaves every BatchNorm; it undoes a bound on the convolution before it.

    Returns:
        The network (another module only if it is itself a convolution), and a report that prints as a list.

    Raises:
        BadInput: an unknown norm or option value, or no convolution that can be converted. Whatever is raised, the
            network is as it was.

    >>> network, report = convert(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU()), "spectral")
    >>> report.changed
    {'0': 'ParametrizedConv2d, in place of 1 too'}
    >>> network[1]
    Identity()
    """
    row = find_normalization(norm, options)
    include, exclude = (patterns if isinstance(patterns, str) else tuple(patterns) for patterns in (include, exclude))
    check_choice("convert", "batch_norm", batch_norm, ("replace", "keep"))
    report, before = Conversion(), Snapshot(network)
    try:
        chosen, followers = _choose(network, include, exclude, batch_norm == "replace", report)
        for name, conv in chosen.items():
            try:
                network = _exchange_norm(network, name, conv, followers.get(name), row, report)
            except Exception as error:
                error.add_note(f"convert: at layer {name or '(the network)'}")
                raise
        if not report.changed:
            raise BadInput(
                f"convert: no Conv2d to convert with include={include!r}, exclude={exclude!r}; left: "
                f"{_summary(report.left)}"
            )
    except BaseException:
        before.restore()
        raise
    return network, report


def _choose(
    network: nn.Module, include: str | Iterable[str], exclude: str | Iterable[str], replace: bool, report: Conversion
) -> tuple[dict[str, nn.Conv2d], dict[str, str]]:
    """Return the convolutions to convert by name, and the BatchNorm to replace behind each; report all others."""
    found = followers_of(network) if replace else Followers()
    chosen: dict[str, nn.Conv2d] = {}
    for name, module in named_layers(network).items():
        reason = why_no_plain_convolution(module)
        if reason is not None:
            report.left[name] = reason
        elif isinstance(module, nn.Conv2d):
            if _matches(name, include) and not _matches(name, exclude):
                chosen[name] = module
                continue
            report.left[name] = "excluded" if _matches(name, include) else "not included"
        elif is_batch_norm(module) and name not in found.plain.values():
            report.left[name] = found.reasons[name] if replace else "batch_norm='keep'"
    for name, follower in found.plain.items():
        if name not in chosen:
            reason = report.left[name]
            report.left[follower] = f"its convolution is {reason if 'cluded' in reason else 'left'}"
    return chosen, found.plain


def _exchange_norm(
    network: nn.Module, name: str, conv: nn.Conv2d, follower: str | None, row: Norm, report: Conversion
) -> nn.Module:
    """Exchange one convolution, and the BatchNorm behind it, or report why its norm does not take it."""
    before = Snapshot(conv)
    activation = row.activation(conv.out_channels).requires_grad_(conv.weight.requires_grad)
    has_activation = not isinstance(activation, nn.Identity)
    if follower is not None and conv.bias is None and not has_activation:
        conv.bias = nn.Parameter(conv.weight.new_zeros(conv.out_channels), requires_grad=conv.weight.requires_grad)
    try:
        layer = row.conv(conv)
    except BadInput as error:
        before.restore()
        report.left[name] = str(error)
        if follower is not None:
            report.left[follower] = "its convolution is left"
        return network
    what = type(layer).__name__
    if follower is not None:
        old = network.get_submodule(follower)
        if not isinstance(old, type(activation)) or getattr(row.activation, "keywords", None):  # options were given
            _take_state(activation, old)
            exchange(network, follower, activation.to(conv.weight))
            what += f", in place of {follower} too" + (f" ({type(activation).__name__})" * has_activation)
    elif has_activation:
        layer = nn.Sequential(layer, activation.to(conv.weight))
        what += f" and {type(activation).__name__}"
    if layer is not conv:
        network = exchange(network, name, layer)
    report.changed[name or "(the network)"] = what
    return network


def _take_state(new: nn.Module, old: nn.Module) -> None:
    """Load the scale, shift and statistics of a normalization into another one that has the same."""
    state, own = old.state_dict(), new.state_dict()
    if state.keys() == own.keys() and all(value.shape == own[name].shape for name, value in state.items()):
        new.load_state_dict(state)


def _summary(left: dict[str, str], shown: int = 6) -> str:
    """Names and reasons in one line, the first few."""
    listed = [f"{name or '(the network)'} ({why})" for name, why in left.items()]
    more = [f"and {len(listed) - shown} more"] if len(listed) > shown else []
    return ", ".join([*listed[:shown], *more]) or "none"


def _matches(name: str, patterns: str | Iterable[str]) -> bool:
    return any(fnmatch(name, p) for p in ([patterns] if isinstance(patterns, str) else patterns))


def exchange(network: nn.Module, name: str, layer: nn.Module) -> nn.Module:
    """Return the network with a layer wherever the module of a name is registered; the layer for an empty name.

    >>> exchange(nn.Sequential(nn.Linear(3, 8), nn.ReLU()), "1", nn.Tanh())[1]
    Tanh()
    """
    if not name:
        return layer.train(network.training)
    old = network.get_submodule(name)
    # A module that is registered twice is exchanged twice.
    places = [(parent, key) for parent in network.modules() for key, child in parent._modules.items() if child is old]
    for parent, key in places:
        setattr(parent, key, layer.train(old.training))
    return network
