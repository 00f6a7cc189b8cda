"""The state of layers: nothing is lost for ever, all of it can be set anew, and only training advances it."""

import copy
import math

import pytest
import torch
from normalized_convolutions import WEIGHTED
from torch import nn
from torch.utils.checkpoint import checkpoint

from gan_convnorm.layers import (
    CayleyConv2d,
    ConvNorm2d,
    ConvNormTranspose2d,
    LinearRowNorm,
    OCNNConv2d,
    OriginalConvNorm2d,
    SOCConv2d,
    find_normalization,
    fuse,
)
from gan_convnorm.operators import flattened_norm, operator_norm

LAYERS = {
    **{name: lambda name=name: find_normalization(name).conv(nn.Conv2d(4, 6, 3, padding=1)) for name in WEIGHTED},
    **{f"{name}, linear": lambda name=name: find_normalization(name).linear(nn.Linear(8, 6)) for name in WEIGHTED},
    "spectral_conv, one size": lambda: find_normalization("spectral_conv", {"size": 8}).conv(
        nn.Conv2d(4, 6, 3, padding=1)
    ),
    "convnorm, learned": lambda: ConvNorm2d(4, 6, 3, padding=1, gain="learned", affine="channel"),
    "convnorm, eps 0": lambda: ConvNorm2d(4, 6, 3, padding=1, eps=0.0, affine="depthwise"),
    "convnorm, eps 0, depthwise": lambda: ConvNorm2d(4, 4, 3, padding=1, groups=4, eps=0.0),
    "convnorm, eps 0, 1x1": lambda: ConvNorm2d(4, 6, 1, eps=0.0),
    "transposed": lambda: ConvNormTranspose2d(4, 6, 4, 2, 1, gain="learned", affine="depthwise", eps=0.0),
    "row, eps 0": lambda: LinearRowNorm(8, 6, eps=0.0),
    "row, learned": lambda: LinearRowNorm(8, 6, gain="learned"),
    "cayley, stride": lambda: CayleyConv2d(4, 6, 3, 2, 1),
    "soc, stride": lambda: SOCConv2d(4, 6, 3, 2, 1),
    "ocnn": lambda: OCNNConv2d(4, 6, 3),
    "original": lambda: OriginalConvNorm2d(4, 6, 3, padding=1),
    "original, bare": lambda: OriginalConvNorm2d(4, 6, 3, padding=1, affine=False, batch_norm=False, momentum=0.1),
}


def images():
    return torch.randn(2, 4, 8, 8)


def inputs_of(layer):
    return torch.randn(5, 8) if isinstance(layer, nn.Linear) else images()


def weights_of(layer):
    """The stored weights: of weight normalization the directions."""
    found = dict(layer.named_parameters())
    stored = [key for key in found if key == "weight" or key.endswith(("original", "original1"))]
    return [found[key] for key in stored]


@pytest.fixture(params=LAYERS)
def name(request):
    return request.param


@pytest.mark.slow
@pytest.mark.parametrize("value", [0.0, math.inf, math.nan])
def test_weights_that_were_zero_or_none_are_forgotten(name, value):
    """One forward with zeros made spectral norm's vectors zero, and every weight after that NaN."""
    layer = LAYERS[name]()
    layer(inputs_of(layer))
    kept = [weight.detach().clone() for weight in weights_of(layer)]
    with torch.no_grad():
        for weight in weights_of(layer):
            weight.fill_(value)
    output = layer(inputs_of(layer))
    if value == 0:
        assert output.isfinite().all()
        output.square().sum().backward()
        assert all(p.grad is None or p.grad.isfinite().all() for p in layer.parameters())
    with torch.no_grad():
        for weight, before in zip(weights_of(layer), kept, strict=True):
            weight.copy_(before)
    for _ in range(60):
        output = layer(inputs_of(layer))
    assert output.isfinite().all()
    if value == 0 or not name.startswith("original"):  # torch's BatchNorm keeps what was NaN
        assert all(value.isfinite().all() for value in layer.state_dict().values())
    if name == "spectral":
        assert flattened_norm(layer) == pytest.approx(1, rel=1e-3)
    if name == "spectral_conv, one size":
        assert operator_norm(layer, (8, 8)) == pytest.approx(1, rel=1e-3)


@pytest.mark.parametrize("norm", WEIGHTED)
def test_a_layer_that_starts_at_zero_learns(norm):
    """A huge first gradient, as a division by a tiny norm gives, would stop Adam for thousands of steps."""
    torch.manual_seed(0)
    conv = nn.Conv2d(4, 6, 3, padding=1)
    nn.init.zeros_(conv.weight)
    layer = find_normalization(norm).conv(conv)
    optimizer = torch.optim.Adam(layer.parameters(), 1e-2)
    image, losses = images(), []
    target = 0.5 * nn.functional.conv2d(image, torch.randn(6, 4, 3, 3) / 6, padding=1)
    for _ in range(30):
        loss = (layer(image) - target).square().mean()
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert all(p.isfinite().all() for p in layer.parameters())
    assert losses[-1] < 0.9 * losses[1]


