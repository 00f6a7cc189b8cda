"""ConvNorm2d against a dense float64 construction of P_k A_k from the definition."""

import math

import pytest
import torch
from convnorm_oracle import (
    CASES,
    SIZES,
    geometry,
    make,
    operator_matrix,
    oracle,
    padding_pairs,
    relative_error,
    spatial_of,
)
from dense_operators import circular_convolution_matrix, selection_matrix
from torch import nn

from gan_convnorm.fourier import convolution as fourier_convolution
from gan_convnorm.fourier import execution, power_spectrum
from gan_convnorm.layers import ConvNorm2d, ConvNormTranspose2d
from gan_convnorm.layers.convnorm import methods


@pytest.fixture(params=["in fourier", "of the response"])
def path(request, monkeypatch):
    """Both exact ways to compute it, whichever is the faster; in several parts, which small cases would not need."""
    monkeypatch.setattr(execution, "part_elements", lambda tensor: 60)
    monkeypatch.setattr(fourier_convolution, "BLOCK", 60)
    monkeypatch.setattr(fourier_convolution, "FREQUENCIES", 1)
    if request.param == "of the response":
        monkeypatch.setattr(power_spectrum, "LARGEST_MATRIX", 0)  # by a fast transform, as on large grids

    def choose(layer, images, geometry):
        return layer.groups == 1 and request.param == "in fourier"

    monkeypatch.setattr(methods, "matmul_pays", choose)


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
    image = torch.randn(2, 2, 3, 2, dtype=torch.float64, requires_grad=True)
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


class DropConnect(nn.Module):
    """A weight whose taps are left out at random."""

    def forward(self, weight):
        return nn.functional.dropout(weight, 0.5, self.training)


@pytest.mark.parametrize("kind", [ConvNorm2d, ConvNormTranspose2d])
def test_the_bound_holds_for_a_parametrization_that_is_random(kind):
    torch.manual_seed(0)
    layer = kind(8, 1, 3, padding=1, bias=False, eps=1e-6)
    nn.utils.parametrize.register_parametrization(layer, "weight", DropConnect())
    image = torch.eye(8 * 36).view(-1, 8, 6, 6)
    norms = [torch.linalg.matrix_norm(layer(image).detach().flatten(1), 2).item() for _ in range(10)]
    assert max(norms) <= 1 + 1e-5 and len(set(norms)) > 1
