"""SNGAN-ResNet (Miyato et al., ICLR 2018, arXiv:1802.05957, tables 3-4): one row a resolution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from gan_convnorm.errors import BadInput
from gan_convnorm.layers.registry import find_norm
from gan_convnorm.networks.blocks import DiscriminatorBlock, GeneratorBlock, OptimizedDiscriminatorBlock, glorot_conv

__all__ = ["ROWS", "SNGANDiscriminator", "SNGANGenerator"]


@dataclass(frozen=True)
class Row:
    """Channels at width 1 for one resolution.

    Attributes:
        bottom: side of the generator's first feature map, in pixels.
        generator: channels of the first feature map, then of every block's output; each block doubles the side.
        discriminator: channels of every block's output, and whether it halves the side; the first sees the image.
    """

    bottom: int
    generator: tuple[int, ...]
    discriminator: tuple[tuple[int, bool], ...]


ROWS: dict[int, Row] = {
    # 16 is not in the paper: 32's row without its last doubling.
    16: Row(4, (256, 256, 256), ((128, True), (128, True), (128, False), (128, False))),
    32: Row(4, (256, 256, 256, 256), ((128, True), (128, True), (128, False), (128, False))),
}


def _row(resolution: int) -> Row:
    if resolution not in ROWS:
        choices = ", ".join(str(size) for size in ROWS)
        raise BadInput(f"SNGAN has no network for {resolution}x{resolution} images; choose a resolution of: {choices}")
    return ROWS[resolution]


def _scale(channels: int, width: float) -> int:
    if width <= 0:
        raise BadInput(f"width is {width:g}, and must be above 0 (1 is the published network)")
    return max(1, round(channels * width))


class SNGANGenerator(nn.Module):
    """Noise to images.

    Args:
        resolution: side of the images in pixels, a key of `ROWS`.
        channels: channels of the images.
        latent_dim: length of the noise vectors.
        width: factor on every hidden channel count; 1 is the published network.
        norm: name of a normalization in `gan_convnorm.layers.NORMS`.
        norm_options: its options.

    Raises:
        BadInput: no row for this resolution, a width of 0 or below, or an unknown norm or option.
    """

    def __init__(
        self,
        resolution: int = 32,
        channels: int = 3,
        latent_dim: int = 128,
        width: float = 1.0,
        norm: str = "batch",
        norm_options: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        row, chosen = _row(resolution), find_norm(norm, norm_options)
        first, *rest = (_scale(c, width) for c in row.generator)
        self.latent_dim = latent_dim
        self.bottom = (first, row.bottom, row.bottom)
        linear = nn.Linear(latent_dim, first * row.bottom**2)
        nn.init.xavier_uniform_(linear.weight)
        nn.init.zeros_(linear.bias)
        self.linear = chosen.linear(linear)
        self.blocks = nn.Sequential()
        incoming = first
        for outgoing in rest:
            self.blocks.append(GeneratorBlock(incoming, outgoing, chosen))
            incoming = outgoing
        self.norm = chosen.activation(incoming)
        self.conv = chosen.conv(glorot_conv(incoming, channels, 3))

    def forward(self, noise: Tensor) -> Tensor:
        """Noise of shape (B, latent_dim) to images of shape (B, channels, resolution, resolution) in [-1, 1]."""
        features = self.blocks(self.linear(noise).unflatten(1, self.bottom))
        return self.conv(self.norm(features).relu()).tanh()


class SNGANDiscriminator(nn.Module):
    """Images to scores.

    Args:
        resolution: side of the images in pixels, a key of `ROWS`.
        channels: channels of the images.
        width: factor on every hidden channel count; 1 is the published network.
        norm: name of a normalization in `gan_convnorm.layers.NORMS`, on every layer, shortcuts and head included.
        norm_options: its options.

    Raises:
        BadInput: no row for this resolution, a width of 0 or below, or an unknown norm or option.
    """

    def __init__(
        self,
        resolution: int = 32,
        channels: int = 3,
        width: float = 1.0,
        norm: str = "spectral",
        norm_options: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        row, chosen = _row(resolution), find_norm(norm, norm_options)
        (first, _), *rest = row.discriminator
        incoming = _scale(first, width)
        self.blocks = nn.Sequential(OptimizedDiscriminatorBlock(channels, incoming, chosen))
        for outgoing_channels, down in rest:
            outgoing = _scale(outgoing_channels, width)
            self.blocks.append(DiscriminatorBlock(incoming, outgoing, chosen, down=down))
            incoming = outgoing
        linear = nn.Linear(incoming, 1, bias=False)
        nn.init.xavier_uniform_(linear.weight)
        self.linear = chosen.linear(linear)

    def forward(self, images: Tensor) -> Tensor:
        """Images of shape (B, channels, resolution, resolution), real ones in [-1, 1], to scores of shape (B,)."""
        features = self.blocks(images).relu().sum(dim=(2, 3))
        return self.linear(features).squeeze(1)
