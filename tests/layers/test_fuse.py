"""Fused layers compute what the layers did, within the bound they print."""

import pytest
import torch
from torch import nn

from gan_convnorm.errors import BadInput
from gan_convnorm.layers import ConvNorm1d, ConvNorm2d, ConvNorm3d, ConvNormTranspose2d, LinearRowNorm, fuse
from gan_convnorm.layers.baked import BakedConvNorm


def randomized(layer):
    if layer.affine_weight is not None:
        nn.init.normal_(layer.affine_weight)
    return layer.double()


LAYERS = {
    "1x1": lambda: ConvNorm2d(32, 4, 1, stride=2, affine="channel"),
    "3x3": lambda: ConvNorm2d(32, 4, 3, padding=1, affine="depthwise"),
    "no padding, stride 2": lambda: ConvNorm2d(32, 4, 3, stride=2, bias=False),
    "wide padding": lambda: ConvNorm2d(32, 4, 3, padding=6),
    "linear": lambda: ConvNorm2d(32, 4, (3, 5), padding=(1, 2), boundary="linear", affine="depthwise"),
    "folded": lambda: ConvNorm2d(32, 4, 4, stride=2, padding=1, strided="fold", dilation=1),
    "groups": lambda: ConvNorm2d(64, 4, 3, padding=1, groups=2, gain="lipschitz"),
    "reflect": lambda: ConvNorm2d(32, 4, 3, padding=1, padding_mode="reflect"),
    "transposed": lambda: ConvNormTranspose2d(32, 4, 4, 2, 1, affine="depthwise"),
    "transposed 1x1": lambda: ConvNormTranspose2d(32, 4, 1, 2),
    "1d": lambda: ConvNorm1d(32, 4, 3, padding=1),
    "3d": lambda: ConvNorm3d(32, 4, 3, padding=1),
}
PLAIN = ("1x1", "3x3", "no padding, stride 2", "wide padding", "linear", "folded", "groups", "transposed 1x1")


@pytest.mark.parametrize("case", LAYERS)
@pytest.mark.parametrize("tolerance", [0.0, 3e-2])
def test_fused_layer_is_within_its_bound(case, tolerance):
    torch.manual_seed(0)
    network = nn.Sequential(randomized(LAYERS[case]()))
    size = {1: (20,), 2: (20, 19), 3: (5, 6, 4)}[len(network[0].kernel_size)]
    image = torch.randn(2, network[0].in_channels, *size, dtype=torch.float64)
    fused, report = fuse(network, image, tolerance=tolerance)
    with torch.no_grad():
        expected, found = network(image), fused(image)
    error = ((found - expected).norm() / expected.norm()).item()
    assert found.shape == expected.shape
    bound = report.bounds["0"]
    assert bound <= tolerance
    assert error <= max(bound, 1e-12)
    kinds = {type(m) for m in fused.modules()}
    if case in PLAIN and (tolerance or "1x1" in case):
        allowed = {nn.Sequential, nn.Conv2d, nn.ConvTranspose2d, nn.CircularPad2d, nn.ZeroPad2d}
        assert kinds <= allowed
        assert "plain convolution" in report.forms["0"]
    else:
        assert BakedConvNorm in kinds
        assert error <= 1e-12
    assert type(network[0]) is type(LAYERS[case]())


@pytest.mark.parametrize("boundary", ["circular", "linear"])
@pytest.mark.parametrize(("stride", "padding", "side"), [(2, 1, 12), (3, 0, 11), (4, 1, 12), (5, 2, 13)])
def test_a_fused_layer_with_a_stride_computes_some_outputs_of_the_one_without(boundary, stride, padding, side):
    """With a wide stride the filter reads a part of the full response at one end and wraps at the other."""
    torch.manual_seed(0)
    options = {"padding": padding, "boundary": boundary, "dtype": torch.float64}
    dense, strided = ConvNorm2d(32, 4, 3, **options), ConvNorm2d(32, 4, 3, stride=stride, **options)
    strided.load_state_dict(dense.state_dict())
    images = torch.randn(2, 32, side, side, dtype=torch.float64)
    (every, report), (some, _) = (fuse(layer, images, tolerance=0.1) for layer in (dense, strided))
    assert "two plain convolutions" in str(report)
    with torch.no_grad():
        torch.testing.assert_close(some(images), every(images)[..., ::stride, ::stride], atol=1e-12, rtol=0)


