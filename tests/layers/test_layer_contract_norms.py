"""Every normalized convolution does as nn.Conv2d: tracers, transforms, devices, memory formats, any batch."""

import math
import warnings

import pytest
import torch
from normalized_convolutions import WEIGHTED
from torch import nn

from gan_convnorm.errors import BadInput
from gan_convnorm.layers import (
    CayleyConv2d,
    ConvNorm1d,
    ConvNorm2d,
    ConvNorm3d,
    ConvNormTranspose2d,
    LinearRowNorm,
    LOTConv2d,
    OCNNConv2d,
    OriginalConvNorm2d,
    SOCConv2d,
    aoc,
    find_normalization,
)
from gan_convnorm.layers.ocnn import OCNNConvTranspose2d, OCNNLinear


def of(name, **options):
    return lambda: find_normalization(name, options).conv(nn.Conv2d(4, 6, 3, padding=1))


def convnorm(kernel_size=3, padding=1, **options):
    return lambda: ConvNorm2d(4, 6, kernel_size, padding=padding, **options)


#: of loops that a tracer unrolls, and whose default lengths would make graphs large
FEW = {"aoc": {"iterations": 3}, "lot": {"iterations": 3}, "soc": {"terms": 4}}
LAYERS = {
    "nn.Conv2d": lambda: nn.Conv2d(4, 6, 3, padding=1),
    **{name: of(name, **FEW.get(name, {})) for name in WEIGHTED},
    "spectral_conv, one size": of("spectral_conv", size=8),
    "convnorm, learned": of("convnorm", gain="learned"),
    "convnorm, eps 0": convnorm(eps=0.0),
    "convnorm, stride": convnorm(stride=2),
    "convnorm, folded": convnorm(4, stride=2, strided="fold"),
    "convnorm, circular": convnorm(padding_mode="circular"),
    "convnorm, circular and folded": convnorm(4, stride=2, strided="fold", padding_mode="circular"),
    "convnorm, reflect": convnorm(padding_mode="reflect"),
    "convnorm, linear": convnorm(boundary="linear"),
    "convnorm, tolerance": convnorm(tolerance=0.5, max_radius=2),
    "convnorm, groups": convnorm(groups=2, affine="channel"),
    "convnorm, 1x1": convnorm(1, 0),
    "aoc, stride": lambda: aoc(nn.Conv2d(4, 6, 3, 2, 1), **FEW["aoc"]),
    "cayley, circular": of("cayley", circular=True),
    "cayley, stride": lambda: CayleyConv2d(4, 6, 3, 2, 1),
    "lot, circular": of("lot", circular=True, **FEW["lot"]),
    "soc, circular": lambda: SOCConv2d(4, 6, 3, padding=1, padding_mode="circular", **FEW["soc"]),
    "soc, reflect": lambda: SOCConv2d(4, 6, 3, padding=1, padding_mode="reflect", groups=2, **FEW["soc"]),
    "soc, stride": lambda: SOCConv2d(4, 6, 3, 2, 1, **FEW["soc"]),
    "soc, 1x1": lambda: SOCConv2d(4, 6, 1),
    "cayley, 1x1": lambda: CayleyConv2d(4, 6, 1),
    "original": lambda: OriginalConvNorm2d(4, 6, 3, padding=1),
    "original, bare": lambda: OriginalConvNorm2d(4, 6, 3, stride=2, padding=1, affine=False, batch_norm=False),
    "transposed": lambda: ConvNormTranspose2d(4, 6, 4, 2, 1),
}
OWN = (ConvNorm2d, ConvNormTranspose2d, CayleyConv2d, OriginalConvNorm2d, SOCConv2d)


@pytest.fixture(params=LAYERS)
def name(request):
    return request.param


@pytest.fixture
def layer(name):
    """In evaluation mode, after a forward in training."""
    layer = LAYERS[name]()
    layer(images())
    return layer.eval()


