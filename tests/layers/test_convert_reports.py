"""The reports of convert and fuse: which layers stay, and why; they change all that they can, or nothing."""

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune
from torch.nn.utils import spectral_norm as spectral_norm_by_hook
from torch.nn.utils import weight_norm as weight_norm_by_hook
from torchvision.ops import FrozenBatchNorm2d

from gan_convnorm.errors import BadInput
from gan_convnorm.layers import ConvNorm2d, ConvNormTranspose2d, Norm, OriginalConvNorm2d, convert, fuse, registry
from gan_convnorm.layers.baked import BakedConvNorm
from gan_convnorm.robustness.networks import build_network


class Renamed(nn.BatchNorm2d):
    """A subclass that does what its parent does."""


class Activated(nn.BatchNorm2d):
    """A subclass that does more, as timm's BatchNormAct2d."""

    def forward(self, image):
        return super().forward(image).relu()


class Standardized(nn.Conv2d):
    """A convolution with another weight."""


def behind(norm, conv=None):
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False) if conv is None else conv, norm, nn.ReLU())


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (Activated, "is a Activated, whose forward is not BatchNorm2d's and may do more than normalize"),
        (nn.SyncBatchNorm, "is a SyncBatchNorm"),
        (FrozenBatchNorm2d, "is a FrozenBatchNorm2d"),
    ],
)
def test_a_batch_norm_that_stays_behind_a_convolution_is_reported(kind, reason):
    network, report = convert(behind(kind(8)), "spectral_conv")
    assert type(network[1]) is kind
    assert report.changed == {"0": "ParametrizedConv2d"}
    assert report.left == {"1": f"{reason}; it stays behind 0, and undoes a bound on it"}


@pytest.mark.parametrize("norm", ["convnorm", "batch"])
def test_a_batch_norm_of_another_name_is_one(norm):
    old = Renamed(8)
    network, report = convert(behind(old), norm)
    assert report.left == {}
    assert network[1] is old if norm == "batch" else isinstance(network[1], nn.Identity)


