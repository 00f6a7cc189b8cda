"""Residual and plain networks for small images, with the normalization of every layer injected."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from gan_convnorm.layers import Norm

__all__ = ["SIZES", "ResNet", "ResNetSizes"]


@dataclass(frozen=True)
class ResNetSizes:
    """One network.

    >>> layout = ResNetSizes(channels=(4, 8), blocks=(1, 1), bottleneck=True)
    >>> ResNet(layout, channels=1, num_classes=10, norm=Norm()).head
    Linear(in_features=32, out_features=10, bias=True)

    Attributes:
        channels: channels of the stages; every stage but the first halves the image.
        blocks: number of blocks of each stage.
        bottleneck: blocks of 1x1, 3x3, 1x1 convolutions with four times the channels at their end.
        shortcut: True if a block adds its input.
    """

    channels: tuple[int, ...]
    blocks: tuple[int, ...]
    bottleneck: bool = False
    shortcut: bool = True


THIN, WIDE = (16, 32, 64), (64, 128, 256, 512)
#: resnet8 is the small network of the digits' run. resnet18, 34 and 50 are those of He et al. (CVPR 2016,
#: arXiv:1512.03385, table 1) with a 3x3 stem and no pooling, as is usual at 32 pixels; resnet20 and 56, plain20 and 56
#: are its CIFAR networks of 6 n + 2 layers, with and without shortcuts (section 4.2)
SIZES: dict[str, ResNetSizes] = {
    "resnet8": ResNetSizes((8, 16, 32), (1, 1, 1)),
    "resnet20": ResNetSizes(THIN, (3, 3, 3)),
    "resnet56": ResNetSizes(THIN, (9, 9, 9)),
    "plain20": ResNetSizes(THIN, (3, 3, 3), shortcut=False),
    "plain56": ResNetSizes(THIN, (9, 9, 9), shortcut=False),
    "resnet18": ResNetSizes(WIDE, (2, 2, 2, 2)),
    "resnet34": ResNetSizes(WIDE, (3, 4, 6, 3)),
    "resnet50": ResNetSizes(WIDE, (3, 4, 6, 3), bottleneck=True),
}
EXPANSION = 4


class ResNet(nn.Module):
    """Convolution, stages of blocks, mean over the pixels, a linear layer that stays plain.

    Every convolution, also a shortcut's, is the norm's, followed by the norm's layer on activations. Shortcuts have a
    1x1 convolution where the shape changes. Kaiming normal weights (fan out).

    >>> import torch
    >>> network = ResNet(SIZES["resnet8"], channels=1, num_classes=10, norm=Norm())
    >>> network(torch.zeros(2, 1, 16, 16)).shape
    torch.Size([2, 10])

    Args:
        layout: the layers.
        channels: channels of the images.
        num_classes: number of logits.
        norm: the normalization.
        width: factor on the channels.
    """

    def __init__(self, layout: ResNetSizes, channels: int, num_classes: int, norm: Norm, width: float = 1.0) -> None:
        super().__init__()
        sizes = [max(1, round(width * size)) for size in layout.channels]
        self.stem = _unit(channels, sizes[0], norm)
        blocks, current = [], sizes[0]
        for stage, (size, count) in enumerate(zip(sizes, layout.blocks, strict=True)):
            for number in range(count):
                block = _Block(current, size, 2 if stage and not number else 1, layout, norm)
                blocks.append(block)
                current = block.out_channels
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(current, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, num_classes) of images (B, channels, H, W)."""
        features = self.blocks(self.stem(images).relu())
        logits: Tensor = self.head(features.mean(dim=(2, 3)))
        return logits


class _Block(nn.Module):
    def __init__(self, in_channels: int, size: int, stride: int, layout: ResNetSizes, norm: Norm) -> None:
        super().__init__()
        self.out_channels = size * EXPANSION if layout.bottleneck else size
        if layout.bottleneck:
            units = [
                _unit(in_channels, size, norm, kernel_size=1),
                _unit(size, size, norm, stride=stride),
                _unit(size, self.out_channels, norm, kernel_size=1),
            ]
        else:
            units = [_unit(in_channels, size, norm, stride=stride), _unit(size, size, norm)]
        self.units = nn.ModuleList(units)
        self.shortcut: nn.Module | None = None
        if layout.shortcut:
            changes = stride > 1 or in_channels != self.out_channels
            self.shortcut = (
                _unit(in_channels, self.out_channels, norm, kernel_size=1, stride=stride) if changes else nn.Identity()
            )

    def forward(self, features: Tensor) -> Tensor:
        hidden = features
        for number, unit in enumerate(self.units):
            hidden = unit(hidden if number == 0 else hidden.relu())
        return (hidden if self.shortcut is None else hidden + self.shortcut(features)).relu()


def _unit(in_channels: int, out_channels: int, norm: Norm, *, kernel_size: int = 3, stride: int = 1) -> nn.Sequential:
    """Return the norm's convolution followed by its layer on activations."""
    activation = norm.activation(out_channels)
    # A layer on the activations has a bias of its own.
    bias = isinstance(activation, nn.Identity)
    conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, kernel_size // 2, bias=bias)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return nn.Sequential(norm.conv(conv), activation)
