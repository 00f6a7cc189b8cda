"""Operator norms and singular values of layers against dense float64 matrices, written down from their definitions."""

import pytest
import torch
from dense_layers import convolution_matrix, transposed_convolution_matrix
from torch import nn
from torch.nn.utils import parametrizations

from gan_convnorm.errors import BadInput
from gan_convnorm.layers import ConvNorm1d, ConvNorm2d, ConvNormTranspose2d, LinearRowNorm, OriginalConvNorm2d
from gan_convnorm.operators import (
    CircularConvolution,
    certified_bound,
    condition_number,
    flattened_norm,
    gram_iteration,
    kernel_of,
    layer_operator,
    measure_operator,
    operator_norm,
    singular_values,
    sum_bound,
)

# kind, C_in, C_out, kernel, image, options: every option alone and in company, sizes that do not fit.
LAYERS = [
    (nn.Conv2d, 3, 4, 3, (6, 6), dict(padding=1)),
    (nn.Conv2d, 4, 3, 3, (5, 7), dict()),
    (nn.Conv2d, 2, 3, (2, 4), (6, 5), dict(padding=(3, 1))),
    (nn.Conv2d, 3, 5, 4, (8, 8), dict(stride=2, padding=1)),
    (nn.Conv2d, 3, 2, 3, (7, 6), dict(stride=(3, 2), padding=1)),
    (nn.Conv2d, 2, 3, 3, (9, 8), dict(dilation=(2, 3), padding=2)),
    (nn.Conv2d, 2, 3, 3, (9, 8), dict(dilation=2, stride=2, padding=2)),
    (nn.Conv2d, 4, 6, 3, (6, 6), dict(groups=2, padding=1)),
    (nn.Conv2d, 4, 4, 3, (6, 6), dict(groups=4, padding=1, stride=2)),
    (nn.Conv2d, 2, 3, 3, (6, 6), dict(padding="same")),
    (nn.Conv2d, 3, 4, 1, (3, 3), dict(stride=2)),
    (nn.Conv2d, 2, 3, 3, (6, 6), dict(padding=1, padding_mode="circular")),
    (nn.Conv2d, 2, 3, 3, (6, 8), dict(padding=1, stride=2, padding_mode="circular")),
    (nn.Conv2d, 2, 3, 3, (5, 5), dict(padding=4, stride=2, padding_mode="circular")),
    (nn.Conv2d, 2, 3, 3, (6, 6), dict(padding=2, padding_mode="reflect")),
    (nn.Conv2d, 2, 3, 3, (5, 6), dict(padding=(3, 1), stride=2, padding_mode="replicate")),
    (nn.Conv1d, 3, 4, 5, (12,), dict(padding=2, stride=2)),
    (nn.Conv1d, 2, 4, 3, (9,), dict(padding=1, padding_mode="reflect", groups=2)),
    (nn.Conv3d, 2, 2, 2, (3, 4, 3), dict(padding=1)),
    (nn.ConvTranspose2d, 3, 4, 3, (4, 5), dict()),
    (nn.ConvTranspose2d, 3, 2, 4, (4, 4), dict(stride=2, padding=1)),
    (nn.ConvTranspose2d, 4, 6, 3, (4, 4), dict(stride=2, padding=1, output_padding=1, groups=2)),
    (nn.ConvTranspose2d, 2, 3, 3, (4, 3), dict(stride=(1, 3), dilation=(2, 1), padding=(2, 0))),
    (nn.ConvTranspose1d, 3, 2, 4, (6,), dict(stride=2, padding=1)),
    (nn.ConvTranspose3d, 2, 2, 2, (2, 3, 2), dict(stride=2)),
]
NAMES = [
    f"{kind.__name__}-{i}-{o}-k{k}-{'x'.join(map(str, n))}-{'-'.join(f'{a}{v}' for a, v in options.items())}"
    for kind, i, o, k, n, options in LAYERS
]


def build(kind, c_in, c_out, kernel, options):
    return kind(c_in, c_out, kernel, **options).double()


