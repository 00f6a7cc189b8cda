"""Three normalizations that each keep one part of ConvNorm, to find out which part matters.

ConvNorm does two things to a channel. It sets its scale, and it makes all frequencies equally strong. With

    python train_gan.py study configs/studies/cifar10_own_rates.yaml -- --data.path DIR

a discriminator is trained with each alone, beside ConvNorm and spectral norm:

- flat: the power spectrum's mean in place of the spectrum. The scale is ConvNorm's; the frequencies stay as they are.
  By Parseval's theorem the mean is the squared 2-norm of a channel's kernels: this is the normalization `row`.
- shuffled: each channel gets the filter of another one, with the factor that keeps its mean power at 1. The scale is
  ConvNorm's and the filters are as uneven, but they fit no channel.
- scaled_spectral: spectral norm times a gain. The scale is larger; nothing else changes.
"""

from __future__ import annotations

from typing import Any, Unpack

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from gan_convnorm.fourier.real_transform import half_grid_weights
from gan_convnorm.layers import ConvNorm2d, convnorm, row, spectral
from gan_convnorm.layers.convnorm.options import ConvNormKeywords
from gan_convnorm.layers.registry import NORMS, Norm


class ShuffledConvNorm2d(ConvNorm2d):
    """Every channel is filtered by the power spectrum of the channel before, and scaled to a mean power of 1."""

    def power_spectrum(self, grid: tuple[int, ...]) -> Tensor:
        """Return the power spectrum T of the channel before, times the mean of S_k / T."""
        own = super().power_spectrum(grid)
        other = own.roll(1, 0)
        return other * (own / other * half_grid_weights(grid, own)).sum((1, 2), keepdim=True)


class _Gain(nn.Module):
    def __init__(self, gain: float) -> None:
        super().__init__()
        self.gain = gain

    def forward(self, weight: Tensor) -> Tensor:
        return weight * self.gain


def _shuffled(conv: nn.Module, *, min_inputs: int = 1, **options: Unpack[ConvNormKeywords]) -> nn.Module:
    layer = convnorm(conv, min_inputs=min_inputs, **options)
    if type(layer) is ConvNorm2d:  # layers that see the image may be spectral norm's (min_inputs)
        layer.__class__ = ShuffledConvNorm2d
    return layer


def _scaled(layer: nn.Module, *, gain: float = 2.0) -> nn.Module:
    normalized: Any = spectral(layer)
    parametrize.register_parametrization(normalized, "weight", _Gain(gain))
    return normalized


flat = Norm(conv=row, linear=NORMS["convnorm"].linear)
shuffled = Norm(conv=_shuffled, linear=NORMS["convnorm"].linear)
scaled_spectral = Norm(conv=_scaled, linear=spectral)


def main() -> None:
    """Show the mean and the extremes of a channel's power after each normalization, on a grid of 16 by 16."""
    for name, norm in (("convnorm", NORMS["convnorm"]), ("flat", flat), ("shuffled", shuffled)):
        torch.manual_seed(0)
        options = {} if norm is flat else {"affine": None}
        layer: Any = norm.conv(nn.Conv2d(16, 16, 3, padding=1, bias=False), **options)
        with torch.no_grad():
            power = torch.fft.rfft2(layer.weight, s=(16, 16)).abs().square().sum(1)
            if isinstance(layer, ConvNorm2d):
                power = power * layer.transfer_function((16, 16)).square()
            mean = (power * half_grid_weights((16, 16), power)).sum((1, 2)).mean()
        print(f"{name}: mean {mean:.2f}, from {power.min():.2f} to {power.max():.2f}")


if __name__ == "__main__":
    main()
