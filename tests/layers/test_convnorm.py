"""ConvNorm2d against a dense float64 construction of P_k A_k from the definition."""

import math

import pytest
import torch
from torch import nn

from gan_convnorm.fourier import convolution as fourier_convolution
from gan_convnorm.fourier import execution
from gan_convnorm.layers import ConvNorm1d, ConvNorm2d, ConvNorm3d
from gan_convnorm.layers.convnorm import strategies
from gan_convnorm.operators.dense import (
    circular_convolution_matrix,
    embedding_matrix,
    inverse_square_root,
    selection_matrix,
)

CLASSES = {1: ConvNorm1d, 2: ConvNorm2d, 3: ConvNorm3d}


def padding_pairs(layer):
    if layer.padding == "same":
        spans = [d * (k - 1) for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
        return [(span // 2, span - span // 2) for span in spans]
    return [(0, 0)] * len(layer.kernel_size) if layer.padding == "valid" else [(p, p) for p in layer.padding]


def geometry(layer, size, pairs):
    """Fine grid, spacing of the response on it, offset, and first pixel, count and step of the output: by definition.

    Zero padding of P = max(padding, d (k - 1)) on both sides, and with strided="fold" P in whole strides; with
    circular padding the image is the grid.
    """
    fine, spacing, offset, first, count, step = [], [], [], [], [], []
    axes = zip(size, layer.kernel_size, layer.dilation, layer.stride, pairs, strict=True)
    for n, k, d, s, (before, after) in axes:
        span = d * (k - 1)
        folded = s if layer.options.strided == "fold" else 1
        reach = max(span, before, after)
        reach += (before - reach) % folded
        response = (n + 2 * reach - span - 1) // folded + 1
        fine.append(n if layer.padding_mode == "circular" else response * folded)
        spacing.append(folded)
        offset.append(before if layer.padding_mode == "circular" else reach)
        first.append(0 if layer.padding_mode == "circular" else (reach - before) // folded)
        count.append((n + before + after - span - 1) // s + 1)
        step.append(s // folded)
    if layer.options.boundary == "linear":
        fine = [2 * n for n in fine]
    return fine, spacing, offset, first, count, step


def tight_frames(layer, fine, spacing, offset):
    """Q_k = (A_k A_k^T + eps)^(-1/2) A_k for every output channel, on the circular grid, and the same for 1/sqrt(S)."""
    coarse = [n // s for n, s in zip(fine, spacing, strict=True)]
    rows = selection_matrix(fine, [0] * len(fine), coarse, spacing)
    frames = []
    for kernels in layer.weight.detach():
        matrix = torch.cat([rows @ circular_convolution_matrix(a, fine, layer.dilation, offset) for a in kernels], 1)
        frames.append(inverse_square_root(matrix @ matrix.T, layer.options.eps) @ matrix)
    return frames, coarse


def oracle(layer, image):
    """The layer's output from dense matrices; affine and gain included."""
    pairs = padding_pairs(layer)
    if layer.padding_mode in ("reflect", "replicate"):
        flat = [p for pair in reversed(pairs) for p in pair]
        image, pairs = nn.functional.pad(image, flat, mode=layer.padding_mode), [(0, 0)] * len(pairs)
    size = tuple(image.shape[2:])
    fine, spacing, offset, first, count, step = geometry(layer, size, pairs)
    frames, coarse = tight_frames(layer, fine, spacing, offset)
    embedding = embedding_matrix(size, fine)
    selection = selection_matrix(coarse, first, count, step)
    gain = math.sqrt(layer.groups / layer.out_channels) if layer.options.gain == "lipschitz" else layer.options.gain
    per_group_in, per_group_out = layer.in_channels // layer.groups, layer.out_channels // layer.groups
    outputs = []
    for k, frame in enumerate(frames):
        group = k // per_group_out
        channels = image[:, group * per_group_in : (group + 1) * per_group_in].double()
        embedded = (channels.flatten(2) @ embedding.T).flatten(1)
        response = embedded @ frame.T
        if layer.affine_weight is not None:
            taps = layer.affine_weight[k].detach()
            centre = tuple((t - 1) // 2 for t in taps.shape)
            response = response @ circular_convolution_matrix(taps, coarse, None, centre).T
        bias = 0.0 if layer.bias is None else layer.bias[k].detach()
        outputs.append((gain * response @ selection.T + bias).unflatten(1, count))
    return torch.stack(outputs, dim=1)


def operator_matrix(layer, size):
    """The layer's linear part as a matrix, column by column."""
    pixels = layer.in_channels * math.prod(size)
    basis = torch.eye(pixels, dtype=layer.weight.dtype).unflatten(1, (layer.in_channels, *size))
    with torch.no_grad():
        return (layer(basis) - layer(torch.zeros_like(basis[:1]))).flatten(1).T


def relative_error(value, expected):
    return ((value - expected).norm() / expected.norm()).item()


CASES = {
    "3x3": dict(kernel_size=3, padding=1),
    "no padding": dict(kernel_size=3),
    "full padding": dict(kernel_size=3, padding=2),
    "wide padding": dict(kernel_size=3, padding=4),
    "mixed padding": dict(kernel_size=(3, 5), padding=(3, 0)),
    "even": dict(kernel_size=2, padding=1),
    "even 4x4 stride 2": dict(kernel_size=4, stride=2, padding=1),
    "4x3": dict(kernel_size=(4, 3), padding=(2, 1)),
    "1x1": dict(kernel_size=1),
    "1x1 padded and strided": dict(kernel_size=1, padding=1, stride=2),
    "1x3": dict(kernel_size=(1, 3), padding=(0, 1)),
    "1x3 padded across": dict(kernel_size=(1, 3), padding=(1, 1)),
    "5x1": dict(kernel_size=(5, 1), padding=(2, 0)),
    "5x5": dict(kernel_size=5, padding=2),
    "stride 2": dict(kernel_size=3, padding=1, stride=2),
    "stride 2x1": dict(kernel_size=3, padding=1, stride=(2, 1)),
    "stride 3": dict(kernel_size=3, padding=2, stride=3),
    "dilation": dict(kernel_size=3, padding=2, dilation=2),
    "dilation 2x1, stride": dict(kernel_size=(2, 3), padding=1, dilation=(2, 1), stride=2),
    "groups": dict(in_channels=4, out_channels=6, kernel_size=3, padding=1, groups=2),
    "depthwise": dict(in_channels=3, out_channels=3, kernel_size=3, padding=1, groups=3),
    "one input channel": dict(in_channels=1, kernel_size=3, padding=1),
    "one output channel": dict(out_channels=1, kernel_size=3, padding=1),
    "same, even": dict(kernel_size=4, padding="same"),
    "same, dilated": dict(kernel_size=(3, 2), padding="same", dilation=2),
    "valid": dict(kernel_size=3, padding="valid"),
    "no bias": dict(kernel_size=3, padding=1, bias=False),
    "circular": dict(kernel_size=3, padding=1, padding_mode="circular"),
    "circular, wide": dict(kernel_size=3, padding=3, padding_mode="circular"),
    "circular, even, stride 2": dict(kernel_size=4, padding=1, stride=2, padding_mode="circular"),
    "circular, dilated": dict(kernel_size=3, padding="same", dilation=2, padding_mode="circular"),
    "reflect": dict(kernel_size=3, padding=1, padding_mode="reflect"),
    "reflect, stride 2": dict(kernel_size=(4, 3), padding=(2, 1), stride=2, padding_mode="reflect"),
    "replicate, dilated": dict(kernel_size=3, padding=2, dilation=2, padding_mode="replicate"),
    "folded": dict(kernel_size=3, padding=1, stride=2, strided="fold"),
    "folded 4x4": dict(kernel_size=4, padding=1, stride=2, strided="fold"),
    "folded, dilated": dict(kernel_size=3, padding=2, stride=(2, 3), dilation=(2, 3), strided="fold"),
    "folded, patches": dict(kernel_size=2, stride=2, strided="fold"),
    "folded, circular": dict(kernel_size=3, padding=1, stride=(2, 5), padding_mode="circular", strided="fold"),
    "linear": dict(kernel_size=3, padding=1, boundary="linear"),
    "linear, stride 2": dict(kernel_size=4, padding=1, stride=2, boundary="linear"),
    "1d": dict(kernel_size=3, padding=1, stride=2, dilation=2),
    "1d circular": dict(kernel_size=4, padding=1, padding_mode="circular"),
    "3d": dict(kernel_size=(2, 3, 1), padding=(1, 0, 1)),
    "3d, folded": dict(kernel_size=2, padding=1, stride=(2, 1, 2), strided="fold"),
}
SIZES = {1: (9,), 2: (6, 5), 3: (3, 4, 2)}


def spatial_of(case):
    return int(case[0]) if case[1:2] == "d" else 2


def make(case, **options):
    torch.manual_seed(0)
    arguments = {"in_channels": 2, "out_channels": 3, "dtype": torch.float64, **CASES[case], **options}
    layer = CLASSES[spatial_of(case)](**arguments)
    if layer.affine_weight is not None:
        nn.init.normal_(layer.affine_weight)
    return layer


@pytest.fixture(params=["in fourier", "of the response"])
def path(request, monkeypatch):
    """Both exact ways to compute it, whichever is the faster; in several parts, which small cases would not need."""
    monkeypatch.setattr(execution, "part_elements", lambda tensor: 60)
    monkeypatch.setattr(fourier_convolution, "part_elements", lambda tensor: 60)

    def choose(layer, images, geometry):
        possible = layer.groups == 1 and all(s == 1 for s in geometry.stride)
        return possible and request.param == "in fourier"

    monkeypatch.setattr(strategies, "products_pay", choose)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("eps", [1e-12, 1e-4, 0.1])
def test_equals_the_dense_construction(case, eps, path):
    layer = make(case, eps=eps)
    image = torch.randn(2, layer.in_channels, *SIZES[spatial_of(case)], dtype=torch.float64)
    with torch.no_grad():
        output = layer(image)
    assert output.shape == layer._conv_forward(image, layer.weight, None).shape
    assert output.is_contiguous()
    assert relative_error(output, oracle(layer, image)) <= 1e-10


@pytest.mark.slow
@pytest.mark.parametrize(
    "case", ["3x3", "4x3", "1x1", "1x3", "even 4x4 stride 2", "groups", "dilation", "wide padding"]
)
@pytest.mark.parametrize("affine", ["channel", "depthwise"])
def test_affine_and_gain_equal_the_dense_construction(case, affine, path):
    layer = make(case, affine=affine, gain="lipschitz")
    image = torch.randn(2, layer.in_channels, 6, 5, dtype=torch.float64)
    assert relative_error(layer(image).detach(), oracle(layer, image)) <= 1e-10


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_float32_is_close_to_the_dense_construction(case, path):
    layer = make(case, dtype=torch.float32)
    image = torch.randn(2, layer.in_channels, *SIZES[spatial_of(case)])
    assert relative_error(layer(image).detach(), oracle(layer, image)) <= 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_every_channel_is_a_tight_frame(case):
    layer = make(case, eps=1e-12)
    padded = layer.padding_mode in ("reflect", "replicate")
    pairs = [(0, 0)] * len(layer.kernel_size) if padded else padding_pairs(layer)
    fine, spacing, offset, *_ = geometry(layer, SIZES[spatial_of(case)], pairs)
    coarse = [n // s for n, s in zip(fine, spacing, strict=True)]
    rows = selection_matrix(fine, [0] * len(fine), coarse, spacing)
    identity = torch.eye(math.prod(coarse), dtype=torch.float64)
    transfer = layer.transfer_function(tuple(coarse)).detach()
    axes = list(range(1, len(coarse) + 1))
    for k, kernels in enumerate(layer.weight.detach()):
        matrix = torch.cat([rows @ circular_convolution_matrix(a, fine, layer.dilation, offset) for a in kernels], 1)
        columns = matrix.T.unflatten(1, coarse)
        frame = torch.fft.irfftn(torch.fft.rfftn(columns, dim=axes) * transfer[k], s=coarse, dim=axes).flatten(1).T
        # A single kernel has frequencies where S_k is 1e-4 or less; eps / S_k is what is missing from 1 there.
        assert (frame @ frame.T - identity).abs().max() <= 1e-6


def test_bound_on_the_stacked_operator_holds_and_is_tight():
    layer = make("3x3", out_channels=8, eps=0.0)
    norm = torch.linalg.matrix_norm(operator_matrix(layer, (6, 5)), 2)
    assert norm <= math.sqrt(8) * (1 + 1e-12)
    with torch.no_grad():
        layer.weight.copy_(layer.weight[:1].expand_as(layer.weight).clone())
    tight = torch.linalg.matrix_norm(operator_matrix(layer, (12, 12)), 2)
    assert 0.95 * math.sqrt(8) <= tight <= math.sqrt(8) * (1 + 1e-12)


# A padding that reads pixels twice enlarges norms; what follows it is bounded.
BOUNDED = [case for case in CASES if case != "circular, wide" and not case.startswith(("reflect", "replicate"))]


@pytest.mark.slow
@pytest.mark.parametrize("case", BOUNDED)
def test_lipschitz_gain_bounds_the_norm_after_training(case):
    layer = make(case, gain="lipschitz")
    size = SIZES[spatial_of(case)]
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.05)
    target = None
    for _ in range(20):
        output = layer(torch.randn(8, layer.in_channels, *size, dtype=torch.float64))
        target = torch.randn_like(output) if target is None else target
        loss = (output - 10 * target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    layer.eval()
    norm = torch.linalg.matrix_norm(operator_matrix(layer, size), 2)
    assert 0.1 <= norm <= 1 + 1e-12


def functional(layer):
    """The layer as a function of the image and its parameters, and values for them."""
    names, values = zip(*layer.named_parameters(), strict=True)

    def forward(image, *parameters):
        with torch.nn.utils.stateless._reparametrize_module(layer, dict(zip(names, parameters, strict=True))):
            return layer(image)

    return forward, [value.detach().clone().requires_grad_() for value in values]


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        dict(padding=1, affine="depthwise"),
        dict(padding=1, stride=2, affine="channel", bias=False),
        dict(padding=3, padding_mode="circular"),
        dict(padding=1, stride=2, strided="fold"),
        dict(padding=1, affine="depthwise", boundary="linear", tolerance=0.9, max_radius=1),
    ],
)
def test_first_and_second_derivatives(options, path):
    torch.manual_seed(0)
    layer = ConvNorm2d(2, 2, 3, dtype=torch.float64, **options)
    forward, parameters = functional(layer)
    image = torch.randn(3, 2, 4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(forward, (image, *parameters))
    assert torch.autograd.gradgradcheck(forward, (image, *parameters))


def test_gradient_stops_at_the_spectrum(path):
    """The gradient is that of the convolution by constant P_k: checked against a layer whose filter is fixed."""
    layer = make("3x3", gradient="stop")
    image = torch.randn(2, 2, 6, 5, dtype=torch.float64)
    layer(image).square().sum().backward()
    transfer = layer.transfer_function((8, 7)).detach()
    weight = layer.weight.detach().clone().requires_grad_()
    response = nn.functional.conv2d(image, weight, None, 1, 2)
    filtered = torch.fft.irfft2(torch.fft.rfft2(response) * transfer, s=(8, 7))[..., 1:-1, 1:-1]
    (filtered + layer.bias.detach()[:, None, None]).square().sum().backward()
    assert relative_error(layer.weight.grad, weight.grad) <= 1e-12
    full = make("3x3")
    full(image).square().sum().backward()
    # Through the spectrum the loss hardly changes with the weights' scale: the gradient along them is near zero.
    along = (full.weight * full.weight.grad).sum().abs() / (layer.weight * layer.weight.grad).sum().abs()
    assert along <= 1e-2


def test_scale_of_the_weights_does_not_matter_without_eps():
    layer = make("3x3", eps=0.0)
    image = torch.randn(2, 2, 6, 5, dtype=torch.float64)
    before = layer(image)
    with torch.no_grad():
        layer.weight *= 7
    assert torch.allclose(layer(image), before, rtol=1e-10)


@pytest.mark.parametrize("affine", [None, "channel", "depthwise"])
def test_reload_into_a_fresh_layer_at_another_size(affine):
    layer = ConvNorm2d(2, 3, 3, padding=1, affine=affine)
    layer(torch.randn(4, 2, 6, 5)).square().mean().backward()
    torch.optim.SGD(layer.parameters(), lr=0.1).step()
    fresh = ConvNorm2d(2, 3, 3, padding=1, affine=affine)
    fresh(torch.randn(1, 2, 9, 9))
    fresh.load_state_dict(layer.state_dict())
    image = torch.randn(2, 2, 11, 8)
    assert torch.equal(fresh.eval()(image), layer.eval()(image))


@pytest.mark.parametrize("affine", [None, "channel", "depthwise"])
def test_train_and_eval_agree(affine):
    layer = ConvNorm2d(2, 3, 3, padding=1, affine=affine)
    image = torch.randn(4, 2, 6, 5)
    assert torch.equal(layer.train()(image), layer.eval()(image))


@pytest.mark.parametrize("size", [(3, 9), (9, 2)])
def test_an_image_below_the_kernel_is_refused_as_in_conv2d(size):
    image = torch.randn(1, 2, *size)
    with pytest.raises(RuntimeError, match="size"):
        nn.Conv2d(2, 3, 4)(image)
    with pytest.raises(ValueError, match="below the kernel"):
        ConvNorm2d(2, 3, 4)(image)
    ConvNorm2d(2, 3, 4)(torch.randn(1, 2, 4, 4))


def test_unbatched_input_has_conv2d_shape():
    layer = ConvNorm2d(2, 3, 3, padding=1)
    image = torch.randn(2, 6, 5)
    assert torch.allclose(layer(image), layer(image[None])[0])
    for options in (dict(tolerance=0.5, max_radius=1), dict(stride=2, strided="fold"), dict(kernel_size=1, padding=0)):
        other = ConvNorm2d(**{"in_channels": 2, "out_channels": 3, "kernel_size": 3, "padding": 1, **options})
        assert torch.allclose(other(image), other(image[None])[0])


def test_repr_tells_the_options_that_are_not_the_default():
    text = repr(ConvNorm2d(2, 3, 3, gain="lipschitz", affine="channel", tolerance=1e-3))
    assert "eps=0.0001, gain='lipschitz', affine='channel', tolerance=0.001)" in text


def test_circular_padding_folds_only_whole_strides():
    layer = ConvNorm2d(2, 3, 3, stride=2, padding=1, padding_mode="circular", strided="fold")
    with pytest.raises(ValueError, match="the stride 2 divides, not 5"):
        layer(torch.randn(1, 2, 6, 5))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(padding_mode="mirror"), "padding_mode is 'mirror', and must be one of: 'zeros'"),
        (dict(gradient="none"), "one of: 'full', 'stop'"),
        (dict(strided="first"), "one of: 'subsample', 'fold'"),
        (dict(boundary="zero"), "one of: 'circular', 'linear'"),
        (dict(boundary="linear", padding_mode="circular"), "contradicts"),
        (dict(tolerance=1.0), "at least 0 and below 1"),
        (dict(max_radius=0), "whole number of at least 1"),
        (dict(eps=-1.0), "number of at least 0"),
        (dict(gain="spectral"), "number or 'lipschitz'"),
        (dict(affine="batch"), "one of: None, 'channel', 'depthwise'"),
    ],
)
def test_unknown_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ConvNorm2d(2, 3, 3, **options)


@pytest.mark.parametrize("inputs", [1, 3])
@pytest.mark.parametrize(("eps", "scale"), [(0.0, 1.0), (1e-9, 1.0), (1e-4, 1.0), (1e-4, 100.0)])
def test_float32_is_right_at_spectral_zeros(inputs, eps, scale):
    """||Q_k|| <= 1 holds there, with weights large beside eps too: equal colours, kernels that sum up to 0."""
    torch.manual_seed(0)
    layer = ConvNorm2d(inputs, 32, 3, padding=1, eps=eps)
    with torch.no_grad():
        kernel = torch.randn(32, 1, 3, 3)
        layer.weight.copy_(scale * (kernel - kernel.mean((2, 3), keepdim=True) * (1 - 1e-5)).expand_as(layer.weight))
    grid = (10, 9)
    weight = layer.weight.detach().double()
    wave = [
        torch.exp(-2j * math.pi / n * torch.outer(torch.arange(n).double(), torch.arange(3).double())) for n in grid
    ]
    power = torch.einsum("hy,wx,kjyx->kjhw", *wave, weight.to(torch.complex128)).abs().square().sum(1)[..., :5]
    found = layer.transfer_function(grid).detach().double()
    assert (found * (power + eps).sqrt() - 1).abs().max() <= 1e-6
    image = torch.randn(2, inputs, 8, 7, requires_grad=True)
    output = layer(image)
    (gradient,) = torch.autograd.grad(output.sum(), image, create_graph=True)
    (output.square().sum() + gradient.square().sum()).backward()
    assert output.isfinite().all() and layer.weight.grad.isfinite().all()
