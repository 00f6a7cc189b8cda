"""The table of a network's layers: every figure against a dense matrix or a closed form."""

import json
import math

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from gan_convnorm.errors import BadInput
from gan_convnorm.layers import ConvNorm2d, LinearRowNorm, OriginalConvNorm2d, fuse
from gan_convnorm.networks import SNGANDiscriminator
from gan_convnorm.operators import certified_bound, circular_size, lipschitz_report, operator_norm, recording


def matrix_of(function, shape):
    """The matrix of an affine function, from the images of the unit vectors."""
    count = torch.Size(shape).numel()
    images = torch.eye(count, dtype=torch.float64).view(count, *shape)
    with torch.no_grad():
        return (function(images) - function(torch.zeros_like(images[:1]))).flatten(1).T


def norm(matrix):
    return float(torch.linalg.matrix_norm(matrix, 2))


@pytest.fixture
def network():
    """Every kind of layer, after some training, with statistics in the BatchNorms."""
    torch.manual_seed(0)
    network = nn.Sequential(
        spectral_norm(nn.Conv2d(2, 4, 3, padding=1)),
        nn.ReLU(),
        nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        ConvNorm2d(6, 4, 3, padding=1, affine="depthwise", gain=0.7),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        OriginalConvNorm2d(4, 4, 3, padding=1),
        nn.Flatten(),
        LinearRowNorm(4 * 3 * 4, 3),
    )
    optimizer = torch.optim.SGD(network.parameters(), 0.05)
    for _ in range(4):
        optimizer.zero_grad()
        network(torch.randn(8, 2, 5, 7)).square().mean().backward()
        optimizer.step()
    return network


def test_every_figure(network):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    modes = [module.training for module in network.modules()]
    state = torch.random.get_rng_state()
    report = lipschitz_report(network, (2, 5, 7), tolerance=1e-5)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert [module.training for module in network.modules()] == modes
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())

    network.eval().double()
    rows = {row["name"]: row for row in report.rows()}
    assert list(rows) == ["0", "2", "5", "8", "10"]
    assert [row["kind"] for row in rows.values()] == [
        "Conv2d",
        "Conv2d",
        "ConvNorm2d",
        "OriginalConvNorm2d",
        "LinearRowNorm",
    ]
    sizes = {"0": (2, 5, 7), "2": (4, 5, 7), "5": (6, 3, 4), "8": (4, 3, 4), "10": (48,)}
    for name, size in sizes.items():
        layer, row = network[int(name)], rows[name]
        true = norm(matrix_of(layer, size))
        assert row["operator"] == pytest.approx(true, rel=1e-4), name
        assert row["input_size"] == size[1:]
        if name != "8":
            assert true * (1 - 1e-5) <= row["bound"] <= 3 * true
    weight = network[0].weight.detach()
    assert rows["0"]["flattened"] == pytest.approx(norm(weight.flatten(1)), rel=1e-5)
    assert rows["10"]["flattened"] == pytest.approx(rows["10"]["operator"], rel=1e-6)
    assert rows["2"]["with_batch_norm"] == pytest.approx(norm(matrix_of(network[2:4], sizes["2"])), rel=1e-4)

    # ConvNorm's operators, each as a layer of its own.
    frames = ConvNorm2d(6, 4, 3, padding=1).double()
    frames.weight = network[5].weight
    assert rows["5"]["q"] == pytest.approx(norm(matrix_of(frames, sizes["5"])), rel=1e-4)
    assert rows["5"]["q"] <= 2
    assert rows["5"]["rq"] == rows["5"]["operator"]
    assert rows["5"]["bn_rq"] == pytest.approx(norm(matrix_of(network[5:7], sizes["5"])), rel=1e-4)
    original = network[8]
    assert rows["8"]["bn_rq"] == pytest.approx(rows["8"]["operator"], rel=2e-5)
    original.batch_norm = nn.Identity()
    assert rows["8"]["rq"] == pytest.approx(norm(matrix_of(original, sizes["8"])), rel=1e-4)
    original.affine = nn.Identity()
    assert rows["8"]["q"] == pytest.approx(norm(matrix_of(original, sizes["8"])), rel=1e-4)

    product = 1.0
    for row in rows.values():
        product *= row["operator"]
    assert report.product == pytest.approx(product)
    assert report.certified_product is None  # of the layer of 2021 nothing is certified
    assert json.loads(json.dumps(report.rows()))[0]["name"] == "0"


