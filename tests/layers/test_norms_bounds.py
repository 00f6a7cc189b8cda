"""Bounds that several normalizations share: adjoints, linear layers, a learned gain; and bad options."""

import copy
import math
from dataclasses import replace

import pytest
import torch
from normalized_convolutions import GEOMETRIES, SIZE, STATES, WEIGHTED, applied, norm_of, train
from torch import nn

from gan_convnorm.errors import BadInput
from gan_convnorm.layers import ConvNorm2d, LinearRowNorm, find_normalization, norm_penalty
from gan_convnorm.layers.cayley import CayleyConv2d
from gan_convnorm.layers.kernels import kernel_layout
from gan_convnorm.layers.ocnn import self_convolution_penalty


@pytest.mark.slow
@pytest.mark.parametrize("geometry", [dict(stride=2, padding=1), dict(stride=2, output_padding=1, groups=2), {}])
@pytest.mark.parametrize("name", ["spectral_conv", "spectral_conv of 4", "aol", "oni", "ocnn"])
def test_transposed_convolutions_have_their_adjoints_norm(name, geometry):
    plain = nn.ConvTranspose2d(4, 2, 4, dtype=torch.float64, **geometry)
    layer = find_normalization(name.split()[0], {"size": 4} if "of 4" in name else {}).conv(plain)
    train(layer, (4, 4), steps=5)
    for _ in range(400 if "spectral" in name else 0):
        _ = layer.weight
    norm = norm_of(applied(layer.eval(), (4, 4)))
    if name == "spectral_conv of 4":
        assert norm == pytest.approx(1, abs=1e-4)
    elif name == "ocnn":
        lags = math.prod(2 * ((k - 1) // s) + 1 for k, s in zip(layer.kernel_size, layer.stride, strict=True))
        penalty = self_convolution_penalty(layer.weight, kernel_layout("test", layer)).item()
        assert 0.3 <= norm**2 <= 1 + math.sqrt(lags * penalty)
    else:
        # The flattened kernel's bound is of the taps that one pixel is made of.
        bound = 4 if name == "oni" else 1 + 1e-4
        assert 0.2 <= norm <= bound


@pytest.mark.parametrize("cap", [None, 0.5, 3.0])
@pytest.mark.parametrize("case", ["3x3", "1x1", "groups, dilation", "4x4 stride 2"])
def test_learned_gain_of_convnorm_stays_under_its_cap(case, cap):
    options = {"gain": "learned", "affine": None} | ({} if cap is None else {"max_gain": cap})
    layer = find_normalization("convnorm", options).conv(nn.Conv2d(2, 4, **GEOMETRIES[case], dtype=torch.float64))
    limit = (cap or 1) / math.sqrt(4 / layer.groups)
    # It starts at one where the cap lets it.
    gain = layer.transfer_function((8, 8)) / ConvNorm2d.transfer_function(plain_copy(layer), (8, 8))
    assert gain.detach().max().item() == pytest.approx(min(1, 0.9 * limit), rel=1e-9)
    optimizer = torch.optim.Adam(layer.parameters(), 0.4)
    for _ in range(30):
        loss = -layer(torch.randn(8, 2, *SIZE, dtype=torch.float64)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    layer.eval()
    gain = (layer.transfer_function((8, 8)) / ConvNorm2d.transfer_function(plain_copy(layer), (8, 8))).detach()
    assert torch.allclose(gain, gain[0, 0, 0].expand_as(gain), rtol=1e-9)
    # The loss asks for all that there is: the gain goes to its limit and not beyond.
    assert 0.95 * limit <= gain.max().item() <= limit * (1 + 1e-12)
    assert 0.3 * (cap or 1) <= norm_of(applied(layer, SIZE)) <= (cap or 1) * (1 + 1e-12)
    other = find_normalization("convnorm", options).conv(nn.Conv2d(2, 4, **GEOMETRIES[case], dtype=torch.float64))
    other.load_state_dict(layer.state_dict())
    assert torch.equal(applied(other, SIZE), applied(layer, SIZE))


def plain_copy(layer):
    """The layer with gain 1."""
    other = copy.deepcopy(layer)
    other.gain_logit = None
    if isinstance(other, LinearRowNorm):
        other.gain, other.max_gain = 1.0, None
    else:
        other.options = replace(other.options, gain=1.0, max_gain=None)
    return other


@pytest.mark.slow
@pytest.mark.parametrize("name", WEIGHTED)
@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (6, 1), (1, 6)])
@pytest.mark.parametrize("state", STATES)
def test_linear_layers(name, shape, state):
    options = {"gain": "learned", "max_gain": 2.0} if name == "convnorm" else {}

    def fresh():
        return find_normalization(name, options).linear(nn.Linear(*shape, bias=False, dtype=torch.float64))

    layer = fresh()
    if state != "start":
        optimizer = torch.optim.Adam(layer.parameters(), 0.1)
        for _ in range(30):
            loss = (layer(torch.randn(8, shape[0], dtype=torch.float64)) - 3).square().mean() + 10 * norm_penalty(layer)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    for _ in range(300 if "spectral" in name else 0):
        _ = layer.weight
    if state == "trained and reloaded":
        other = fresh()
        other.load_state_dict(layer.eval().state_dict())
        layer = other
    matrix = layer.eval()(torch.eye(shape[0], dtype=torch.float64)).detach().T
    values = torch.linalg.svdvals(matrix)
    if name in ("cayley", "soc"):
        assert (values - 1).abs().max() <= 1e-12
    elif "spectral" in name:
        assert values.max().item() == pytest.approx(1, abs=1e-6)
    elif name == "weight":
        assert values.max() <= layer.parametrizations.weight.original0.norm() * (1 + 1e-12)
    elif name == "convnorm":
        assert 0.3 <= values.max() <= 2 * (1 + 1e-12)
    elif name == "row":
        assert matrix.norm(dim=1).min() >= 0.9 and matrix.norm(dim=1).max() <= 1 + 1e-12
    elif name == "ocnn":
        rows = shape[1] - min(shape)
        expected = (values.square() - 1).square().sum().item()
        assert layer.penalty().item() == pytest.approx(layer.coefficient * expected, rel=1e-9)
        assert values.max() ** 2 <= 1 + math.sqrt(expected + rows)
    elif shape[0] > 1:  # a single input's rows of one number: the sign is left
        assert 0.3 <= values.max() <= 1 + 1e-12


def test_bad_input():
    conv = nn.Conv2d(2, 2, 3)
    for name, options, message in [
        ("oni", {"iterations": 0}, "iterations is 0"),
        ("ocnn", {"coefficient": -1.0}, "coefficient is -1"),
        ("spectral_conv", {"n_power_iterations": 0}, "n_power_iterations is 0"),
        ("spectral_conv", {"size": 2}, "below the kernel"),
        ("convnorm", {"max_gain": 2.0}, "omit max_gain"),
        ("convnorm", {"gain": "learned", "max_gain": 0.0}, "max_gain is 0.0"),
        ("convnorm", {"gain": "high"}, "a number or 'lipschitz' or 'learned'"),
    ]:
        with pytest.raises(BadInput, match=message):
            find_normalization(name, options).conv(conv)
    with pytest.raises(BadInput, match="num_groups is 0"):
        find_normalization("group", {"num_groups": 0}).activation(4)
    for name in ("oni", "aol", "spectral_conv", "ocnn", "cayley", "lot", "soc"):
        with pytest.raises(BadInput, match="found Embedding"):
            find_normalization(name).conv(nn.Embedding(2, 3))
    with pytest.raises(BadInput, match="below the kernel"):
        CayleyConv2d(2, 2, 5)(torch.zeros(1, 2, 4, 9))
    with pytest.raises(BadInput, match="that the stride 2 divides, not 5"):
        CayleyConv2d(2, 2, 3, 2, 1, padding_mode="circular")(torch.zeros(1, 2, 5, 4))