class Tangled(nn.Module):
    """Batch norms in every place but directly behind a convolution that only they read."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)
        self.again, self.again_norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)
        self.up, self.up_norm = nn.ConvTranspose2d(3, 3, 2, 2), nn.BatchNorm2d(3)
        self.first, self.unused = nn.BatchNorm2d(3), nn.BatchNorm2d(3)
        self.own, self.own_norm = Standardized(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, image):
        hidden = self.conv(self.first(image))
        hidden = self.norm(hidden) + hidden
        hidden = self.again_norm(self.again(hidden)) + self.again_norm(self.again(hidden))
        return self.own_norm(self.own(self.up_norm(self.up(hidden))))


def test_every_batch_norm_has_its_true_reason():
    _, report = convert(Tangled())
    assert set(report.changed) == {"conv", "again"}
    assert report.left == {
        "norm": "the output of conv is read elsewhere too",
        "again_norm": "it or again is called several times",
        "up_norm": "it follows up, a ConvTranspose2d, which is not converted",
        "first": "it follows no convolution directly",
        "unused": "the network's forward does not call it",
        "own": "is a Standardized",
        "own_norm": "its convolution is left",
    }


def pruned(conv):
    prune.l1_unstructured(conv, "weight", 0.3)
    return conv


def hooked(conv):
    conv.register_forward_hook(lambda module, inputs, output: output)
    return conv


def overridden(conv):
    conv.forward = lambda image: nn.Conv2d.forward(conv, image)
    return conv


@pytest.mark.parametrize("norm", ["convnorm", "spectral", "cayley", "soc", "weight", "ocnn"])
@pytest.mark.parametrize(
    ("hang", "reason"),
    [
        (spectral_norm_by_hook, "has a hook (SpectralNorm) that computes its weight; remove it first"),
        (weight_norm_by_hook, "has a hook (WeightNorm) that computes its weight; remove it first"),
        (pruned, "has a hook (L1Unstructured) that computes its weight; remove it first"),
        (hooked, "has a hook (<lambda>), which another layer would lose"),
        (overridden, "has a forward of its own, which another layer would lose"),
        (parametrizations.spectral_norm, "parametrized already"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_a_layer_with_a_hook_is_left(norm, hang, reason):
    network = nn.Sequential(nn.Conv2d(3, 4, 3), hang(nn.Conv2d(4, 4, 3, bias=False)), nn.BatchNorm2d(4))
    kept = network[1].eval()
    before = {key: value.clone() for key, value in kept.state_dict().items()}
    converted, report = convert(network, norm)
    assert converted[1] is kept and isinstance(converted[2], nn.BatchNorm2d)
    assert list(report.changed) == ["0"]
    assert report.left == {"1": reason, "2": "its convolution is left"}
    assert all(torch.equal(value, before[key]) for key, value in kept.state_dict().items())
    assert converted(torch.randn(2, 3, 8, 8)).isfinite().all()


def test_a_batch_norm_with_a_hook_stays():
    network = behind(hooked(nn.BatchNorm2d(8)))
    _, report = convert(network)
    assert report.left == {
        "1": "has a hook (<lambda>), which another layer would lose; it stays behind 0, and undoes a bound on it"
    }


def test_the_parts_of_a_layer_are_not_converted():
    kept = OriginalConvNorm2d(3, 4, 3, padding=1)
    _, report = convert(nn.Sequential(kept, nn.Conv2d(4, 4, 3)))
    assert type(kept.affine) is nn.Conv2d and type(kept.batch_norm) is nn.BatchNorm2d
    assert list(report.changed) == ["1"] and report.left == {"0": "is a OriginalConvNorm2d"}
    with pytest.raises(BadInput, match=r"left: \(the network\) \(is a OriginalConvNorm2d\)$"):
        convert(OriginalConvNorm2d(3, 4, 3, padding=1))


def test_reporting_advances_no_power_iteration():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), parametrizations.spectral_norm(nn.Conv2d(4, 4, 3)))
    before = {key: value.clone() for key, value in network[1].state_dict().items()}
    convert(network)
    assert all(torch.equal(value, before[key]) for key, value in network[1].state_dict().items())


def test_lazy_quantized_and_meta_layers():
    quantized = type("Conv2d", (nn.Module,), {"__module__": "torch.ao.nn.quantized.modules.conv"})
    network = nn.Sequential(nn.LazyConv2d(4, 3), quantized(), nn.Conv2d(4, 4, 3, device="meta"))
    network, report = convert(network)
    assert report.left["0"] == "is a LazyConv2d, whose weights do not exist yet; run the network once first"
    assert report.left["1"] == "is quantized (torch.ao.nn.quantized.modules.conv.Conv2d)"
    assert isinstance(network[2], ConvNorm2d) and network[2].weight.is_meta


def structure(network):
    return [
        (name, module, type(module), dict(module._parameters), dict(module._buffers), dict(module._modules))
        for name, module in network.named_modules()
    ]


@pytest.mark.parametrize("norm", ["spectral", "convnorm", "weight"])
@pytest.mark.parametrize("kind", [TypeError, KeyboardInterrupt])
def test_an_error_at_one_layer_leaves_the_network_as_it_was(norm, kind, monkeypatch):
    """The second convolution's norm fails, after it has begun."""

    row, calls = registry.NORMS[norm], []

    def failing(conv):
        calls.append(conv)
        layer = row.conv(conv)
        if len(calls) == 2:
            raise kind("no")
        return layer

    monkeypatch.setitem(registry.NORMS, norm, Norm(conv=failing))
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3)).eval()
    before, image = structure(network), torch.randn(2, 3, 8, 8)
    expected = network(image)
    with pytest.raises(kind, match="no"):
        convert(network, norm)
    after = structure(network)
    assert len(after) == len(before)
    for one, two in zip(before, after, strict=True):
        assert one[1] is two[1] and one[2:3] == two[2:3]
        assert all(a.keys() == b.keys() and all(a[k] is b[k] for k in a) for a, b in zip(one[3:], two[3:], strict=True))
    assert torch.equal(network(image), expected)


@pytest.mark.parametrize(
    ("norm", "options", "message"),
    [
        ("convnorm", {"eps": math.nan}, "eps is nan"),
        ("convnorm", {"gain": -1.0}, "gain is -1.0"),
        ("convnorm", {"affine": "chanel"}, "affine is 'chanel'"),
        ("convnorm", {"eps": "1e-3", "min_inputs": 4}, "eps is '1e-3'"),
        ("spectral", {"eps": 0.0}, "eps is 0.0"),
        ("oni", {"iterations": 2.5}, "iterations is 2.5"),
        ("ocnn", {"coefficient": math.nan}, "coefficient is nan"),
        ("group", {"num_groups": "8"}, "num_groups is '8'"),
    ],
)
def test_bad_options_change_nothing(norm, options, message):
    network = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3))
    before = structure(network)
    with pytest.raises(BadInput, match=message) as error:
        convert(network, norm, options=options)
    assert "\n" not in str(error.value)
    assert [entry[1:3] for entry in structure(network)] == [entry[1:3] for entry in before]
    assert network[0].bias is None


