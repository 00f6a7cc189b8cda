"""Conditional networks: a scale and shift per class, the projection, and labels that do not fit."""

import copy

import pytest
import torch
from torch import nn

from gan_convnorm.errors import BadInput
from gan_convnorm.networks import (
    NETWORKS,
    ConditionalNorm,
    DCGANDiscriminator,
    SNGANDiscriminator,
    SNGANGenerator,
    find_networks,
)

SMALL = dict(width=0.05, num_classes=4)


def test_conditional_norm_against_its_definition():
    norm = ConditionalNorm(nn.BatchNorm2d, num_classes=3, channels=5).double()
    nn.init.normal_(norm.gamma.weight)
    nn.init.normal_(norm.beta.weight)
    features = torch.randn(6, 5, 4, 4, dtype=torch.float64) * 3 + 1
    labels = torch.tensor([0, 2, 2, 1, 0, 1])
    mean = features.mean(dim=(0, 2, 3), keepdim=True)
    variance = (features - mean).square().mean(dim=(0, 2, 3), keepdim=True)
    expected = torch.stack(
        [
            norm.gamma.weight[label][:, None, None] * image + norm.beta.weight[label][:, None, None]
            for image, label in zip((features - mean) / (variance + 1e-5).sqrt(), labels, strict=True)
        ]
    )
    torch.testing.assert_close(norm(features, labels), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("activation", [nn.BatchNorm2d, lambda c: nn.GroupNorm(1, c), lambda c: nn.Identity()])
def test_conditional_norm_starts_as_the_norm_and_has_no_other_scale(activation):
    norm = ConditionalNorm(activation, num_classes=3, channels=4)
    features = torch.randn(5, 4, 3, 3)
    expected = activation(4)(features)
    torch.testing.assert_close(norm(features, torch.tensor([0, 1, 2, 0, 1])), expected, rtol=1e-6, atol=1e-6)
    assert [name for name, _ in norm.named_parameters()] == ["gamma.weight", "beta.weight"]


def test_conditional_norm_keeps_half_precision():
    norm = ConditionalNorm(lambda c: nn.Identity(), num_classes=2, channels=4)
    assert norm(torch.randn(2, 4, 3, 3).bfloat16(), torch.tensor([0, 1])).dtype == torch.bfloat16


def test_conversion_to_synchronized_statistics_keeps_the_classes():
    generator = SNGANGenerator(16, **SMALL)
    for module in generator.modules():
        if isinstance(module, ConditionalNorm):
            nn.init.normal_(module.gamma.weight)
            nn.init.normal_(module.beta.weight)
    noise, labels = torch.randn(4, 128), torch.arange(4)
    generator(noise, labels)  # statistics that are not the initial ones
    converted = nn.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(generator))
    found = [m for m in converted.modules() if isinstance(m, nn.SyncBatchNorm)]
    assert len(found) == 2 * 2 + 1
    assert not any(isinstance(m, nn.BatchNorm2d) for m in converted.modules())
    assert torch.equal(converted.eval()(noise, labels), generator.eval()(noise, labels))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("norm", ["batch", "none"])
def test_an_image_depends_on_its_own_label(name, norm):
    generator = find_networks(name).generator(16, norm=norm, **SMALL)
    for module in generator.modules():
        if isinstance(module, ConditionalNorm):
            nn.init.normal_(module.gamma.weight, 1, 0.5)
    generator.eval()
    noise = torch.randn(3, 128)
    images, others = generator(noise, torch.tensor([0, 1, 2])), generator(noise, torch.tensor([0, 3, 2]))
    assert torch.equal(images[[0, 2]], others[[0, 2]])
    assert (images[1] - others[1]).abs().max() > 1e-4 * images[1].abs().max()


def test_the_last_norm_has_no_classes():
    generator = SNGANGenerator(16, **SMALL)
    assert isinstance(generator.norm, nn.BatchNorm2d)
    assert generator.norm.affine
    assert isinstance(generator.blocks[1].norm2, ConditionalNorm)


@pytest.mark.parametrize("network", [SNGANDiscriminator, DCGANDiscriminator])
def test_projection_against_its_definition(network):
    conditional = network(16, norm="none", **SMALL).double()
    plain = network(16, norm="none", width=0.05).double()
    plain.load_state_dict(conditional.state_dict(), strict=False)
    images = torch.randn(3, 3, 16, 16, dtype=torch.float64)
    features = conditional.vector(conditional.blocks(images))
    labels = torch.tensor([3, 0, 3])
    products = torch.stack(
        [features[i] @ conditional.embedding.weight[label] for i, label in enumerate(labels.tolist())]
    )
    torch.testing.assert_close(conditional(images, labels), plain(images) + products, rtol=1e-12, atol=1e-14)
    assert products.abs().min() > 0


def test_spectral_norm_bounds_the_whole_embedding():
    network = SNGANDiscriminator(16, norm="spectral", **SMALL).double()
    images = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    network(images, torch.tensor([0, 1]))
    for _ in range(500):
        network.embedding.weight  # noqa: B018 - every look is a power iteration
    assert torch.linalg.matrix_norm(network.embedding.weight, 2).item() == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("name", NETWORKS)
def test_labels_that_do_not_fit_are_one_line(name):
    networks = find_networks(name)
    for network, inputs in (
        (networks.generator, torch.randn(2, 128)),
        (networks.discriminator, torch.randn(2, 3, 16, 16)),
    ):
        conditional = network(16, **SMALL)
        with pytest.raises(BadInput, match="has 4 classes and got no labels"):
            conditional(inputs)
        with pytest.raises(BadInput, match=r"int64 of shape \(3,\); expected whole numbers of shape \(2,\)"):
            conditional(inputs, torch.tensor([0, 1, 2]))
        with pytest.raises(BadInput, match=r"float32 of shape \(2,\)"):
            conditional(inputs, torch.tensor([0.0, 1.0]))
        with pytest.raises(BadInput, match="without classes and got labels"):
            network(16, width=0.05)(inputs, torch.tensor([0, 1]))
        with pytest.raises(BadInput, match="num_classes is 0"):
            network(16, width=0.05, num_classes=0)
        # Bytes are whole numbers too.
        assert len(conditional(inputs, torch.tensor([0, 1], dtype=torch.uint8))) == 2
