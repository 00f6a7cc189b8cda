"""Converted networks of timm, whose BatchNorm is a subclass that also activates."""

import copy

import pytest
import torch
from torch import nn

from gan_convnorm.layers import ConvNorm2d, convert

timm = pytest.importorskip("timm", reason="timm is not installed: pip install timm")

#: name: side of the images; with plain BatchNorm2d, BatchNormAct2d, and no BatchNorm at all
NETWORKS = {
    "resnet10t": 32,
    "efficientnet_b0": 32,
    "mobilenetv3_small_050": 32,
    "regnety_002": 32,
    "convnext_atto": 64,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_timm_networks(name):
    side = NETWORKS[name]
    network = timm.create_model(name, num_classes=10)
    convolutions = [n for n, m in network.named_modules() if type(m) is nn.Conv2d]
    activating = [n for n, m in network.named_modules() if type(m).__name__ == "BatchNormAct2d"]
    images = torch.randn(4, 3, side, side)
    network, report = convert(network.train(), options={"strided": "fold"})
    assert set(report.changed) == set(convolutions)
    # Such a layer also activates: without it the network would lose its nonlinearity, so it stays, with the reason.
    assert set(report.left) == set(activating)
    assert all("whose forward is not BatchNorm2d's" in reason for reason in report.left.values())
    kept = {n for n, m in network.named_modules() if isinstance(m, nn.BatchNorm2d)}
    assert kept == set(activating)

    optimizer = torch.optim.SGD(network.parameters(), 1e-3)
    network(images).square().mean().backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)
    assert all(network.get_submodule(n).weight.grad is not None for n in convolutions)
    optimizer.step()
    network.eval()
    with torch.no_grad():
        expected = network(images)
        assert expected.shape == (4, 10)
        assert torch.isfinite(expected).all()
        again = copy.deepcopy(network)
        for layer in again.modules():
            if isinstance(layer, ConvNorm2d):
                layer.reset_parameters()
        assert not torch.equal(again(images), expected)
        again.load_state_dict(network.state_dict())
        torch.testing.assert_close(again(images), expected)
