"""Every norm's bound, at the start, after training, in evaluation, after a reload, against dense float64 matrices."""

import copy
import math
from dataclasses import replace
from itertools import product
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from gan_convnorm.errors import BadInput
from gan_convnorm.layers import ConvNorm2d, LinearRowNorm, find_normalization, norm_penalty, spectral_conv
from gan_convnorm.layers.cayley import CayleyConv2d
from gan_convnorm.layers.kernels import kernels_of
from gan_convnorm.layers.ocnn import OCNNConv2d, self_convolution_penalty

GEOMETRIES = {
    "3x3": dict(kernel_size=3, padding=1),
    "1x1": dict(kernel_size=1),
    "4x4 stride 2": dict(kernel_size=4, stride=2, padding=1),
    "3x3 stride 2": dict(kernel_size=3, stride=2, padding=1),
    "1x3": dict(kernel_size=(1, 3), padding=(0, 1)),
    "groups, dilation": dict(kernel_size=3, groups=2, dilation=2, padding=2),
    "stride 2, dilation 3": dict(kernel_size=2, stride=2, dilation=3, padding=1),
    "circular": dict(kernel_size=3, padding=1, padding_mode="circular"),
}
STATES = ["start", "trained and reloaded"]
SIZE = (6, 4)


def dense(weight, size, layer, padding_mode=None, padding=None):
    """The layer's matrix entry by entry, from the sum over the taps; rows and columns are (channel, pixel)."""
    weight, groups = weight.detach().double(), layer.groups
    outputs, inputs = weight.shape[0], weight.shape[1] * groups
    blocks = torch.zeros(outputs, inputs, *weight.shape[2:], dtype=torch.float64)
    for k in range(outputs):
        first = k // (outputs // groups) * weight.shape[1]
        blocks[k, first : first + weight.shape[1]] = weight[k]
    circular = (padding_mode or layer.padding_mode) == "circular"
    padding = padding or layer.padding
    count = [
        n // s if circular else (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, p, d, k, s in zip(size, padding, layer.dilation, weight.shape[2:], layer.stride, strict=True)
    ]
    matrix = torch.zeros(outputs, *count, inputs, *size, dtype=torch.float64)
    for pixel, tap in product(product(*map(range, count)), product(*map(range, weight.shape[2:]))):
        source = [
            s * m + d * t - p for s, m, d, t, p in zip(layer.stride, pixel, layer.dilation, tap, padding, strict=True)
        ]
        if circular:
            source = [j % n for j, n in zip(source, size, strict=True)]
        if all(0 <= j < n for j, n in zip(source, size, strict=True)):
            matrix[(slice(None), *pixel, slice(None), *source)] += blocks[(..., *tap)]
    return matrix.flatten(3).flatten(0, 2)


def norm_of(matrix):
    """The largest singular value, by the eigenvalues of the smaller Gram matrix."""
    gram = matrix @ matrix.T if matrix.shape[0] < matrix.shape[1] else matrix.T @ matrix
    return torch.linalg.eigvalsh(gram)[-1].sqrt().item()


def applied(layer, size):
    """The matrix of a linear layer by applying it to every basis image."""
    count = layer.in_channels * math.prod(size)
    basis = torch.eye(count, dtype=torch.float64).view(count, layer.in_channels, *size)
    with torch.no_grad():
        return (layer(basis) - layer(torch.zeros_like(basis[:1]))).flatten(1).T


def train(layer, size=SIZE, steps=20, lr=0.02):
    layer.train()
    optimizer = torch.optim.Adam(layer.parameters(), lr)
    target = None
    for _ in range(steps):
        output = layer(torch.randn(8, layer.in_channels, *size, dtype=torch.float64))
        target = 10 * torch.randn_like(output[:1]) if target is None else target
        loss = (output - target).square().mean() + norm_penalty(layer)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def in_state(state, name, options, case, channels=(2, 4), settle=0):
    """A layer of float64 at one point of its life; `settle` forwards let power iterations converge."""

    def fresh(seed):
        torch.manual_seed(seed)
        return find_normalization(name, options).conv(nn.Conv2d(*channels, **GEOMETRIES[case], dtype=torch.float64))

    layer = fresh(0)
    if state != "start":
        train(layer)
    if settle:
        layer.parametrizations.weight[0].n_power_iterations = 50
    for _ in range(settle):
        _ = layer.weight
    layer.eval()
    if state == "trained and reloaded":
        other = fresh(1)
        other.load_state_dict(layer.state_dict())
        assert torch.equal(other.eval().weight, layer.weight)
        layer = other
    return layer


