"""The images of adversarial training: attacked anew at each step (PGD), or with a perturbation that stays (free)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan_convnorm.evaluation_mode import evaluating
from gan_convnorm.robustness.attacks import ascend
from gan_convnorm.robustness.attacks.gradient import uniform

__all__ = ["FreePerturbation", "pgd_images"]


def pgd_images(
    network: nn.Module, images: Tensor, labels: Tensor, rng: torch.Generator, *, eps: float, step: float, steps: int
) -> Tensor:
    """Return images for PGD adversarial training (Madry et al., ICLR 2018, arXiv:1706.06083, eq. 2.1).

    All images are attacked, misclassified ones too. The attacked network is the one that evaluation sees: attacks
    advance no statistics and no power iteration.

    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    >>> rng, clean = torch.Generator().manual_seed(0), torch.full((3, 1, 2, 2), 0.5)
    >>> attacked = pgd_images(network, clean, torch.tensor([0, 1, 0]), rng, eps=0.1, step=0.05, steps=2)
    >>> bool((attacked - clean).abs().max() <= 0.1 + 1e-6)
    True

    Args:
        network: maps images to logits (B, K).
        images: in [0, 1], shape (B, C, H, W).
        labels: classes, shape (B,).
        rng: source of the starting points, on the CPU.
        eps: radius of the L-infinity ball in which images move.
        step: length of a step.
        steps: number of steps.
    """
    with evaluating(network):
        return ascend(network, images, labels, eps=eps, step=step, steps=steps, start=uniform(images, rng))


class FreePerturbation:
    """The perturbation of free adversarial training (Shafahi et al., NeurIPS 2019, arXiv:1904.12843, algorithm 1).

    It stays from batch to batch, as published. It starts at zero in every epoch, so that a resumed run is exact.

    >>> free = FreePerturbation(0.1)
    >>> images = free.added_to(torch.full((1, 1, 1, 2), 0.5))
    >>> (images * torch.tensor([1.0, -1.0])).sum().backward()
    >>> free.follow_gradient()
    >>> free.perturbation.flatten()
    tensor([ 0.1000, -0.1000])

    Args:
        eps: radius of the L-infinity ball in which images move, and the length of a step.

    Attributes:
        perturbation: shape (B, C, H, W); None at the start of an epoch.
    """

    def __init__(self, eps: float) -> None:
        self.eps = eps
        self.perturbation: Tensor | None = None
        self._perturbed: Tensor | None = None

    def restart(self) -> None:
        """Return to a perturbation of zero."""
        self.perturbation = None

    def added_to(self, images: Tensor) -> Tensor:
        """Return the perturbed images, cut to [0, 1], which take part in the next backward pass."""
        if self.perturbation is None or self.perturbation.shape != images.shape:
            self.perturbation = torch.zeros_like(images)
        # A leaf of the graph: its gradient is not cut with the pixels, so those at 0 and 1 move too.
        self._perturbed = (images + self.perturbation).clamp(0, 1).requires_grad_()
        return self._perturbed

    def follow_gradient(self) -> None:
        """Move the perturbation by the sign of the gradient that the last backward pass gave its images."""
        if self._perturbed is None or self.perturbation is None:
            return
        assert self._perturbed.grad is not None
        self.perturbation = (self.perturbation + self.eps * self._perturbed.grad.sign()).clamp(-self.eps, self.eps)
        self._perturbed = None
