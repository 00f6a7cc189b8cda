"""The GAN: its LightningModule, sampling, loading, and the generator's own file."""

from gan_convnorm.gan.module import GAN
from gan_convnorm.gan.sampling import Sampler

__all__ = ["GAN", "Sampler"]
