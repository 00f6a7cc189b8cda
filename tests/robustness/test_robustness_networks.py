"""Networks by name, with the normalization of every convolution injected."""

import pytest
import torch
from torch import nn

from gan_convnorm.errors import BadInput
from gan_convnorm.layers import ConvNorm2d
from gan_convnorm.robustness.networks import Normalized, build_network
from gan_convnorm.robustness.resnet import SIZES


def kinds(network, kind):
    return [m for m in network.modules() if isinstance(m, kind)]


@pytest.mark.parametrize(
    ("arch", "layers", "parameters"),
    [
        # Parameters as usual for He et al.'s table 1 with a 3x3 stem and ten classes.
        ("resnet18", 18, 11_173_962),
        ("resnet34", 34, 21_282_122),
        ("resnet50", 50, 23_520_842),
        ("plain20", 20, None),
        ("plain56", 56, None),
        ("resnet20", 20, None),
        ("resnet8", 8, None),
    ],
)
def test_layers_are_those_of_the_name(arch, layers, parameters):
    network = build_network(arch, 3, 10, "batch").network
    convolutions = kinds(network, nn.Conv2d)
    shortcuts = [
        c for b in network.blocks if isinstance(b.shortcut, nn.Sequential) for c in kinds(b.shortcut, nn.Conv2d)
    ]
    assert len(convolutions) - len(shortcuts) + 1 == layers
    assert len(kinds(network, nn.BatchNorm2d)) == len(convolutions)
    assert all(c.bias is None for c in convolutions)
    if parameters is not None:
        assert sum(p.numel() for p in network.parameters()) == parameters
    if arch.startswith("plain"):
        assert all(b.shortcut is None for b in network.blocks)


def test_a_block_is_its_definition():
    network = build_network("resnet8", 1, 10, "batch").network.eval()
    block = network.blocks[1]
    (conv1, norm1), (conv2, norm2), (conv3, norm3) = *block.units, block.shortcut
    x = torch.randn(2, 8, 6, 6)
    kept = x.clone()
    expected = (norm2(conv2(norm1(conv1(x)).relu())) + norm3(conv3(x))).relu()
    assert torch.equal(block(x), expected) and torch.equal(x, kept)
    assert expected.shape == (2, 16, 3, 3)
    plain = build_network("plain20", 1, 10, "none").network.blocks[0]
    x = torch.randn(2, 16, 6, 6)
    assert torch.equal(plain(x), plain.units[1](plain.units[0](x).relu()).relu())


@pytest.mark.parametrize("arch", sorted(SIZES))
def test_every_convolution_is_the_norms(arch):
    network = build_network(arch, 3, 7, "convnorm", {"affine": None}, width=0.1)
    convolutions = kinds(network, nn.Conv2d)
    assert convolutions and all(type(c) is ConvNorm2d and c.bias is not None for c in convolutions)
    assert not kinds(network, nn.BatchNorm2d)
    assert network(torch.rand(2, 3, 8, 8)).shape == (2, 7)


def test_a_plus_b_takes_convolutions_of_one_and_activations_of_the_other():
    network = build_network("resnet8", 1, 10, "convnorm+batch", {"affine": None})
    assert all(type(c) is ConvNorm2d and c.bias is None for c in kinds(network, nn.Conv2d))
    assert len(kinds(network, nn.BatchNorm2d)) == len(kinds(network, nn.Conv2d))
    spectral = build_network("resnet8", 1, 10, "spectral+batch").network
    conv = spectral.blocks[0].units[0][0]
    for _ in range(30):
        spectral(torch.rand(2, 1, 8, 8))
    sigma = torch.linalg.matrix_norm(conv.weight.flatten(1).double(), 2).item()
    assert sigma == pytest.approx(1, abs=1e-3)
    assert not hasattr(spectral.head, "parametrizations")
    with pytest.raises(BadInput, match="'convnorm' normalizes no activations"):
        build_network("resnet8", 1, 10, "spectral+convnorm")


@pytest.mark.parametrize(
    ("norm", "convnorms", "batch_norms"), [("batch", 0, 20), ("convnorm", 20, 0), ("convnorm+batch", 20, 20)]
)
def test_torchvision_networks_are_converted(norm, convnorms, batch_norms):
    network = build_network("torchvision.resnet18", 1, 5, norm)
    assert len(kinds(network, ConvNorm2d)) == convnorms
    assert len(kinds(network, nn.BatchNorm2d)) == batch_norms
    assert network.eval()(torch.rand(1, 1, 32, 32)).shape == (1, 5)


def test_normalization_is_inside():
    network = Normalized(nn.Identity(), 3)
    images = torch.randint(0, 256, (50, 3, 4, 4), dtype=torch.uint8)
    images[:, 2] = 9  # a channel of one value
    network.set_statistics(images)
    values = images.double() / 255
    assert torch.allclose(network.mean.flatten().double(), values.mean(dim=(0, 2, 3)), atol=1e-6)
    expected = values.std(dim=(0, 2, 3), correction=0).clamp(min=1 / 255)
    assert torch.allclose(network.deviation.flatten().double(), expected, atol=1e-6)
    found = network(images.float() / 255)
    assert found[:, :2].mean().abs() < 1e-4 and found[:, :2].std().item() == pytest.approx(1, abs=1e-3)
    assert {"mean", "deviation"} <= network.state_dict().keys()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("resnet19", 3, 10), "arch 'resnet19' is not known; choose one of: resnet8"),
        (("torchvision.nope", 3, 10), "torchvision has no classifier 'nope'"),
        (("torchvision.resnet18", 3, 10, "batch", None, 0.5), "width is 0.5"),
        (("resnet8", 3, 10, "batch", None, 0), "width is 0"),
        (("resnet8", 3, 10, "nope"), "norm 'nope' is not known"),
        (("resnet8", 3, 10, "convnorm+nope"), "norm 'nope' is not known"),
        (("resnet8", 3, 10, "convnorm", {"epsilon": 1}), "no option 'epsilon'"),
    ],
)
def test_bad_networks(arguments, message):
    with pytest.raises(BadInput, match=message):
        build_network(*arguments)
