"""Training of SNGAN-family GANs, comparison of normalizations, and ConvNorm as a layer for any ConvNet."""

from typing import TYPE_CHECKING, Any

from gan_convnorm.program_start import prepare

if TYPE_CHECKING:
    from gan_convnorm.gan import GAN
    from gan_convnorm.gan.loading import load

__version__ = "0.1.0"
__all__ = ["GAN", "__version__", "load"]

prepare()  # of a program, before anything imports torch


def __getattr__(name: str) -> Any:  # noqa: ANN401
    # `from gan_convnorm.layers import ConvNorm2d` must not import Lightning.
    if name == "load":
        from gan_convnorm.gan.loading import load

        return load
    if name == "GAN":
        from gan_convnorm.gan import GAN

        return GAN
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
