"""Networks: published sizes, shapes, initialization, plans of your own, and where the norm goes."""

from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from gan_convnorm.errors import BadInput
from gan_convnorm.layers import NORMS, ConvNorm2d, LinearRowNorm, OriginalConvNorm2d
from gan_convnorm.networks import (
    NETWORKS,
    DCGANDiscriminator,
    DCGANGenerator,
    Plan,
    SNGANDiscriminator,
    SNGANGenerator,
    find_networks,
)
from gan_convnorm.networks.sngan import PLANS

OWN_PLAN = {"bottom": 3, "generator": [8, 8, 4, 4], "discriminator": [[4, True], [8, True], [8, False]]}


def count(network):
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(
    ("resolution", "of_generator", "of_discriminator"),
    [
        (32, 4_276_739, 1_053_825),
        (48, 4_878_083, 10_141_441),
        (64, 12_220_675, 10_141_441),
        (128, 32_150_787, 29_017_857),
    ],
)
def test_parameter_counts_are_the_published_ones(resolution, of_generator, of_discriminator):
    with torch.device("meta"):
        assert count(SNGANGenerator(resolution)) == of_generator
        # Published with a bias on the last linear layer; sngan_projection has none.
        assert count(SNGANDiscriminator(resolution, norm="none", head_bias=True)) == of_discriminator
        assert count(SNGANDiscriminator(resolution, norm="none")) == of_discriminator - 1


def test_conditional_parameter_counts_are_the_published_ones():
    with torch.device("meta"):
        assert count(SNGANGenerator(32, num_classes=10)) == 4_304_387
        assert count(SNGANDiscriminator(32, norm="none", num_classes=10, head_bias=True)) == 1_055_105


def conv_count(kernel, *channels):
    return sum(kernel**2 * c_in * c_out + c_out for c_in, c_out in pairwise(channels))


def test_dcgan_has_the_layers_of_table_3():
    with torch.device("meta"):
        generator, discriminator = DCGANGenerator(32), DCGANDiscriminator(32, norm="none")
    convs = [m for m in discriminator.modules() if isinstance(m, nn.Conv2d)]
    table = [(64, 3, 1), (64, 4, 2), (128, 3, 1), (128, 4, 2), (256, 3, 1), (256, 4, 2), (512, 3, 1)]
    assert [(m.out_channels, m.kernel_size[0], m.stride[0]) for m in convs] == table
    assert discriminator.linear.in_features == 4 * 4 * 512
    ups = [m for m in generator.modules() if isinstance(m, nn.ConvTranspose2d)]
    assert [(m.out_channels, m.kernel_size[0], m.stride[0]) for m in ups] == [(256, 4, 2), (128, 4, 2), (64, 4, 2)]
    of_norms = 2 * (512 + 256 + 128 + 64)
    assert count(generator) == 129 * 8192 + conv_count(4, 512, 256, 128, 64) + conv_count(3, 64, 3) + of_norms
    threes = conv_count(3, 3, 64) + conv_count(3, 64, 128) + conv_count(3, 128, 256) + conv_count(3, 256, 512)
    fours = conv_count(4, 64, 64) + conv_count(4, 128, 128) + conv_count(4, 256, 256)
    assert count(discriminator) == threes + fours + 8192


def test_dcgan_of_48_pixels_starts_from_6():
    with torch.device("meta"):
        assert DCGANGenerator(48).bottom == (512, 6, 6)
        assert DCGANDiscriminator(48, norm="none").linear.in_features == 6 * 6 * 512


def make_generator(name, *arguments, norm, **options):
    """A norm may have nothing for DCGAN's transposed convolutions: it then says so."""
    try:
        return find_networks(name).generator(*arguments, norm=norm, **options)
    except BadInput as error:
        assert name == "dcgan"
        assert "found ConvTranspose2d" in str(error)
        return find_networks(name).generator(*arguments, norm="batch", **options)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("resolution", PLANS)
@pytest.mark.parametrize("norm", ["none", "convnorm"])
def test_shapes(name, resolution, norm):
    width = 0.05 if resolution < 64 else 0.01
    generator = make_generator(name, resolution, channels=1, latent_dim=7, width=width, norm=norm)
    discriminator = find_networks(name).discriminator(resolution, channels=1, width=width, norm=norm)
    images = generator(torch.randn(3, 7))
    assert images.shape == (3, 1, resolution, resolution)
    assert images.abs().max() <= 1
    assert discriminator(images).shape == (3,)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("norm", NORMS)
