"""ConvNorm with average pooling and strides in the Fourier domain, against dense float64 matrices of the definition."""

import math
from itertools import product

import pytest
import torch
from dense_operators import (
    circular_convolution_matrix,
    embedding_matrix,
    inverse_square_root,
    selection_matrix,
)
from torch import nn

from gan_convnorm.fourier import convolution as fourier_convolution
from gan_convnorm.fourier import execution
from gan_convnorm.layers import ConvNorm1d, ConvNorm2d, ConvNorm3d
from gan_convnorm.layers.convnorm import methods
from gan_convnorm.networks import SNGANDiscriminator

CLASSES = {1: ConvNorm1d, 2: ConvNorm2d, 3: ConvNorm3d}


def oracle(layer, image, pool):
    """Convolution and (A_k A_k^T + eps)^(-1/2) on the circular grid, crop, stride, bias, then the mean over boxes."""
    size = image.shape[2:]
    circular = layer.padding_mode == "circular"
    spans = [d * (k - 1) for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
    reach = [p if circular else max(span, p) for span, p in zip(spans, layer.padding, strict=True)]
    grid = [n if circular else n + 2 * r - span for n, r, span in zip(size, reach, spans, strict=True)]
    grid = [2 * n for n in grid] if layer.options.boundary == "linear" else grid
    first = [r - p for r, p in zip(reach, layer.padding, strict=True)]
    pixels = zip(size, layer.padding, spans, layer.stride, strict=True)
    count = [(n + 2 * p - span - 1) // s + 1 for n, p, span, s in pixels]
    selection, embedding = selection_matrix(grid, first, count, layer.stride), embedding_matrix(size, grid)
    outputs = []
    for k, kernels in enumerate(layer.weight.detach()):
        matrix = torch.cat([circular_convolution_matrix(a, grid, layer.dilation, reach) for a in kernels], 1)
        frame = inverse_square_root(matrix @ matrix.T, layer.options.eps) @ matrix
        response = (image.double().flatten(2) @ embedding.T).flatten(1) @ frame.T
        if layer.affine_weight is not None:
            taps = layer.affine_weight[k].detach()
            response = response @ circular_convolution_matrix(taps, grid, None, [(t - 1) // 2 for t in taps.shape]).T
        bias = 0.0 if layer.bias is None else layer.bias[k].detach()
        outputs.append((response @ selection.T + bias).unflatten(1, count))
    output = torch.stack(outputs, dim=1)
    means = [n // pool for n in count]
    boxes = [
        output[(..., *(slice(a, a + pool * m, pool) for a, m in zip(start, means, strict=True)))]
        for start in product(range(pool), repeat=len(size))
    ]
    return sum(boxes) / len(boxes)


CASES = {
    "even grid": dict(size=(6, 4), kernel_size=3, padding=1),
    "odd grid": dict(size=(5, 7), kernel_size=3, padding=1),
    "even and odd": dict(size=(6, 5), kernel_size=3, padding=1),
    "odd and even": dict(size=(5, 6), kernel_size=3, padding=1),
    "folded grid of one pixel": dict(size=(1, 1), kernel_size=2, padding=1),
    "folded grid even": dict(size=(6, 10), kernel_size=3, padding=1),
    "no padding": dict(size=(6, 8), kernel_size=3),
    "wide padding": dict(size=(4, 6), kernel_size=3, padding=4),
    "even kernel": dict(size=(5, 7), kernel_size=(2, 4), padding=1),
    "dilation": dict(size=(6, 8), kernel_size=3, padding=2, dilation=(2, 1)),
    "pool 3": dict(size=(7, 4), kernel_size=3, padding=1, pool=3),
    "depthwise affine": dict(size=(6, 4), kernel_size=3, padding=1, affine="depthwise"),
    "depthwise affine, pool 3": dict(size=(4, 7), kernel_size=3, padding=1, affine="depthwise", pool=3),
    "no bias": dict(size=(4, 4), kernel_size=3, padding=1, bias=False),
    "circular": dict(size=(6, 4), kernel_size=3, padding=1, padding_mode="circular"),
    "circular, wide": dict(size=(4, 4), kernel_size=3, padding=3, padding_mode="circular"),
    "linear": dict(size=(4, 3), kernel_size=3, padding=1, boundary="linear"),
    "1x1": dict(size=(6, 4), kernel_size=1),
    "stride 2": dict(size=(6, 4), kernel_size=4, padding=1, stride=2, pool=1),
    "stride 2, folded grid": dict(size=(6, 5), kernel_size=3, padding=1, stride=2, pool=1, affine="depthwise"),
    "stride 2 where the first pixel is odd": dict(size=(6, 8), kernel_size=3, padding=1, stride=2, pool=1),
    "stride 3x2": dict(size=(7, 6), kernel_size=3, padding=1, stride=(3, 2), pool=1),
    "stride 2, then pool": dict(size=(10, 8), kernel_size=3, padding=1, stride=2),
    "1d": dict(size=(8,), kernel_size=3, padding=1),
    "3d": dict(size=(2, 4, 3), kernel_size=(3, 3, 2), padding=(1, 1, 0)),
}


def make(case, **changes):
    """Layer, image and pool of a case."""
    options = {"in_channels": 2, "out_channels": 3, "dtype": torch.float64, **CASES[case], **changes}
    size, pool = options.pop("size"), options.pop("pool", 2)
    torch.manual_seed(0)
    layer = CLASSES[len(size)](**options)
    if layer.affine_weight is not None:
        nn.init.normal_(layer.affine_weight)
    return layer, torch.randn(5, 2, *size, dtype=options["dtype"]), pool


@pytest.fixture(params=["in fourier", "of the response"])
def path(request, monkeypatch):
    """Both exact ways to compute it, in several parts, which small cases would not need."""
    monkeypatch.setattr(execution, "part_elements", lambda tensor: 60)
    monkeypatch.setattr(fourier_convolution, "BLOCK", 60)
    monkeypatch.setattr(fourier_convolution, "FREQUENCIES", 1)
    monkeypatch.setattr(methods, "matmul_pays", lambda *_: request.param == "in fourier")


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_equals_the_dense_construction(case, path):
    layer, image, pool = make(case)
    output, expected = layer(image, pool=pool).detach(), oracle(layer, image, pool)
    assert output.shape == expected.shape
    assert output.is_contiguous()
    torch.testing.assert_close(output, expected, rtol=1e-10, atol=1e-11)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_float32_is_close_to_the_dense_construction(case, path):
    layer, image, pool = make(case, dtype=torch.float32)
    expected = oracle(layer, image, pool)
    assert (layer(image, pool=pool).detach() - expected).norm() <= 1e-5 * expected.norm()


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    ["even grid", "even and odd", "depthwise affine, pool 3", "circular, wide", "stride 2, folded grid", "stride 3x2"],
)
def test_first_and_second_derivatives(case, path):
    layer, image, pool = make(case, in_channels=1, out_channels=2)
    image = image[:2, :1].clone().requires_grad_()
    names, values = zip(*layer.named_parameters(), strict=True)

    def forward(image, *parameters):
        with torch.nn.utils.stateless._reparametrize_module(layer, dict(zip(names, parameters, strict=True))):
            return layer(image, pool=pool)

    parameters = [value.detach().clone().requires_grad_() for value in values]
    assert torch.autograd.gradcheck(forward, (image, *parameters))
    assert torch.autograd.gradgradcheck(forward, (image, *parameters))


@pytest.mark.parametrize("needed", ["image", "weight", "affine_weight", "bias"])
def test_each_gradient_alone_is_that_of_all_together(needed, path):
    layer, image, pool = make("depthwise affine")
    image.requires_grad_()
    inputs = {"image": image, **dict(layer.named_parameters())}
    together = torch.autograd.grad(layer(image, pool).sin().sum(), list(inputs.values()))
    expected = together[list(inputs).index(needed)]
    for name, tensor in inputs.items():
        tensor.requires_grad_(name == needed)
    (alone,) = torch.autograd.grad(layer(image, pool).sin().sum(), inputs[needed])
    torch.testing.assert_close(alone, expected, rtol=1e-12, atol=1e-12)


def test_memory_format_and_unbatched_images_are_those_of_torch(path):
    layer, image, pool = make("even grid")
    expected = layer(image, pool)
    output = layer(image.contiguous(memory_format=torch.channels_last), pool)
    assert output.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(output, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(layer(image[0], pool), expected[0], rtol=1e-12, atol=1e-12)


def test_the_discriminator_s_pooled_layers_compute_pooled_pixels_alone(monkeypatch):
    """A layer that SNGAN pools computes every second row and column. The others compute every pixel."""
    found = []

    def record(*arguments):
        found.append([(count, step) for _, count, step in arguments[6]])
        return fourier_convolution.convolve_in_fourier(*arguments)

    monkeypatch.setattr(methods, "convolve_in_fourier", record)
    torch.manual_seed(0)
    network = SNGANDiscriminator(32, width=0.05, norm="convnorm")
    images = torch.randn(4, 3, 32, 32)
    scores = network(images)
    assert found[:3] == [[(16, 2)] * 2, [(16, 1)] * 2, [(8, 2)] * 2]
    assert found[3:] == [[(8, 1)] * 2] * 4
    for module in network.modules():
        module.register_forward_hook(lambda *_: None)  # every layer's whole output is computed
    torch.testing.assert_close(network(images), scores, rtol=1e-4, atol=1e-4 * math.sqrt(len(scores)))


def test_outputs_and_gradients_outlive_the_memory_that_layers_share():
    """What a call returns is not overwritten by the next one, and what inference mode leaves serves training."""
    torch.manual_seed(0)
    layers = [ConvNorm2d(3, 4, 3, padding=1).double(), ConvNorm2d(4, 2, 3, padding=1).double()]
    image = torch.randn(2, 3, 14, 9, dtype=torch.float64)
    with torch.inference_mode():
        first = layers[0](image, pool=2)
        kept = first.clone()
        layers[1](torch.randn(2, 4, 14, 9, dtype=torch.float64), pool=2)
        assert torch.equal(first, kept)
    image.requires_grad_()
    output = layers[1](layers[0](image))
    expected = torch.nn.functional.avg_pool2d(layers[0](image), 2)
    torch.testing.assert_close(layers[0](image, pool=2), expected, rtol=1e-12, atol=1e-12)
    gradient = torch.autograd.grad(output.square().sum(), image)[0]
    again = torch.autograd.grad(layers[1](layers[0](image)).square().sum(), image)[0]
    assert torch.equal(gradient, again)
    assert torch.autograd.gradcheck(lambda x: layers[1](layers[0](x)), image[:1, :, :4, :5].detach().requires_grad_())
