"""A Wasserstein GAN with gradient penalty (Gulrajani et al., 2017), the networks in plain torch.nn.

Only the penalty and the losses are gan_convnorm's: they are functions of any critic.

python examples/wgan_gp_loop.py --out wgan.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn

from gan_convnorm.data import Digits
from gan_convnorm.images.grid import save_grid
from gan_convnorm.images.pixels import images_to_bytes
from gan_convnorm.objectives.losses import wasserstein_discriminator, wasserstein_generator
from gan_convnorm.objectives.penalties import PENALTIES, wgan_gp

LATENT_DIM = 64


def build_generator(channels: int = 64) -> nn.Module:
    """Return a map from latents (B, 64) to images (B, 1, 16, 16) in [-1, 1]."""
    return nn.Sequential(
        nn.Linear(LATENT_DIM, channels * 16),
        nn.Unflatten(1, (channels, 4, 4)),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.ConvTranspose2d(channels, channels, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.ConvTranspose2d(channels, 1, 4, stride=2, padding=1),
        nn.Tanh(),
    )


def build_critic(channels: int = 32) -> nn.Module:
    """Return a map from images (B, 1, 16, 16) to outputs (B,); no BatchNorm, since the penalty is of each image."""
    return nn.Sequential(
        nn.Conv2d(1, channels, 4, stride=2, padding=1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(channels, 2 * channels, 4, stride=2, padding=1),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        nn.Linear(2 * channels * 16, 1),
        nn.Flatten(0),
    )


def train(steps: int = 600, critic_steps: int = 5, seed: int = 0) -> Tensor:
    """Return 100 samples after training on scikit-learn's digits, uint8 of shape (100, 1, 16, 16).

    Args:
        steps: of the generator.
        critic_steps: of the critic for each of the generator's.
        seed: seeds weights, noise, penalty and the order of the images.
    """
    torch.manual_seed(seed)
    rng = torch.Generator().manual_seed(seed)
    data = Digits(resolution=16)
    data.setup()
    images = data.train_set.tensors[0] / 127.5 - 1
    generator, critic = build_generator(), build_critic()
    g_optimizer = torch.optim.Adam(generator.parameters(), 5e-4, betas=(0.5, 0.9))
    c_optimizer = torch.optim.Adam(critic.parameters(), 5e-4, betas=(0.5, 0.9))

    for step in range(steps):
        for _ in range(critic_steps):
            real = images[torch.randint(len(images), (32,), generator=rng)]
            with torch.no_grad():
                fake = generator(torch.randn(32, LATENT_DIM, generator=rng))
            c_loss = wasserstein_discriminator(critic(real), critic(fake))
            penalty = wgan_gp(critic, real, fake, rng=rng)
            c_optimizer.zero_grad()
            (c_loss + PENALTIES["wgan_gp"].weight * penalty).backward()
            c_optimizer.step()
        g_loss = wasserstein_generator(critic(generator(torch.randn(32, LATENT_DIM, generator=rng))))
        g_optimizer.zero_grad()
        g_loss.backward()
        g_optimizer.step()
        if step % 100 == 0 or step == steps - 1:
            print(f"step {step}: critic's gap {-c_loss.item():.2f}, penalty {penalty.item():.3f}", flush=True)

    generator.eval()
    with torch.no_grad():
        return images_to_bytes(generator(torch.randn(100, LATENT_DIM, generator=rng)))


def main(argv: list[str] | None = None) -> None:
    """Train, and write a grid of samples.

    Args:
        argv: the command line's words; those of the program when not given.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--out", type=Path, default=Path("wgan_gp_loop.png"))
    options = parser.parse_args(argv)
    save_grid(train(options.steps), options.out)
    print(f"100 samples: {options.out}")


if __name__ == "__main__":
    main()
