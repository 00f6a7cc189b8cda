"""Bounds of weight, spectral and spectral_conv at the start, after training, in evaluation and after a reload."""

import math
from types import SimpleNamespace

import pytest
import torch
from normalized_convolutions import GEOMETRIES, SIZE, STATES, applied, dense, in_state, norm_of, stored
from torch import nn

from gan_convnorm.layers import spectral_conv


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
