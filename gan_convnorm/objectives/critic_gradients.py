"""Gradients of a critic by its images.

A critic maps images (B, C, H, W) to outputs (B,). An image's output depends on that image alone (no batch statistics);
the caller binds labels. Gradients are taken outside autocast, in float32 for half-precision images, because second
derivatives of half-precision outputs are too inexact.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from gan_convnorm.fourier.execution import autocast_off, exact_dtype

__all__ = ["Critic", "distance_from_one", "gradients"]

Critic = Callable[[Tensor], Tensor]


def gradients(critic: Critic, images: Tensor) -> Tensor:
    """Return grad D for each image, shape (B, C H W), differentiable in the critic's parameters.

    >>> gradients(lambda x: (3 * x).sum(dim=(1, 2, 3)), torch.zeros(1, 1, 1, 2)).detach()
    tensor([[3., 3.]])
    """
    with torch.enable_grad(), autocast_off(images.device):
        images = exact_dtype(images.detach()).requires_grad_()
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