def test_reset_after_to_empty_is_a_new_layer(name):
    layer = LAYERS[name]()
    layer(inputs_of(layer))
    layer = layer.to("meta").to_empty(device="cpu")
    with torch.no_grad():
        for tensor in [*layer.parameters(), *layer.buffers()]:
            tensor.fill_(math.nan if tensor.is_floating_point() else 77)
    torch.manual_seed(3)
    layer.reset_parameters()
    torch.manual_seed(3)
    fresh = LAYERS[name]()
    state = layer.state_dict()
    assert {key: value.shape for key, value in fresh.state_dict().items()} == {k: v.shape for k, v in state.items()}
    assert all(torch.equal(value, state[key]) for key, value in fresh.state_dict().items())
    one, two = (made(inputs) for made in (layer, fresh) for inputs in [torch.ones_like(inputs_of(fresh))])
    assert torch.equal(one, two)


def test_a_network_made_on_the_meta_device_is_a_new_one():
    def make():
        return nn.Sequential(*(LAYERS[name]() for name in ("convnorm, learned", "spectral_conv", "original")))

    with torch.device("meta"):
        network = nn.Sequential(*(LAYERS[name]() for name in ("convnorm, learned", "spectral_conv", "original")))
    network = network.to_empty(device="cpu")
    with torch.no_grad():
        for tensor in [*network.parameters(), *network.buffers()]:
            tensor.fill_(math.nan if tensor.is_floating_point() else 77)
    for module in network.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    assert all(value.isfinite().all() for value in network.state_dict().values())
    assert {key: value.shape for key, value in network.state_dict().items()} == {
        key: value.shape for key, value in make().state_dict().items()
    }
    assert network[:1](images()).isfinite().all() and network[1](images()).isfinite().all()


def test_a_baked_layer_is_reset_with_its_filter():
    fused, _ = fuse(ConvNorm2d(4, 6, 3, padding=1, affine="depthwise"), images())
    with torch.no_grad():
        for tensor in [*fused.parameters(), *fused.buffers()]:
            tensor.fill_(math.nan)
    fused.reset_parameters()
    image = images()
    assert torch.allclose(fused(image), fused.layer(image), atol=1e-5)


def test_weight_normalization_loads_the_keys_of_torchs_older_one():
    layer, other = LAYERS["weight"](), LAYERS["weight"]()
    old = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    other.load_state_dict({old.get(key, key): value for key, value in layer.state_dict().items()})
    assert torch.equal(other.weight, layer.weight)


def test_function_transforms_in_training(name):
    """torch.func.grad forbids a change of a buffer by its own values, and such values must not stay behind."""
    layer = LAYERS[name]()
    if name == "original":
        layer.batch_norm = nn.Identity()  # torch's own fails there
    image, parameters = inputs_of(layer), dict(layer.named_parameters())
    layer(image)
    twin = copy.deepcopy(layer)

    def loss(values):
        return torch.func.functional_call(layer, values, (image,)).square().sum()

    found = torch.func.grad(loss)(parameters)
    assert not any(torch._C._functorch.is_gradtrackingtensor(buffer) for buffer in layer.buffers())
    twin(image).square().sum().backward()
    for key, value in twin.named_parameters():
        assert torch.allclose(found[key], value.grad, rtol=1e-4, atol=1e-4)


def test_second_derivatives_at_zero_weights_are_finite(name):
    layer = LAYERS[name]()
    with torch.no_grad():
        for weight in weights_of(layer):
            weight.zero_()
    image = inputs_of(layer).requires_grad_()
    (gradient,) = torch.autograd.grad(layer(image).sum(), image, create_graph=True)
    gradient.square().sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in layer.parameters())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_weights_train(name, dtype):
    layer = LAYERS[name]().to(dtype)
    layer(inputs_of(layer).to(dtype)).float().square().sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in layer.parameters())
    assert all(value.isfinite().all() for value in layer.state_dict().values())


@pytest.mark.parametrize("reentrant", [True, False])
def test_gradient_checkpointing_changes_nothing(name, reentrant):
    """The second forward, in the backward, advances no state: it would have another norm than the first."""
    layer = LAYERS[name]()
    with torch.no_grad():  # far from what the state knows
        for weight in weights_of(layer):
            weight += torch.randn_like(weight)
    twin, image = copy.deepcopy(layer), inputs_of(layer).requires_grad_()
    layer(image).square().sum().backward()
    checkpoint(twin, image, use_reentrant=reentrant).square().sum().backward()
    for one, two in zip(layer.parameters(), twin.parameters(), strict=True):
        assert torch.allclose(one.grad, two.grad, rtol=1e-5, atol=1e-5)
    state = twin.state_dict()
    # torch's BatchNorm counts both.
    kept = {key: value for key, value in layer.state_dict().items() if not key.startswith("batch_norm")}
    assert all(torch.equal(value, state[key]) for key, value in kept.items())