def images(batch=2, size=8):
    return torch.randn(batch, 4, size, size)


@pytest.mark.slow
def test_trace(layer):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(layer, images(), check_trace=False)
    image = images(5)
    assert torch.allclose(traced(image), layer(image), atol=1e-5)


@pytest.mark.parametrize("name", ["nn.Conv2d", "spectral", "convnorm", "cayley", "original"])
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::DeprecationWarning")
def test_tensorboard_draws_the_graph(name, tmp_path):
    from torch.utils.tensorboard import SummaryWriter

    layer = LAYERS[name]()
    layer(images())
    with SummaryWriter(str(tmp_path)) as writer:
        writer.add_graph(nn.Sequential(layer, nn.ReLU()), images())
    assert any(file.stat().st_size > 1000 for file in tmp_path.iterdir())


def test_vmap(layer):
    image = images()
    assert torch.allclose(torch.func.vmap(layer)(image), layer(image), atol=1e-5)
    found = torch.func.vmap(lambda one: layer(one[None])[0])(image)
    assert torch.allclose(found, layer(image), atol=1e-5)


def test_meta_device(layer):
    expected = layer(images()).shape
    layer.train().to("meta")
    image = torch.empty(2, 4, 8, 8, device="meta", requires_grad=True)
    output = layer(image)
    assert output.is_meta and output.shape == expected
    output.sum().backward()
    assert image.grad.shape == image.shape


@pytest.mark.parametrize("training", [True, False])
def test_empty_batch(layer, training):
    layer.train(training)
    before = {key: value.clone() for key, value in layer.state_dict().items()}
    image = images(0).requires_grad_()
    output = layer(image)
    assert output.shape == (0, *layer.eval()(images()).shape[1:])
    output.sum().backward()
    assert image.grad.shape == image.shape
    assert all(p.grad is None or p.grad.isfinite().all() for p in layer.parameters())
    assert all(value.isfinite().all() for value in layer.state_dict().values())
    assert training or all(torch.equal(value, before[key]) for key, value in layer.state_dict().items())


def test_one_image(layer):
    image = images()
    assert torch.allclose(layer(image[0]), layer(image)[0], atol=1e-5)


def test_memory_format_is_that_of_the_image_or_the_weight(name, layer):
    image = images()
    expected = layer(image)
    assert expected.is_contiguous()
    found = layer(image.to(memory_format=torch.channels_last))
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(found, expected, atol=1e-5)
    if name not in ("cayley, 1x1", "soc, 1x1"):  # a 1x1 weight has both formats
        assert layer.to(memory_format=torch.channels_last)(image).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.slow
def test_export_with_any_batch_height_and_width(name, layer):
    batch, height, width = (torch.export.Dim(axis, min=4, max=64) for axis in ("batch", "height", "width"))
    # A folded circular image is a whole number of strides.
    scale = 2 if name == "convnorm, circular and folded" else 1
    sizes = {0: batch, 2: scale * height, 3: scale * width}
    if name.startswith("original"):
        with pytest.raises(BadInput, match="exported for the resolution of its training alone"):
            torch.export.export(layer, (images(4),), dynamic_shapes=(sizes,))
        sizes = {0: batch}
    program = torch.export.export(layer, (images(4),), dynamic_shapes=(sizes,)).module()
    for shape in ((5, 4, 8, 8),) if name.startswith("original") else ((4, 4, 10, 14), (5, 4, 8, 8), (6, 4, 16, 8)):
        image = torch.randn(shape)
        assert torch.allclose(program(image), layer(image), atol=1e-5)


@pytest.mark.parametrize("shape", [(), (8,), (4, 8), (5, 8, 8), (2, 5, 8, 8), (2, 4, 8, 8, 8)])
def test_another_shape_is_one_line(layer, shape):
    kind = BadInput if isinstance(layer, OWN) else RuntimeError
    with pytest.raises(kind) as error:
        layer(torch.randn(shape))
    if isinstance(layer, OWN):
        name = type(layer).__name__
        assert str(error.value) == (
            f"{name}: found an input of shape {shape}, expected (batch, 4, height, width) or (4, height, width)"
        )