def test_nothing_to_convert_lists_reasons_with_the_names():
    with pytest.raises(BadInput, match=r"left: 0 \(is a Standardized\), 1 \(parametrized already\)"):
        convert(nn.Sequential(Standardized(3, 4, 3), parametrizations.spectral_norm(nn.Conv2d(4, 4, 3))))
    with pytest.raises(BadInput, match=r"5 \(is a Standardized\), and 3 more$"):
        convert(nn.Sequential(*(Standardized(3, 3, 3) for _ in range(9))))


def test_fuse_leaves_hooks_and_what_cannot_be_copied():
    image = torch.randn(1, 4, 8, 8)
    network = nn.Sequential(hooked(ConvNorm2d(4, 4, 3, padding=1)), ConvNorm2d(4, 4, 3, padding=1))
    fused, report = fuse(network, image)
    assert report.forms["0"] == "left, has a hook (<lambda>), which another layer would lose"
    assert isinstance(fused[1], BakedConvNorm)
    assert torch.allclose(fused(image), network(image), atol=1e-5)
    network[1] = spectral_norm_by_hook(nn.Conv2d(4, 4, 3))
    network(image)
    with pytest.raises(BadInput, match=r"fuse: the network cannot be copied .*; remove weight hooks"):
        fuse(network, image)


def test_fuse_leaves_a_layer_that_is_called_with_an_output_size():
    class Up(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = ConvNormTranspose2d(4, 4, 3, 2)

        def forward(self, image):
            return self.layer(image, output_size=[10, 10])

    network, image = Up(), torch.randn(1, 4, 4, 4)
    fused, report = fuse(network, image)
    assert report.forms == {"layer": "left, called with more than an image"}
    assert torch.equal(fused(image), network(image))


def test_a_baked_layer_takes_one_image_and_another_dtype():
    layer = ConvNorm2d(4, 6, 3, padding=1, affine="depthwise")
    nn.init.normal_(layer.affine_weight)
    image = torch.randn(4, 9, 9)
    for example in (image, image[None]):
        fused, _ = fuse(layer, example)
        assert torch.allclose(fused(image), layer(image), atol=1e-5)
    found = copy.deepcopy(fused).to(torch.bfloat16)(image.bfloat16()).float()
    assert ((found - layer(image)).norm() / layer(image).norm()).item() <= 3e-2


@pytest.mark.parametrize(
    "options", [{"tolerance": -0.1}, {"tolerance": math.nan}, {"tolerance": 1.0}, {"max_radius": 0}]
)
def test_fuse_refuses_bad_options(options):
    with pytest.raises(BadInput, match="fuse: "):
        fuse(ConvNorm2d(4, 4, 3), torch.randn(1, 4, 8, 8), **options)


def test_options_of_a_batch_norm_reach_the_one_that_is_there():
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
    network[1].running_mean += 3
    convert(network, "batch")
    assert network[1].eps == 1e-5
    convert(network, "batch", options={"eps": 0.5, "momentum": 0.7})
    assert (network[1].eps, network[1].momentum, network[1].running_mean[0]) == (0.5, 0.7, 3)
    resnet = build_network("torchvision.resnet18", 3, 10, "batch", {"eps": 0.5})
    assert {module.eps for module in resnet.modules() if isinstance(module, nn.BatchNorm2d)} == {0.5}


def test_another_batch_norm_takes_scale_and_statistics():
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
    network[1].running_mean += 3
    nn.init.constant_(network[1].weight, 2)
    convert(network, "sync_batch")
    assert isinstance(network[1], nn.SyncBatchNorm)
    assert (network[1].running_mean[0], network[1].weight[0]) == (3, 2)


@pytest.mark.parametrize("training", [True, False])
def test_a_convolution_alone_keeps_its_mode(training):
    converted, _ = convert(nn.Conv2d(3, 8, 3).train(training), "spectral+batch")
    assert {module.training for module in converted.modules()} == {training}


def test_patterns_may_come_from_a_generator():
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 3))
    _, report = convert(network, "spectral", include=(p for p in ("*",)), exclude=iter(["2"]))
    assert list(report.changed) == ["0", "1"]


@pytest.mark.parametrize("norm", ["spectral", "convnorm", "group", "convnorm+group"])
def test_a_frozen_network_stays_frozen(norm):
    network = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3))
    network[:2].requires_grad_(False)
    converted, _ = convert(network, norm)
    trained = {name.split(".")[0] for name, weight in converted.named_parameters() if weight.requires_grad}
    assert trained == {"3"}
