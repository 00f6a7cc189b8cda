"""ConvNorm2d against a dense float64 construction of P_k A_k from the definition."""

import itertools
import math

import pytest
import torch
from torch import nn

from gan_convnorm.layers import ConvNorm2d
from gan_convnorm.spectrum.dense import (
    circular_convolution_matrix,
    embedding_matrix,
    inverse_square_root,
    selection_matrix,
)


def geometry(layer, size):
    """Grid, reach and padding before, from the definition: zero padding of max(p, d (k - 1)) on both sides."""
    before, after = [], []
    for dim in range(2):
        span = layer.dilation[dim] * (layer.kernel_size[dim] - 1)
        if layer.padding == "same":
            before.append(span // 2)
            after.append(span - span // 2)
        else:
            padding = 0 if layer.padding == "valid" else layer.padding[dim]
            before.append(padding)
            after.append(padding)
    span = [d * (k - 1) for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
    reach = tuple(max(s, b, a) for s, b, a in zip(span, before, after, strict=True))
    grid = tuple(n + 2 * r - s for n, r, s in zip(size, reach, span, strict=True))
    count = tuple(
        (n + b + a - s - 1) // step + 1
        for n, b, a, s, step in zip(size, before, after, span, layer.stride, strict=True)
    )
    return grid, reach, tuple(before), count


def tight_frames(layer, size):
    """Q_k = (A_k A_k^T + eps)^(-1/2) A_k for every output channel, on the circular grid."""
    grid, reach, _, _ = geometry(layer, size)
    frames = []
    for kernels in layer.weight.detach():
        matrix = torch.cat([circular_convolution_matrix(a, grid, layer.dilation, reach) for a in kernels], dim=1)
        frames.append(inverse_square_root(matrix @ matrix.T, layer.eps) @ matrix)
    return frames


def oracle(layer, image):
    """The layer's output from dense matrices; affine and gain included."""
    size = tuple(image.shape[-2:])
    grid, reach, before, count = geometry(layer, size)
    embedding = embedding_matrix(size, grid)
    start = tuple(r - b for r, b in zip(reach, before, strict=True))
    selection = selection_matrix(grid, start, count, layer.stride)
    gain = math.sqrt(layer.groups / layer.out_channels) if layer.gain == "lipschitz" else layer.gain
    per_group_in, per_group_out = layer.in_channels // layer.groups, layer.out_channels // layer.groups
    outputs = []
    for k, frame in enumerate(tight_frames(layer, size)):
        group = k // per_group_out
        channels = image[:, group * per_group_in : (group + 1) * per_group_in].double()
        embedded = (channels.flatten(2) @ embedding.T).flatten(1)
        response = embedded @ frame.T
        if layer.affine_weight is not None:
            taps = layer.affine_weight[k].detach()
            centre = tuple((t - 1) // 2 for t in taps.shape)
            response = response @ circular_convolution_matrix(taps, grid, (1, 1), centre).T
        bias = 0.0 if layer.bias is None else layer.bias[k].detach()
        outputs.append((gain * response @ selection.T + bias).unflatten(1, count))
    return torch.stack(outputs, dim=1)


def operator_matrix(layer, size):
    """The layer's linear part as a matrix, column by column."""
    pixels = layer.in_channels * size[0] * size[1]
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
}


def make(case, **options):
    torch.manual_seed(0)
    arguments = {"in_channels": 2, "out_channels": 3, "dtype": torch.float64, **CASES[case], **options}
    layer = ConvNorm2d(**arguments)
    if layer.affine_weight is not None:
        nn.init.normal_(layer.affine_weight)
    return layer


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("eps", [1e-12, 1e-4, 0.1])
def test_equals_the_dense_construction(case, eps):
    layer = make(case, eps=eps)
    image = torch.randn(2, layer.in_channels, 6, 5, dtype=torch.float64)
    with torch.no_grad():
        output = layer(image)
    plain = nn.functional.conv2d(image, layer.weight, None, layer.stride, layer.padding, layer.dilation, layer.groups)
    assert output.shape == plain.shape
    assert relative_error(output, oracle(layer, image)) <= 1e-10


@pytest.mark.parametrize(
    "case", ["3x3", "4x3", "1x1", "1x3", "even 4x4 stride 2", "groups", "dilation", "wide padding"]
)
@pytest.mark.parametrize("affine", ["channel", "depthwise"])
def test_affine_and_gain_equal_the_dense_construction(case, affine):
    layer = make(case, affine=affine, gain="lipschitz")
    image = torch.randn(2, layer.in_channels, 6, 5, dtype=torch.float64)
    assert relative_error(layer(image).detach(), oracle(layer, image)) <= 1e-10


@pytest.mark.parametrize("case", CASES)
def test_float32_is_close_to_the_dense_construction(case):
    layer = make(case, dtype=torch.float32)
    image = torch.randn(2, layer.in_channels, 6, 5)
    assert relative_error(layer(image).detach(), oracle(layer, image)) <= 1e-5


@pytest.mark.parametrize("case", CASES)
def test_every_channel_is_a_tight_frame(case):
    layer = make(case, eps=1e-12)
    size = (6, 5)
    grid, reach, _, _ = geometry(layer, size)
    identity = torch.eye(grid[0] * grid[1], dtype=torch.float64)
    transfer = layer.transfer_function(grid).detach()
    for k, kernels in enumerate(layer.weight.detach()):
        matrix = torch.cat([circular_convolution_matrix(a, grid, layer.dilation, reach) for a in kernels], dim=1)
        columns = matrix.T.unflatten(1, grid)
        frame = torch.fft.irfft2(torch.fft.rfft2(columns) * transfer[k], s=grid).flatten(1).T
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


@pytest.mark.parametrize("case", CASES)
def test_lipschitz_gain_bounds_the_norm_after_training(case):
    layer = make(case, gain="lipschitz")
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.05)
    target = None
    for _ in range(20):
        output = layer(torch.randn(8, layer.in_channels, 6, 5, dtype=torch.float64))
        target = torch.randn_like(output) if target is None else target
        loss = (output - 10 * target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    layer.eval()
    norm = torch.linalg.matrix_norm(operator_matrix(layer, (6, 5)), 2)
    assert 0.1 <= norm <= 1 + 1e-12


def test_gradient_flows_through_the_spectrum():
    layer = make("3x3", affine="depthwise")
    image = torch.randn(1, 2, 4, 3, dtype=torch.float64, requires_grad=True)
    parameters = dict(layer.named_parameters())

    def forward(x, *values):
        return torch.func.functional_call(layer, dict(zip(parameters, values, strict=True)), (x,))

    inputs = (image, *(p.detach().requires_grad_() for p in parameters.values()))
    assert torch.autograd.gradcheck(forward, inputs)
    assert torch.autograd.gradgradcheck(forward, inputs)


def test_scale_of_the_weights_does_not_matter_without_eps():
    layer = make("3x3", eps=0.0)
    image = torch.randn(2, 2, 6, 5, dtype=torch.float64)
    before = layer(image)
    with torch.no_grad():
        layer.weight *= 7
    assert torch.allclose(layer(image), before, rtol=1e-10)


@pytest.mark.parametrize("affine", [None, "channel", "depthwise"])
@pytest.mark.parametrize("running_average", [False, True])
def test_reload_into_a_fresh_layer_at_another_size(affine, running_average):
    options = dict(affine=affine, running_average=running_average)
    layer = ConvNorm2d(2, 3, 3, padding=1, **options)
    layer(torch.randn(4, 2, 6, 5)).square().mean().backward()
    torch.optim.SGD(layer.parameters(), lr=0.1).step()
    layer.train()(torch.randn(4, 2, 6, 5))
    fresh = ConvNorm2d(2, 3, 3, padding=1, **options)
    fresh(torch.randn(1, 2, 9, 9))
    fresh.load_state_dict(layer.state_dict())
    image = torch.randn(2, 2, 11, 8)
    assert torch.equal(fresh.eval()(image), layer.eval()(image))


@pytest.mark.parametrize("affine", [None, "channel", "depthwise"])
def test_train_and_eval_agree(affine):
    layer = ConvNorm2d(2, 3, 3, padding=1, affine=affine)
    image = torch.randn(4, 2, 6, 5)
    assert torch.equal(layer.train()(image), layer.eval()(image))


def test_running_average_follows_the_original_schedule():
    layer = ConvNorm2d(2, 3, 3, padding=1, running_average=True, dtype=torch.float64)
    image = torch.randn(1, 2, 6, 5, dtype=torch.float64)
    expected = torch.zeros(3, 5, 5, dtype=torch.float64)
    for t in (1, 2, 20_000, 39_999, 40_000, 100_000):
        layer.num_updates.fill_(t - 1)
        with torch.no_grad():
            layer.weight.normal_()
        layer(image)
        factor = max((1 + math.cos(math.pi * min(t, 40_000) / 40_000)) / 2, 0.01)
        lags = torch.zeros_like(expected)
        for k, j, a, b, c, d in itertools.product(range(3), range(2), *[range(3)] * 4):
            lags[k, a - c + 2, b - d + 2] += layer.weight[k, j, a, b].item() * layer.weight[k, j, c, d].item()
        expected = factor * lags + (1 - factor) * expected
    assert torch.allclose(layer.running_autocorrelation, expected, rtol=1e-6)
    assert layer.num_updates == 100_000
    # Evaluation reads the average: here that of the last weights, up to (1 - f_1).
    layer.num_updates.zero_()
    assert torch.allclose(layer.train()(image), layer.eval()(image), rtol=1e-5)
    with torch.no_grad():
        layer.running_autocorrelation *= 4
    layer.eps = 0.0
    halved = layer(image) - layer.bias[:, None, None]
    layer.train()
    assert torch.allclose(halved, (layer(image) - layer.bias[:, None, None]) / 2, rtol=1e-3, atol=1e-6)


def test_autocast_keeps_the_spectrum_in_float32():
    torch.manual_seed(0)
    for size in (1, 3):
        layer = ConvNorm2d(16, 8, size, padding=size // 2, affine="depthwise")
        image = torch.randn(2, 16, 7, 7)
        exact = layer(image)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = layer(image)
        assert rounded.dtype == torch.bfloat16
        assert relative_error(rounded.float(), exact) <= 1e-2


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


def test_repr_tells_the_options():
    text = repr(ConvNorm2d(2, 3, 3, gain="lipschitz", affine="channel"))
    assert "eps=0.0001, gain='lipschitz', affine='channel'" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(padding_mode="reflect"), "only 'zeros'"),
        (dict(eps=-1.0), "zero or above"),
        (dict(gain="spectral"), "number or 'lipschitz'"),
        (dict(affine="batch"), "None, 'channel' or 'depthwise'"),
    ],
)
def test_unknown_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ConvNorm2d(2, 3, 3, **options)