@pytest.mark.parametrize(("kind", "axes"), [(ConvNorm1d, "length"), (ConvNorm3d, "depth, height, width")])
def test_shapes_of_other_dimensions(kind, axes):
    layer = kind(4, 6, 3, padding=1)
    for dims in range(6):
        if dims - layer.dims not in (1, 2):
            with pytest.raises(BadInput, match=rf"expected \(batch, 4, {axes}\) or \(4, {axes}\)"):
                layer(torch.randn([4] * dims))


# Constructors.

CONVOLUTIONS = [ConvNorm1d, ConvNorm2d, ConvNorm3d, ConvNormTranspose2d, CayleyConv2d, OriginalConvNorm2d, OCNNConv2d]
CONVOLUTIONS += [OCNNConvTranspose2d, LOTConv2d, SOCConv2d]
GEOMETRY = [
    *({"kernel_size": value} for value in (0, -1, 1.5, "3", True, (3,) * 4, None)),
    *({"stride": value} for value in (0, -2, 0.5)),
    *({"padding": value} for value in (-1, "sane", 0.5, (1,) * 5)),
    *({"dilation": value} for value in (0, -1)),
    *({"groups": value} for value in (0, 3, -1, 1.0)),
    *({"in_channels": value} for value in (0, -4, 4.0)),
    {"out_channels": 0},
    {"padding_mode": "mirror"},
    {"padding": "same", "stride": 2},
]


@pytest.mark.parametrize("arguments", GEOMETRY, ids=str)
@pytest.mark.parametrize("kind", CONVOLUTIONS)
def test_an_impossible_geometry_is_one_line(kind, arguments, monkeypatch):
    monkeypatch.setattr(nn.Module, "__init__", None)  # before anything is built
    with pytest.raises(BadInput) as error:
        kind(**({"in_channels": 4, "out_channels": 4, "kernel_size": 3} | arguments))
    option = next(iter(arguments))
    assert str(error.value).startswith(f"{kind.__name__}: ") and option in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", [ConvNormTranspose2d, OCNNConvTranspose2d])
@pytest.mark.parametrize("arguments", [{"output_padding": 1}, {"output_padding": -1}, {"padding": "same"}], ids=str)
def test_an_impossible_transposed_geometry_is_one_line(kind, arguments):
    with pytest.raises(BadInput, match=next(iter(arguments))):
        kind(4, 4, 3, **arguments)


SCALE = [
    *({"eps": value} for value in (-1.0, math.nan, math.inf, "1e-3", None, True)),
    *({"gain": value} for value in (0.0, -1.0, math.nan, math.inf, "lipshitz", None)),
    *({"gain": "learned", "max_gain": value} for value in (0.0, -1.0, math.nan, math.inf)),
    {"max_gain": 1.0},
]
OPTIONS = [
    *({"tolerance": value} for value in (-0.1, math.nan, 1.0, "0.1")),
    *({"max_radius": value} for value in (0, 1.5, "2")),
    *({option: "unknown"} for option in ("affine", "gradient", "strided", "boundary")),
    {"affine": True},
    {"boundary": "linear", "padding_mode": "circular"},
]


@pytest.mark.parametrize("options", SCALE + OPTIONS, ids=str)
@pytest.mark.parametrize("kind", [ConvNorm2d, ConvNormTranspose2d])
def test_impossible_options_are_one_line(kind, options):
    if kind is ConvNormTranspose2d and ("strided" in options or "padding_mode" in options):
        pytest.skip("not an option of the transposed layer")
    with pytest.raises(BadInput) as error:
        kind(4, 4, 3, **options)
    assert str(error.value).startswith(f"{kind.__name__}: ") and "\n" not in str(error.value)


