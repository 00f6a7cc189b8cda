"""ConvNormTranspose2d against a dense float64 construction from the definition."""

import math

import pytest
import torch
from dense_operators import (
    circular_convolution_matrix,
    embedding_matrix,
    inverse_square_root,
    selection_matrix,
)
from torch import nn

from gan_convnorm.errors import BadInput
from gan_convnorm.layers import ConvNormTranspose2d

CASES = {
    "4x4 stride 2": dict(kernel_size=4, stride=2, padding=1),
    "3x3": dict(kernel_size=3, padding=1),
    "no padding": dict(kernel_size=(2, 3), stride=(1, 2)),
    "output padding": dict(kernel_size=3, stride=2, padding=1, output_padding=1),
    "output padding above the padding": dict(kernel_size=3, stride=3, output_padding=2),
    "stride above the kernel": dict(kernel_size=2, stride=3),
    "dilation": dict(kernel_size=3, stride=2, padding=2, dilation=2),
    "groups": dict(in_channels=4, out_channels=6, kernel_size=4, stride=2, padding=1, groups=2),
    "1x1": dict(kernel_size=1, stride=2),
    "no bias": dict(kernel_size=3, bias=False),
    "linear": dict(kernel_size=4, stride=2, padding=1, boundary="linear"),
}


def oracle(layer, image):
    size = tuple(image.shape[2:])
    axes = list(
        zip(size, layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.output_padding, strict=True)
    )
    count = [(n - 1) * s - 2 * p + d * (k - 1) + o + 1 for n, k, s, p, d, o in axes]
    grid = [max((n - 1) * s + d * (k - 1) + 1, p + c) for (n, k, s, p, d, _), c in zip(axes, count, strict=True)]
    grid = [2 * n for n in grid] if layer.options.boundary == "linear" else grid
    # Zeros between the pixels, then a convolution: a correlation with the flipped kernel.
    upsampling = embedding_matrix(size, grid, layer.stride)
    selection = selection_matrix(grid, layer.padding, count, (1, 1))
    offset = [d * (k - 1) for _, k, _, _, d, _ in axes]
    per_group_in, per_group_out = layer.in_channels // layer.groups, layer.out_channels // layer.groups
    gain = 1 / math.sqrt(per_group_out) if layer.options.gain == "lipschitz" else layer.options.gain
    outputs = []
    for k in range(layer.out_channels):
        group, within = divmod(k, per_group_out)
        rows = slice(group * per_group_in, (group + 1) * per_group_in)
        kernels = layer.weight.detach()[rows, within].flip(1, 2)
        matrix = torch.cat([circular_convolution_matrix(a, grid, layer.dilation, offset) for a in kernels], dim=1)
        frame = inverse_square_root(matrix @ matrix.T, layer.options.eps) @ matrix
        response = (image[:, rows].double().flatten(2) @ upsampling.T).flatten(1) @ frame.T
        if layer.affine_weight is not None:
            taps = layer.affine_weight[k].detach()
            centre = [(t - 1) // 2 for t in taps.shape]
            response = response @ circular_convolution_matrix(taps, grid, None, centre).T
        bias = 0.0 if layer.bias is None else layer.bias[k].detach()
        outputs.append((gain * response @ selection.T + bias).unflatten(1, count))
    return torch.stack(outputs, dim=1)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("options", [dict(eps=1e-12), dict(affine="depthwise", gain="lipschitz")])
def test_equals_the_dense_construction(case, options):
    torch.manual_seed(0)
    arguments = {"in_channels": 2, "out_channels": 3, "dtype": torch.float64, **CASES[case], **options}
    layer = ConvNormTranspose2d(**arguments)
    if layer.affine_weight is not None:
        nn.init.normal_(layer.affine_weight)
    image = torch.randn(2, layer.in_channels, 4, 3, dtype=torch.float64)
    output = layer(image).detach()
    plain = {name: value for name, value in arguments.items() if name not in (*options, "boundary")}
    assert output.shape == nn.ConvTranspose2d(**plain)(image).shape
    expected = oracle(layer, image)
    assert (output - expected).norm() <= 1e-10 * expected.norm()


@pytest.mark.parametrize("case", CASES)
def test_lipschitz_gain_bounds_the_norm(case):
    torch.manual_seed(0)
    arguments = {"in_channels": 2, "out_channels": 3, "dtype": torch.float64, **CASES[case]}
    layer = ConvNormTranspose2d(**arguments, gain="lipschitz")
    pixels = layer.in_channels * 12
    basis = torch.eye(pixels, dtype=torch.float64).unflatten(1, (layer.in_channels, 4, 3))
    with torch.no_grad():
        matrix = (layer(basis) - layer(torch.zeros_like(basis[:1]))).flatten(1)
    assert 0.1 <= torch.linalg.matrix_norm(matrix, 2) <= 1 + 1e-12


@pytest.mark.parametrize("options", [{}, {"tolerance": 0.1}, {"boundary": "linear"}])
def test_a_padding_that_leaves_no_output_is_one_line(options):
    layer = ConvNormTranspose2d(1, 1, 3, padding=2, **options)
    with pytest.raises(BadInput, match=r"ConvNormTranspose2d: an image of 1 x 1 pixels has no output with padding"):
        layer(torch.ones(1, 1, 1, 1))


def test_output_size_is_conv_transpose2ds():
    image = torch.randn(2, 4, 5, 6)
    plain, layer = nn.ConvTranspose2d(4, 6, 3, 2, 1), ConvNormTranspose2d(4, 6, 3, 2, 1)
    assert layer(image, output_size=[10, 11]).shape == plain(image, output_size=[10, 11]).shape
    assert torch.allclose(layer(image[0]), layer(image)[0], atol=1e-6)


@pytest.mark.slow
def test_derivatives():
    layer = ConvNormTranspose2d(2, 2, 3, stride=2, padding=1, affine="depthwise", dtype=torch.float64)
    image = torch.randn(1, 2, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, (image,))

    def through_the_weight(weight):
        return torch.func.functional_call(layer, {"weight": weight}, (image.detach(),))

    weight = layer.weight.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(through_the_weight, (weight,))
    assert torch.autograd.gradgradcheck(through_the_weight, (weight,))


def test_it_has_no_option_for_a_stride():
    with pytest.raises(BadInput, match=r"ConvNormTranspose2d: .* has no option strided; omit it"):
        ConvNormTranspose2d(3, 4, 3, strided="fold")
