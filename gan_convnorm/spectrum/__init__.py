"""How large is this convolution? One method per file; ``dense`` is the float64 oracle."""

from gan_convnorm.spectrum.power import autocorrelation, power_spectrum

__all__ = ["autocorrelation", "power_spectrum"]
