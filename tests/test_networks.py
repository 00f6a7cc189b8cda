"""SNGAN-ResNet: published sizes, shapes, and where the norm goes."""

import pytest
import torch
from torch import nn

from gan_convnorm.errors import BadInput
from gan_convnorm.layers import NORMS, ConvNorm2d, LinearRowNorm
from gan_convnorm.networks import SNGANDiscriminator, SNGANGenerator
from gan_convnorm.networks.sngan import ROWS


def count(network):
    return sum(p.numel() for p in network.parameters())


def test_parameter_counts_are_the_published_ones():
    assert count(SNGANGenerator(32)) == 4_276_739
    # Published with a bias on the last linear layer; sngan_projection has none.
    assert count(SNGANDiscriminator(32, norm="none")) + 1 == 1_053_825


@pytest.mark.parametrize("resolution", ROWS)
@pytest.mark.parametrize("norm", NORMS)
def test_shapes(resolution, norm):
    generator = SNGANGenerator(resolution, channels=1, latent_dim=7, width=0.05, norm=norm)
    discriminator = SNGANDiscriminator(resolution, channels=1, width=0.05, norm=norm)
    images = generator(torch.randn(3, 7))
    assert images.shape == (3, 1, resolution, resolution)
    assert images.abs().max() <= 1
    assert discriminator(images).shape == (3,)


def test_every_convolution_of_the_discriminator_is_normalized():
    network = SNGANDiscriminator(32, norm="convnorm")
    convs = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert len(convs) == 10
    assert all(isinstance(m, ConvNorm2d) for m in convs)
    assert isinstance(network.linear, LinearRowNorm)
    spectral = SNGANDiscriminator(32, norm="spectral")
    layers = [m for m in spectral.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    assert len(layers) == 11
    assert all(hasattr(m, "parametrizations") for m in layers)


def test_generator_norm_none_has_no_batch_statistics():
    assert any(isinstance(m, nn.BatchNorm2d) for m in SNGANGenerator().modules())
    assert not any(isinstance(m, nn.BatchNorm2d) for m in SNGANGenerator(norm="none").modules())


def test_initial_weights_are_glorot_uniform():
    torch.manual_seed(0)
    conv = SNGANDiscriminator(32, norm="none").blocks[1].conv1
    bound = 2**0.5 * (6 / (128 * 9 + 128 * 9)) ** 0.5
    assert conv.weight.abs().max() <= bound
    assert conv.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.01)
    assert conv.bias.abs().max() == 0


def test_shortcut_sees_the_input_before_the_activation():
    block = SNGANDiscriminator(32, width=0.1, norm="none").blocks[2]
    features = torch.randn(2, 13, 8, 8)
    nn.init.zeros_(block.conv2.weight)
    nn.init.zeros_(block.conv2.bias)
    assert torch.equal(block(features), features)


def test_unknown_resolution_and_width_say_what_there_is():
    with pytest.raises(BadInput, match="16, 32"):
        SNGANGenerator(20)
    with pytest.raises(BadInput, match="width is 0"):
        SNGANDiscriminator(32, width=0)
