"""Every row of the registry, as a network uses it."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from gan_convnorm.errors import BadInput
from gan_convnorm.layers import NORMS, ConvNorm2d, LinearRowNorm, find_normalization


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize(
    "geometry",
    [
        dict(kernel_size=3, padding=1),
        dict(kernel_size=1),
        dict(kernel_size=4, stride=2, padding=1),
        dict(kernel_size=3, groups=2, dilation=2),
    ],
)
def test_conv_keeps_the_shape_and_trains(name, geometry):
    plain = nn.Conv2d(4, 6, **geometry)
    expected = plain(torch.zeros(2, 4, 9, 8)).shape
    weight = plain.weight.detach().clone()
    norm = find_normalization(name)
    if name == "convnorm_2021" and (plain.kernel_size == (4, 4) or plain.dilation != (1, 1)):
        with pytest.raises(BadInput, match="works for odd square kernels"):
            norm.conv(plain)
        return
    layer = norm.activation(4), norm.conv(plain)
    image = torch.randn(2, 4, 9, 8)
    output = layer[1](layer[0](image))
    assert output.shape == expected
    output.square().mean().backward()
    stored = layer[1].weight
    if parametrize.is_parametrized(layer[1]):
        originals = layer[1].parametrizations.weight
        stored = next(originals.parameters()) if name != "weight" else originals.original1
    assert name == "aoc" or torch.equal(stored, weight)  # aoc draws matrices
    assert stored.grad.abs().sum() > 0


@pytest.mark.parametrize("name", NORMS)
def test_linear_keeps_the_shape(name):
    layer = find_normalization(name).linear(nn.Linear(5, 3))
    assert layer(torch.randn(2, 5)).shape == (2, 3)


@pytest.mark.parametrize("gain", [0.7, "lipschitz"])
def test_linear_row_norm_is_convnorm_of_a_1x1_kernel(gain):
    linear = LinearRowNorm(5, 3, gain=gain, eps=0.1, dtype=torch.float64)
    conv = ConvNorm2d(5, 3, 1, gain=gain, eps=0.1, dtype=torch.float64)
    with torch.no_grad():
        conv.weight.copy_(linear.weight[:, :, None, None])
        conv.bias.copy_(linear.bias)
    x = torch.randn(4, 5, dtype=torch.float64)
    assert torch.allclose(linear(x), conv(x[:, :, None, None])[:, :, 0, 0], rtol=1e-12)
    factor = 3**-0.5 if gain == "lipschitz" else gain
    rows = linear.weight / (linear.weight.norm(dim=1, keepdim=True) ** 2 + 0.1).sqrt()
    assert torch.allclose(linear(x), x @ (factor * rows).T + linear.bias, rtol=1e-12)


def test_options_reach_the_layer():
    layer = find_normalization("convnorm", {"gain": "lipschitz", "affine": None, "eps": 0.5}).conv(nn.Conv2d(4, 6, 3))
    assert isinstance(layer, ConvNorm2d)
    assert (layer.options.gain, layer.options.affine, layer.options.eps) == ("lipschitz", None, 0.5)
    assert find_normalization("batch", {"momentum": 0.5}).activation(4).momentum == 0.5


def test_convnorm_can_leave_layers_with_few_input_channels_to_spectral_norm():
    def made(channels, min_inputs=2, **options):
        options |= {"min_inputs": min_inputs}
        return find_normalization("convnorm", options).conv(
            nn.Conv2d(channels, 6, 3, groups=channels if channels == 2 else 1)
        )

    grey = made(1)
    for _ in range(50):
        grey(torch.randn(1, 1, 5, 5))
    sigma = torch.linalg.matrix_norm(grey.weight.detach().flatten(1).double(), 2).item()
    assert sigma == pytest.approx(1, abs=1e-5) and type(made(3)) is ConvNorm2d
    assert type(made(2)) is ConvNorm2d  # one input channel per group of several
    assert type(find_normalization("convnorm").conv(nn.Conv2d(1, 6, 3))) is ConvNorm2d
    assert type(made(1, gain="lipschitz")) is ConvNorm2d  # a certificate that spectral norm does not give
    assert type(made(3, min_inputs=4)) is not ConvNorm2d and type(made(4, min_inputs=4)) is ConvNorm2d
    with pytest.raises(BadInput, match="min_inputs is 0, and must be a whole number of at least 1"):
        made(1, min_inputs=0)


def test_unknown_names_and_options_list_the_choices():
    with pytest.raises(BadInput, match=r"none, batch, .*, cayley, lot, soc, or two as a\+b, or give your own"):
        find_normalization("convnrom")
    options = "affine, boundary, eps, gain, gradient, max_gain, max_radius, min_inputs, strided, tolerance"
    with pytest.raises(BadInput, match=options):
        find_normalization("convnorm", {"epsilon": 1})
    with pytest.raises(BadInput, match="takes: none"):
        find_normalization("none", {"eps": 1})


def test_two_normalizations_of_activations_are_not_joined():
    with pytest.raises(BadInput, match=r"'batch' normalizes activations too; before the \+ expected one of weights"):
        find_normalization("batch+group", {"eps": 0.5})
    assert isinstance(find_normalization("none+batch").activation(3), nn.BatchNorm2d)
