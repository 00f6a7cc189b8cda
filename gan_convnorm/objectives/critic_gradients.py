"""Gradients of a critic by its images.

A critic maps images (B, C, H, W) to outputs (B,). An image's output depends on that image alone (no batch statistics);
the caller binds labels. Gradients are taken outside autocast, in float32 for half-precision images, because second
derivatives of half-precision outputs are too inexact.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["Critic", "distance_from_one", "float32_at_least", "full_precision", "gradients"]

Critic = Callable[[Tensor], Tensor]


def gradients(critic: Critic, images: Tensor) -> Tensor:
    """Return grad D for each image, shape (B, C H W), differentiable in the critic's parameters.

    >>> gradients(lambda x: (3 * x).sum(dim=(1, 2, 3)), torch.zeros(1, 1, 1, 2)).detach()
    tensor([[3., 3.]])
    """
    with torch.enable_grad(), full_precision(images):
        images = float32_at_least(images.detach()).requires_grad_()
        (found,) = torch.autograd.grad(critic(images).sum(), images, create_graph=True)
    flattened: Tensor = found.flatten(1)
    return flattened


def distance_from_one(critic: Critic, images: Tensor) -> Tensor:
    """Return mean (||grad D(x)|| - 1)^2 at images x, a scalar.

    >>> distance_from_one(lambda x: (3 * x).sum(dim=(1, 2, 3)), torch.zeros(2, 1, 1, 1)).detach()  # (3 - 1)^2
    tensor(4.)
    """
    distance: Tensor = gradients(critic, images).norm(dim=1) - 1
    return distance.square().mean()


def full_precision(images: Tensor) -> torch.autocast:
    """Return a context without autocast on the images' device.

    >>> with full_precision(torch.zeros(1)):
    ...     torch.is_autocast_enabled("cpu")
    False
    """
    return torch.autocast(images.device.type, enabled=False)


def float32_at_least(images: Tensor) -> Tensor:
    """Return images in float32, or as they are in a wider type.

    >>> float32_at_least(torch.zeros(1, dtype=torch.bfloat16)).dtype
    torch.float32
    """
    return images.to(torch.promote_types(images.dtype, torch.float32))
