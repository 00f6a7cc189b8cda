"""A critic that is normalized by its own gradient (GN-GAN)."""

from __future__ import annotations

import torch
from torch import Tensor

from gan_convnorm.fourier.execution import autocast_off, exact_dtype
from gan_convnorm.objectives.critic_gradients import Critic

__all__ = ["gradient_normalized"]


def gradient_normalized(critic: Critic) -> Critic:
    """Return the critic D / (||grad D|| + |D|), with outputs in [-1, 1] (Wu et al., ICCV 2021, arXiv:2109.02235).

    Its gradients have norm 1 at most where D is piecewise linear. It is differentiable in its parameters and images.
    Each forward costs a backward pass, also with gradients switched off. The output is 0 if D and its gradient are
    both 0.

    >>> critic = gradient_normalized(lambda x: (3 * x).sum(dim=(1, 2, 3)))
    >>> critic(torch.ones(1, 1, 1, 1)).detach()  # 3 / (3 + 3)
    tensor([0.5000])

    Args:
        critic: D, maps images (B, C, H, W) to outputs (B,).
    """

    def normalized(images: Tensor) -> Tensor:
        needed = torch.is_grad_enabled()
        with torch.enable_grad(), autocast_off(images.device):
            images = exact_dtype(images)
            images = images if images.requires_grad else images.detach().requires_grad_()
            outputs = critic(images)
            (gradients,) = torch.autograd.grad(outputs.sum(), images, create_graph=needed)
            scale = gradients.flatten(1).norm(dim=1) + outputs.abs()
            normalized_outputs: Tensor = outputs / scale.masked_fill(scale == 0, 1)
        return normalized_outputs if needed else normalized_outputs.detach()

    return normalized
