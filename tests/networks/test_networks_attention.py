"""Self-attention against its definition, where it stands, and what penalties need of it."""

import pytest
import torch
from torch import nn

from gan_convnorm.errors import BadInput
from gan_convnorm.layers import find_normalization
from gan_convnorm.networks import NETWORKS, SelfAttention, find_networks


def attention(channels):
    block = SelfAttention(channels, find_normalization("none"), nn.init.xavier_uniform_).double()
    nn.init.constant_(block.gain, 0.7)
    return block


@torch.no_grad()
@pytest.mark.parametrize("side", [4, 5, 1])
def test_against_its_definition(side):
    block = attention(16)
    features = torch.randn(2, 16, side, side, dtype=torch.float64)
    f, g, h, v = (m.weight[:, :, 0, 0] for m in (block.query, block.key, block.value, block.output))
    assert [tuple(m.shape) for m in (f, g, h, v)] == [(2, 16), (2, 16), (8, 16), (16, 8)]
    windows = [(y, x) for y in range(0, side, 2) for x in range(0, side, 2)]

    def pooled(image, weight):
        return [(weight @ image[:, y : y + 2, x : x + 2].flatten(1)).amax(dim=1) for y, x in windows]

    expected = features.clone()
    for image, result in zip(features, expected, strict=True):
        keys, values = pooled(image, g), pooled(image, h)
        for y in range(side):
            for x in range(side):
                weights = torch.stack([(f @ image[:, y, x]) @ key for key in keys]).exp()
                weights = weights / weights.sum()
                attended = sum(weight * value for weight, value in zip(weights, values, strict=True))
                result[:, y, x] += 0.7 * (v @ attended)
    torch.testing.assert_close(block(features), expected, rtol=1e-11, atol=1e-12)


def test_has_a_second_derivative():
    block = attention(8)
    features = torch.randn(1, 8, 3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(block, features)
    assert torch.autograd.gradgradcheck(block, features)


@pytest.mark.parametrize("name", NETWORKS)
def test_at_first_it_changes_nothing(name):
    networks = find_networks(name)
    for network, inputs in (
        (networks.generator, torch.randn(2, 128)),
        (networks.discriminator, torch.randn(2, 3, 32, 32)),
    ):
        plain, attentive = (network(32, width=0.05, norm="none", attention=side) for side in (None, 8))
        left_over = attentive.load_state_dict(plain.state_dict(), strict=False)
        assert left_over.missing_keys == [
            f"attention.{key}" for key in ("gain", "query.weight", "key.weight", "value.weight", "output.weight")
        ]
        assert torch.equal(plain(inputs), attentive(inputs))
        nn.init.constant_(attentive.attention.gain, 1e3)  # DCGAN's initial weights are small
        change = plain(inputs) - attentive(inputs)
        assert change.abs().max() > 1e-3 * plain(inputs).abs().max()


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("side", [8, 16])
def test_stands_once_at_the_side_that_was_asked_for(name, side):
    networks = find_networks(name)
    for network, inputs in (
        (networks.generator, torch.randn(2, 128)),
        (networks.discriminator, torch.randn(2, 3, 32, 32)),
    ):
        attentive, seen = network(32, width=0.05, attention=side), []
        attentive.attention.register_forward_hook(lambda module, args, output, seen=seen: seen.append(args[0].shape))
        attentive(inputs)
        assert [shape[2:] for shape in seen] == [(side, side)]


def test_a_side_that_is_not_there_is_one_line():
    networks = find_networks("sngan")
    with pytest.raises(BadInput, match=r"attention is 12, and the generator's feature maps have sides of: 8, 16, 32"):
        networks.generator(32, attention=12)
    with pytest.raises(BadInput, match=r"attention is 32, and the discriminator's feature maps have sides of: 16, 8$"):
        networks.discriminator(32, attention=32)
