"""Certificates: the bound is above every Jacobian, and no attack within a certified radius changes a class."""

import math

import pytest
import torch
from torch import nn

from gan_convnorm.errors import BadInput
from gan_convnorm.layers import NORMS, Norm
from gan_convnorm.robustness.certified import certified_radii, lipschitz_bound
from gan_convnorm.robustness.networks import build_network

SIZE = (1, 16, 16)


def trained(norm, options, digits, arch="resnet8", steps=100):
    """Return a network of evaluation mode that weight decay has kept small: its bound is small too."""
    torch.manual_seed(0)
    network = build_network(arch, channels=1, num_classes=10, norm=norm, norm_options=options)
    images, labels = digits.train_set.tensors
    network.set_statistics(images)
    optimizer = torch.optim.AdamW(network.parameters(), 1e-2, weight_decay=0.5)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=steps)
    for step in range(steps):
        rows = slice(64 * (step % 20), 64 * (step % 20) + 64)
        loss = torch.nn.functional.cross_entropy(network(images[rows].float() / 255), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return network.eval()


def attacked(network, images, labels, lengths):
    """Return images moved by at most their lengths: projected gradient steps in the Euclidean ball, up the loss."""
    lengths = lengths.view(-1, 1, 1, 1)
    moved = torch.zeros_like(images)
    for _ in range(15):
        moved.requires_grad_()
        loss = torch.nn.functional.cross_entropy(network(images + moved), labels, reduction="sum")
        (slope,) = torch.autograd.grad(loss, moved)
        moved = moved.detach() + 0.3 * lengths * slope / slope.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
        moved = moved * (lengths / moved.flatten(1).norm(dim=1).view(-1, 1, 1, 1)).clamp(max=1)
    return images + moved


@pytest.mark.slow
@pytest.mark.parametrize(
    ("norm", "options", "arch"),
    [("convnorm", {"gain": "lipschitz"}, "resnet8"), ("batch", {}, "resnet8"), ("aol", {}, "plain20")],
)
def test_the_bound_is_above_the_norm_of_every_jacobian(norm, options, arch, digits):
    network = trained(norm, options, digits, arch, steps=10)
    bound = lipschitz_bound(network, SIZE)
    images = (digits.test_set.tensors[0][:3].float() / 255).double().requires_grad_()
    scores = network.double()(images)
    # In evaluation a score depends on its own image alone, so that a class's sum has the gradients of all images.
    slopes = [torch.autograd.grad(scores[:, i].sum(), images, retain_graph=True)[0].flatten(1) for i in range(10)]
    for i in range(10):
        for j in range(i):
            assert ((slopes[i] - slopes[j]).norm(dim=1) <= bound.margins()[i, j] * (1 + 1e-6)).all()


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["none", "batch"])
def test_no_attack_within_its_radius_changes_a_certified_image(norm, digits):
    network = trained(norm, {}, digits)
    images, labels = (tensor[:64] for tensor in digits.test_set.tensors)
    images = images.float() / 255
    with torch.no_grad():
        radii = certified_radii(network(images), labels, lipschitz_bound(network, SIZE)).float()
    certified = radii > 0
    assert certified.sum() > 50, "the network learned"
    images, labels, radii = images[certified], labels[certified], radii[certified]
    assert torch.equal(network(attacked(network, images, labels, 0.9999 * radii)).argmax(1), labels)
    # The same attack is not harmless: longer steps change nearly every class.
    far = network(attacked(network, images, labels, torch.full_like(radii, 4.0))).argmax(1)
    assert (far != labels).float().mean() > 0.9


def test_a_normalization_of_each_image_has_no_bound(digits):
    network = build_network("resnet8", channels=1, num_classes=10, norm="instance")
    bound = lipschitz_bound(network, SIZE)
    assert bound.features == float("inf")
    radii = certified_radii(torch.tensor([[1.0, *[0.0] * 9]]), torch.tensor([0]), bound)
    assert radii.tolist() == [0.0]


def test_a_network_without_a_certificate_is_refused():
    network = build_network("torchvision.resnet18", channels=3, num_classes=10)
    with pytest.raises(BadInput, match="not for ResNet"):
        lipschitz_bound(network, (3, 32, 32))


class Halved(nn.Module):
    """A module that holds the convolution and halves what it gives."""

    def __init__(self, conv):
        super().__init__()
        self.conv = conv

    def forward(self, images):
        return self.conv(images) / 2


def test_a_convolution_inside_another_module_has_no_bound(monkeypatch):
    monkeypatch.setitem(NORMS, "halved", Norm(conv=Halved))
    network = build_network("resnet8", 1, 10, "halved", width=0.25).eval()
    assert lipschitz_bound(network, (1, 8, 8)).features == math.inf
