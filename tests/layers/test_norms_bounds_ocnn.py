"""The orthogonality penalty and the bound that it gives, against dense matrices."""

import math
from itertools import product

import pytest
import torch
from normalized_convolutions import GEOMETRIES, dense, norm_of
from torch import nn

from gan_convnorm.layers import find_normalization
from gan_convnorm.layers.ocnn import OCNNConv2d

OCNN = {
    **{name: GEOMETRIES[name] for name in ("3x3", "1x1", "4x4 stride 2", "3x3 stride 2", "groups, dilation")},
    "stride 2, dilation 3": GEOMETRIES["stride 2, dilation 3"],
    "stride 3": dict(kernel_size=2, stride=3),
}


@pytest.mark.parametrize("case", OCNN)
@pytest.mark.parametrize("channels", [(4, 6), (2, 40)])
def test_ocnn_penalty_is_the_dense_operators(case, channels):
    layer = OCNNConv2d(*channels, **OCNN[case], dtype=torch.float64, coefficient=0.5)
    coarse = [
        2 * (d * (k - 1) // s) + 1 for s, d, k in zip(layer.stride, layer.dilation, layer.kernel_size, strict=True)
    ]
    grid = [n * s for n, s in zip(coarse, layer.stride, strict=True)]
    matrix = dense(layer.weight, grid, layer, "circular")
    matrix = matrix[:, matrix.abs().sum(0) > 0]
    gram = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    expected = (gram - torch.eye(len(gram))).square().sum() / math.prod(coarse)
    assert layer.penalty().item() == pytest.approx(0.5 * expected.item(), rel=1e-9)


def test_ocnn_penalty_of_a_stride_has_its_identity_at_lag_zero():
    """A kernel of one tap is orthogonal at every stride; shifted by a pixel it would be charged."""
    layer = OCNNConv2d(4, 4, 3, stride=2, padding=1, dtype=torch.float64)
    for tap in product(range(3), range(3)):
        with torch.no_grad():
            layer.weight.zero_()
            layer.weight[:, :, tap[0], tap[1]] = torch.linalg.qr(torch.randn(4, 4, dtype=torch.float64))[0]
        assert layer.penalty().item() == pytest.approx(0, abs=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("case", OCNN)
@pytest.mark.parametrize("channels", [(4, 6), (2, 40)])
def test_ocnn_bounds_the_norm_by_the_penalty(case, channels):
    torch.manual_seed(0)
    plain = nn.Conv2d(*channels, **OCNN[case], dtype=torch.float64)
    layer = find_normalization("ocnn", {"coefficient": 1.0}).conv(plain)
    optimizer = torch.optim.Adam(layer.parameters(), 0.03)
    lags = math.prod(
        2 * (d * (k - 1) // s) + 1 for s, d, k in zip(layer.stride, layer.dilation, layer.kernel_size, strict=True)
    )
    read = [
        min(k, s // math.gcd(s, d)) for k, s, d in zip(layer.kernel_size, layer.stride, layer.dilation, strict=True)
    ]
    rows, columns = layer.out_channels // layer.groups, layer.weight.shape[1] * math.prod(read)
    first = layer.penalty().item()
    for step in range(61):
        penalty = layer.penalty()
        if step in (0, 60):
            bound = 1 + math.sqrt(lags * (penalty.item() + layer.groups * max(0, rows - columns)))
            assert norm_of(dense(layer.weight, (6, 6), layer)) ** 2 <= bound
        optimizer.zero_grad()
        penalty.backward()
        optimizer.step()
    assert layer.penalty().item() <= 0.3 * first
    other = OCNNConv2d(*channels, **OCNN[case], dtype=torch.float64)
    other.load_state_dict(layer.state_dict())
    grid = [12 // s * s for s in layer.stride]
    matrix = dense(other.eval().weight, grid, other, "circular")
    # The penalty is the mean of the squared deviations from one.
    values = torch.linalg.svdvals(matrix[:, matrix.abs().sum(0) > 0])
    pixels = math.prod(n // s for n, s in zip(grid, layer.stride, strict=True))
    deviation = ((values.square() - 1).square().sum() / pixels).item()
    assert deviation == pytest.approx(layer.penalty().item(), rel=1e-6, abs=1e-9)
