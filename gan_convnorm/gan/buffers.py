"""Buffers whose shape follows the input, such as the running average of `convnorm_2021`."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn

__all__ = ["copy_buffers", "named_places", "put_buffer"]


def named_places(network: nn.Module) -> Iterator[tuple[nn.Module, str, Tensor]]:
    """Yield every buffer of a network with the module and the name that hold it.

    >>> [name for _, name, _ in named_places(nn.BatchNorm1d(3))]
    ['running_mean', 'running_var', 'num_batches_tracked']
    """
    for module in network.modules():
        for name, buffer in module.named_buffers(recurse=False):
            yield module, name, buffer


def put_buffer(module: nn.Module, name: str, value: Tensor) -> None:
    """Give a module's buffer a value: in its memory, or in new memory where the shape is another.

    >>> norm = nn.BatchNorm1d(3)
    >>> put_buffer(norm, "running_mean", norm.running_var[:2])
    >>> norm.running_mean
    tensor([1., 1.])
    """
    buffer = getattr(module, name)
    if buffer.shape == value.shape:
        buffer.copy_(value)
    else:
        setattr(module, name, value.clone())


def copy_buffers(source: nn.Module, target: nn.Module) -> None:
    """Give a network the buffers of another one of the same structure.

    >>> import torch
    >>> one, other = nn.BatchNorm1d(3), nn.BatchNorm1d(3)
    >>> _ = one(2 * torch.ones(4, 3))
    >>> copy_buffers(one, other)
    >>> torch.equal(one.running_mean, other.running_mean)
    True
    """
    for (_, _, value), (module, name, _) in zip(named_places(source), list(named_places(target)), strict=True):
        put_buffer(module, name, value)
