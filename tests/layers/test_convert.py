"""Any network, converted: torchvision's, and the awkward ones."""

import pytest
import torch
import torchvision
from torch import nn
from torch.nn.utils import parametrize

from gan_convnorm.errors import BadInput
from gan_convnorm.layers import ConvNorm2d, OriginalConvNorm2d, convert, fuse

NETWORKS = {
    "resnet18": lambda: torchvision.models.resnet18(num_classes=10),
    "resnet50": lambda: torchvision.models.resnet50(num_classes=10),
    # The classifier's 120 million weights are no convolutions.
    "vgg16_bn": lambda: torchvision.models.vgg16_bn(init_weights=False, num_classes=10).features,
    "mobilenet_v3": lambda: torchvision.models.mobilenet_v3_small(num_classes=10),
    "convnext_tiny": lambda: torchvision.models.convnext_tiny(num_classes=10),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_torchvision_networks(name):
    torch.manual_seed(0)
    network = NETWORKS[name]()
    convolutions = {n: m.weight for n, m in network.named_modules() if isinstance(m, nn.Conv2d)}
    norms = [n for n, m in network.named_modules() if isinstance(m, nn.BatchNorm2d)]
    image = torch.randn(2, 3, 64, 64)
    shape = network.eval()(image).shape
    network, report = convert(network.train(), "convnorm", options={"strided": "fold"})
    assert set(report.changed) == set(convolutions)
    assert all(isinstance(network.get_submodule(n), ConvNorm2d) for n in convolutions)
    assert all(network.get_submodule(n).weight is w for n, w in convolutions.items())
    assert all(isinstance(network.get_submodule(n), nn.Identity) for n in norms)
    assert not report.left
    output = network(image)
    assert output.shape == shape
    output.square().mean().backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)
    if name == "resnet18":
        fused, fusion = fuse(network, image, tolerance=1e-2)
        with torch.no_grad():
            expected = network.eval()(image)
            assert (fused(image) - expected).norm() <= 0.1 * expected.norm()
        assert set(fusion.forms) == set(convolutions)
        assert not any(
            isinstance(m, ConvNorm2d) for n, m in fused.named_modules() if "plain" in fusion.forms.get(n, "")
        )


def small():
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 1), nn.ReLU(), nn.BatchNorm2d(4)
    )


def test_batch_norms_are_replaced_only_behind_a_convolution():
    network, report = convert(small())
    assert isinstance(network[1], nn.Identity)
    assert network[0].bias.abs().sum() == 0
    assert isinstance(network[5], nn.BatchNorm2d)
    assert report.left == {"5": "it follows no convolution directly"}
    assert report.changed == {"0": "ConvNorm2d, in place of 1 too", "3": "ConvNorm2d"}
    assert str(report).splitlines()[-1] == "2 layers changed, 1 left"


def test_batch_norms_can_be_kept():
    network, report = convert(small(), batch_norm="keep")
    assert isinstance(network[1], nn.BatchNorm2d)
    assert network[0].bias is None
    assert set(report.left) == {"1", "5"}


def test_include_and_exclude_by_name():
    network, report = convert(small(), include=["0", "3"], exclude="0")
    assert type(network[0]) is nn.Conv2d
    assert isinstance(network[1], nn.BatchNorm2d)
    assert isinstance(network[3], ConvNorm2d)
    assert report.left["0"] == "excluded"
    assert report.left["1"] == "its convolution is excluded"


@pytest.mark.parametrize(
    ("norm", "expected"), [("spectral", [True, True]), ("none", [False, False]), ("batch", [False, False])]
)
def test_other_norms(norm, expected):
    network, _ = convert(small(), norm)
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert [parametrize.is_parametrized(m) for m in convolutions] == expected
    kinds = [type(m) for m in network.modules()]
    assert kinds.count(nn.BatchNorm2d) == (3 if norm == "batch" else 1)
    assert network(torch.randn(2, 3, 8, 8)).shape == (2, 4, 6, 6)


def test_what_cannot_be_converted_is_left_with_its_reason():
    kept = nn.Conv2d(4, 4, 4, bias=False)
    network = nn.Sequential(nn.Conv2d(3, 4, 4), ConvNorm2d(4, 4, 3), nn.Conv2d(4, 4, 3), kept, nn.BatchNorm2d(4))
    network, report = convert(network, "convnorm_2021")
    assert network[3] is kept
    assert kept.bias is None
    assert report.left["4"] == "its convolution is left"
    assert isinstance(network[2], OriginalConvNorm2d)
    assert "odd square kernels" in report.left["0"]
    assert report.left["1"] == "is a ConvNorm2d"


def test_a_network_that_cannot_be_traced_keeps_its_batch_norms():
    class Branching(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

        def forward(self, image):
            return self.norm(self.conv(image)) if image.sum() > 0 else self.conv(image)

    network, report = convert(Branching())
    assert isinstance(network.conv, ConvNorm2d)
    assert isinstance(network.norm, nn.BatchNorm2d)
    assert "cannot trace" in report.left["norm"]


def test_the_parts_of_a_network_that_cannot_be_traced_are():
    class Branching(nn.Module):
        def __init__(self):
            super().__init__()
            self.part, self.norm = small(), nn.BatchNorm2d(4)
            self.same = self.part[:2]  # its layers have one name, that of the first place

        def forward(self, image):
            return self.norm(self.part(image)) if image.sum() > 0 else self.part(image)

    _, report = convert(Branching())
    assert report.changed["part.0"] == "ConvNorm2d, in place of part.1 too"
    assert report.left["part.5"] == "it follows no convolution directly"
    assert "cannot trace" in report.left["norm"]
    assert set(report.left) == {"part.5", "norm"}


def test_a_shared_convolution_stays_shared():
    conv = nn.Conv2d(4, 4, 3, padding=1)
    network, _ = convert(nn.Sequential(conv, nn.ReLU(), conv))
    assert isinstance(network[0], ConvNorm2d)
    assert network[0] is network[2]


def test_a_convolution_alone_is_returned_anew():
    conv = nn.Conv2d(4, 4, 3)
    layer, report = convert(conv)
    assert isinstance(layer, ConvNorm2d)
    assert report.changed == {"(the network)": "ConvNorm2d"}


def test_bad_input():
    with pytest.raises(BadInput, match="no Conv2d to convert"):
        convert(nn.Linear(2, 2))
    with pytest.raises(BadInput, match="include='nothing'"):
        convert(small(), include="nothing")
    with pytest.raises(BadInput, match="not known"):
        convert(small(), "convnrom")
    with pytest.raises(BadInput, match="one of: 'replace', 'keep'"):
        convert(small(), batch_norm="drop")


@pytest.mark.parametrize("name", ["batch", "group", "spectral+batch"])
def test_activations_have_the_dtype_of_the_network(name):
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3)).double()
    converted, _ = convert(network, name)
    assert {parameter.dtype for parameter in converted.parameters()} == {torch.float64}
    assert converted(torch.zeros(2, 3, 9, 9, dtype=torch.float64)).dtype == torch.float64
