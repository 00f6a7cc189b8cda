"""The contract of every normalization of the registry with a network."""

import copy
import io

import pytest
import torch
from torch import nn

from gan_convnorm.errors import BadInput
from gan_convnorm.layers import NORMS, OCNNConv2d, convert, find_normalization, norm_penalty
from gan_convnorm.networks import SNGANDiscriminator, SNGANGenerator
from gan_convnorm.objectives.losses import hinge_discriminator

# The layer of 2021 breaks this contract, as its code did; test_original.py has its own claims.
OPTIONS = {name: {} for name in NORMS if name != "convnorm_2021"} | {
    "convnorm, lipschitz": {"gain": "lipschitz"},
    "convnorm, learned": {"gain": "learned", "max_gain": 2.0},
    "spectral_conv, one size": {"size": 8},
}


#: names in a convolution's state: these must not change, or no checkpoint loads
KEYS = {
    "weight": ["parametrizations.weight.original0", "parametrizations.weight.original1"],
    "row": ["parametrizations.weight.original"],
    "spectral": ["parametrizations.weight.0._u", "parametrizations.weight.0._v", "parametrizations.weight.original"],
    "spectral_conv": ["parametrizations.weight.0.vector", "parametrizations.weight.original"],
    "oni": ["parametrizations.weight.original"],
    "aol": ["parametrizations.weight.original"],
    "aoc": ["parametrizations.weight.original"],
    "convnorm": ["affine_weight", "weight"],
    "convnorm, learned": ["affine_weight", "gain_logit", "weight"],
}


#: norms whose training output is that of the batch, not of the image
OF_THE_BATCH = ("batch", "sync_batch")


class Small(nn.Module):
    """Activation, convolution and linear layer of a norm, as a discriminator has them."""

    def __init__(self, name, options):
        super().__init__()
        norm = find_normalization(name.split(",")[0], options)
        taken = norm.activation(4), norm.conv(nn.Conv2d(4, 6, 3, padding=1)), norm.linear(nn.Linear(6, 2, bias=False))
        self.activation, self.conv, self.linear = taken

    def forward(self, images):
        return self.linear(self.conv(self.activation(images).relu()).relu().sum((2, 3)))


@pytest.fixture(params=OPTIONS)
def name(request):
    return request.param


@pytest.fixture
def network(name):
    torch.manual_seed(0)
    return Small(name, OPTIONS[name])


def images(batch=5):
    return torch.randn(batch, 4, 8, 8)


def train(network, steps=5):
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    for _ in range(steps):
        loss = (network(images()) - 1).square().mean() + norm_penalty(network)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def test_evaluation_is_the_training_of_the_same_weights(name, network):
    train(network)
    image = images()
    with torch.no_grad():
        trained = network(image)
        evaluated = network.eval()(image)
    assert torch.equal(trained, evaluated) != (name in OF_THE_BATCH)
    # Evaluation changes nothing.
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with torch.no_grad():
        assert torch.equal(network(image), evaluated)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_a_checkpoint_loads_into_a_fresh_network(name, network):
    train(network)
    stored = io.BytesIO()
    torch.save(network.state_dict(), stored)
    stored.seek(0)
    state = torch.load(stored, weights_only=True)
    torch.manual_seed(1)
    fresh = Small(name, OPTIONS[name])
    assert {key: value.shape for key, value in fresh.state_dict().items()} == {k: v.shape for k, v in state.items()}
    fresh.load_state_dict(state)
    for size in (8, 5):
        image = torch.randn(3, 4, size, size)
        assert torch.equal(fresh.eval()(image), network.eval()(image))
    # The next step of training is the same too.
    image = images()
    assert torch.equal(fresh.train()(image), network.train()(image))
    keys = [key for key in network.conv.state_dict() if key != "bias"]
    assert sorted(keys) == KEYS.get(name, KEYS.get(name.split(",")[0], ["weight"]))


def test_copies_are_independent(network):
    image = images()
    other = copy.deepcopy(network)
    assert torch.equal(other(image), network(image))
    train(other)
    expected = copy.deepcopy(network).eval()(image)
    assert torch.equal(network.eval()(image), expected)
    assert not torch.equal(other.eval()(image), expected)


