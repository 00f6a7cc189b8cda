"""The Wasserstein-1 distance of two sets of images, by a critic whose Lipschitz constant is certified to be at most 1.

W1 is the largest mean difference of outputs that a 1-Lipschitz function can give the two distributions (Kantorovich and
Rubinstein). Every layer here has operator norm at most 1 by construction and the rectifier MaxMin (Anil et al., ICML
2019, arXiv:1811.05381) keeps gradients' norms, so the critic's difference on the distributions never exceeds W1.

The two distributions: noise images, and noise images with one fixed pattern added. Shifting a distribution by a vector
has W1 equal to the vector's length, whatever the noise, so the true value is known.

python examples/optimal_transport_critic.py
"""

from __future__ import annotations

import argparse

import torch
from torch import Tensor, nn

from gan_convnorm.layers import ConvNorm2d, LinearRowNorm
from gan_convnorm.operators import lipschitz_report

SIDE = 8


class MaxMin(nn.Module):
    """The larger and the smaller of each pair of channels: 1-Lipschitz, and it keeps every gradient's norm."""

    def forward(self, features: Tensor) -> Tensor:
        """Return features of the same shape, the channels sorted in pairs."""
        first, second = features.chunk(2, dim=1)
        return torch.cat([torch.maximum(first, second), torch.minimum(first, second)], dim=1)


def build_critic(channels: int = 16) -> nn.Sequential:
    """Return a map from images (B, 1, 8, 8) to outputs (B, 1) whose Lipschitz constant is at most 1."""
    return nn.Sequential(
        ConvNorm2d(1, channels, 3, padding=1, gain="lipschitz"),
        MaxMin(),
        ConvNorm2d(channels, channels, 3, padding=1, gain="lipschitz"),
        MaxMin(),
        nn.Flatten(),
        LinearRowNorm(channels * SIDE * SIDE, 1, gain="lipschitz"),
    )


def train(critic: nn.Module, shift: Tensor, steps: int, rng: torch.Generator) -> None:
    """Raise the critic's mean difference between images with the shift and without it.

    Args:
        critic: maps images (B, 1, 8, 8) to outputs (B, 1); changed in place.
        shift: the pattern that one distribution has more, shape (1, 8, 8).
        steps: Adam's steps, on fresh batches of 128 images each.
        rng: source of the images.
    """
    optimizer = torch.optim.Adam(critic.parameters(), 1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step in range(steps):
        gap = estimate(critic, shift, 128, rng)
        optimizer.zero_grad()
        (-gap).backward()
        optimizer.step()
        schedule.step()
        if step % 100 == 0:
            print(f"step {step}: {gap.item():.3f}", flush=True)


def estimate(critic: nn.Module, shift: Tensor, count: int, rng: torch.Generator) -> Tensor:
    """Return the mean output of shifted images less that of others, both `count` fresh ones; a scalar."""
    first, second = torch.randn(2, count, 1, SIDE, SIDE, generator=rng)
    gap: Tensor = critic(first + shift).mean() - critic(second).mean()
    return gap


def main(argv: list[str] | None = None) -> tuple[float, float]:
    """Return a trained critic's estimate of the distance, and the true value.

    Args:
        argv: the command line's words; those of the program when not given.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--distance", type=float, default=3.0, help="length of the pattern, which is the true W1")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(argv)
    torch.manual_seed(options.seed)
    rng = torch.Generator().manual_seed(options.seed)
    # A bright square on one side and a dark one on the other.
    shift = torch.zeros(1, SIDE, SIDE)
    shift[:, 2:5, 1:4], shift[:, 3:7, 5:7] = 1.0, -1.0
    shift *= options.distance / shift.norm()
    critic = build_critic()
    train(critic, shift, options.steps, rng)
    critic.eval()
    report = lipschitz_report(critic, (1, SIDE, SIDE))
    print(report)
    with torch.no_grad():
        # Fresh images, so the estimate is of the distributions and not of a sample that the critic has learned.
        found = estimate(critic, shift, 20_000, rng).item()
    print(f"certified Lipschitz constant of the critic: {report.certified_product:.3f}")
    print(f"Wasserstein-1 distance: estimate {found:.3f}, true value {options.distance:.3f}")
    return found, options.distance


if __name__ == "__main__":
    main()
