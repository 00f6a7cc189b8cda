"""Three normalizations that each keep one part of ConvNorm, to find out which part matters.

ConvNorm does two things to a channel. It sets its scale, and it makes all frequencies equally strong. With

    python train_gan.py study configs/studies/cifar10_controls.yaml -- --data.path DIR

a discriminator is trained with each alone, beside ConvNorm and spectral norm:

- flat: the power spectrum's mean in place of the spectrum. The scale is ConvNorm's; the frequencies stay as they are.
- shuffled: each channel gets the filter of another one. Scale and filters are ConvNorm's, but fit no channel.
- scaled_spectral: spectral norm times a gain. The scale is larger; nothing else changes.
"""

from __future__ import annotations

from typing import Any, Unpack

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from gan_convnorm.fourier.real_transform import half_grid_weights
from gan_convnorm.layers import ConvNorm2d, convnorm, spectral
from gan_convnorm.layers.convnorm.options import ConvNormKeywords
from gan_convnorm.layers.registry import NORMS, Norm


class FlatConvNorm2d(ConvNorm2d):
    """Every channel is divided by the root of its mean power: one number, and no filter."""

    def spectrum(self, grid: tuple[int, ...]) -> Tensor:
        """Return the mean of S_k + eps over the grid, at every frequency."""
        power = super().spectrum(grid)
        mean = (power * half_grid_weights(grid, power)).sum((1, 2), keepdim=True)
        return mean.expand_as(power).contiguous()


class ShuffledConvNorm2d(ConvNorm2d):
    """Every channel is filtered by the power spectrum of the channel before."""

    def spectrum(self, grid: tuple[int, ...]) -> Tensor:
        """Return S_k + eps of the channel before."""
        return super().spectrum(grid).roll(1, 0)


class _Gain(nn.Module):
    def __init__(self, gain: float) -> None:
        super().__init__()
        self.gain = gain

    def forward(self, weight: Tensor) -> Tensor:
        return weight * self.gain


def _as(layer: nn.Module, kind: type[ConvNorm2d]) -> nn.Module:
    if type(layer) is ConvNorm2d:  # layers that see the image may be spectral norm's (min_inputs)
        layer.__class__ = kind
    return layer


def _flat(conv: nn.Module, *, min_inputs: int = 1, **options: Unpack[ConvNormKeywords]) -> nn.Module:
    return _as(convnorm(conv, min_inputs=min_inputs, **options), FlatConvNorm2d)


def _shuffled(conv: nn.Module, *, min_inputs: int = 1, **options: Unpack[ConvNormKeywords]) -> nn.Module:
    return _as(convnorm(conv, min_inputs=min_inputs, **options), ShuffledConvNorm2d)


def _scaled(layer: nn.Module, *, gain: float = 2.0) -> nn.Module:
    normalized: Any = spectral(layer)
    parametrize.register_parametrization(normalized, "weight", _Gain(gain))
    return normalized


flat = Norm(conv=_flat, linear=NORMS["convnorm"].linear)
shuffled = Norm(conv=_shuffled, linear=NORMS["convnorm"].linear)
scaled_spectral = Norm(conv=_scaled, linear=spectral)


def main() -> None:
    """Show the mean and the extremes of a channel's power after each normalization, on a grid of 16 by 16."""
    for name, norm in (("convnorm", NORMS["convnorm"]), ("flat", flat), ("shuffled", shuffled)):
        torch.manual_seed(0)
        layer: Any = norm.conv(nn.Conv2d(16, 16, 3, padding=1, bias=False), affine=None)
        with torch.no_grad():
            own = ConvNorm2d.spectrum(layer, (16, 16))
            power = own * layer.transfer_function((16, 16)).square()
        print(f"{name}: mean {power.mean():.2f}, from {power.min():.2f} to {power.max():.2f}")


if __name__ == "__main__":
    main()
