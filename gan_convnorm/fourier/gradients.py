"""Gradients of functions that save memory by their own backward."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = ["Context", "as_real_as", "bias_gradient", "differentiable_gradients"]

#: torch's context of an autograd function, an object of no public type
Context = Any


def bias_gradient(needed: bool, gradient: Tensor) -> Tensor | None:
    """Return the bias's gradient if it is needed, else None.

    >>> bias_gradient(True, torch.ones(2, 1, 3))
    tensor([6.])
    """
    return gradient.sum([0, *range(2, gradient.dim())]) if needed else None


def as_real_as(value: Tensor, other: Tensor) -> Tensor:
    """Return the value, or its real part if the other tensor is real.

    >>> as_real_as(torch.tensor([1.0 + 2.0j]), torch.zeros(1))
    tensor([1.])
    """
    return value if other.is_complex() else value.real


def differentiable_gradients(
    function: Callable[..., Tensor], inputs: Sequence[Tensor | None], constants: tuple[object, ...], gradient: Tensor
) -> list[Tensor | None]:
    """Return gradients through plain operations: a gradient penalty differentiates them, and vmap batches them.

    >>> x = torch.tensor(3.0, requires_grad=True)
    >>> (first,) = differentiable_gradients(lambda x: x**3, [x], (), torch.tensor(1.0))
    >>> torch.autograd.grad(first, x)
    (tensor(18.),)
    """
    # By aliases: one input may depend on another (a filter on the kernels), and that path is autograd's own to follow.
    create_graph = torch.is_grad_enabled()
    with torch.enable_grad():
        aliases = [tensor if tensor is None else tensor.view_as(tensor) for tensor in inputs]
        wanted = [alias for alias in aliases if alias is not None and alias.requires_grad]
        output = function(*aliases, *constants)
    found = iter(torch.autograd.grad(output, wanted, gradient, create_graph=create_graph))
    return [next(found) if alias is not None and alias.requires_grad else None for alias in aliases]
