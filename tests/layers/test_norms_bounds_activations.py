"""Normalizations of activations: their formulas and the norms of their derivatives."""

import pytest
import torch
from normalized_convolutions import STATES, norm_of

from gan_convnorm.layers import find_normalization


def images():
    return (
        torch.randn(3, 6, 4, 5, dtype=torch.float64)
        * torch.tensor([0.1, 1, 7], dtype=torch.float64)[:, None, None, None]
        + 2
    )


@pytest.mark.parametrize(("name", "groups"), [("layer", 1), ("group", 2), ("group of 3", 3), ("instance", 6)])
@pytest.mark.parametrize("state", STATES)
def test_norms_of_single_images(name, groups, state):
    options = {"num_groups": 3} if "of 3" in name else {}
    layer = trained_activation(name.split()[0], options, state)
    image = images()
    parts = image.unflatten(1, (groups, -1))
    variance = parts.var((2, 3, 4), correction=0, keepdim=True)
    scaled = ((parts - parts.mean((2, 3, 4), keepdim=True)) / (variance + 1e-5).sqrt()).flatten(1, 2)
    assert (scaled.square().unflatten(1, (groups, -1)).mean((2, 3, 4)) <= 1).all()
    expected = scaled * layer.weight[:, None, None] + layer.bias[:, None, None]
    assert torch.allclose(layer(image), expected, atol=1e-10)
    for k, one in enumerate(image):
        jacobian = torch.autograd.functional.jacobian(lambda x: layer(x[None]).flatten(), one).flatten(1)
        bound = (layer.weight.abs().max() / (variance[k].min() + 1e-5).sqrt()).item()
        assert bound / 3 <= norm_of(jacobian) <= bound * (1 + 1e-9)


def trained_activation(name, options, state):
    layer = find_normalization(name, options).activation(6).double()
    if state != "start":
        optimizer = torch.optim.Adam(layer.parameters(), 0.1)
        for _ in range(10):
            loss = (layer(images()) - 3).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    if state == "trained and reloaded":
        other = find_normalization(name, options).activation(6).double()
        other.load_state_dict(layer.state_dict())
        layer = other
    return layer.eval()


@pytest.mark.parametrize("name", ["batch", "sync_batch"])
@pytest.mark.parametrize("state", STATES)
def test_batch_norms(name, state):
    layer = trained_activation(name, {}, state)
    image = images()
    scale = layer.weight / (layer.running_var + 1e-5).sqrt()
    expected = (image - layer.running_mean[:, None, None]) * scale[:, None, None] + layer.bias[:, None, None]
    assert torch.allclose(layer(image), expected, atol=1e-10)
    jacobian = torch.autograd.functional.jacobian(lambda x: layer(x[None]).flatten(), image[0]).flatten(1)
    assert norm_of(jacobian) == pytest.approx(scale.abs().max().item(), rel=1e-9)
    output = (layer.train()(image) - layer.bias[:, None, None]) / layer.weight[:, None, None]
    assert output.mean((0, 2, 3)).abs().max() <= 1e-9
    assert (output.var((0, 2, 3), correction=0) - 1).abs().max() <= 1e-4
