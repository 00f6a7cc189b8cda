"""Skew orthogonal convolutions against the dense series of the matrix M - M^T."""

import copy
import math

import pytest
import torch
from normalized_convolutions import GEOMETRIES, SIZE, STATES, applied, dense, norm_of, train

from gan_convnorm.layers import SOCConv2d
from gan_convnorm.layers.skew import skew, unit_skew
from gan_convnorm.layers.soc import TERMS

#: geometry; the first pixel and the first output (in strided pixels) on the grid, and the grid's size in strided pixels
CASES = {
    "zeros": (dict(kernel_size=3, padding=1), 0, 0, (6, 4)),
    "groups": (dict(kernel_size=3, padding=1, groups=2), 0, 0, (6, 4)),
    "dilation": (dict(kernel_size=(3, 1), padding=(2, 0), dilation=2), 0, 0, (6, 4)),
    "no padding": (dict(kernel_size=3), 0, 1, (6, 4)),
    "wide padding": (dict(kernel_size=3, padding=2), 1, 0, (8, 6)),
    "stride 2": (dict(kernel_size=3, padding=1, stride=2), 0, 0, (3, 2)),
    "4x4, stride 2": (dict(kernel_size=4, padding=1, stride=2), 0, 0, (3, 2)),
    "circular": (dict(kernel_size=3, padding=1, padding_mode="circular"), 0, 0, (6, 4)),
    "circular, stride 2": (dict(kernel_size=4, padding=1, stride=2, padding_mode="circular"), 0, 0, (3, 2)),
    "1x1": (dict(kernel_size=1), 0, 0, (6, 4)),
}


def made(state, channels, **arguments):
    torch.manual_seed(0)
    layer = SOCConv2d(*channels, **arguments, dtype=torch.float64)
    if state == "start":
        return layer
    train(layer, lr=0.1)
    other = SOCConv2d(*channels, **arguments, dtype=torch.float64)
    other.load_state_dict(layer.state_dict())
    return other.eval()