def test_fuse_draws_no_random_numbers():
    network = nn.Sequential(ConvNorm2d(32, 4, 3), ConvNorm2d(4, 4, 1), nn.Flatten(), LinearRowNorm(400, 2))
    state = torch.get_rng_state()
    fuse(network, torch.zeros(2, 32, 12, 12), tolerance=0.1)
    assert torch.equal(torch.get_rng_state(), state)


def test_report_prints_the_bounds():
    torch.manual_seed(0)
    network = nn.Sequential(ConvNorm2d(64, 4, 3, padding=1), nn.Flatten(), LinearRowNorm(4 * 144, 2))
    fused, report = fuse(network, torch.randn(2, 64, 12, 12), tolerance=1e-1)
    first, second, last = str(report).splitlines()
    assert first.startswith("0: two plain convolutions, radius 2, relative error at most ")
    assert second == "2: plain linear layer, exact"
    assert last.startswith("2 layers, largest bound ")
    image = torch.randn(2, 64, 12, 12)
    assert torch.allclose(fused[2](fused[1](fused[0](image))), network(image), atol=0.1)


def test_a_baked_layer_is_of_one_size_and_a_state():
    layer = ConvNorm2d(4, 4, 3, padding=1)
    fused, _ = fuse(layer, torch.randn(1, 4, 9, 9))
    assert isinstance(fused, BakedConvNorm)
    with pytest.raises(BadInput, match="fused for a grid of"):
        fused(torch.randn(1, 4, 8, 9))
    with torch.no_grad():
        for value in fused.state_dict().values():
            value.zero_()
    assert fused(torch.randn(1, 4, 9, 9)).abs().max() == 0


def test_layers_called_at_several_sizes_or_never_are_left():
    class Pyramid(nn.Module):
        def __init__(self):
            super().__init__()
            self.shared, self.unused = ConvNorm2d(4, 4, 3, padding=1), ConvNorm2d(4, 4, 3)

        def forward(self, image):
            return self.shared(nn.functional.avg_pool2d(self.shared(image), 2))

    fused, report = fuse(Pyramid(), torch.randn(1, 4, 8, 8))
    assert isinstance(fused.shared, ConvNorm2d)
    assert "several sizes" in report.forms["shared"]
    assert "never called" in report.forms["unused"]


def test_a_shared_layer_is_fused_wherever_it_is():
    shared = ConvNorm2d(4, 4, 3, padding=1)
    image = torch.randn(1, 4, 8, 8)
    network = nn.Sequential(shared, shared)
    fused, _ = fuse(network, image)
    assert isinstance(fused[0], BakedConvNorm)
    assert fused[0] is fused[1]
    assert torch.allclose(fused(image), network(image), atol=1e-5)


def test_a_network_without_convnorm_is_refused():
    with pytest.raises(BadInput, match="no ConvNorm layer"):
        fuse(nn.Conv2d(2, 2, 3), torch.randn(1, 2, 8, 8))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_network_of_half_precision_is_fused_in_its_precision(dtype):
    network = nn.Sequential(ConvNorm2d(32, 4, 3, padding=1)).to(dtype).eval()
    images = torch.randn(2, 32, 8, 8, dtype=dtype)
    fused, _ = fuse(network, images, tolerance=3e-2)
    assert fused(images).dtype == dtype
    torch.testing.assert_close(fused(images), network(images), rtol=0.1, atol=0.1)


class Tripled(ConvNorm2d):
    """Three times the layer."""

    def forward(self, input, pool=1):
        return 3 * super().forward(input, pool)


class Pooling(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = ConvNorm2d(3, 4, 1)

    def forward(self, images):
        return self.conv(images, pool=2)


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (lambda: nn.Sequential(Tripled(3, 4, 3)), "left, has a forward of its own (Tripled)"),
        (lambda: nn.Sequential(Tripled(3, 4, 1)), "left, has a forward of its own (Tripled)"),
        (Pooling, "left, called with more than an image"),
    ],
)
def test_layers_that_do_more_are_left(build, reason):
    network, images = build().eval(), torch.randn(2, 3, 6, 6)
    fused, report = fuse(network, images)
    assert list(report.forms.values()) == [reason]
    assert torch.equal(fused(images), network(images))