def stored(layer):
    return layer.parametrizations.weight.original.detach()


@pytest.mark.parametrize("case", GEOMETRIES)
@pytest.mark.parametrize("state", STATES)
def test_weight(case, state):
    layer = in_state(state, "weight", {}, case)
    lengths, directions = layer.parametrizations.weight.original0, layer.parametrizations.weight.original1
    expected = torch.stack([g * v / v.square().sum().sqrt() for g, v in zip(lengths, directions, strict=True)])
    assert torch.allclose(layer.weight, expected, rtol=1e-12)
    bound = lengths.square().sum().sqrt().item()
    assert bound / 2 <= norm_of(layer.weight.detach().flatten(1)) <= bound * (1 + 1e-12)


@pytest.mark.parametrize("case", GEOMETRIES)
@pytest.mark.parametrize("state", STATES)
def test_spectral(case, state):
    layer = in_state(state, "spectral", {}, case, settle=10)
    assert norm_of(layer.weight.detach().flatten(1)) == pytest.approx(1, abs=1e-6)
    assert torch.allclose(layer.weight * norm_of(stored(layer).flatten(1)), stored(layer), rtol=1e-6)
    taps = math.sqrt(math.prod(layer.kernel_size))
    assert norm_of(dense(layer.weight, SIZE, layer)) <= taps * (1 + 1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("case", GEOMETRIES)
@pytest.mark.parametrize("state", STATES)
def test_spectral_conv_bounds_every_size(case, state):
    layer = in_state(state, "spectral_conv", {}, case, settle=60 if case == "circular" else 20)
    # The circular grid of 8 points for every degree of the symbol, and what can stand between them.
    stride = tuple(s // math.gcd(s, d) for s, d in zip(layer.stride, layer.dilation, strict=True))
    close = SimpleNamespace(stride=stride, dilation=(1, 1), groups=layer.groups, padding=layer.padding)
    degrees = [(k - 1) // s for k, s in zip(layer.kernel_size, close.stride, strict=True)]
    grid = [max(1, 8 * degree) * s for degree, s in zip(degrees, close.stride, strict=True)]
    factor = math.cos(math.pi / 8) ** (-0.5 * sum(degree > 0 for degree in degrees))
    expected = stored(layer) / (factor * norm_of(dense(stored(layer), grid, close, "circular")))
    assert torch.allclose(layer.weight, expected, rtol=1e-4)
    found = [norm_of(dense(layer.weight, size, layer)) for size in ((4, 4), (6, 8), (12, 10))]
    assert max(found) <= 1 + 1e-4
    assert max(found) >= 0.75
    if layer.stride == (1, 1) and layer.groups == 1:
        # The symbol at many frequencies: the infinite grid's norm.
        frequencies = torch.arange(64, dtype=torch.float64) / 64 * 2 * math.pi
        waves = [torch.exp(1j * frequencies[:, None] * torch.arange(k)) for k in layer.kernel_size]
        symbols = torch.einsum("ijst,us,vt->uvij", layer.weight.detach().to(torch.complex128), *waves)
        norm = torch.linalg.matrix_norm(symbols, 2).max().item()
        assert 1 / factor - 1e-4 <= norm <= 1 + 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("case", GEOMETRIES)
@pytest.mark.parametrize("state", STATES)
def test_spectral_conv_of_one_size_is_the_layers_own_norm(case, state):
    layer = in_state(state, "spectral_conv", {"size": 6}, case, settle=20)
    assert norm_of(dense(layer.weight, (6, 6), layer)) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("mode", ["reflect", "replicate"])
@pytest.mark.parametrize("stride", [1, 2])
def test_spectral_conv_counts_the_padding(mode, stride):
    layer = nn.Conv2d(2, 3, 3, stride, padding=2, padding_mode=mode, dtype=torch.float64)
    layer = spectral_conv(layer, size=5)
    for _ in range(400):
        _ = layer.weight
    assert norm_of(applied(layer.eval(), (5, 5))) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("geometry", [dict(stride=2, padding=1), dict(stride=2, output_padding=1, groups=2), {}])
@pytest.mark.parametrize("name", ["spectral_conv", "spectral_conv of 4", "aol", "oni", "ocnn"])
def test_transposed_convolutions_have_their_adjoints_norm(name, geometry):
    plain = nn.ConvTranspose2d(4, 2, 4, dtype=torch.float64, **geometry)
    layer = find_normalization(name.split()[0], {"size": 4} if "of 4" in name else {}).conv(plain)
    train(layer, (4, 4), steps=5)
    for _ in range(400 if "spectral" in name else 0):
        _ = layer.weight
    norm = norm_of(applied(layer.eval(), (4, 4)))
    if name == "spectral_conv of 4":
        assert norm == pytest.approx(1, abs=1e-4)
    elif name == "ocnn":
        lags = math.prod(2 * ((k - 1) // s) + 1 for k, s in zip(layer.kernel_size, layer.stride, strict=True))
        penalty = self_convolution_penalty(layer.weight, kernels_of("test", layer)).item()
        assert 0.3 <= norm**2 <= 1 + math.sqrt(lags * penalty)
    else:
        # The flattened kernel's bound is of the taps that one pixel is made of.
        bound = 4 if name == "oni" else 1 + 1e-4
        assert 0.2 <= norm <= bound


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


CAYLEY = {
    "circular": dict(kernel_size=3, padding=1, padding_mode="circular"),
    "circular, groups": dict(kernel_size=3, padding=1, padding_mode="circular", groups=2),
    "circular, stride 2": dict(kernel_size=4, stride=2, padding=1, padding_mode="circular"),
    "zeros": dict(kernel_size=3, padding=1),
    "zeros, dilation": dict(kernel_size=(3, 1), padding=(2, 0), dilation=2),
    "no padding": dict(kernel_size=3),
    "1x1": dict(kernel_size=1),
}


def dense_cayley(matrix):
    if matrix.shape[0] < matrix.shape[1]:
        return dense_cayley(matrix.T).T
    columns = matrix.shape[1]
    upper, lower, identity = matrix[:columns], matrix[columns:], torch.eye(columns, dtype=torch.float64)
    skew = upper - upper.T + lower.T @ lower
    inverse = torch.linalg.inv(identity + skew)
    return torch.cat([(identity - skew) @ inverse, -2 * lower @ inverse])


@pytest.mark.slow
@pytest.mark.parametrize("case", CAYLEY)
@pytest.mark.parametrize("channels", [(2, 4), (4, 2), (2, 10)])
@pytest.mark.parametrize("state", STATES)
def test_cayley(case, channels, state):
    layer = CayleyConv2d(*channels, **CAYLEY[case], dtype=torch.float64)
    if state != "start":
        train(layer, lr=0.1)
    if state == "trained and reloaded":
        other = CayleyConv2d(*channels, **CAYLEY[case], dtype=torch.float64)
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
        orthogonal[:, order] = dense_cayley(matrix[:, order])
        gram = orthogonal @ orthogonal.T if orthogonal.shape[0] <= orthogonal.shape[1] else orthogonal.T @ orthogonal
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
    if case == "circular" and channels[0] <= channels[1]:
        assert torch.linalg.svdvals(found).min() >= 1 - 1e-12


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


@pytest.mark.parametrize("cap", [None, 0.5, 3.0])
@pytest.mark.parametrize("case", ["3x3", "1x1", "groups, dilation", "4x4 stride 2"])
def test_learned_gain_of_convnorm_stays_under_its_cap(case, cap):
    options = {"gain": "learned", "affine": None} | ({} if cap is None else {"max_gain": cap})
    layer = find_normalization("convnorm", options).conv(nn.Conv2d(2, 4, **GEOMETRIES[case], dtype=torch.float64))
    limit = (cap or 1) / math.sqrt(4 / layer.groups)
    # It starts at one where the cap lets it.
    gain = layer.transfer_function((8, 8)) / ConvNorm2d.transfer_function(plain_copy(layer), (8, 8))
    assert gain.detach().max().item() == pytest.approx(min(1, 0.9 * limit), rel=1e-9)
    optimizer = torch.optim.Adam(layer.parameters(), 0.4)
    for _ in range(30):
        loss = -layer(torch.randn(8, 2, *SIZE, dtype=torch.float64)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    layer.eval()
    gain = (layer.transfer_function((8, 8)) / ConvNorm2d.transfer_function(plain_copy(layer), (8, 8))).detach()
    assert torch.allclose(gain, gain[0, 0, 0].expand_as(gain), rtol=1e-9)
    # The loss asks for all that there is: the gain goes to its limit and not beyond.
    assert 0.95 * limit <= gain.max().item() <= limit * (1 + 1e-12)
    assert 0.3 * (cap or 1) <= norm_of(applied(layer, SIZE)) <= (cap or 1) * (1 + 1e-12)
    other = find_normalization("convnorm", options).conv(nn.Conv2d(2, 4, **GEOMETRIES[case], dtype=torch.float64))
    other.load_state_dict(layer.state_dict())
    assert torch.equal(applied(other, SIZE), applied(layer, SIZE))


def plain_copy(layer):
    """The layer with gain 1."""
    other = copy.deepcopy(layer)
    other.gain_logit = None
    if isinstance(other, LinearRowNorm):
        other.gain, other.max_gain = 1.0, None
    else:
        other.options = replace(other.options, gain=1.0, max_gain=None)
    return other


@pytest.mark.slow
@pytest.mark.parametrize("name", ["weight", "spectral", "spectral_conv", "oni", "aol", "cayley", "convnorm", "ocnn"])
@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (6, 1), (1, 6)])
@pytest.mark.parametrize("state", STATES)
def test_linear_layers(name, shape, state):
    options = {"gain": "learned", "max_gain": 2.0} if name == "convnorm" else {}

    def fresh():
        return find_normalization(name, options).linear(nn.Linear(*shape, bias=False, dtype=torch.float64))

    layer = fresh()
    if state != "start":
        optimizer = torch.optim.Adam(layer.parameters(), 0.1)
        for _ in range(30):
            loss = (layer(torch.randn(8, shape[0], dtype=torch.float64)) - 3).square().mean() + 10 * norm_penalty(layer)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    for _ in range(300 if "spectral" in name else 0):
        _ = layer.weight
    if state == "trained and reloaded":
        other = fresh()
        other.load_state_dict(layer.eval().state_dict())
        layer = other
    matrix = layer.eval()(torch.eye(shape[0], dtype=torch.float64)).detach().T
    values = torch.linalg.svdvals(matrix)
    if name == "cayley":
        assert (values - 1).abs().max() <= 1e-12
    elif "spectral" in name:
        assert values.max().item() == pytest.approx(1, abs=1e-6)
    elif name == "weight":
        assert values.max() <= layer.parametrizations.weight.original0.norm() * (1 + 1e-12)
    elif name == "convnorm":
        assert 0.3 <= values.max() <= 2 * (1 + 1e-12)
    elif name == "ocnn":
        rows = shape[1] - min(shape)
        expected = (values.square() - 1).square().sum().item()
        assert layer.penalty().item() == pytest.approx(layer.coefficient * expected, rel=1e-9)
        assert values.max() ** 2 <= 1 + math.sqrt(expected + rows)
    elif shape[0] > 1:  # a single input's rows of one number: the sign is left
        assert 0.3 <= values.max() <= 1 + 1e-12


def images():
    return (
        torch.randn(3, 6, 4, 5, dtype=torch.float64)
        * torch.tensor([0.1, 1, 7], dtype=torch.float64)[:, None, None, None]
        + 2
    )


@pytest.mark.parametrize(("name", "groups"), [("layer", 1), ("group", 2), ("group of 3", 3), ("instance", 6)])
@pytest.mark.parametrize("state", STATES)
def test_norms_of_single_images(name, groups, state):
    options = {"num_groups": 3} if "of 3" in name else {}
    layer = trained_activation(name.split()[0], options, state)
    image = images()
    parts = image.unflatten(1, (groups, -1))
    variance = parts.var((2, 3, 4), correction=0, keepdim=True)
    scaled = ((parts - parts.mean((2, 3, 4), keepdim=True)) / (variance + 1e-5).sqrt()).flatten(1, 2)
    assert (scaled.square().unflatten(1, (groups, -1)).mean((2, 3, 4)) <= 1).all()
    expected = scaled * layer.weight[:, None, None] + layer.bias[:, None, None]
    assert torch.allclose(layer(image), expected, atol=1e-10)
    for k, one in enumerate(image):
        jacobian = torch.autograd.functional.jacobian(lambda x: layer(x[None]).flatten(), one).flatten(1)
        bound = (layer.weight.abs().max() / (variance[k].min() + 1e-5).sqrt()).item()
        assert bound / 3 <= norm_of(jacobian) <= bound * (1 + 1e-9)


def trained_activation(name, options, state):
    layer = find_normalization(name, options).activation(6).double()
    if state != "start":
        optimizer = torch.optim.Adam(layer.parameters(), 0.1)
        for _ in range(10):
            loss = (layer(images()) - 3).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    if state == "trained and reloaded":
        other = find_normalization(name, options).activation(6).double()
        other.load_state_dict(layer.state_dict())
        layer = other
    return layer.eval()


@pytest.mark.parametrize("name", ["batch", "sync_batch"])
@pytest.mark.parametrize("state", STATES)
def test_batch_norms(name, state):
    layer = trained_activation(name, {}, state)
    image = images()
    scale = layer.weight / (layer.running_var + 1e-5).sqrt()
    expected = (image - layer.running_mean[:, None, None]) * scale[:, None, None] + layer.bias[:, None, None]
    assert torch.allclose(layer(image), expected, atol=1e-10)
    jacobian = torch.autograd.functional.jacobian(lambda x: layer(x[None]).flatten(), image[0]).flatten(1)
    assert norm_of(jacobian) == pytest.approx(scale.abs().max().item(), rel=1e-9)
    output = (layer.train()(image) - layer.bias[:, None, None]) / layer.weight[:, None, None]
    assert output.mean((0, 2, 3)).abs().max() <= 1e-9
    assert (output.var((0, 2, 3), correction=0) - 1).abs().max() <= 1e-4


def test_bad_input():
    conv = nn.Conv2d(2, 2, 3)
    for name, options, message in [
        ("oni", {"iterations": 0}, "iterations is 0"),
        ("ocnn", {"coefficient": -1.0}, "coefficient is -1"),
        ("spectral_conv", {"n_power_iterations": 0}, "n_power_iterations is 0"),
        ("spectral_conv", {"size": 2}, "below the kernel"),
        ("convnorm", {"max_gain": 2.0}, "omit max_gain"),
        ("convnorm", {"gain": "learned", "max_gain": 0.0}, "max_gain is 0.0"),
        ("convnorm", {"gain": "high"}, "a number or 'lipschitz' or 'learned'"),
    ]:
        with pytest.raises(BadInput, match=message):
            find_normalization(name, options).conv(conv)
    with pytest.raises(BadInput, match="num_groups is 0"):
        find_normalization("group", {"num_groups": 0}).activation(4)
    for name in ("oni", "aol", "spectral_conv", "ocnn", "cayley"):
        with pytest.raises(BadInput, match="found Embedding"):
            find_normalization(name).conv(nn.Embedding(2, 3))
    with pytest.raises(BadInput, match="below the kernel"):
        CayleyConv2d(2, 2, 5)(torch.zeros(1, 2, 4, 9))
    with pytest.raises(BadInput, match="that the stride 2 divides, not 5"):
        CayleyConv2d(2, 2, 3, 2, 1, padding_mode="circular")(torch.zeros(1, 2, 5, 4))
