"""The certificate of a truncated preconditioner, against dense operators."""

import copy
from dataclasses import replace

import pytest
import torch
from dense_operators import circular_convolution_matrix, inverse_square_root
from torch import nn

from gan_convnorm.layers import ConvNorm2d


def dense_operators(layer, kernels, grid):
    """P_k from the kernels of a channel, and A_k A_k^T, on a circular grid."""
    matrix = torch.cat([circular_convolution_matrix(a, grid) for a in kernels], dim=1)
    gram = matrix @ matrix.T
    return inverse_square_root(gram, layer.options.eps), gram


def truncated(layer, grid):
    return layer.truncate(layer.power_spectrum(grid), grid)


@pytest.mark.slow
@pytest.mark.parametrize("trained", [False, True])
def test_error_and_norm_are_within_the_certificate(trained):
    torch.manual_seed(0)
    layer = ConvNorm2d(32, 3, 3, padding=1, dtype=torch.float64, tolerance=1e-3, max_radius=6)
    if trained:
        optimizer = torch.optim.Adam(layer.parameters(), lr=0.01)
        target = torch.randn(8, 3, 6, 6, dtype=torch.float64)
        for _ in range(20):
            loss = (layer(torch.randn(8, 32, 6, 6, dtype=torch.float64)) - target).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    exact_and_gram = [dense_operators(layer, kernels, (14, 14)) for kernels in layer.weight.detach()]
    for tolerance in (1e-1, 1e-2, 1e-3):
        layer.options = replace(layer.options, tolerance=tolerance)
        found = truncated(layer, (14, 14))
        assert found is not None
        assert found.bound <= tolerance
        for taps, (exact, gram) in zip(found.taps.detach(), exact_and_gram, strict=True):
            cut = circular_convolution_matrix(taps, (14, 14), None, [found.radius] * 2)
            error = torch.linalg.matrix_norm(exact - cut, 2) / torch.linalg.matrix_norm(exact, 2)
            # Two-sided: a certificate that is always large would choose a radius above the smallest.
            assert found.bound / 30 <= error <= found.bound * (1 + 1e-9)
            # The norm of P'_k A_k, whose own singular values take a second.
            assert 0.5 <= torch.linalg.eigvalsh(cut @ gram @ cut.T)[-1].sqrt() <= 1 + 1e-12


def test_radius_is_the_smallest_that_is_certified():
    torch.manual_seed(0)
    layer = ConvNorm2d(64, 8, 3, padding=1, tolerance=1e-2, max_radius=8)
    found = truncated(layer, (18, 18))
    layer.options = replace(layer.options, max_radius=found.radius - 1)
    assert truncated(layer, (18, 18)) is None
    layer.options = replace(layer.options, max_radius=8, tolerance=1e-1)
    assert truncated(layer, (18, 18)).radius < found.radius


@pytest.mark.parametrize("boundary", ["circular", "linear"])
@pytest.mark.parametrize("affine", [None, "channel", "depthwise"])
@pytest.mark.parametrize(
    "geometry",
    [
        dict(kernel_size=3, padding=1),
        dict(kernel_size=3, padding=4, stride=2),
        dict(kernel_size=4, padding=1, stride=2),
        dict(kernel_size=4, padding=1, stride=2, strided="fold"),
        dict(kernel_size=(1, 3), padding=(0, 1)),
        dict(kernel_size=3, padding=1, padding_mode="reflect", groups=2),
        dict(kernel_size=3, padding=2, padding_mode="circular"),
    ],
)
def test_layer_is_as_close_to_the_exact_one_as_certified(boundary, affine, geometry):
    if boundary == "linear" and geometry.get("padding_mode") == "circular":
        pytest.skip("contradictory")
    torch.manual_seed(0)
    exact = ConvNorm2d(64, 8, **geometry, boundary=boundary, affine=affine, dtype=torch.float64)
    if affine:
        nn.init.normal_(exact.affine_weight)
    image = torch.randn(2, 64, 15, 14, dtype=torch.float64)
    expected = exact(image)
    errors = []
    for tolerance in (3e-1, 3e-2):
        layer = copy.deepcopy(exact)
        layer.options = replace(layer.options, tolerance=tolerance, max_radius=6)
        output = layer(image)
        assert output.shape == expected.shape
        errors.append(((output - expected).norm() / expected.norm()).item())
        # The bound is on operators, relative to the largest P_k; here P_k varies by less than 3 over frequencies.
        assert 0 < errors[-1] <= 3 * tolerance
    assert errors[1] <= errors[0]


def test_falls_back_to_the_exact_filter():
    torch.manual_seed(0)
    layer = ConvNorm2d(1, 4, 3, padding=1, tolerance=1e-3, max_radius=8)
    image = torch.randn(2, 1, 9, 9)
    assert truncated(layer, (11, 11)) is None
    output = layer(image)
    layer.options = replace(layer.options, tolerance=0.0)
    assert torch.equal(output, layer(image))


def test_certificate_is_checked_again_when_the_weights_change():
    torch.manual_seed(0)
    layer = ConvNorm2d(64, 2, 3, padding=1, tolerance=3e-2, max_radius=6, dtype=torch.float64)
    image = torch.randn(2, 64, 12, 12, dtype=torch.float64)
    layer(image)
    with torch.no_grad():  # Through .data no version counter would tell.
        layer.weight.data[:] = layer.weight.data[:, :1]
    exact = copy.deepcopy(layer)
    exact.options = replace(exact.options, tolerance=0.0)
    assert torch.allclose(layer(image), exact(image))


@pytest.mark.parametrize("boundary", ["circular", "linear"])
def test_wrapped_pixels_are_read_or_not(boundary):
    """An impulse in one corner reaches the opposite border around the grid, and only with boundary 'circular'."""
    torch.manual_seed(0)
    layer = ConvNorm2d(32, 4, 3, padding=1, bias=False, boundary=boundary, tolerance=5e-2, max_radius=4)
    found = truncated(layer, (22, 22) if boundary == "circular" else (44, 44))
    assert 2 <= found.radius <= 4
    image = torch.zeros(1, 32, 20, 20)
    image[..., 0, 0] = 1
    far = layer(image)[..., -1, -1].abs().max()
    assert (far > 0) == (boundary == "circular")
