"""The settings that decide which layers the two networks have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gan_convnorm.gan.ranges import Range, check_names, check_ranges
from gan_convnorm.networks import Discriminator, Generator, find_networks

__all__ = ["Architecture"]

RANGES: dict[str, Range] = {
    "attention": (lambda x: x >= 1, "1 or more"),
    "width": (lambda x: 0 < x <= 100, "above 0, and at most 100"),
    "latent_dim": (lambda x: 1 <= x <= 65536, "from 1 to 65,536"),
}


@dataclass(frozen=True)
class Architecture:
    """Networks of a GAN, apart from the sizes that the data decides.

    Args:
        network: architecture of both networks: sngan (ResNet), dcgan, or package.module:Name of your own.
        plan: channels and sides of the networks in place of the table's, see `networks.plans.Plan`.
        attention: shorter side in pixels of the feature maps that self-attention follows; none when not given.
        conditional: generator (batch normalization) and discriminator (projection) take the images' classes or vectors.
        head_bias: a bias on the discriminator's last layer, as torch-mimicry has it.
        width: factor on the networks' channels; 1 is the published network.
        latent_dim: length of a latent.
        disc_norm: normalization of the discriminator: a name of docs/norms.md, or package.module:Name of your own.
        disc_norm_options: its options, such as {"gain": "lipschitz"} for convnorm.
        gen_norm: normalization of the generator, the same.
        gen_norm_options: its options.

    Raises:
        BadInput: a number out of its range, or a name that is no text.

    >>> Architecture(disc_norm="convnorm").width
    0.25
    >>> Architecture(width=0)
    Traceback (most recent call last):
    ...
    gan_convnorm.errors.BadInput: width is 0, and must be above 0, and at most 100
    """

    network: str = "sngan"
    plan: dict[str, Any] | None = None
    attention: int | None = None
    conditional: bool = False
    head_bias: bool = False
    width: float = 0.25
    latent_dim: int = 128
    disc_norm: str = "spectral"
    disc_norm_options: dict[str, Any] | None = None
    gen_norm: str = "batch"
    gen_norm_options: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        check_names(vars(self), ("network", "disc_norm", "gen_norm"))
        check_ranges(vars(self), RANGES)

    def generator_arguments(
        self, resolution: int | str, channels: int, num_classes: int | None, condition_size: int | None = None
    ) -> dict[str, Any]:
        """Return the arguments of the generator's constructor, as plain values.

        Args:
            resolution: side of the images in pixels, or "HEIGHTxWIDTH".
            channels: channels of the images.
            num_classes: number of classes; None for an unconditional network.
            condition_size: length of vectors in place of classes.
        """
        vectors = {} if condition_size is None else {"condition_size": condition_size}
        return vectors | {
            "resolution": resolution,
            "channels": channels,
            "latent_dim": self.latent_dim,
            "width": self.width,
            "norm": self.gen_norm,
            "norm_options": self.gen_norm_options,
            "num_classes": num_classes,
            "attention": self.attention,
            "plan": self.plan,
        }

    def generator(
        self, resolution: int | str, channels: int, num_classes: int | None, condition_size: int | None = None
    ) -> Generator:
        """Return an untrained generator; arguments as in `generator_arguments`."""
        arguments = self.generator_arguments(resolution, channels, num_classes, condition_size)
        return find_networks(self.network).generator(**arguments)

    def discriminator(
        self, resolution: int | str, channels: int, num_classes: int | None, condition_size: int | None = None
    ) -> Discriminator:
        """Return an untrained discriminator; arguments as in `generator_arguments`."""
        return find_networks(self.network).discriminator(
            resolution,
            channels,
            self.width,
            self.disc_norm,
            self.disc_norm_options,
            num_classes=num_classes,
            condition_size=condition_size,
            attention=self.attention,
            plan=self.plan,
            head_bias=self.head_bias,
        )
