"""A GAN in one plain PyTorch loop: networks, loss, penalty and augmentation of gan_convnorm, no Lightning.

python examples/plain_pytorch_gan.py --out digits.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

from gan_convnorm.data import Digits
from gan_convnorm.images.grid import save_grid
from gan_convnorm.images.pixels import images_to_bytes
from gan_convnorm.networks import SNGANDiscriminator, SNGANGenerator
from gan_convnorm.objectives.augmentation import augment
from gan_convnorm.objectives.losses import find_loss
from gan_convnorm.objectives.penalties import r1


def train(steps: int = 600, width: float = 0.125, norm: str = "convnorm", seed: int = 0) -> Tensor:
    """Return 100 samples after training on scikit-learn's digits, uint8 of shape (100, 1, 16, 16).

    Args:
        steps: of both networks, one each in turn.
        width: factor on the networks' channels.
        norm: the discriminator's normalization, a name of docs/norms.md.
        seed: seeds weights, noise, augmentation and the order of the images.
    """
    torch.manual_seed(seed)
    rng = torch.Generator().manual_seed(seed)
    data = Digits(resolution=16)
    data.setup()
    images = data.train_set.tensors[0] / 127.5 - 1
    generator = SNGANGenerator(16, channels=1, width=width)
    discriminator = SNGANDiscriminator(16, channels=1, width=width, norm=norm)
    g_optimizer = torch.optim.Adam(generator.parameters(), 2e-3, betas=(0.0, 0.9))
    d_optimizer = torch.optim.Adam(discriminator.parameters(), 2e-3, betas=(0.0, 0.9))
    decays = [
        torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=steps)
        for optimizer in (g_optimizer, d_optimizer)
    ]
    loss = find_loss("hinge")

    for step in range(steps):
        # The discriminator's step: both kinds of images are augmented, so that the generator does not learn to.
        real = images[torch.randint(len(images), (32,), generator=rng)]
        with torch.no_grad():
            fake = generator(torch.randn(32, 128, generator=rng))
        pictures = augment(torch.cat([real, fake]), ["translation"], rng)
        real_outputs, fake_outputs = discriminator(pictures).chunk(2)
        d_loss = loss.discriminator(real_outputs, fake_outputs)
        if step % 16 == 0:
            # R1 every 16 steps, with 16 times its weight, costs little (Karras et al., 2020, "lazy regularization").
            d_loss = d_loss + 16 * 0.05 * r1(discriminator, *pictures.chunk(2), rng=rng)
        d_optimizer.zero_grad()
        d_loss.backward()
        d_optimizer.step()

        # The generator's step.
        fake = generator(torch.randn(32, 128, generator=rng))
        g_loss = loss.generator(discriminator(augment(fake, ["translation"], rng)))
        g_optimizer.zero_grad()
        g_loss.backward()
        g_optimizer.step()
        for decay in decays:
            decay.step()
        if step % 100 == 0 or step == steps - 1:
            print(f"step {step}: D loss {d_loss.item():.2f}, G loss {g_loss.item():.2f}", flush=True)

    generator.eval()
    with torch.no_grad():
        return images_to_bytes(generator(torch.randn(100, 128, generator=rng)))


def main(argv: list[str] | None = None) -> None:
    """Train, and write a grid of samples.

    Args:
        argv: the command line's words; those of the program when not given.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--width", type=float, default=0.125)
    parser.add_argument("--norm", default="convnorm")
    parser.add_argument("--out", type=Path, default=Path("plain_pytorch_gan.png"))
    options = parser.parse_args(argv)
    save_grid(train(options.steps, options.width, options.norm), options.out)
    print(f"100 samples: {options.out}")


if __name__ == "__main__":
    main()
