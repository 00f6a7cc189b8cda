"""Bounds of weight, row, spectral and spectral_conv at the start, after training, in evaluation and after a reload."""

import math
from types import SimpleNamespace

import pytest
import torch
from normalized_convolutions import GEOMETRIES, SIZE, STATES, applied, dense, in_state, norm_of, stored
from torch import nn

from gan_convnorm.layers import row, spectral_conv
from gan_convnorm.layers.row_norm import convnorm_linear


@pytest.mark.parametrize("case", GEOMETRIES)
@pytest.mark.parametrize("state", STATES)
def test_weight(case, state):
    layer = in_state(state, "weight", {}, case)
    lengths, directions = layer.parametrizations.weight.original0, layer.parametrizations.weight.original1
    expected = torch.stack([g * v / v.square().sum().sqrt() for g, v in zip(lengths, directions, strict=True)])
    assert torch.allclose(layer.weight, expected, rtol=1e-12)
    bound = lengths.square().sum().sqrt().item()
    assert bound / 2 <= norm_of(layer.weight.detach().flatten(1)) <= bound * (1 + 1e-12)


@pytest.mark.parametrize("case", GEOMETRIES)
@pytest.mark.parametrize("state", STATES)
def test_row(case, state):
    layer = in_state(state, "row", {"eps": 0.0}, case)
    expected = torch.stack([w / w.square().sum().sqrt() for w in stored(layer)])
    assert torch.allclose(layer.weight, expected, rtol=1e-12)
    bound = math.sqrt(layer.out_channels)
    assert bound / 4 <= norm_of(layer.weight.detach().flatten(1)) <= bound * (1 + 1e-12)
    taps = math.sqrt(math.prod(layer.kernel_size))
    assert norm_of(dense(layer.weight, SIZE, layer)) <= taps * bound * (1 + 1e-12)


def test_row_has_convnorms_scale():
    """The mean power of a channel over all frequencies is 1, as after ConvNorm, and a linear layer's rows are its."""
    conv = nn.Conv2d(5, 3, 3, padding=1, dtype=torch.float64)
    power = torch.fft.fft2(row(conv, eps=0.0).weight, s=(8, 9)).abs().square().sum(1)
    torch.testing.assert_close(power.mean((1, 2)), torch.ones(3, dtype=torch.float64))
    linear = nn.Linear(4, 3)
    expected = convnorm_linear(linear).normalized_weight()
    torch.testing.assert_close(row(linear).weight, expected)


def test_row_of_a_transposed_convolution_is_that_of_each_output_channel():
    layer = row(nn.ConvTranspose2d(4, 6, 3, groups=2, dtype=torch.float64), eps=0.0)
    images = torch.eye(4, dtype=torch.float64).view(4, 4, 1, 1)
    responses = layer(images) - layer.bias.view(1, -1, 1, 1)
    torch.testing.assert_close(responses.square().sum((0, 2, 3)), torch.ones(6, dtype=torch.float64))


def test_row_leaves_layers_that_see_an_image_to_spectral_normalization():
    grey, hidden = (row(nn.Conv2d(inputs, 8, 3), min_inputs=4) for inputs in (3, 4))
    assert "_u" in dict(grey.parametrizations.weight[0].named_buffers())
    assert not [*hidden.buffers()]


@pytest.mark.parametrize("case", GEOMETRIES)
@pytest.mark.parametrize("state", STATES)
def test_spectral(case, state):
    layer = in_state(state, "spectral", {}, case, settle=10)
    assert norm_of(layer.weight.detach().flatten(1)) == pytest.approx(1, abs=1e-6)
    assert torch.allclose(layer.weight * norm_of(stored(layer).flatten(1)), stored(layer), rtol=1e-6)
    taps = math.sqrt(math.prod(layer.kernel_size))
    assert norm_of(dense(layer.weight, SIZE, layer)) <= taps * (1 + 1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("case", GEOMETRIES)
@pytest.mark.parametrize("state", STATES)
def test_spectral_conv_bounds_every_size(case, state):
    layer = in_state(state, "spectral_conv", {}, case, settle=60 if case == "circular" else 20)
    # The circular grid of 8 points for every degree of the symbol, and what can stand between them.
    stride = tuple(s // math.gcd(s, d) for s, d in zip(layer.stride, layer.dilation, strict=True))
    close = SimpleNamespace(stride=stride, dilation=(1, 1), groups=layer.groups, padding=layer.padding)
    degrees = [(k - 1) // s for k, s in zip(layer.kernel_size, close.stride, strict=True)]
    grid = [max(1, 8 * degree) * s for degree, s in zip(degrees, close.stride, strict=True)]
    factor = math.cos(math.pi / 8) ** (-0.5 * sum(degree > 0 for degree in degrees))
    expected = stored(layer) / (factor * norm_of(dense(stored(layer), grid, close, "circular")))
    assert torch.allclose(layer.weight, expected, rtol=1e-4)
    found = [norm_of(dense(layer.weight, size, layer)) for size in ((4, 4), (6, 8), (12, 10))]
    assert max(found) <= 1 + 1e-4
    assert max(found) >= 0.75
    if layer.stride == (1, 1) and layer.groups == 1:
        # The symbol at many frequencies: the infinite grid's norm.
        frequencies = torch.arange(64, dtype=torch.float64) / 64 * 2 * math.pi
        waves = [torch.exp(1j * frequencies[:, None] * torch.arange(k)) for k in layer.kernel_size]
        symbols = torch.einsum("ijst,us,vt->uvij", layer.weight.detach().to(torch.complex128), *waves)
        norm = torch.linalg.matrix_norm(symbols, 2).max().item()
        assert 1 / factor - 1e-4 <= norm <= 1 + 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("case", GEOMETRIES)
@pytest.mark.parametrize("state", STATES)
def test_spectral_conv_of_one_size_is_the_layers_own_norm(case, state):
    layer = in_state(state, "spectral_conv", {"size": 6}, case, settle=20)
    assert norm_of(dense(layer.weight, (6, 6), layer)) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("mode", ["reflect", "replicate"])
@pytest.mark.parametrize("stride", [1, 2])
def test_spectral_conv_counts_the_padding(mode, stride):
    layer = nn.Conv2d(2, 3, 3, stride, padding=2, padding_mode=mode, dtype=torch.float64)
    layer = spectral_conv(layer, size=5)
    for _ in range(400):
        _ = layer.weight
    assert norm_of(applied(layer.eval(), (5, 5))) == pytest.approx(1, abs=1e-4)