def test_the_table_has_a_line_a_layer_and_the_product():
    network = SNGANDiscriminator(16, 1, 0.05, "spectral")
    report = lipschitz_report(network, (1, 16, 16))
    lines = str(report).splitlines()
    assert len(lines) == 1 + 11 + 1
    assert lines[0].split("  ")[0] == "layer" and "condition (circular)" in lines[0]
    assert lines[1].startswith("blocks.0.conv1") and "16x16" in lines[1]
    assert "blocks.3.conv2" in lines[10] and "4x4" in lines[10]
    assert lines[-1].startswith("product") and f"{report.product:.4g}" in lines[-1]
    assert report.certified_product >= report.product
    # Columns that nothing in this network has are left out.
    assert "RQ" not in lines[0] and "BN" not in lines[0]


def test_a_shared_layer_has_a_row_for_every_size():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(2, 2, 3, padding=1)

        def forward(self, image):
            return self.conv(nn.functional.avg_pool2d(self.conv(self.conv(image)), 2))

    report = lipschitz_report(Twice(), torch.randn(2, 2, 8, 8))
    assert [(row.name, row.input_size) for row in report.layers] == [("conv", (8, 8)), ("conv#2", (4, 4))]


@pytest.mark.parametrize(
    ("layer", "size", "largest", "expected"),
    [
        (nn.Conv2d(1, 1, 3, stride=2), (7, 8), None, (8, 8)),
        (nn.Conv2d(1, 1, 3), (32, 5), 8, (8, 5)),
        (nn.Conv2d(1, 1, 11), (32, 32), 8, (11, 11)),
        (nn.Conv2d(1, 1, 3, stride=3), (32, 32), 8, (9, 9)),
        (nn.ConvTranspose2d(1, 1, 4, stride=2), (32, 5), 8, (8, 5)),
    ],
)
def test_circular_size(layer, size, largest, expected):
    assert circular_size(layer, size, largest) == expected


def test_layers_called_by_keyword_are_measured():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

        def forward(self, image):
            return self.norm(input=self.conv(input=image))

    (layer,) = lipschitz_report(Named(), (3, 8, 8)).layers
    assert layer.input_size == (8, 8) and layer.with_batch_norm is not None


@pytest.mark.parametrize("tolerance", [0.0, -1e-3, 1.0, math.nan, "1e-3"])
def test_an_impossible_tolerance_is_one_line(tolerance):
    conv = nn.Conv2d(3, 4, 3)
    for measure in (operator_norm, certified_bound):
        with pytest.raises(BadInput, match="and must be a number above 0 and below 1"):
            measure(conv, (8, 8), tolerance=tolerance)


@pytest.mark.parametrize("size", [(8, 0), (8.0, 8), ("8", 8), (8,), (8, 8, 8)])
def test_an_impossible_size_is_one_line(size):
    with pytest.raises(BadInput, match="expected 2 numbers of pixels"):
        operator_norm(nn.Conv2d(3, 4, 3), size)


def test_the_frames_of_a_learned_gain_are_measured_without_it():
    torch.manual_seed(0)
    layer = ConvNorm2d(3, 4, 3, padding=1, gain="learned", max_gain=2.0)
    with torch.no_grad():
        layer.gain_logit.fill_(-3.0)
    plain = ConvNorm2d(3, 4, 3, padding=1)
    plain.weight = layer.weight
    (row,) = lipschitz_report(nn.Sequential(layer), (3, 6, 6)).rows()
    assert row["q"] == pytest.approx(operator_norm(plain, (6, 6)), rel=1e-4)
    assert row["rq"] == pytest.approx(operator_norm(layer, (6, 6)), rel=1e-4) and row["rq"] < 0.5 * row["q"]


def test_a_layer_that_is_called_twice_counts_twice():
    torch.manual_seed(0)
    layer = nn.Linear(3, 3).double()
    with torch.no_grad():
        layer.weight *= 5  # above 1, so that the bound of one call is none of two
    network = nn.Sequential(layer, nn.ReLU(), layer)
    report = lipschitz_report(network, (3,))
    assert [(found.name, found.calls) for found in report.layers] == [("0", 2)] and "0 (x2)" in str(report)
    assert report.product == pytest.approx(norm(layer.weight.detach()) ** 2, rel=1e-3)
    assert report.certified_product >= norm(layer.weight.detach()) ** 2


def test_a_baked_layer_is_refused_and_not_left_out():
    network = nn.Sequential(ConvNorm2d(8, 4, 3, padding=1, padding_mode="reflect"), nn.Conv2d(4, 1, 1)).eval()
    fused, _ = fuse(network, torch.zeros(1, 8, 6, 6))
    with pytest.raises(BadInput, match="0 is baked by fuse and cannot be measured; measure before fuse"):
        lipschitz_report(fused, (8, 6, 6))


@pytest.mark.parametrize("inplace", [False, True])
def test_a_batch_norm_behind_a_relu_is_not_folded(inplace):
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(inplace=inplace), nn.BatchNorm2d(8)).eval()
    with torch.no_grad(), recording(network) as layers:
        network(torch.zeros(2, 3, 6, 6))
    assert [layer.batch_norm for layer in layers] == [None]
