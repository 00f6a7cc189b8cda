"""All or nothing: a network taken back to what it was before a change that failed."""

from __future__ import annotations

from collections.abc import MutableMapping, MutableSet
from typing import Any

from torch import nn
from torch.nn.parameter import is_lazy

__all__ = ["Snapshot"]


class Snapshot:
    """The structure of a network: every module's class, attributes and registries, and where its tensors' data lie.

    Nothing is copied but names and references. Values that are overwritten in place are not brought back.

    Args:
        network: to be changed.

    >>> network = nn.Sequential(nn.ReLU())
    >>> before = Snapshot(network)
    >>> network[0] = nn.Tanh()
    >>> before.restore()
    >>> network
    Sequential(
      (0): ReLU()
    )
    """

    def __init__(self, network: nn.Module) -> None:
        self._modules = [(module, type(module), dict(module.__dict__)) for module in network.modules()]
        self._contents: list[tuple[Any, Any]] = []
        for _, _, attributes in self._modules:
            for value in attributes.values():
                if isinstance(value, MutableMapping):
                    self._contents.append((value, dict(value)))
                elif isinstance(value, MutableSet):
                    self._contents.append((value, set(value)))
        tensors = [*network.parameters(), *network.buffers()]
        self._data = [(tensor, tensor.data) for tensor in tensors if not is_lazy(tensor)]

    def restore(self) -> None:
        """Restore the structure that the network had."""
        for module, kind, attributes in self._modules:
            module.__class__ = kind
            module.__dict__.clear()
            module.__dict__.update(attributes)
        for holder, content in self._contents:
            holder.clear()
            holder.update(content) if isinstance(content, dict) else holder.__ior__(content)
        for tensor, data in self._data:
            if tensor.data_ptr() != data.data_ptr():
                tensor.data = data
