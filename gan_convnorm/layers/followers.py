"""Which batch normalization reads a convolution's output, found by tracing the network."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import fx, nn

from gan_convnorm.layers.reasons import is_batch_norm, why_no_plain_batch_norm

__all__ = ["Followers", "followers_of", "named_layers"]


@dataclass
class Followers:
    """The batch normalizations of a network.

    Attributes:
        plain: name of a convolution -> name of the `nn.BatchNorm2d` behind it, if nothing else reads its output.
        reasons: name of every other batch normalization -> why it is not in `plain`.

    >>> found = followers_of(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)))
    >>> found.plain
    {'0': '1'}
    """

    plain: dict[str, str] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)


class _Tracer(fx.Tracer):
    """Tracer that does not look inside convolutions and batch normalizations, whoever defined the class."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        known = isinstance(m, nn.modules.conv._ConvNd) or is_batch_norm(m)
        return known or super().is_leaf_module(m, module_qualified_name)


def named_layers(network: nn.Module) -> dict[str, nn.Module]:
    """Return a network's modules by name, without the modules inside a convolution, such as its parametrizations.

    >>> from torch.nn.utils.parametrizations import spectral_norm
    >>> list(named_layers(nn.Sequential(spectral_norm(nn.Conv2d(3, 8, 3)), nn.ReLU())))
    ['', '0', '1']
    """
    found: dict[str, nn.Module] = {}
    inside: tuple[str, ...] = ()
    for name, module in network.named_modules():
        if name.startswith(inside):
            continue
        found[name] = module
        if isinstance(module, nn.modules.conv._ConvNd):
            inside = (*inside, f"{name}." if name else "")
    return found


def _followers_of_parts(network: nn.Module, modules: dict[str, nn.Module], error: Exception) -> Followers:
    """Return what is known from tracing each part alone, where the whole network cannot be traced.

    A detector's forward reads its images in a loop, which torch.fx cannot follow; its backbone is a plain network.
    """
    found = Followers()
    line = (str(error).splitlines() or [type(error).__name__])[0]
    unknown = f"torch.fx cannot trace the network ({line}), so what it follows is unknown"
    for part, child in network.named_children():
        if is_batch_norm(child) or isinstance(child, nn.modules.conv._ConvNd):
            continue
        inner = followers_of(child)
        pairs = {f"{part}.{conv}": f"{part}.{norm}" for conv, norm in inner.plain.items()}
        # A layer that several parts share has one name in the network.
        found.plain |= {conv: norm for conv, norm in pairs.items() if conv in modules and norm in modules}
        found.reasons |= {f"{part}.{name}": why for name, why in inner.reasons.items() if f"{part}.{name}" in modules}
    for name, module in modules.items():
        if is_batch_norm(module) and name not in found.plain.values() and name not in found.reasons:
            why = why_no_plain_batch_norm(module)
            found.reasons[name] = unknown if why is None else f"{why}; {unknown}"
    return found


def followers_of(network: nn.Module) -> Followers:
    """Return which `nn.BatchNorm2d` follows which convolution, and why every other batch normalization does not.

    >>> found = followers_of(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.BatchNorm2d(8)))
    >>> found.plain, found.reasons
    ({'0': '1'}, {'3': 'it follows no convolution directly'})
    """
    modules = named_layers(network)
    norms = {name: module for name, module in modules.items() if is_batch_norm(module)}
    if not norms:
        return Followers()
    try:
        graph = _Tracer().trace(network)
    except Exception as error:
        return _followers_of_parts(network, modules, error)
    found = Followers()
    calls = [node for node in graph.nodes if node.op == "call_module"]
    targets = [str(node.target) for node in calls]
    for name, norm in norms.items():
        nodes = [node for node in calls if node.target == name]
        read = [source for node in nodes for source in node.all_input_nodes]
        source = read[0] if read and read[0].op == "call_module" else None
        conv = "" if source is None else str(source.target)
        why = why_no_plain_batch_norm(norm)
        if source is None or not isinstance(modules[conv], nn.modules.conv._ConvNd):
            place = "it follows no convolution directly" if nodes else "the network's forward does not call it"
            found.reasons[name] = place if why is None else f"{why}; {place}"
        elif why is not None:
            found.reasons[name] = f"{why}; it stays behind {conv}, and undoes a bound on it"
        elif not isinstance(modules[conv], nn.Conv2d):
            found.reasons[name] = f"it follows {conv}, a {type(modules[conv]).__name__}, which is not converted"
        elif len(nodes) > 1 or targets.count(conv) > 1:
            found.reasons[name] = f"it or {conv} is called several times"
        elif len(source.users) > 1:
            found.reasons[name] = f"the output of {conv} is read elsewhere too"
        else:
            found.plain[conv] = name
    return found
