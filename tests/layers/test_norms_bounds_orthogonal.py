"""Bounds of oni and aol at the start, after training, in evaluation and after a reload."""

import copy
import math

import pytest
import torch
from normalized_convolutions import GEOMETRIES, SIZE, STATES, dense, in_state, norm_of, stored
from torch import nn

from gan_convnorm.layers import find_normalization


def newton(value, iterations):
    for _ in range(iterations):
        value = 1.5 * value - 0.5 * value**3
    return value


@pytest.mark.parametrize("case", GEOMETRIES)
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("options", [{}, {"iterations": 2, "center": False}])
def test_oni(case, state, options):
    layer = in_state(state, "oni", options, case, channels=(4, 6))
    for found, raw in zip(layer.weight.detach().chunk(layer.groups), stored(layer).chunk(layer.groups), strict=True):
        rows = raw.flatten(1)
        rows = rows - rows.mean(1, keepdim=True) if options.get("center", True) else rows
        left, values, right = torch.linalg.svd(rows, full_matrices=False)
        scaled = values / values.pow(4).sum() ** 0.25
        expected = left @ torch.diag(newton(scaled, options.get("iterations", 5))) @ right
        assert torch.allclose(found.flatten(1), expected, atol=1e-12)
        assert 0.5 <= norm_of(found.flatten(1)) <= 1 + 1e-12
    assert norm_of(dense(layer.weight, SIZE, layer)) <= math.sqrt(math.prod(layer.kernel_size)) * (1 + 1e-12)


def test_oni_comes_to_orthogonal_rows_and_columns():
    for channels in ((3, 5), (2, 40)):
        layer = find_normalization("oni", {"iterations": 30}).conv(nn.Conv2d(*channels, 3, dtype=torch.float64))
        rows = layer.weight.detach().flatten(1)
        gram = rows @ rows.T if rows.shape[0] < rows.shape[1] else rows.T @ rows
        # Centred rows of eighteen numbers span seventeen directions.
        expected = torch.eye(len(gram), dtype=torch.float64) - (1 / 18 if channels == (2, 40) else 0)
        assert (gram - expected).abs().max() <= 1e-12


def test_oni_keeps_its_bound_in_single_precision_for_any_number_of_iterations():
    """A square matrix has tiny singular values; iterated on (V V^T)^(-1/2) its norm was 45 after 10 iterations."""
    linear = nn.Linear(64, 64)
    nn.init.normal_(linear.weight)
    for iterations in (10, 30):
        weight = find_normalization("oni", {"iterations": iterations}).linear(copy.deepcopy(linear)).weight
        assert 1 - 1e-5 <= norm_of(weight.detach().double()) <= 1 + 1e-6


@pytest.mark.parametrize("case", GEOMETRIES)
@pytest.mark.parametrize("state", STATES)
def test_aol(case, state):
    layer = in_state(state, "aol", {}, case, channels=(4, 6))
    # On a grid that no two lags share, the columns' scales are those of the infinite grid, equal for all pixels.
    grid = [
        s * (2 * d * (k - 1) // s + 2) for s, d, k in zip(layer.stride, layer.dilation, layer.kernel_size, strict=True)
    ]
    matrix = dense(stored(layer), grid, layer, "circular")
    scales = (matrix.T @ matrix).abs().sum(1).rsqrt()
    assert torch.allclose(dense(layer.weight, grid, layer, "circular"), matrix * scales, atol=1e-12)
    found = [norm_of(dense(layer.weight, size, layer)) for size in ((4, 4), (6, 8), (12, 10))]
    assert 0.3 <= max(found) <= 1 + 1e-12