def test_everything_at_once(name, norm):
    options = dict(num_classes=3, attention=6, plan=OWN_PLAN, norm=norm)
    labels = torch.tensor([0, 2])
    generator = make_generator(name, 24, 3, 5, **options)
    images = generator(torch.randn(2, 5), labels)
    assert images.shape == (2, 3, 24, 24)
    if (name, norm) == ("dcgan", "convnorm_2021"):
        with pytest.raises(BadInput, match="works for odd square kernels"):
            find_networks(name).discriminator(24, 3, **options)
        return
    discriminator = find_networks(name).discriminator(24, 3, head_bias=True, **options)
    scores = discriminator(images, labels)
    assert scores.shape == (2,)
    scores.sum().backward()
    for network in (generator, discriminator):
        assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters() if p.requires_grad)


def test_every_layer_of_the_discriminator_is_normalized():
    network = SNGANDiscriminator(32, norm="convnorm", num_classes=10, attention=8)
    convs = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert len(convs) == 10 + 4
    image_layers = [m for m in convs if m.in_channels == 3]
    assert len(image_layers) == 2 and all(parametrize.is_parametrized(m, "weight") for m in image_layers)
    assert all(isinstance(m, ConvNorm2d) for m in convs if m not in image_layers)
    assert isinstance(network.linear, LinearRowNorm)
    assert isinstance(network.embedding, LinearRowNorm)
    spectral = SNGANDiscriminator(32, norm="spectral", num_classes=10, attention=8)
    layers = [m for m in spectral.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    assert len(layers) == 10 + 4 + 2
    assert all(hasattr(m, "parametrizations") for m in layers)


def test_row_leaves_the_layers_that_see_the_image_to_spectral_normalization():
    network = SNGANDiscriminator(32, norm="row", num_classes=10)
    layers = [m for m in network.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    spectral = [m for m in layers if [*m.buffers()]]  # the vectors of its power iteration
    assert len(spectral) == 2 and all(m.in_channels == 3 for m in spectral)
    assert all(parametrize.is_parametrized(m, "weight") for m in layers)


def test_every_layer_of_the_generator_is_normalized():
    for network in (SNGANGenerator(32, width=0.1, norm="spectral"), DCGANGenerator(32, width=0.1, norm="spectral")):
        layers = [m for m in network.modules() if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear))]
        assert all(hasattr(m, "parametrizations") for m in layers)


@pytest.mark.parametrize("name", NETWORKS)
def test_generator_norm_none_has_no_batch_statistics(name):
    generator = find_networks(name).generator
    with torch.device("meta"):
        assert any(isinstance(m, nn.BatchNorm2d) for m in generator().modules())
        assert not any(isinstance(m, nn.BatchNorm2d) for m in generator(norm="none", num_classes=2).modules())


def test_initial_weights_are_glorot_uniform():
    network = SNGANDiscriminator(32, norm="none", num_classes=100)
    conv = network.blocks[1].conv1
    bound = 2**0.5 * (6 / (128 * 9 + 128 * 9)) ** 0.5
    assert bound * 0.999 <= conv.weight.abs().max() <= bound
    assert conv.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.01)
    assert conv.bias.abs().max() == 0
    bound = (6 / (128 + 100)) ** 0.5
    assert bound * 0.999 <= network.embedding.weight.abs().max() <= bound


def test_initial_weights_of_dcgan_are_normal():
    for network in (DCGANGenerator(32), DCGANDiscriminator(32, norm="none", num_classes=2, head_bias=True)):
        layers = [m for m in network.modules() if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear))]
        for layer in layers:
            # Five standard errors of a normal sample's standard deviation.
            spread = 5 * 0.02 / (2 * layer.weight.numel()) ** 0.5
            assert layer.weight.std().item() == pytest.approx(0.02, abs=spread)
            assert layer.bias is None or layer.bias.abs().max() == 0


def test_shortcut_sees_the_input_before_the_activation():
    block = SNGANDiscriminator(32, width=0.1, norm="none").blocks[2]
    features = torch.randn(2, 13, 8, 8)
    nn.init.zeros_(block.conv2.weight)
    nn.init.zeros_(block.conv2.bias)
    assert torch.equal(block(features), features)


