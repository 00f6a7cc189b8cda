"""Sampling from a trained GAN in plain PyTorch: its networks are ordinary modules, and no trainer is needed.

Run it from the repository's root:

    python examples/sample_in_plain_pytorch.py --folder checkpoints/digits_convnorm --out samples.png
"""

import argparse

import torch
from torchvision.utils import save_image

from gan_convnorm import GAN

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--folder", default="checkpoints/digits_convnorm", help="of the zoo or your own, or user/name")
parser.add_argument("--out", default="samples.png", help="the picture to write")
arguments = parser.parse_args()

gan = GAN.from_pretrained(arguments.folder)  # in evaluation mode, on the CPU
generator, discriminator = gan.generator_ema, gan.discriminator

with torch.inference_mode():
    latents = torch.randn(200, gan.latent_dim, generator=torch.Generator().manual_seed(0))
    labels = None if gan.num_classes is None else torch.arange(200) % gan.num_classes
    images = generator(latents, labels)  # float32 (200, C, H, W) in [-1, 1]
    scores = discriminator(images, labels)  # float32 (200,); a real image has a high score

best = scores.argsort(descending=True)[:64]
save_image(images[best], arguments.out, nrow=8, normalize=True, value_range=(-1, 1))
print(f"the 64 of 200 samples that the discriminator takes for real: {arguments.out}")
