"""Which layers a network has, on what size of image each acts, and which BatchNorm follows it."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from gan_convnorm.operators.layer_operator import layer_operator
from gan_convnorm.operators.linear_operator import LinearOperator

__all__ = ["Layer", "layers_of", "recording"]


@dataclass
class Layer:
    """A layer, with how often it was called on images of one size.

    >>> Layer("0", nn.Conv2d(3, 8, 3), input_size=(6, 6)).operator().output_shape
    (8, 4, 4)

    Attributes:
        name: as in `named_modules`, with "#2" for a second image size.
        module: the convolution or linear layer.
        input_size: pixels of its input, nothing for a linear layer.
        batch_norm: the BatchNorm to which its output goes directly, if one does.
        calls: how often it was called with this size.
    """

    name: str
    module: nn.Module
    input_size: tuple[int, ...]
    batch_norm: _BatchNorm | None = None
    calls: int = 0

    def operator(self) -> LinearOperator:
        """Return the operator that the layer is on this input, with its weights of now."""
        return layer_operator(self.module, self.input_size)


def layers_of(network: nn.Module) -> dict[str, nn.Module]:
    """Return convolutions and linear layers by name, without those that are parts of another.

    >>> list(layers_of(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Linear(8, 1))))
    ['0', '2']
    """
    found: dict[str, nn.Module] = {}
    for name, module in network.named_modules():
        part = any(name.startswith(f"{outer}.") or outer == "" for outer in found)
        if isinstance(module, (_ConvNd, nn.Linear)) and not part:
            found[name] = module
    return found


def _version(tensor: Tensor) -> int:
    return 0 if tensor.is_inference() else tensor._version  # inference tensors count none


@contextlib.contextmanager
def recording(network: nn.Module) -> Iterator[list[Layer]]:
    """Record the layers that the network's forwards inside the block call, in their order.

    A layer that is called again is recorded again only with another size.

    >>> import torch
    >>> network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
    >>> with recording(network) as layers:
    ...     output = network(torch.zeros(2, 3, 6, 6))
    >>> [(layer.name, layer.input_size, layer.batch_norm is network[1]) for layer in layers]
    [('0', (6, 6), True)]

    Args:
        network: any module.

    Yields:
        A list that each forward fills.
    """
    found: list[Layer] = []
    # Weak references, so that no activation is kept alive for this.
    outputs: list[tuple[Layer, weakref.ref[Tensor], int]] = []
    handles = []

    def watch(name: str, module: nn.Module) -> None:
        def record(module: nn.Module, inputs: tuple[Tensor, ...], named: dict[str, Tensor], output: Tensor) -> None:
            dims = len(module.kernel_size) if isinstance(module, _ConvNd) else 0
            image = inputs[0] if inputs else named["input"]
            size = tuple(image.shape[image.dim() - dims :])
            calls = [layer for layer in found if layer.module is module]
            layer = next((layer for layer in calls if layer.input_size == size), None)
            if layer is None:
                layer = Layer(name if not calls else f"{name}#{len(calls) + 1}", module, size)
                found.append(layer)
            layer.calls += 1
            outputs.append((layer, weakref.ref(output), _version(output)))

        handles.append(module.register_forward_hook(record, with_kwargs=True))

    def follow(module: nn.Module, inputs: tuple[Tensor, ...], named: dict[str, Tensor]) -> None:
        image = inputs[0] if inputs else named["input"]
        for layer, output, version in outputs:
            # An operation in place, such as a ReLU's, gives the same tensor with another version.
            if output() is image and _version(image) == version and isinstance(module, _BatchNorm):
                layer.batch_norm = module

    layers = layers_of(network)
    for name, module in layers.items():
        watch(name, module)
    for name, module in network.named_modules():
        part = any(name.startswith(f"{outer}.") for outer in layers)
        if isinstance(module, _BatchNorm) and not part:
            handles.append(module.register_forward_pre_hook(follow, with_kwargs=True))
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()
