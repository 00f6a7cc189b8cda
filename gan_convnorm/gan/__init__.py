"""The GAN: its LightningModule, its settings, sampling, loading, and the generator's own file."""

from gan_convnorm.gan.architecture import Architecture
from gan_convnorm.gan.module import GAN
from gan_convnorm.gan.optimization import Optimization
from gan_convnorm.gan.sampling import Sampler

__all__ = ["GAN", "Architecture", "Optimization", "Sampler"]
