"""Draw the figures of docs/explain/convnorm_pictures.md: `python docs/figures/convnorm.py`."""

from __future__ import annotations

import math
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from gan_convnorm.layers import ConvNorm2d

FOLDER = Path(__file__).parent
SIDE = 32
CHANNELS_IN, CHANNELS_OUT = 16, 32


def transfer_function(layer: nn.Module) -> torch.Tensor:
    """Return the matrix of every frequency, complex (SIDE, SIDE, C_out, C_in), of a circular convolution layer.

    It is measured, not computed from the weights: the Fourier transform of the layer's answer to an impulse in each
    input channel.
    """
    impulses = torch.zeros(CHANNELS_IN, CHANNELS_IN, SIDE, SIDE, dtype=torch.float64)
    impulses[range(CHANNELS_IN), range(CHANNELS_IN), 0, 0] = 1
    with torch.no_grad():
        responses = layer(impulses)
    return torch.fft.fft2(responses).permute(2, 3, 1, 0)


def layers() -> dict[str, nn.Module]:
    """Return layers with the same kernels, by their names in the figures.

    The kernels are random with a smooth part added, so that the plain layer passes low frequencies best.
    """
    arguments = dict(kernel_size=3, padding=1, bias=False, padding_mode="circular", dtype=torch.float64)
    torch.manual_seed(0)
    plain = nn.Conv2d(CHANNELS_IN, CHANNELS_OUT, **arguments)
    blur = torch.outer(torch.tensor([1.0, 2.0, 1.0]), torch.tensor([1.0, 2.0, 1.0])).double() / 16
    with torch.no_grad():
        plain.weight += 0.5 * torch.randn(CHANNELS_OUT, CHANNELS_IN, 1, 1, dtype=torch.float64) * blur
    found: dict[str, nn.Module] = {"plain": plain}
    normalized = nn.Conv2d(CHANNELS_IN, CHANNELS_OUT, **arguments)
    normalized.load_state_dict(plain.state_dict())
    found["spectral"] = spectral_norm(normalized, n_power_iterations=100).eval()
    for name, gain in (("ConvNorm", 1.0), ("ConvNorm, gain lipschitz", "lipschitz")):
        layer = ConvNorm2d(CHANNELS_IN, CHANNELS_OUT, gain=gain, affine=None, **arguments)
        layer.load_state_dict(plain.state_dict(), strict=False)
        found[name] = layer
    return found


def draw_power_spectra(found: dict[str, nn.Module], channels: int = 4) -> None:
    """Draw S_k of the first channels before ConvNorm, and the power that is left after it."""
    powers = {
        name: transfer_function(found[name]).abs().square().sum(-1)[..., :channels] for name in ("plain", "ConvNorm")
    }
    figure, axes = plt.subplots(2, channels, figsize=(7.2, 3.9), layout="constrained")
    for row, (name, power) in zip(axes, powers.items(), strict=True):
        for channel, axis in enumerate(row):
            image = (torch.fft.fftshift(power[..., channel]) / power[..., channel].max()).numpy()
            drawn = axis.imshow(image, vmin=0, vmax=1, cmap="viridis", extent=(-0.5, 0.5, -0.5, 0.5))
            axis.set_xticks([-0.5, 0, 0.5]), axis.set_yticks([-0.5, 0, 0.5])
            axis.tick_params(labelsize=7)
            if row is axes[0]:
                axis.set_title(f"channel k = {channel}", fontsize=9)
        row[0].set_ylabel("before" if name == "plain" else "after", fontsize=10)
    figure.supxlabel("horizontal frequency, cycles per pixel", fontsize=9)
    figure.supylabel("vertical frequency, cycles per pixel", fontsize=9)
    figure.colorbar(drawn, ax=axes, label="power / largest of the channel", shrink=0.8)
    figure.savefig(FOLDER / "power_spectra.png", dpi=110)
    plt.close(figure)


def draw_singular_values(found: dict[str, nn.Module]) -> None:
    """Draw all singular values of the stacked operator, largest first."""
    figure, axis = plt.subplots(figsize=(7.2, 4.1), layout="constrained")
    for (name, layer), colour in zip(found.items(), ("#777777", "#d95f02", "#1b9e77", "#7570b3"), strict=True):
        values = torch.linalg.svdvals(transfer_function(layer)).flatten().sort(descending=True).values.numpy()
        share = [number / len(values) for number in range(1, len(values) + 1)]
        ratio = values[0] / values[-1]
        axis.plot(share, values, color=colour, label=f"{name}: largest {values[0]:.2f}, largest / smallest {ratio:.0f}")
    bound = math.sqrt(CHANNELS_OUT)
    axis.axhline(bound, color="#1b9e77", linestyle=":", linewidth=1)
    axis.annotate(f"bound of ConvNorm: sqrt(C_out) = {bound:.2f}", (0.98, bound), ha="right", va="bottom", fontsize=8)
    axis.axhline(1, color="#7570b3", linestyle=":", linewidth=1)
    axis.annotate("bound with gain lipschitz: 1", (0.98, 1), ha="right", va="bottom", fontsize=8)
    axis.set(yscale="log", xlabel="share of the singular values, largest first", ylabel="singular value")
    axis.legend(fontsize=8, loc="lower left")
    figure.savefig(FOLDER / "singular_values.png", dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    drawn = layers()
    draw_power_spectra(drawn)
    draw_singular_values(drawn)