def dense(layer, size, mode=None, weight=None):
    """The layer's matrix, from its constructor's arguments and the definition."""
    weight = (layer.weight if weight is None else weight).detach()
    if isinstance(layer, nn.modules.conv._ConvTransposeNd):
        geometry = (layer.stride, layer.padding, layer.output_padding, layer.dilation, layer.groups)
        return transposed_convolution_matrix(weight, size, *geometry)
    if layer.padding == "same":
        total = [d * (k - 1) for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
        padding = [(t // 2, t - t // 2) for t in total]
    else:
        padding = [(p, p) for p in layer.padding]
    mode = mode or layer.padding_mode
    return convolution_matrix(weight, size, layer.stride, padding, layer.dilation, layer.groups, mode)


def norm(matrix):
    return float(torch.linalg.matrix_norm(matrix, 2))


@pytest.mark.parametrize(("kind", "c_in", "c_out", "kernel", "size", "options"), LAYERS, ids=NAMES)
def test_norm_and_bounds_of_every_geometry(kind, c_in, c_out, kernel, size, options):
    layer = build(kind, c_in, c_out, kernel, options)
    matrix = dense(layer, size)
    # The oracle is the layer.
    image = torch.randn(1, c_in, *size, dtype=torch.float64)
    zero = layer(torch.zeros_like(image))
    assert torch.allclose(matrix @ image.flatten(), (layer(image) - zero).flatten(), rtol=0, atol=1e-12)

    operator = layer_operator(layer, size)
    assert torch.allclose(operator.matrix(), matrix, rtol=0, atol=1e-12)
    adjoint = operator.adjoint(torch.eye(len(matrix), dtype=torch.float64).view(-1, *operator.output_shape))
    assert torch.allclose(adjoint.flatten(1), matrix, rtol=0, atol=1e-12)
    assert torch.allclose(operator.gram(image).flatten(), matrix.T @ (matrix @ image.flatten()), rtol=0, atol=1e-11)

    true = norm(matrix)
    measured = measure_operator(layer_operator(layer, size), tolerance=1e-10)
    assert measured.value == pytest.approx(true, rel=1e-9)
    assert measured.residual <= 2e-10
    assert operator_norm(layer, size) == pytest.approx(true, rel=1e-3)
    # Certified: never below, and on these small images, where padding and crop matter most, not far above.
    bound = certified_bound(layer, size)
    assert true * (1 - 1e-12) <= bound <= 2.5 * true
    float_bound = certified_bound(layer.float(), size)
    assert float_bound == pytest.approx(bound, rel=1e-5)


@pytest.mark.parametrize("mode", ["zeros", "circular", "reflect", "replicate"])
def test_padding_can_be_exchanged(mode):
    layer = nn.Conv2d(3, 4, 3, stride=2, padding=2).double()
    found = operator_norm(layer, (6, 5), padding=mode, tolerance=1e-9)
    assert found == pytest.approx(norm(dense(layer, (6, 5), mode)), rel=1e-8)
    assert layer.padding_mode == "zeros"


# Circular operators: the image is the grid, padding shifts alone, and the stride divides the image.
CIRCULAR = [
    (nn.Conv2d, 3, 4, 3, (6, 6), dict()),
    (nn.Conv2d, 5, 3, (2, 4), (5, 6), dict()),
    (nn.Conv2d, 3, 5, 4, (8, 6), dict(stride=2)),
    (nn.Conv2d, 2, 9, 3, (6, 6), dict(stride=(3, 2), dilation=(1, 2))),
    (nn.Conv2d, 4, 6, 3, (6, 4), dict(groups=2, stride=2)),
    (nn.Conv2d, 2, 3, 5, (4, 3), dict()),  # taps go around
    (nn.Conv1d, 3, 4, 3, (7,), dict(dilation=2)),
    (nn.Conv3d, 2, 3, 2, (3, 4, 2), dict(stride=(1, 2, 1))),
    (nn.ConvTranspose2d, 3, 4, 3, (4, 3), dict()),
    (nn.ConvTranspose2d, 4, 6, 4, (3, 4), dict(stride=2, groups=2)),
]


@pytest.mark.parametrize(("kind", "c_in", "c_out", "kernel", "size", "options"), CIRCULAR)
def test_singular_values_of_circular_convolutions(kind, c_in, c_out, kernel, size, options):
    layer = build(kind, c_in, c_out, kernel, options)
    grid = size
    if kind is nn.ConvTranspose2d:
        grid = [n * s for n, s in zip(size, layer.stride, strict=True)]
    # Padding to a whole number of outputs: every s-th pixel of the grid.
    span = [d * (k - 1) for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
    padding = [(0, n) for n in span]
    matrix = convolution_matrix(
        layer.weight.detach(), grid, layer.stride, padding, layer.dilation, layer.groups, "circular"
    )
    true = torch.linalg.svdvals(matrix)
    found = singular_values(layer, size)
    assert len(found) == len(true)
    assert torch.allclose(found, true, rtol=0, atol=1e-12 * float(true[0]) + 1e-13)
    assert found.dtype == torch.float64
    if true[-1] > 1e-6 * true[0]:
        assert condition_number(layer, size) == pytest.approx(float(true[0] / true[-1]), rel=1e-6)
    operator = CircularConvolution(kernel_of(layer), grid)
    assert torch.allclose(operator.matrix(), matrix, rtol=0, atol=1e-12 * float(true[0]))
    adjoint = operator.adjoint(torch.eye(len(matrix), dtype=torch.float64).view(-1, *operator.output_shape))
    assert torch.allclose(adjoint.flatten(1), matrix, rtol=0, atol=1e-12 * float(true[0]))
    bound = gram_iteration(operator, tolerance=1e-3)
    assert float(true[0]) * (1 - 1e-12) <= bound <= float(true[0]) * (1 + 1e-3)
    assert float(true[0]) <= sum_bound(kernel_of(layer))
    single = singular_values(layer.float(), size)
    assert torch.allclose(single.double(), true, rtol=0, atol=2e-6 * float(true[0]))


def test_a_singular_layer_has_an_infinite_condition_number():
    layer = nn.Conv2d(2, 2, 1)
    layer.weight.data[1] = layer.weight.data[0]
    assert condition_number(layer, (4, 4)) == float("inf")
    nn.init.zeros_(layer.weight)
    assert condition_number(layer, (4, 4)) == float("inf")


def test_bounds_are_attained_where_they_should_be():
    """A 1x1 diagonal kernel has equal row and column sums; a one-channel positive kernel has its sum at frequency 0."""
    layer = nn.Conv2d(3, 3, 1, bias=False).double()
    layer.weight.data = torch.diag(torch.tensor([1.0, -3.0, 2.0], dtype=torch.float64))[..., None, None]
    assert certified_bound(layer, (4, 4)) == pytest.approx(3, rel=1e-12)
    positive = nn.Conv2d(1, 1, 3, padding=1).double()
    positive.weight.data.abs_()
    total = float(positive.weight.detach().sum())
    assert sum_bound(kernel_of(positive)) == pytest.approx(total, rel=1e-12)
    assert gram_iteration(CircularConvolution(kernel_of(positive), (6, 6)), tolerance=1e-6) == pytest.approx(
        total, rel=1e-5
    )
    zero = nn.Conv2d(2, 3, 3)
    nn.init.zeros_(zero.weight)
    assert certified_bound(zero, (5, 5)) == operator_norm(zero, (5, 5)) == 0


def test_grouped_operators_take_the_largest_group_also_from_an_old_vector():
    layer = nn.Conv2d(6, 6, 3, padding=1, groups=3).double()
    first = measure_operator(layer_operator(layer, (6, 6)), tolerance=1e-6)
    for group in range(3):
        # One group grows past the others: the old vectors of the others are no hindrance.
        layer.weight.data[2 * group : 2 * group + 2] *= 3
        again = measure_operator(layer_operator(layer, (6, 6)), tolerance=1e-6, start=first.vector)
        assert again.value == pytest.approx(norm(dense(layer, (6, 6))), rel=1e-6)


@pytest.mark.slow
def test_a_warm_start_saves_iterations_and_finds_another_mode():
    layer = nn.Conv2d(8, 8, 3, padding=1)
    cold = measure_operator(layer_operator(layer, (12, 12)))
    layer.weight.data += 1e-3 * layer.weight.std() * torch.randn_like(layer.weight)
    warm = measure_operator(layer_operator(layer, (12, 12)), start=cold.vector)
    true = norm(dense(layer, (12, 12)))
    assert warm.value == pytest.approx(true, rel=1e-3)
    assert warm.iterations <= cold.iterations // 2
    # A vector that had no share in the largest: the noise has.
    layer.weight.data[0, 0] += 2
    other = measure_operator(layer_operator(layer, (12, 12)), start=cold.vector)
    assert other.value == pytest.approx(norm(dense(layer, (12, 12))), rel=1e-3)


def test_the_basis_may_be_smaller_than_the_run(monkeypatch):
    """Of images whose basis would not fit in memory, the iteration starts again from the best vector."""
    monkeypatch.setattr("gan_convnorm.operators.lanczos.MEMORY", 1)
    layer = nn.Conv2d(3, 4, 3, padding=1).double()
    found = measure_operator(layer_operator(layer, (6, 6)), tolerance=1e-5)
    assert found.iterations > 8
    assert found.value == pytest.approx(norm(dense(layer, (6, 6))), rel=1e-5)


@pytest.mark.parametrize("parametrize", [parametrizations.spectral_norm, parametrizations.weight_norm])
def test_parametrized_layers_have_their_effective_weight_and_keep_their_state(parametrize):
    layer = parametrize(nn.Conv2d(3, 4, 3, padding=1).double()).train()
    layer(torch.randn(1, 3, 5, 5, dtype=torch.float64))
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    found = operator_norm(layer, (6, 6), tolerance=1e-9), certified_bound(layer, (6, 6)), flattened_norm(layer)
    values = singular_values(layer, (6, 6))
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())
    assert all(module.training for module in layer.modules())
    weight = layer.eval().weight.detach()
    true = norm(dense(layer, (6, 6), weight=weight))
    assert found[0] == pytest.approx(true, rel=1e-8)
    assert true <= found[1] <= 1.5 * true
    assert found[2] == pytest.approx(norm(weight.flatten(1)), rel=1e-12)
    # ||W|| <= operator norm <= sqrt(taps) ||W||, the circular and the zero-padded one.
    assert found[2] <= true <= 3 * found[2]
    assert found[2] <= float(values[0]) <= 3 * found[2]


def columns_of(layer, c_in, size):
    """The dense matrix of an affine layer whose own tests have its definition: here the images of the unit vectors."""
    count = c_in * torch.Size(size).numel()
    images = torch.eye(count, dtype=torch.float64).view(count, c_in, *size)
    with torch.no_grad():
        return (layer(images) - layer(torch.zeros_like(images[:1]))).flatten(1).T


CONVNORMS = [
    (ConvNorm2d, (6, 6), dict(padding=1)),
    (ConvNorm2d, (6, 7), dict(padding=1, affine="depthwise")),
    (ConvNorm2d, (6, 6), dict(stride=2, padding=1, gain="lipschitz", affine="channel")),
    (ConvNorm2d, (6, 6), dict(stride=2, padding=1, strided="fold", affine="depthwise")),
    (ConvNorm2d, (6, 6), dict(padding=2, dilation=2, groups=2, affine="depthwise")),
    (ConvNorm2d, (6, 6), dict(padding=1, boundary="linear", affine="channel")),
    (ConvNorm2d, (6, 6), dict(padding=1, padding_mode="circular", affine="depthwise")),
    (ConvNorm2d, (6, 6), dict(padding=1, padding_mode="reflect")),
    (ConvNorm2d, (9, 9), dict(padding=1, tolerance=0.5, max_radius=3, affine="depthwise")),
    (ConvNorm1d, (8,), dict(padding=1, affine="depthwise")),
    (ConvNormTranspose2d, (4, 5), dict(stride=2, padding=1, affine="depthwise")),
]


@pytest.mark.parametrize(("kind", "size", "options"), CONVNORMS)
def test_convnorm_is_measured_as_it_acts(kind, size, options):
    layer = kind(4, 6, 3, **options).double()
    if layer.affine_weight is not None:
        layer.affine_weight.data += 0.3 * torch.randn_like(layer.affine_weight)
    true = norm(columns_of(layer, 4, size))
    assert operator_norm(layer, size, tolerance=1e-8) == pytest.approx(true, rel=1e-8)
    assert true * (1 - 1e-12) <= certified_bound(layer, size) <= 3 * true


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (ConvNorm2d, dict(affine="depthwise")),
        (ConvNorm2d, dict(affine="depthwise", stride=2, groups=2)),
        (ConvNorm2d, dict(affine="depthwise", stride=2, strided="fold")),
    ],
)
def test_singular_values_of_convnorm_are_those_of_the_circular_layer(kind, options):
    layer = kind(4, 6, 3, padding=1, padding_mode="circular", **options).double()
    layer.affine_weight.data += 0.3 * torch.randn_like(layer.affine_weight)
    true = torch.linalg.svdvals(columns_of(layer, 4, (6, 8)))
    assert torch.allclose(singular_values(layer, (6, 8)), true, rtol=0, atol=1e-12 * float(true[0]))


def test_singular_values_of_transposed_convnorm():
    """There is no circular layer of this kind, so P and A are written down on the circular fine grid."""
    layer = ConvNormTranspose2d(3, 4, 3, stride=2, affine="depthwise").double()
    layer.affine_weight.data += 0.3 * torch.randn_like(layer.affine_weight)
    matrix = convolution_matrix(layer.weight.detach(), (6, 8), (2, 2), [(0, 2)] * 2, (1, 1), 1, "circular").T
    response = matrix.view(4, 6, 8, -1)
    transfer = layer.transfer_function((6, 8)).detach()
    filtered = torch.fft.irfft2(torch.fft.rfft2(response, dim=(1, 2)) * transfer[..., None], s=(6, 8), dim=(1, 2))
    true = torch.linalg.svdvals(filtered.flatten(0, 2))
    found = singular_values(layer, (3, 4))
    assert torch.allclose(found, true[: len(found)], rtol=0, atol=1e-12 * float(true[0]))
    assert len(found) == min(filtered.flatten(0, 2).shape)


def test_any_affine_layer_by_its_forward():
    layer = OriginalConvNorm2d(3, 4, 3, padding=1)
    for _ in range(3):
        layer(torch.randn(4, 3, 6, 6))
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    found = operator_norm(layer, (6, 6), tolerance=1e-5)
    assert layer.training and all(torch.equal(v, before[k]) for k, v in layer.state_dict().items())
    assert found == pytest.approx(norm(columns_of(layer.eval().double(), 3, (6, 6))), rel=1e-4)
    assert certified_bound(layer, (6, 6)) is None


@pytest.mark.parametrize("build", [nn.Linear, LinearRowNorm, lambda *a: parametrizations.spectral_norm(nn.Linear(*a))])
def test_linear_layers(build):
    layer = build(5, 3).double().eval()
    with torch.no_grad():
        matrix = (layer(torch.eye(5, dtype=torch.float64)) - layer(torch.zeros(1, 5, dtype=torch.float64))).T
    values = torch.linalg.svdvals(matrix)
    assert operator_norm(layer) == pytest.approx(float(values[0]), rel=1e-12)
    assert certified_bound(layer) == pytest.approx(float(values[0]), rel=1e-12)
    assert torch.allclose(singular_values(layer), values, rtol=1e-12)
    assert condition_number(layer) == pytest.approx(float(values[0] / values[-1]), rel=1e-10)


def test_bad_input_is_named():
    with pytest.raises(BadInput, match=r"input_size is \(6,\); expected 2 numbers of pixels"):
        operator_norm(nn.Conv2d(2, 2, 3), (6,))
    with pytest.raises(BadInput, match="padding is 'zero'; choose one of: zeros, circular, reflect, replicate"):
        operator_norm(nn.Conv2d(2, 2, 3), (6, 6), padding="zero")
    with pytest.raises(BadInput, match=r"choose one of: zeros$"):
        operator_norm(nn.ConvTranspose2d(2, 2, 3), (6, 6), padding="circular")
    with pytest.raises(BadInput, match="stride divides, not"):
        singular_values(nn.Conv2d(2, 2, 3, stride=2), (5, 6))
    with pytest.raises(BadInput, match="the circular singular values of OriginalConvNorm2d are not known"):
        singular_values(OriginalConvNorm2d(2, 2, 3), (6, 6))
    with pytest.raises(BadInput, match="ReLU has no in_channels"):
        operator_norm(nn.ReLU(), (6, 6))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_diverged_layer_is_measured_without_an_error(value):
    for layer, size in ((nn.Conv2d(2, 3, 3), (6, 6)), (nn.Linear(4, 3), ())):
        layer.weight.data.view(-1)[0] = value
        assert not operator_norm(layer, size) < float("inf")
        assert not certified_bound(layer, size) < float("inf")
        assert not condition_number(layer, size) < float("inf")
        assert not flattened_norm(layer) < float("inf")
        assert not singular_values(layer, size)[0] < float("inf")


@pytest.mark.parametrize("size", [1e-24, 1e20])
def test_very_small_and_very_large_weights_have_their_norm(size):
    """The square of such a weight is no float32."""
    layer = nn.Conv2d(3, 4, 3, padding=1)
    torch.nn.init.normal_(layer.weight, generator=torch.Generator().manual_seed(0))
    norm, bound = operator_norm(layer, (8, 8)), certified_bound(layer, (8, 8))
    with torch.no_grad():
        layer.weight.mul_(size)
    assert operator_norm(layer, (8, 8)) == pytest.approx(size * norm, rel=1e-5, abs=0)
    assert certified_bound(layer, (8, 8)) == pytest.approx(size * bound, rel=1e-5, abs=0)


def test_measuring_draws_nothing_from_the_global_state():
    layer = nn.Conv2d(2, 2, 3)
    state = torch.random.get_rng_state()
    operator_norm(layer, (5, 5))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_weights_with_the_channels_innermost_are_measured_alike():
    conv = nn.Conv2d(4, 6, 3, padding=1, groups=2).double()
    expected = operator_norm(conv, (6, 5), tolerance=1e-9)
    found = operator_norm(conv.to(memory_format=torch.channels_last), (6, 5), tolerance=1e-9)
    assert found == pytest.approx(expected, rel=1e-7)


class TenTimes(nn.Conv2d):
    def _conv_forward(self, image, weight, bias):
        return super()._conv_forward(image, 10 * weight, bias)


class Tripled(ConvNorm2d):
    def forward(self, image, pool=1):
        return 3 * super().forward(image, pool)


@pytest.mark.parametrize(("kind", "factor"), [(TenTimes, 10), (Tripled, 3)])
def test_a_subclass_that_computes_more_has_no_bound_and_its_own_norm(kind, factor):
    torch.manual_seed(0)
    layer = kind(2, 3, 3, padding=1, bias=False).double()
    plain = kind.__base__(2, 3, 3, padding=1, bias=False).double()
    plain.load_state_dict(layer.state_dict())
    assert certified_bound(layer, (6, 6)) is None and certified_bound(plain, (6, 6)) is not None
    found, expected = (operator_norm(each, (6, 6), tolerance=1e-6) for each in (layer, plain))
    assert found == pytest.approx(factor * expected, rel=1e-4)


def test_a_forward_of_one_layer_alone_has_no_bound():
    for layer in (nn.Conv2d(2, 3, 3), ConvNorm2d(2, 3, 3)):
        assert certified_bound(layer, (6, 6)) is not None
        layer.forward = lambda image, layer=layer: 3 * type(layer).forward(layer, image)
        assert certified_bound(layer, (6, 6)) is None


@pytest.mark.filterwarnings("ignore:.*weight_norm. is deprecated")
@pytest.mark.parametrize("hang", ["prune", "weight_norm", "spectral_norm"])
def test_a_weight_that_a_hook_makes_is_the_one_of_the_next_forward(hang):
    torch.manual_seed(0)
    layer = nn.Conv2d(2, 3, 3, padding=1, bias=False).double()
    if hang == "prune":
        nn.utils.prune.l1_unstructured(layer, "weight", amount=0.3)
    else:
        getattr(nn.utils, hang)(layer)
    layer.eval()
    (layer.weight_g if hang == "weight_norm" else layer.weight_orig).data.mul_(7)
    found, bound = operator_norm(layer, (5, 5), tolerance=1e-6), certified_bound(layer, (5, 5))
    dense = torch.autograd.functional.jacobian(layer, torch.zeros(1, 2, 5, 5).double()).reshape(75, 50)
    expected = float(torch.linalg.matrix_norm(dense, 2))
    assert found == pytest.approx(expected, rel=1e-4) and bound >= expected * (1 - 1e-12)