def skew_matrix(weight, coarse, layer, padding_mode):
    """M - M^T on a grid, and the order of the columns (channel, pixel) that makes them (channel, phase, pixel)."""
    centres = [d * ((k - 1) // 2) for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
    fine = [n * s for n, s in zip(coarse, layer.stride, strict=True)]
    matrix = dense(weight, fine, layer, padding_mode, centres)
    (s1, s2), (n1, n2) = layer.stride, coarse
    order = torch.arange(matrix.shape[1]).view(-1, n1, s1, n2, s2).permute(0, 2, 4, 1, 3).flatten()
    square = torch.zeros(max(matrix.shape), max(matrix.shape), dtype=torch.float64)
    square[: matrix.shape[0], : matrix.shape[1]] = matrix[:, order]
    return square - square.T, order


def divisor(weight, layer):
    """sqrt(k_h k_w) times the Schatten norm of M - M^T's kernels with rows (output, k_h) and columns (input, k_w)."""
    plain = copy.copy(layer)
    plain.dilation = tuple(d if s > 1 else 1 for d, s in zip(layer.dilation, layer.stride, strict=True))
    taps = [3 if k > 1 else 1 for k in layer.kernel_size]
    matrix, _ = skew_matrix(weight, taps, plain, "circular")
    kernels = matrix.view(-1, math.prod(taps), len(matrix) // math.prod(taps), *taps)[:, 0]
    values = torch.linalg.svdvals(kernels.transpose(1, 2).reshape(len(kernels) * taps[0], -1))
    return math.sqrt(math.prod(taps)) * values.pow(32).sum() ** (1 / 32)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("channels", [(2, 4), (4, 2), (2, 10)])
@pytest.mark.parametrize("state", STATES)
def test_the_whole_operator(case, channels, state):
    arguments, pixel, lead, coarse = CASES[case]
    layer = made(state, channels, **arguments)
    found = applied(layer, SIZE)
    one = copy.copy(layer)
    one.groups = 1
    fine = [n * s for n, s in zip(coarse, layer.stride, strict=True)]
    count = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, p, d, k, s in zip(SIZE, layer.padding, layer.dilation, layer.kernel_size, layer.stride, strict=True)
    ]
    expected = torch.zeros(layer.out_channels, *count, layer.in_channels, *SIZE, dtype=torch.float64)
    for g, part in enumerate(layer.weight.detach().chunk(layer.groups)):
        generator, order = skew_matrix(part, coarse, one, layer.padding_mode)
        if case == "1x1":
            whole = torch.linalg.matrix_exp(generator)
        else:
            generator = generator / divisor(part, one)
            assert norm_of(generator) <= 1
            powers = [torch.linalg.matrix_power(generator, i) / math.factorial(i) for i in range(9)]
            whole = torch.stack(powers).sum(0)
        block = torch.empty(len(part) * math.prod(coarse), len(order), dtype=torch.float64)
        block[:, order] = whole[: len(block), : len(order)]
        block = block.view(len(part), *coarse, -1, *fine)
        rows = slice(g * len(part), (g + 1) * len(part))
        columns = slice(g * part.shape[1], (g + 1) * part.shape[1])
        outputs = [slice(lead, lead + n) for n in count]
        pixels = [slice(pixel, pixel + n) for n in SIZE]
        expected[(rows, slice(None), slice(None), columns)] = block[(slice(None), *outputs, slice(None), *pixels)]
    assert torch.allclose(found, expected.flatten(3).flatten(0, 2), atol=1e-11)
    values = torch.linalg.svdvals(found)
    assert 0.5 <= values.max() <= 1 + 1e-12
    if case not in ("no padding", "wide padding"):
        assert values.min() >= 1 - 2.2e-6


@pytest.mark.slow
@pytest.mark.parametrize("case", GEOMETRIES)
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("terms", [3, 4, 12])
def test_the_norm_is_at_most_one_in_every_geometry(case, state, terms):
    layer = made(state, (4, 6), **GEOMETRIES[case], terms=terms)
    # The third size is no multiple of the stride.
    sizes = ((4, 4), (6, 8)) if layer.padding_mode == "circular" else ((4, 4), (6, 8), (7, 5))
    assert 0.3 <= max(norm_of(applied(layer, size)) for size in sizes) <= 1 + 1e-12


def test_even_kernels_and_other_paddings_keep_the_bound():
    for arguments in (
        dict(kernel_size=2),
        dict(kernel_size=4, padding="same"),
        dict(kernel_size=5, padding=4, stride=3),
    ):
        assert 0.3 <= norm_of(applied(made("start", (2, 3), **arguments), (7, 6))) <= 1 + 1e-12


def test_numbers_of_terms_whose_series_never_exceeds_one():
    """On the imaginary axis up to 1, where the eigenvalues of J are."""
    points = 1j * torch.linspace(-1, 1, 2001, dtype=torch.float64)
    for n in range(1, 13):
        largest = sum(points**i / math.factorial(i) for i in range(n + 1)).abs().max().item()
        assert (largest <= 1 + 1e-15) == (n in TERMS)
    smallest = sum(points**i / math.factorial(i) for i in range(9)).abs().min().item()
    assert 1 - 2.2e-6 <= smallest <= 1 - 2.1e-6


@pytest.mark.parametrize("channels", [2, 8, 48])
def test_the_divisor_is_near_the_norm(channels):
    """It bounds the norm of random kernels, and is at most 2.2 times as large."""
    torch.manual_seed(0)
    generator = unit_skew(skew(torch.randn(1, channels, channels, 3, 3, dtype=torch.float64)))
    symbol = torch.fft.fft2(generator[0], (32, 32)).permute(2, 3, 0, 1)
    assert 1 / 2.2 <= torch.linalg.matrix_norm(symbol, 2).max() <= 1