def test_two_forwards_before_a_backward(network):
    """Real and fake images in turn: the gradients are the sums of those taken one by one."""
    network(images())
    parts = images(), images()
    twin = copy.deepcopy(network)
    (network(parts[0]).square().sum() - network(parts[1]).square().sum()).backward()
    twin(parts[0]).square().sum().backward()
    (-twin(parts[1]).square().sum()).backward()
    for one, two in zip(network.parameters(), twin.parameters(), strict=True):
        assert torch.allclose(one.grad, two.grad, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_weights_are_exact_under_autocast(network, dtype):
    image = images()
    network.eval()
    exact = network(image)
    weights = [layer.weight.clone() for layer in (network.conv, network.linear)]
    with torch.autocast("cpu", dtype):
        for layer, weight in zip((network.conv, network.linear), weights, strict=True):
            assert layer.weight.dtype == torch.float32
            assert torch.equal(layer.weight, weight)
        rounded = network.train()(image)
        rounded.float().sum().backward()
        network.eval()
        penalty = norm_penalty(network)
    assert torch.equal(penalty, norm_penalty(network))
    if not isinstance(network.activation, (nn.BatchNorm2d, nn.SyncBatchNorm)):
        assert (rounded.float() - exact).norm() / exact.norm() <= 3e-2
    assert all(p.grad.dtype == torch.float32 and p.grad.isfinite().all() for p in network.parameters())


def test_double_precision_and_bfloat16_weights(network):
    image = images()
    exact = network.eval()(image)
    found = copy.deepcopy(network).double()(image.double())
    assert found.dtype == torch.float64
    assert (found.float() - exact).norm() / exact.norm() <= 1e-5
    found = network.bfloat16()(image.bfloat16())
    assert found.dtype == torch.bfloat16
    assert (found.float() - exact).norm() / exact.norm() <= 5e-2


def test_gradients_of_a_gradient_penalty(network):
    """The squared length of the images' gradient, differentiated by the weights, against central differences."""
    network = network.double().eval()
    image = images(2).double().requires_grad_()

    def penalty():
        (gradient,) = torch.autograd.grad(network(image).sum(), image, create_graph=True)
        return gradient.square().sum()

    parameters = [p for p in network.parameters() if p.dim() > 1]
    directions = [torch.randn_like(p) for p in parameters]
    found = torch.autograd.grad(penalty(), parameters)
    slope = sum((g * d).sum() for g, d in zip(found, directions, strict=True)).item()
    values = []
    for step in (1e-6, -2e-6):
        for parameter, direction in zip(parameters, directions, strict=True):
            parameter.data += step * direction
        values.append(penalty().item())
    assert slope == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-4, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [name for name in OPTIONS if name not in ("none", "convnorm, lipschitz", "spectral_conv, one size")]
)
def test_compiles(name):
    torch.compiler.reset()
    # The loops are unrolled; their default lengths make large graphs.
    few = {"aoc": {"iterations": 3}, "lot": {"iterations": 3}, "soc": {"terms": 4}, "oni": {"iterations": 2}}
    network = Small(name, OPTIONS[name] | few.get(name, {}))
    layer = network.conv if isinstance(network.activation, nn.Identity) else network.activation
    twin = copy.deepcopy(layer)
    compiled = torch.compile(twin, backend="aot_eager")
    for _ in range(2):
        image = images()
        expected, found = layer(image), compiled(image)
        assert torch.allclose(found, expected, rtol=1e-4, atol=1e-5)
        expected.square().sum().backward()
        found.square().sum().backward()
    for one, two in zip(layer.parameters(), twin.parameters(), strict=True):
        assert (one.grad - two.grad).norm() <= 1e-4 * one.grad.norm() + 1e-4
    for key, value in twin.state_dict().items():
        assert torch.allclose(value, layer.state_dict()[key], rtol=1e-4, atol=1e-5), key