def test_dcgan_against_torch_by_hand():
    network = DCGANDiscriminator(8, 1, norm="none", plan=Plan(4, (2, 2), ((3, True), (5, False)))).double()
    images = torch.randn(2, 1, 8, 8, dtype=torch.float64)
    state = network.state_dict()
    expected = images
    for block, conv, stride in ((0, 0, 1), (0, 1, 2), (1, 0, 1)):
        weight, bias = (state[f"blocks.{block}.convs.{conv}.{kind}"] for kind in ("weight", "bias"))
        expected = nn.functional.conv2d(expected, weight, bias, stride, padding=1)
        expected = torch.where(expected > 0, expected, expected / 10)
    expected = expected.flatten(1) @ state["linear.weight"][0]
    torch.testing.assert_close(network(images), expected, rtol=1e-12, atol=1e-14)


def test_row_of_ones_own_replaces_the_tables():
    plan = Plan(3, (8, 8, 4, 4), ((4, True), (8, True), (8, False)))
    networks = [SNGANGenerator(24, plan=given) for given in (plan, OWN_PLAN, {**OWN_PLAN, "generator": (8, 8, 4, 4)})]
    assert len({str(network) for network in networks}) == 1
    assert networks[0](torch.randn(2, 128)).shape == (2, 3, 24, 24)
    # Its parameters are the plan's: dense, three blocks, and norm and convolution to the image.
    blocks = [(8, 8), (8, 4), (4, 4)]
    of_blocks = sum(9 * (i * o + o * o) + i * o + 3 * o + 2 * (i + o) for i, o in blocks)
    assert count(networks[0]) == 129 * 8 * 9 + of_blocks + 2 * 4 + 9 * 4 * 3 + 3


@pytest.mark.parametrize(
    ("change", "resolution", "message"),
    [
        ({"bottom": 4}, 24, "makes 32x32 images"),
        ({}, 48, "makes 24x24 images .* 48x48 are asked for"),
        ({"bottom": 0}, 0, "does not describe a network"),
        ({"bottom": True}, 8, "does not describe a network"),
        ({"generator": [8, 2.5]}, 24, "does not describe a network"),
        ({"generator": []}, 24, "does not describe a network"),
        ({"generator": "8844"}, 24, "does not describe a network"),
        ({"discriminator": [4, 8]}, 24, "does not describe a network"),
        ({"discriminator": [[4, 1]]}, 24, "does not describe a network"),
        ({"discriminator": [[-4, True]]}, 24, "does not describe a network"),
        ({"depth": 3}, 24, "does not describe a network"),
        ({"discriminator": [[4, True]] * 4}, 24, "not a multiple of 16"),
        ({"discriminator": [[4, False]]}, 24, "first discriminator block"),
    ],
)
def test_a_bad_row_is_one_line(change, resolution, message):
    with pytest.raises(BadInput, match=message) as caught:
        SNGANDiscriminator(resolution, plan={**OWN_PLAN, **change})
    assert "\n" not in str(caught.value)
    with pytest.raises(BadInput, match="does not describe a network"):
        SNGANDiscriminator(24, plan={"bottom": 3})
    with pytest.raises(BadInput, match="does not describe a network"):
        SNGANDiscriminator(24, plan=[3])


def test_unknown_resolution_width_and_name_say_what_there_is():
    with pytest.raises(BadInput, match=r"SNGAN .* 20x20 .*: 16, 32, 48, 64, 128"):
        SNGANGenerator(20)
    with pytest.raises(BadInput, match=r"DCGAN .* 20x20 .*: 16, 32, 48, 64, 128"):
        DCGANDiscriminator(20)
    with pytest.raises(BadInput, match="width is 0"):
        SNGANDiscriminator(32, width=0)
    with pytest.raises(BadInput, match=r"network 'biggan' .*: sngan, dcgan"):
        find_networks("biggan")


def test_a_discriminator_s_convnorm_has_options_of_its_own():
    def first_two(norm="convnorm", **options):
        network = SNGANDiscriminator(16, 1, 0.1, norm, options)
        return network.blocks[0].conv1, network.blocks[0].conv2

    grey, conv = first_two()
    assert parametrize.is_parametrized(grey, "weight") and type(conv) is ConvNorm2d and conv.options.affine is None
    grey, conv = first_two(affine="channel", min_inputs=1)
    assert type(grey) is type(conv) is ConvNorm2d and conv.options.affine == "channel"
    assert all(
        type(layer) is OriginalConvNorm2d and not isinstance(layer.affine, nn.Identity)
        for layer in first_two("convnorm_2021")
    )
    colour = SNGANDiscriminator(32, 3, 0.1, "convnorm").blocks[0]
    assert parametrize.is_parametrized(colour.conv1, "weight") and type(colour.conv2) is ConvNorm2d
