"""Networks that take a vector for every image."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gan_convnorm.errors import BadInput
from gan_convnorm.layers import find_normalization
from gan_convnorm.networks import NETWORKS, ConditionalNorm, find_networks

SIZES = {"channels": 1, "width": 0.05}


def randomize(network):
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "gamma" in name or "beta" in name:
                parameter.normal_()
    return network


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("norm", ["spectral", "convnorm"])
def test_one_hot_vectors_are_classes(name, norm):
    """With the classes' weights, a one-hot vector gives what its class gives: images, scores and gradients."""
    networks, labels = find_networks(name), torch.tensor([2, 0, 1, 2])
    vectors = F.one_hot(labels, 3).double()
    generators = [
        randomize(networks.generator(16, latent_dim=5, **{kind: 3}, **SIZES)).double()
        for kind in ("num_classes", "condition_size")
    ]
    state = generators[1].state_dict()
    for key, value in generators[0].state_dict().items():
        is_table = "gamma" in key or "beta" in key
        state[key] = value.T if is_table else value  # a table's rows are the columns of a linear map
        if is_table:
            state[key.replace("weight", "bias")] = torch.zeros_like(value[0])
    generators[1].load_state_dict(state)
    discriminators = [
        networks.discriminator(16, norm=norm, **{kind: 3}, **SIZES).double()
        for kind in ("num_classes", "condition_size")
    ]
    discriminators[1].load_state_dict(discriminators[0].state_dict())
    latents = torch.randn(4, 5, dtype=torch.float64)
    found = []
    for generator, discriminator, own in zip(generators, discriminators, (labels, vectors), strict=True):
        images = generator(latents, own)
        scores = discriminator(images, own)
        scores.square().sum().backward()
        found.append((images, scores, generator.linear.weight.grad, discriminator.linear))
    for one, other in zip(found[0][:3], found[1][:3], strict=True):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=1e-10)
    assert found[0][0].std() > 0.01 and not torch.allclose(generators[1](latents, vectors[[1, 2, 3, 0]]), found[1][0])


def test_scores_are_those_of_the_definition():
    """<V c, h> + <w, h>, with V, w and h taken apart."""
    network = find_networks("sngan").discriminator(16, norm="none", condition_size=4, **SIZES).double()
    images, vectors = torch.randn(3, 1, 16, 16, dtype=torch.float64), torch.randn(3, 4, dtype=torch.float64)
    features = images
    for block in network.blocks:
        features = block(features)
    h = features.relu().sum(dim=(2, 3))
    expected = [
        w @ network.linear.weight[0] + (network.embedding.weight.T @ c) @ w for w, c in zip(h, vectors, strict=True)
    ]
    torch.testing.assert_close(network(images, vectors), torch.stack(expected), atol=1e-12, rtol=1e-10)


def test_a_new_norm_starts_as_the_plain_one_for_every_vector():
    layer = ConditionalNorm(find_normalization("batch").activation, None, 6, condition_size=2)
    features = torch.randn(4, 6, 3, 3)
    expected = nn.BatchNorm2d(6, affine=False)(features)
    assert torch.equal(layer(features, torch.tensor([[0.0, 0.0], [1.0, 5.0], [-3.0, 2.0], [9.0, 9.0]])), expected)
    layer.gamma.weight.data[:, 1] = 2.0
    layer.beta.weight.data[:, 0] = 10.0
    found = layer(features, torch.tensor([[1.0, 3.0]]).expand(4, -1))
    torch.testing.assert_close(found, 7 * expected + 10)


@pytest.mark.parametrize(
    "labels",
    [
        None,
        torch.tensor([0, 1]),
        torch.zeros(2, 4),
        torch.zeros(3, 3),
        torch.zeros(2),
        torch.zeros(2, 3, dtype=torch.int64),
        torch.zeros(2, 3, dtype=torch.complex64),
    ],
)
def test_other_labels_are_refused(labels):
    networks = find_networks("sngan")
    for network, first in (
        (networks.generator(16, latent_dim=5, condition_size=3, **SIZES), torch.randn(2, 5)),
        (networks.discriminator(16, condition_size=3, **SIZES), torch.randn(2, 1, 16, 16)),
    ):
        with pytest.raises(BadInput, match=r"got .*; expected vectors, floating-point numbers of shape \(2, 3\)"):
            network(first, labels)


@pytest.mark.parametrize("options", [{"condition_size": 0}, {"condition_size": 2, "num_classes": 2}])
def test_vectors_of_nothing_and_both_kinds_are_refused(options):
    networks = find_networks("dcgan")
    for network in (networks.generator, networks.discriminator):
        with pytest.raises(BadInput, match="expected vectors of 1 number or more, or classes, not both"):
            network(16, **options, **SIZES)