def test_zero_weights_give_finite_gradients(network):
    """A row, a column or a whole layer of zeros is normalized to zeros."""
    for layer in (network.conv, network.linear):
        for key, parameter in layer.named_parameters():
            if key == "weight" or key.endswith("original"):
                with torch.no_grad():
                    parameter[0] = 0
                    parameter[:, 1] = 0
    network(images()).square().sum().backward()
    assert all(p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.slow
def test_a_discriminator_learns(name):
    torch.manual_seed(0)
    network = SNGANDiscriminator(16, channels=1, width=0.05, norm=name.split(",")[0], norm_options=OPTIONS[name])
    optimizer = torch.optim.Adam(network.parameters(), 5e-3, (0.0, 0.9))
    waves = torch.linspace(0, 9, 16).sin()
    losses = []
    for _ in range(15):
        real = waves * torch.rand(8, 1, 1, 1) + 0.1 * torch.randn(8, 1, 16, 16)
        scores = network(torch.cat([real, torch.randn(8, 1, 16, 16).clamp(-1, 1)]))
        loss = hinge_discriminator(*scores.split(8))
        losses.append(loss.item())
        optimizer.zero_grad()
        (loss + norm_penalty(network)).backward()
        optimizer.step()
    assert sum(losses[-3:]) <= 0.9 * sum(losses[:3])


def test_a_generator_gets_gradients(name):
    torch.manual_seed(0)
    network = SNGANGenerator(
        16, channels=1, latent_dim=5, width=0.05, norm=name.split(",")[0], norm_options=OPTIONS[name]
    )
    network(torch.randn(4, 5)).square().mean().backward()
    without = [key for key, p in network.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert without == []
    with torch.no_grad():
        assert network.eval()(torch.randn(1, 5)).abs().max() <= 1


def test_a_classifier_is_converted(name):
    torch.manual_seed(0)
    classifier = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 6, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(6 * 16, 2),
    )
    converted, report = convert(classifier, name.split(",")[0], options=OPTIONS[name])
    assert len(report.changed) == 2
    assert report.left == {}
    keeps_batch_norm = name in ("batch",)
    assert isinstance(converted[1], nn.BatchNorm2d) == keeps_batch_norm
    converted(torch.randn(4, 3, 8, 8)).sum().backward()
    assert all(p.grad is not None for p in converted.parameters())
    assert ": 0 layers" not in str(report)


def test_the_penalty_of_a_network_is_the_sum_of_its_layers():
    network = SNGANDiscriminator(16, channels=1, width=0.05, norm="ocnn", norm_options={"coefficient": 0.5})
    layers = [m for m in network.modules() if hasattr(m, "penalty")]
    assert len(layers) == 11
    assert norm_penalty(network).item() == pytest.approx(sum(m.penalty().item() for m in layers), rel=1e-6)
    assert norm_penalty(nn.Conv2d(2, 2, 3)) == 0
    assert isinstance(layers[0], OCNNConv2d)


def test_layers_say_what_they_are():
    said = {name: repr(Small(name, OPTIONS[name]).conv) for name in OPTIONS}
    for name, text in [
        ("spectral", "n_power_iterations=1"),
        ("spectral_conv", "grid=(16, 16)"),
        ("spectral_conv, one size", "grid=(8, 8)"),
        ("oni", "iterations=5"),
        ("ocnn", "coefficient=0.1"),
        ("aoc", "iterations=12"),
        ("lot", "iterations=10"),
        ("soc", "terms=8"),
        ("convnorm, learned", "gain='learned'"),
        ("convnorm, learned", "max_gain=2.0"),
    ]:
        assert text in said[name]


@pytest.mark.parametrize("name", ["convnorm", "convnorm_2021", "cayley", "lot", "soc"])
def test_a_parametrized_layer_is_refused_in_one_line(name):
    norm = find_normalization(name)
    with pytest.raises(BadInput, match="Parametrized"):
        norm.conv(nn.utils.parametrizations.spectral_norm(nn.Conv2d(4, 4, 3)))
    with pytest.raises(BadInput, match="Parametrized"):
        find_normalization("convnorm").linear(nn.utils.parametrizations.spectral_norm(nn.Linear(4, 4)))


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("kernel_size", [1, 3])
def test_the_output_under_autocast_has_the_type_of_a_convolution_s(name, kernel_size):
    layer = find_normalization(name).conv(nn.Conv2d(4, 4, kernel_size))
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(torch.ones(1, 4, 8, 8)).dtype == torch.bfloat16
    if name != "convnorm_2021":
        with torch.autocast("cpu", torch.bfloat16):
            assert layer.double()(torch.ones(1, 4, 8, 8, dtype=torch.float64)).dtype == torch.float64


def test_sync_batch_in_one_process(tmp_path):
    torch.manual_seed(0)
    layer, plain, image = find_normalization("sync_batch").activation(4), nn.BatchNorm2d(4), images()
    expected = plain(image)
    assert torch.equal(layer(image), expected)
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        assert torch.allclose(layer(image), expected, atol=1e-6)
        state = {name: value.clone() for name, value in layer.state_dict().items()}
        assert layer(torch.empty(0, 4, 2, 2)).shape == (0, 4, 2, 2)
        assert all(torch.equal(value, state[name]) for name, value in layer.state_dict().items())
        with pytest.raises(ValueError, match="Expected more than 1 value per channel"):
            layer(torch.ones(1, 4, 1, 1))
    finally:
        torch.distributed.destroy_process_group()
