"""A small network whose features are statistics of every scale of an image."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

from gan_convnorm.images.size import Size

__all__ = ["FEATURES", "SmallNetwork"]

#: features of an image
FEATURES = 64
#: channels of the first convolution, which sees every pixel, and of all others
FIRST, OTHERS = 32, 64
#: standard deviations below this are those of features that do not vary
LEAST = 1e-3


class SmallNetwork(nn.Module):
    """Convolutions and poolings down to a shorter side of 4, with a classifier's logits and features of every scale.

    The features begin as the mean and the standard deviation over the pixels of the image and of each convolution's
    outputs. They are brought to mean 0 and variance 1 on the training images, mixed by fixed random directions to 64,
    and brought to mean 0 and variance 1 again. Their variances add up to 64 on the training images, so any number of
    copies of one image has FID 64 or more against these.

    >>> network = SmallNetwork(resolution=8, channels=3, num_classes=10).eval()
    >>> features, logits = network(torch.zeros(2, 3, 8, 8, dtype=torch.uint8))
    >>> features.shape, logits.shape
    (torch.Size([2, 64]), torch.Size([2, 10]))

    Args:
        resolution: side of the images in pixels, or "HEIGHTxWIDTH"; the shorter side decides the depth.
        channels: channels of the images.
        num_classes: number of classes.
    """

    mean: Tensor
    scale: Tensor
    mixing: Tensor
    mixed_scale: Tensor

    def __init__(self, resolution: int | str, channels: int, num_classes: int) -> None:
        super().__init__()
        float32 = torch.float32  # whatever torch's default type is
        self.shape: dict[str, Any] = {"resolution": resolution, "channels": channels, "num_classes": num_classes}
        self.stages = nn.ModuleList()
        incoming, outgoing, side, pooled = channels, FIRST, min(Size.of(resolution)), 2 * channels
        while True:
            convolution = nn.Conv2d(incoming, outgoing, 3, padding=1, bias=False, dtype=float32)
            pool = nn.MaxPool2d(2) if self.stages else nn.Identity()
            norm = nn.BatchNorm2d(outgoing, dtype=float32)
            self.stages.append(nn.Sequential(pool, convolution, norm, nn.ReLU()))
            pooled += 2 * outgoing
            if side <= 4:
                break
            incoming, outgoing, side = outgoing, OTHERS, side // 2
        self.linear = nn.Linear(outgoing, num_classes, dtype=float32)
        self.register_buffer("mean", torch.zeros(pooled, dtype=float32))
        self.register_buffer("scale", torch.ones(pooled, dtype=float32))
        self.register_buffer("mixing", torch.randn(pooled, FEATURES, dtype=float32) / pooled**0.5)
        self.register_buffer("mixed_scale", torch.ones(FEATURES, dtype=float32))

    @override
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return features (B, 64) and logits (B, num_classes) of uint8 images (B, C, H, W)."""
        pooled, logits = self._pooled_and_logits(images)
        return ((pooled - self.mean) / self.scale) @ self.mixing / self.mixed_scale, logits

    def logits(self, images: Tensor) -> Tensor:
        """Return the logits (B, num_classes) of uint8 images (B, C, H, W) alone, for training."""
        x = _floats(images)
        for stage in self.stages:
            x = stage(x)
        logits: Tensor = self.linear(x.mean(dim=(2, 3)))
        return logits

    @torch.no_grad()
    def fit_features(self, images: Tensor, batch_size: int = 256) -> None:
        """Bring the features to mean 0 and variance 1 on uint8 images (N, C, H, W)."""
        device = self.mean.device
        pooled = torch.cat([self._pooled_and_logits(b.to(device))[0].cpu() for b in images.split(batch_size)]).double()
        mean, scale = pooled.mean(dim=0), pooled.std(dim=0, correction=0).clamp_min(LEAST)
        self.mean.copy_(mean)
        self.scale.copy_(scale)
        mixed = ((pooled - mean) / scale) @ self.mixing.cpu().double()
        self.mixed_scale.copy_(mixed.std(dim=0, correction=0).clamp_min(LEAST))

    def _pooled_and_logits(self, images: Tensor) -> tuple[Tensor, Tensor]:
        x = _floats(images)
        pooled = [*_mean_and_deviation(x)]
        for stage in self.stages:
            x = stage(x)
            pooled += _mean_and_deviation(x)
        return torch.cat(pooled, dim=1), self.linear(pooled[-2])


def _floats(images: Tensor) -> Tensor:
    return (images.float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)


def _mean_and_deviation(x: Tensor) -> tuple[Tensor, Tensor]:
    mean = x.mean(dim=(2, 3))
    variance = (x - mean[:, :, None, None]).square().mean(dim=(2, 3))
    return mean, (variance + 1e-6).sqrt()
