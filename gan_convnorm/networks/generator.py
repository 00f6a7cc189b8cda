"""The base of all generators: linear layer, blocks that double the sides, norm - ReLU - convolution - tanh."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from gan_convnorm.layers.registry import Norm, find_normalization
from gan_convnorm.networks.attention import SelfAttention, attention_index
from gan_convnorm.networks.conditional import CONDITIONS, check_labels, conditional
from gan_convnorm.networks.plans import Plan, check_sizes, find_plan, scale_channels

__all__ = ["Generator"]


class Generator(nn.Module, ABC):
    """A map from latents, and labels in a conditional network, to images.

    A network is a subclass with its name, its table of plans, its block and its initialization.

    Args:
        resolution: side of the images in pixels, or "HEIGHTxWIDTH": the shorter side is a key of `plans`, or both are
            those that `plan` makes.
        channels: channels of the images.
        latent_dim: length of the latents.
        width: factor on every hidden channel count; 1 is the published network.
        norm: name of a normalization in `gan_convnorm.layers.NORMS`.
        norm_options: its options.
        num_classes: number of classes; the blocks' norms then have a scale and shift per class (`ConditionalNorm`; the
            last norm has none, as in sngan_projection).
        condition_size: length of a vector per image, in place of classes; scale and shift are an affine map of it.
        attention: shorter side, in pixels, of the feature map that `SelfAttention` follows; none when not given.
        plan: a plan in place of the table's, also as a mapping with the names of `Plan`.

    Raises:
        BadInput: no plan for this resolution, a plan of another form, a width of 0 or below, fewer than 1 class, no
            feature map of the attention's side, or an unknown norm or option.

    >>> from gan_convnorm.networks import SNGANGenerator
    >>> network = SNGANGenerator("32x48", channels=1, latent_dim=8, width=0.05, num_classes=10)
    >>> network(torch.randn(2, 8), torch.tensor([3, 7])).shape
    torch.Size([2, 1, 32, 48])
    """

    name: ClassVar[str]
    plans: ClassVar[dict[int, Plan]]
    conditions: Tensor

    def __init__(
        self,
        resolution: int | str = 32,
        channels: int = 3,
        latent_dim: int = 128,
        width: float = 1.0,
        norm: str = "batch",
        norm_options: dict[str, Any] | None = None,
        *,
        num_classes: int | None = None,
        condition_size: int | None = None,
        attention: int | None = None,
        plan: Plan | Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        check_sizes(channels=channels, latent_dim=latent_dim)
        found, chosen = find_plan(self.name, self.plans, resolution, plan), find_normalization(norm, norm_options)
        of_class = conditional(chosen, num_classes, condition_size)
        incoming, *rest = (scale_channels(c, width) for c in found.generator)
        sides = [min(found.start) * 2**number for number in range(1, len(rest) + 1)]
        self.attention_index = attention_index("generator", sides, attention)
        self.latent_dim = latent_dim
        self.num_classes = num_classes
        self.condition_size = condition_size
        if condition_size is not None:
            # Vectors of training images, saved with the weights, so that sampling has valid vectors without the data.
            self.register_buffer("conditions", torch.zeros(CONDITIONS, condition_size))
        self.bottom = (incoming, *found.start)
        linear = nn.Linear(latent_dim, math.prod(self.bottom))
        self.initialize(linear.weight)
        nn.init.zeros_(linear.bias)
        self.linear = chosen.linear(linear)
        self.blocks = nn.Sequential()
        for number, outgoing in enumerate(rest):
            self.blocks.append(self.block(incoming, outgoing, of_class))
            incoming = outgoing
            if number == self.attention_index:
                self.attention = SelfAttention(incoming, chosen, self.initialize)
        self.norm = chosen.activation(incoming)
        conv = nn.Conv2d(incoming, channels, 3, padding=1)
        self.initialize(conv.weight)
        nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
        self.conv = chosen.conv(conv)

    @staticmethod
    @abstractmethod
    def initialize(weight: Tensor) -> object:
        """Initialize a weight outside the blocks, in place."""

    @staticmethod
    @abstractmethod
    def block(in_channels: int, out_channels: int, norm: Norm) -> nn.Module:
        """Return a block that doubles both sides.

        It is called with the features, and with the labels too if the network is conditional.

        Args:
            in_channels: channels of its input.
            out_channels: channels of its output.
            norm: makes and normalizes its layers.
        """

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return one image per latent.

        Args:
            latents: shape (B, latent_dim).
            labels: whole numbers of shape (B,) in [0, num_classes), or vectors of shape (B, condition_size); None for
                an unconditional network. Other labels raise `BadInput`.

        Returns:
            Shape (B, channels, height, width), in [-1, 1].
        """
        following = check_labels("generator", self.num_classes, self.condition_size, labels, latents.shape[0])
        features = self.linear(latents).unflatten(1, self.bottom)
        for number, block in enumerate(self.blocks):
            features = block(features, *following)
            if number == self.attention_index:
                features = self.attention(features)
        images: Tensor = self.conv(self.norm(features).relu()).tanh()
        return images
