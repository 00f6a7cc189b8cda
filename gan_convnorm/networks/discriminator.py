"""The base of all discriminators: blocks, a feature vector per image, a linear output, the labels' projection."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from itertools import accumulate
from typing import Any, ClassVar

from torch import Tensor, nn

from gan_convnorm.images.size import Size
from gan_convnorm.layers.registry import Norm, find_normalization
from gan_convnorm.networks.attention import SelfAttention, attention_index
from gan_convnorm.networks.conditional import check_classes, check_labels
from gan_convnorm.networks.plans import Plan, check_sizes, find_plan, scale_channels

__all__ = ["Discriminator"]

#: a norm's options in a discriminator, where they are not given (docs/results/study_digits.md, study_cifar10.md):
#: ConvNorm without its learned filter, and spectral normalization for the layers that see an image
OPTIONS: dict[str, dict[str, Any]] = {"convnorm": {"affine": None, "min_inputs": 4}, "row": {"min_inputs": 4}}


class Discriminator(nn.Module, ABC):
    """A map from images, and labels in a conditional network, to outputs.

    A network is a subclass with its name, its table of plans, its block, its feature vector and its initialization.

    Args:
        resolution: side of the images in pixels, or "HEIGHTxWIDTH": the shorter side is a key of `plans`, or both are
            those that `plan` makes.
        channels: channels of the images.
        width: factor on every hidden channel count; 1 is the published network.
        norm: name of a normalization in `gan_convnorm.layers.NORMS`, on every layer, shortcuts, head and embedding
            included.
        norm_options: its options; those of `OPTIONS` where they are not given.
        num_classes: number of classes; the output then has the projection of the label, <embed(y), h> (Miyato and
            Koyama, ICLR 2018, arXiv:1802.05637, eq. 3).
        condition_size: length of a vector per image, in place of classes; its embedding is linear, <V c, h>.
        attention: shorter side, in pixels, of the feature map that `SelfAttention` follows; none when not given.
        plan: a plan in place of the table's, also as a mapping with the names of `Plan`.
        head_bias: a bias on the last linear layer; sngan_projection has none.

    Raises:
        BadInput: no plan for this resolution, a plan of another form, a width of 0 or below, fewer than 1 class, no
            feature map of the attention's side, or an unknown norm or option.

    >>> import torch
    >>> from gan_convnorm.networks import SNGANDiscriminator
    >>> network = SNGANDiscriminator(32, channels=1, width=0.05, norm="convnorm", num_classes=10)
    >>> network(torch.zeros(2, 1, 32, 32), torch.tensor([3, 7])).shape
    torch.Size([2])
    """

    name: ClassVar[str]
    plans: ClassVar[dict[int, Plan]]

    def __init__(
        self,
        resolution: int | str = 32,
        channels: int = 3,
        width: float = 1.0,
        norm: str = "spectral",
        norm_options: dict[str, Any] | None = None,
        *,
        num_classes: int | None = None,
        condition_size: int | None = None,
        attention: int | None = None,
        plan: Plan | Mapping[str, Any] | None = None,
        head_bias: bool = False,
    ) -> None:
        super().__init__()
        check_sizes(channels=channels)
        found = find_plan(self.name, self.plans, resolution, plan)
        chosen = find_normalization(norm, _with_defaults(norm, norm_options or {}))
        check_classes(num_classes, condition_size)
        shorter = min(found.size)
        sides = [shorter // 2**halvings for halvings in accumulate(int(down) for _, down in found.discriminator)]
        self.attention_index = attention_index("discriminator", sides, attention)
        self.num_classes = num_classes
        self.condition_size = condition_size
        incoming = channels
        self.blocks = nn.Sequential()
        for number, (own_channels, down) in enumerate(found.discriminator):
            outgoing = scale_channels(own_channels, width)
            self.blocks.append(self.block(incoming, outgoing, chosen, first=number == 0, down=down))
            incoming = outgoing
            if number == self.attention_index:
                self.attention = SelfAttention(incoming, chosen, self.initialize)
        last = Size(*(side // 2**found.halvings for side in found.size))
        size = self.vector_size(incoming, last)
        linear = nn.Linear(size, 1, bias=head_bias)
        self.initialize(linear.weight)
        if head_bias:
            nn.init.zeros_(linear.bias)
        self.linear = chosen.linear(linear)
        if (outputs := num_classes or condition_size) is not None:
            # A linear layer, of which the label's output is taken: so every norm for linear layers applies to it.
            embedding = nn.Linear(size, outputs, bias=False)
            self.initialize(embedding.weight)
            self.embedding = chosen.linear(embedding)

    @staticmethod
    @abstractmethod
    def initialize(weight: Tensor) -> object:
        """Initialize a weight outside the blocks, in place."""

    @staticmethod
    @abstractmethod
    def block(in_channels: int, out_channels: int, norm: Norm, *, first: bool, down: bool) -> nn.Module:
        """Return one block.

        Args:
            in_channels: channels of its input.
            out_channels: channels of its output.
            norm: makes and normalizes its layers.
            first: its input is the image.
            down: it halves both sides.
        """

    @staticmethod
    @abstractmethod
    def vector_size(channels: int, size: Size) -> int:
        """Return the length of `vector` for the last block's output, (B, channels, size.height, size.width)."""

    @staticmethod
    @abstractmethod
    def vector(features: Tensor) -> Tensor:
        """Return one vector per image, (B, vector_size), of the last block's output, (B, channels, H, W)."""

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return one output per image.

        Args:
            images: shape (B, channels, height, width); real ones are in [-1, 1].
            labels: whole numbers of shape (B,) in [0, num_classes), or vectors of shape (B, condition_size); None for
                an unconditional network. Other labels raise `BadInput`.

        Returns:
            Shape (B,).
        """
        following = check_labels("discriminator", self.num_classes, self.condition_size, labels, len(images))
        features = images
        for number, block in enumerate(self.blocks):
            features = block(features)
            if number == self.attention_index:
                features = self.attention(features)
        vectors = self.vector(features)
        outputs: Tensor = self.linear(vectors)
        for own in following:
            projected = self.embedding(vectors)
            if self.condition_size is None:
                outputs = outputs + projected.gather(1, own.unsqueeze(1))
            else:  # <V c, h> = <c, V^T h>
                outputs = outputs + (own.to(projected.dtype) * projected).sum(dim=1, keepdim=True)
        return outputs.squeeze(1)


def _with_defaults(norm: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that are given over a discriminator's defaults."""
    return OPTIONS.get(norm.partition("+")[0], {}) | options
