"""Adaptive orthogonal convolutions against the product of dense orthogonal matrices."""

import math

import pytest
import torch
from normalized_convolutions import GEOMETRIES, SIZE, STATES, applied, dense, in_state, norm_of
from torch import nn

from gan_convnorm.errors import BadInput
from gan_convnorm.layers import aoc, convert


def polar(matrix):
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    return left @ right


def matrices(layer):
    """The orthogonal Q and W that the stored matrices stand for, None where there is none."""
    stored = layer.parametrizations.weight
    found = [stored.original] if stored.is_tensor else [stored.original0, stored.original1]
    part = stored[0]
    product = polar(found[0].detach()) if part.has_product else None
    return product, polar(found[-1].detach()[:, 0]) if part.has_matrix else None


def dense_product(bases, down, inputs, outputs, layer, size):
    """The operator of two reflections and of all projections, one group's, on a circular grid."""
    pixels, channels = math.prod(size), bases.shape[1]
    places = torch.arange(pixels).view(size)
    identity = torch.eye(channels, dtype=torch.float64)

    def on_pixels(matrix, axis=None):
        moved = places if axis is None else places.roll(-layer.dilation[axis], axis)
        return torch.kron(matrix, torch.eye(pixels, dtype=torch.float64)[moved.flatten()])

    projections = [q @ q.T for q in bases]
    factors = [on_pixels(identity - 2 * p) for p in (projections[1], projections[0])]
    steps = {axis: [on_pixels(p) + on_pixels(identity - p, axis) for p in some] for axis, some in
             ((1, projections[2 + down :]), (0, projections[2 : 2 + down]))}  # fmt: skip
    for i in range(max(map(len, steps.values()))):
        factors += [steps[axis][i] for axis in (1, 0) if i < len(steps[axis])]
    operator = torch.eye(channels * pixels, dtype=torch.float64)[:, : min(inputs, outputs) * pixels]
    for factor in factors:
        operator = factor @ operator
    return operator if outputs >= inputs else adjoint_taps(operator, inputs, outputs, size)


def adjoint_taps(operator, inputs, outputs, size):
    """The operator whose kernel has input and output channels exchanged, tap by tap."""
    mirrored = operator.view(inputs, math.prod(size), outputs, math.prod(size)).permute(2, 3, 0, 1)
    return mirrored.flip(1, 3).reshape(outputs * math.prod(size), -1)


@pytest.mark.parametrize("case", GEOMETRIES)
@pytest.mark.parametrize("channels", [(4, 6), (6, 4)])
@pytest.mark.parametrize("state", STATES)
def test_the_whole_operator(case, channels, state):
    layer = in_state(state, "aoc", {}, case, channels)
    part, (bases, rows) = layer.parametrizations.weight[0], matrices(layer)
    for group, kernel in enumerate(layer.weight.detach().chunk(layer.groups)):
        one = nn.Conv2d(part.inputs, part.outputs, layer.kernel_size, dilation=layer.dilation, stride=layer.stride)
        found = dense(kernel, SIZE, one, "circular", (0, 0))
        expected = torch.eye(part.inputs * math.prod(SIZE), dtype=torch.float64)
        if bases is not None:
            expected = dense_product(bases[group], part.longer[0], part.inputs, part.between, layer, SIZE)
        if rows is not None:
            taps = rows[group].view(-1, part.between, *part.taps)
            expected = dense(taps, SIZE, one, "circular", (0, 0)) @ expected
        assert torch.allclose(found, expected, atol=1e-11)
        assert (torch.linalg.svdvals(found) - 1).abs().max() <= 1e-11
    assert 0.5 <= norm_of(applied(layer, (7, 5) if layer.padding_mode == "zeros" else SIZE)) <= 1 + 1e-12


def test_the_bound_holds_for_any_stored_matrices_and_one_iteration():
    """They are far from orthogonal: Gaussian, one of them zero."""
    for case in GEOMETRIES:
        layer = in_state("start", "aoc", {"iterations": 1}, case, (4, 6))
        for stored in layer.parametrizations.weight.parameters():
            nn.init.normal_(stored, std=3)
            stored.data[:, 0, 0, 0] = 0
        assert 0.1 <= norm_of(applied(layer, SIZE)) <= 1 + 1e-12


def test_other_kernels_and_strides_keep_the_bound():
    torch.manual_seed(0)
    for arguments in (
        dict(kernel_size=1, stride=2),
        dict(kernel_size=2),
        dict(kernel_size=(5, 2), stride=(3, 1), padding=2),
        dict(kernel_size=4, padding="same", padding_mode="reflect"),
    ):
        layer = aoc(nn.Conv2d(3, 5, **arguments, dtype=torch.float64))
        found = norm_of(dense(layer.weight, (9, 6), layer, "circular", (0, 0)))
        assert abs(found - 1) <= 1e-11
        assert layer(torch.zeros(1, 3, 9, 6, dtype=torch.float64)).shape[1] == 5


def test_stride_1_is_orthogonium_s_kernel():
    blocks = pytest.importorskip("orthogonium.layers.conv.AOC.fast_block_ortho_conv", reason="orthogonium is not there")
    for channels in ((4, 6), (6, 4), (4, 4)):
        layer = aoc(nn.Conv2d(*channels, 3, dtype=torch.float64))
        theirs = blocks.BCOPTrivializer(*channels, 3, 1)(matrices(layer)[0])
        torch.testing.assert_close(layer.weight, theirs, rtol=0, atol=1e-12)


def test_what_cannot_be_orthogonal_is_refused_and_left_as_it_is():
    depthwise, both = nn.Conv2d(4, 4, 3, groups=4), nn.Conv2d(4, 4, 3, stride=2, dilation=2)
    # No product of kernels here, and yet the taps of neighbouring outputs meet: the norm was 1.5 to 1.9.
    meeting = nn.Conv2d(4, 4, (1, 2), stride=2, dilation=(1, 2))
    refused = ((depthwise, "a group has 1 channel"), (both, r"stride is \(2, 2\) and dilation \(2, 2\)"))
    for conv, said in (*refused, (meeting, r"dilation \(1, 2\), by which taps of different outputs meet")):
        with pytest.raises(BadInput, match=said):
            aoc(conv)
        assert type(conv) is nn.Conv2d
    _, report = convert(nn.Sequential(depthwise, nn.Conv2d(4, 4, 1)), "aoc")
    assert list(report.changed) == ["1"] and "1 channel" in report.left["0"]


def test_a_dilation_without_a_factor_in_common_with_the_stride_is_orthogonal():
    torch.manual_seed(0)
    layer = aoc(nn.Conv2d(1, 9, 3, stride=3, dilation=2, padding_mode="circular", padding=2, bias=False).double())
    images = torch.eye(81, dtype=torch.float64).view(81, 1, 9, 9)
    matrix = layer(images).flatten(1).T
    assert torch.linalg.matrix_norm(matrix, 2).item() == pytest.approx(1, abs=1e-9)