@pytest.mark.parametrize("options", [*SCALE, {"in_features": 0}, {"out_features": -1}, {"in_features": 2.0}], ids=str)
def test_impossible_options_of_row_norm_are_one_line(options):
    with pytest.raises(BadInput, match=r"^LinearRowNorm: "):
        LinearRowNorm(**({"in_features": 4, "out_features": 4} | options))


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (OriginalConvNorm2d, {"eps": math.nan}),
        (OriginalConvNorm2d, {"eps": -1.0}),
        (OriginalConvNorm2d, {"momentum": 1.5}),
        (OriginalConvNorm2d, {"momentum": math.nan}),
        (OriginalConvNorm2d, {"affine": "depthwise"}),
        (OriginalConvNorm2d, {"batch_norm": 1}),
        (OCNNConv2d, {"coefficient": math.nan}),
        (OCNNConv2d, {"coefficient": -0.1}),
        (OCNNConv2d, {"coefficient": "0.1"}),
        (LOTConv2d, {"iterations": 0}),
        (SOCConv2d, {"terms": 5}),
    ],
)
def test_impossible_options_of_other_layers_are_one_line(kind, options):
    with pytest.raises(BadInput, match=f"{kind.__name__}: {next(iter(options))} is "):
        kind(4, 4, 3, **options)
    with pytest.raises(BadInput, match="OCNNLinear: in_features is 0"):
        OCNNLinear(0, 3)


ROLES = {"conv": lambda: nn.Conv2d(4, 4, 3), "linear": lambda: nn.Linear(4, 4), "activation": lambda: 4}


@pytest.mark.parametrize(
    ("norm", "options"),
    [
        *(("convnorm", options) for options in SCALE + OPTIONS if "padding_mode" not in options),
        ("convnorm", {"min_inputs": 0}),
        ("convnorm", {"min_inputs": 1.5}),
        ("convnorm_2021", {"affine": "no"}),
        *(("spectral", {"eps": value}) for value in (0.0, -1.0, math.nan)),
        *(("spectral", {"n_power_iterations": value}) for value in (0, 1.5, "1", True)),
        *(("spectral_conv", {"eps": value}) for value in (0.0, math.nan)),
        *(("spectral_conv", {"n_power_iterations": value}) for value in (0, 1.5)),
        *(("spectral_conv", {"size": value}) for value in (0, -8, 8.0, "8")),
        *(("oni", {"iterations": value}) for value in (0, 2.5, "5")),
        ("oni", {"center": "no"}),
        *(("ocnn", {"coefficient": value}) for value in (-1.0, math.nan, math.inf, "0.1")),
        *(("aoc", {"iterations": value}) for value in (0, 2.5, "12")),
        ("cayley", {"circular": "no"}),
        ("lot", {"circular": "no"}),
        *(("lot", {"iterations": value}) for value in (0, 2.5, "10")),
        *(("soc", {"terms": value}) for value in (0, 5, 8.0, "8")),
        *((norm, {"eps": value}) for norm in ("batch", "layer", "group", "instance") for value in (-1, math.nan, "1")),
        *(("batch", {"momentum": value}) for value in (-0.1, 1.1, math.nan, "0.1")),
        *(("group", {"num_groups": value}) for value in (0, 1.5, "8")),
    ],
    ids=str,
)
def test_impossible_options_of_a_norm_are_one_line(norm, options):
    row, refused = find_normalization(norm, options), 0
    for role, make in ROLES.items():
        taken = set(getattr(row, role).keywords)
        if taken:
            refused += 1
            with pytest.raises(BadInput) as error:
                getattr(row, role)(make())
            assert any(option in str(error.value) for option in options) and "\n" not in str(error.value)
            if norm == "spectral_conv":
                break  # `size` is not looked at for a linear layer
    assert refused
