"""Resampling and convolution in one: the definition's values and gradients, for every layer that can be given."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gan_convnorm.layers import NORMS, find_normalization
from gan_convnorm.networks import SNGANDiscriminator, SNGANGenerator
from gan_convnorm.networks.blocks import convolve_and_pool, upsample_and_convolve


def by_definition_up(features, weight, bias):
    upsampled = features.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    return F.conv2d(upsampled, weight, bias, padding=1)


def by_definition_down(features, weight, bias):
    convolved = F.conv2d(features, weight, bias, padding=1)
    return sum(convolved[:, :, y::2, x::2] for y in (0, 1) for x in (0, 1)) / 4


PAIRS = {"up": (upsample_and_convolve, by_definition_up), "down": (convolve_and_pool, by_definition_down)}


@pytest.mark.parametrize("way", PAIRS)
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_values_and_two_derivatives_are_the_definition_s(way, memory_format):
    fused, definition = PAIRS[way]
    conv = nn.Conv2d(3, 5, 3, padding=1).double().to(memory_format=memory_format)
    features = torch.randn(2, 3, 4, 6, dtype=torch.float64).to(memory_format=memory_format).requires_grad_()
    inputs = (features, conv.weight, conv.bias)
    found, expected = fused(conv, features), definition(*inputs)
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    results = []
    for output in (found, expected):
        weights = torch.linspace(-1, 1, output.numel(), dtype=torch.float64).view_as(output)
        first = torch.autograd.grad((output.sin() * weights).sum(), inputs, create_graph=True)
        second = torch.autograd.grad(sum(g.square().sum() for g in first), inputs)
        results.append((*first, *second))
    torch.testing.assert_close(*results, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("way", PAIRS)
@pytest.mark.parametrize("norm", NORMS)
def test_every_norm_s_layer_is_taken_for_what_it_computes(way, norm):
    make = lambda: NORMS[norm].conv(nn.Conv2d(4, 6, 3, padding=1).double())  # noqa: E731
    torch.manual_seed(1)
    fused, called = make(), make()
    called.load_state_dict(fused.state_dict())
    features = torch.randn(2, 4, 8, 8, dtype=torch.float64)
    for _ in range(3):  # a norm's state advances alike
        if way == "up":
            expected = called(features.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3))
        else:
            outputs = called(features)
            expected = sum(outputs[:, :, y::2, x::2] for y in (0, 1) for x in (0, 1)) / 4
        torch.testing.assert_close(PAIRS[way][0](fused, features), expected, rtol=1e-10, atol=1e-11)
    assert all(torch.equal(value, called.state_dict()[name]) for name, value in fused.state_dict().items())


@pytest.mark.parametrize("way", PAIRS)
@pytest.mark.parametrize(
    "other",
    [
        dict(padding=0),
        dict(padding=1, stride=2),
        dict(padding=2, dilation=2),
        dict(padding=1, groups=2),
        dict(padding=1, padding_mode="circular"),
        dict(padding=2, kernel_size=5),
    ],
    ids=str,
)
def test_other_convolutions_stay_themselves(way, other):
    conv = nn.Conv2d(**{"in_channels": 4, "out_channels": 6, "kernel_size": 3, **other}).double()
    features = torch.randn(2, 4, 8, 8, dtype=torch.float64)
    expected = (
        conv(features.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3))
        if way == "up"
        else F.avg_pool2d(conv(features), 2)
    )
    assert torch.equal(PAIRS[way][0](conv, features), expected)


@pytest.mark.parametrize("network", [SNGANGenerator(16, width=0.05), SNGANDiscriminator(16, width=0.05)])
def test_hooks_see_every_convolution(network):
    inputs = torch.randn(2, 128) if isinstance(network, SNGANGenerator) else torch.randn(2, 3, 16, 16)
    network = network.eval()
    expected = network(inputs)
    convs = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    seen = []
    handles = [module.register_forward_hook(lambda module, *_: seen.append(module)) for module in convs]
    found = network(inputs)
    for handle in handles:
        handle.remove()
    assert set(seen) == set(convs)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["none", "convnorm"])
def test_a_forward_of_one_layer_s_own_is_run(norm):
    conv = find_normalization(norm).conv(nn.Conv2d(4, 4, 3, padding=1))
    conv.forward = torch.zeros_like
    assert not convolve_and_pool(conv, torch.ones(1, 4, 8, 8)).any()


def test_resampled_convolutions_compile_in_one_graph():
    network = SNGANGenerator(16, width=0.05).eval()
    compiled = torch.compile(network, backend="eager", fullgraph=True)
    noise = torch.randn(3, 128)
    torch.testing.assert_close(compiled(noise), network(noise), rtol=1e-5, atol=1e-6)
