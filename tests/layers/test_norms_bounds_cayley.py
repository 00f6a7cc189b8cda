"""The Cayley transform and LOT of a convolution against the dense transforms of its matrix."""

import copy
import math

import pytest
import torch
from normalized_convolutions import SIZE, STATES, applied, dense, norm_of, train

from gan_convnorm.layers import CayleyConv2d, LOTConv2d

CAYLEY = {
    "circular": dict(kernel_size=3, padding=1, padding_mode="circular"),
    "circular, groups": dict(kernel_size=3, padding=1, padding_mode="circular", groups=2),
    "circular, stride 2": dict(kernel_size=4, stride=2, padding=1, padding_mode="circular"),
    "zeros": dict(kernel_size=3, padding=1),
    "zeros, dilation": dict(kernel_size=(3, 1), padding=(2, 0), dilation=2),
    "no padding": dict(kernel_size=3),
    "1x1": dict(kernel_size=1),
}


def dense_cayley(matrix, grid):
    if matrix.shape[0] < matrix.shape[1]:
        return dense_cayley(matrix.T, grid).T
    columns = matrix.shape[1]
    upper, lower, identity = matrix[:columns], matrix[columns:], torch.eye(columns, dtype=torch.float64)
    skew = upper - upper.T + lower.T @ lower
    inverse = torch.linalg.inv(identity + skew)
    return torch.cat([(identity - skew) @ inverse, -2 * lower @ inverse])


def dense_lot(matrix, grid, iterations=10):
    """Every frequency's singular values through Newton's polynomial, by the dense Fourier transform and SVD."""
    transform = torch.fft.fft2(torch.eye(math.prod(grid), dtype=torch.float64).view(-1, *grid), norm="ortho")
    transform = transform.flatten(1).T
    pixels = len(transform)
    blocks = matrix.view(-1, pixels, matrix.shape[1] // pixels, pixels).to(torch.complex128)
    blocks = torch.einsum("fp,opiq,gq->ofig", transform, blocks, transform.conj())
    found = torch.zeros_like(blocks)
    for f in range(pixels):
        left, values, right = torch.linalg.svd(blocks[:, f, :, f], full_matrices=False)
        values = values / values.pow(4).sum() ** 0.25
        for _ in range(iterations):
            values = 1.5 * values - 0.5 * values**3
        found[:, f, :, f] = left @ torch.diag(values).to(left.dtype) @ right
    found = torch.einsum("fp,ofig,gq->opiq", transform.conj(), found, transform)
    assert found.imag.abs().max() <= 1e-12
    return found.real.reshape(matrix.shape)


TRANSFORMS = {CayleyConv2d: dense_cayley, LOTConv2d: dense_lot}


@pytest.mark.slow
@pytest.mark.parametrize("case", CAYLEY)
@pytest.mark.parametrize("channels", [(2, 4), (4, 2), (2, 10)])
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("kind", TRANSFORMS)
def test_the_whole_operator(kind, case, channels, state):
    layer = kind(*channels, **CAYLEY[case], dtype=torch.float64)
    if state != "start":
        train(layer, lr=0.1)
    if state == "trained and reloaded":
        other = kind(*channels, **CAYLEY[case], dtype=torch.float64)
        other.load_state_dict(layer.state_dict())
        layer = other.eval()
    found = applied(layer, SIZE)
    centres = [d * ((k - 1) // 2) for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
    zeros = layer.padding_mode == "zeros"
    grid = [n + p * zeros for n, p in zip(SIZE, layer.padding, strict=True)]
    coarse = [n // s for n, s in zip(grid, layer.stride, strict=True)]
    parts = []
    for part in layer.weight.detach().chunk(layer.groups):
        one = copy.copy(layer)
        one.groups = 1
        matrix = dense(part, grid, one, "circular", centres)
        # Columns in the order (channel, phase, coarse pixel), in which the upper part is a square of channels.
        (s1, s2), (m1, m2) = layer.stride, coarse
        order = torch.arange(matrix.shape[1]).view(-1, m1, s1, m2, s2).permute(0, 2, 4, 1, 3).flatten()
        orthogonal = torch.empty_like(matrix)
        orthogonal[:, order] = TRANSFORMS[kind](matrix[:, order].contiguous(), coarse)
        gram = orthogonal @ orthogonal.T if orthogonal.shape[0] <= orthogonal.shape[1] else orthogonal.T @ orthogonal
        if kind is CayleyConv2d:
            assert (gram - torch.eye(len(gram))).abs().max() <= 1e-12
        parts.append(orthogonal.view(-1, *coarse, part.shape[1], *grid))
    expected = torch.zeros(layer.out_channels, *coarse, layer.in_channels, *grid, dtype=torch.float64)
    for g, part in enumerate(parts):
        expected[g * part.shape[0] : (g + 1) * part.shape[0], :, :, g * part.shape[3] : (g + 1) * part.shape[3]] = part
    shift = [c - p for c, p in zip(centres, layer.padding, strict=True)]
    count = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, p, d, k, s in zip(SIZE, layer.padding, layer.dilation, layer.kernel_size, layer.stride, strict=True)
    ]
    expected = expected[:, shift[0] : shift[0] + count[0], shift[1] : shift[1] + count[1], :, : SIZE[0], : SIZE[1]]
    assert torch.allclose(found, expected.flatten(3).flatten(0, 2), atol=1e-11)
    assert 0.5 <= norm_of(found) <= 1 + 1e-12
    if kind is CayleyConv2d and case == "circular" and channels[0] <= channels[1]:
        assert torch.linalg.svdvals(found).min() >= 1 - 1e-12


def test_lot_comes_to_an_orthogonal_operator():
    torch.manual_seed(0)
    for channels in ((2, 4), (4, 2), (3, 3)):
        layer = LOTConv2d(*channels, 3, padding=1, padding_mode="circular", iterations=40, dtype=torch.float64)
        assert (torch.linalg.svdvals(applied(layer, SIZE)) - 1).abs().max() <= 1e-9
