"""What a layer owes the code around it: dtypes, memory formats, compilers, copies, empty batches."""

import copy
import io
import pickle
from dataclasses import replace

import pytest
import torch
from torch import nn

from gan_convnorm.layers import ConvNorm1d, ConvNorm2d, ConvNorm3d, ConvNormTranspose2d, LinearRowNorm

LAYERS = {
    "2d": lambda: ConvNorm2d(4, 6, 3, padding=1, affine="depthwise"),
    "2d, stride 2": lambda: ConvNorm2d(4, 6, 4, stride=2, padding=1, affine="channel"),
    "2d, folded": lambda: ConvNorm2d(4, 6, 4, stride=2, padding=1, strided="fold"),
    "2d, many channels": lambda: ConvNorm2d(64, 64, 3, padding=1),
    "2d, circular": lambda: ConvNorm2d(4, 6, 3, padding=1, padding_mode="circular"),
    "2d, 1x1": lambda: ConvNorm2d(4, 6, 1),
    "2d, groups": lambda: ConvNorm2d(4, 6, 3, padding=1, groups=2),
    "2d, tolerance": lambda: ConvNorm2d(16, 6, 3, padding=1, tolerance=0.5, max_radius=3, affine="depthwise"),
    "transposed": lambda: ConvNormTranspose2d(4, 6, 4, stride=2, padding=1),
    "transposed, 1x1": lambda: ConvNormTranspose2d(4, 6, 1, stride=2),
    "1d": lambda: ConvNorm1d(4, 6, 3, padding=1),
    "3d": lambda: ConvNorm3d(4, 6, 3, padding=1),
}
SIZES = {1: (9,), 2: (7, 8), 3: (4, 3, 5)}


@pytest.fixture(params=LAYERS)
def layer(request):
    torch.manual_seed(0)
    layer = LAYERS[request.param]()
    if layer.affine_weight is not None:
        nn.init.normal_(layer.affine_weight)
    return layer


def image_for(layer, batch=3):
    return torch.randn(batch, layer.in_channels, *SIZES[len(layer.kernel_size)])


def relative_error(value, expected):
    return ((value.float() - expected).norm() / expected.norm()).item()


def test_empty_batch(layer):
    output = layer(image_for(layer, batch=0).requires_grad_())
    assert output.shape == (0, *layer(image_for(layer, batch=1)).shape[1:])
    output.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in layer.parameters() if p.grad is not None)


def test_copies_compute_the_same(layer):
    image = image_for(layer)
    expected = layer(image)
    assert torch.equal(copy.deepcopy(layer)(image), expected)
    assert torch.equal(pickle.loads(pickle.dumps(layer))(image), expected)
    stored = io.BytesIO()
    torch.save(layer.state_dict(), stored)
    stored.seek(0)
    fresh = copy.deepcopy(layer)
    for parameter in fresh.parameters():
        nn.init.zeros_(parameter)
    fresh.load_state_dict(torch.load(stored, weights_only=True))
    assert torch.equal(fresh(image), expected)


def test_functional_call_and_function_transforms(layer):
    image = image_for(layer)
    parameters = dict(layer.named_parameters())
    doubled = {name: 2 * value for name, value in parameters.items()}
    found = torch.func.functional_call(layer, doubled, (image,))
    with torch.no_grad():
        for value in parameters.values():
            value *= 2
    assert torch.allclose(found, layer(image), rtol=1e-5, atol=1e-6)
    if layer.options.tolerance:
        return  # Under a transform the filter is exact, which is within the tolerance and not equal.

    def loss(values, sample):
        return torch.func.functional_call(layer, values, (sample[None],)).square().sum()

    per_sample = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(parameters, image)
    layer(image).square().sum().backward()
    for name, value in layer.named_parameters():
        assert torch.allclose(per_sample[name].sum(0), value.grad, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast(layer, dtype):
    image = image_for(layer)
    exact = layer(image)
    with torch.autocast("cpu", dtype):
        rounded = layer(image)
        rounded.float().square().sum().backward()
    assert rounded.dtype == dtype
    assert relative_error(rounded, exact) <= (2e-2 if dtype == torch.bfloat16 else 3e-3)
    assert all(p.grad.dtype == torch.float32 for p in layer.parameters())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_dtypes_of_the_weights(layer, dtype):
    image = image_for(layer)
    exact = layer(image)
    found = layer.to(dtype)(image.to(dtype))
    assert found.dtype == dtype
    assert relative_error(found, exact) <= (4e-2 if dtype == torch.bfloat16 else 1e-5)


def test_channels_last(layer):
    image = image_for(layer)
    if image.dim() != 4:
        pytest.skip("two spatial dimensions")
    expected = layer(image)
    converted = layer.to(memory_format=torch.channels_last)(image.to(memory_format=torch.channels_last))
    assert converted.is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(converted, expected, atol=1e-5)


# Inductor would compile C++; that the graph is whole, and right, shows without it.
@pytest.mark.slow
def test_compiles_without_a_graph_break(layer):
    image = image_for(layer)
    torch.compiler.reset()
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    if layer.options.tolerance:
        layer.options = replace(layer.options, tolerance=0.0)
        expected = layer(image)
        layer.options = replace(layer.options, tolerance=0.5)
    else:
        expected = layer(image)
    output = compiled(image)
    assert torch.allclose(output, expected, atol=1e-5)
    (found,) = torch.autograd.grad(output.square().sum(), layer.weight)
    (wanted,) = torch.autograd.grad(expected.square().sum(), layer.weight)
    assert relative_error(found, wanted) <= 1e-4


@pytest.mark.slow
def test_exports_with_any_batch(layer):
    if hasattr(layer, "options"):
        layer.options = replace(layer.options, tolerance=0.0)
    batch = torch.export.Dim("batch", min=2)
    program = torch.export.export(layer.eval(), (image_for(layer),), dynamic_shapes=({0: batch},))
    image = image_for(layer, batch=5)
    assert torch.allclose(program.module()(image), layer(image), atol=1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_equals_cpu(layer):
    image = image_for(layer)
    expected = layer(image)
    with torch.backends.cudnn.flags(allow_tf32=False):
        assert relative_error(layer.cuda()(image.cuda()).cpu(), expected) <= 1e-4


def test_linear_row_norm_takes_an_empty_batch_and_half_precision():
    linear = LinearRowNorm(5, 7, gain="lipschitz")
    assert linear(torch.randn(0, 5)).shape == (0, 7)
    assert linear.bfloat16()(torch.randn(4, 5).bfloat16()).dtype == torch.bfloat16


@pytest.mark.filterwarnings("ignore:There is a performance drop")
@pytest.mark.parametrize("count", [1, 16])
@pytest.mark.parametrize("name", LAYERS)
def test_batched_gradients_are_those_one_by_one(name, count):
    """As `torch.autograd.functional.jacobian(vectorize=True)` takes them; both ways of the layer."""
    layer, image = case(name, count)
    output = layer(image)
    weights = [image, *layer.parameters()]
    incoming = torch.randn(3, *output.shape, dtype=torch.float64)
    found = torch.autograd.grad(output, weights, incoming, retain_graph=True, is_grads_batched=True)
    for row, each in enumerate(incoming):
        expected = torch.autograd.grad(output, weights, each, retain_graph=True)
        for one, other in zip(found, expected, strict=True):
            assert torch.allclose(one[row], other, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("count", [1, 16])
@pytest.mark.parametrize("name", LAYERS)
def test_forward_mode_agrees_with_a_difference(name, count):
    layer, image = case(name, count)
    if layer.options.tolerance:
        return  # The filter is exact then, which is within the tolerance and not equal.
    image = image.detach()
    direction = torch.randn_like(image)
    with torch.autograd.forward_ad.dual_level():
        found = torch.autograd.forward_ad.unpack_dual(layer(torch.autograd.forward_ad.make_dual(image, direction)))
    with torch.no_grad():  # the layer is affine in the image
        expected = layer(image + direction) - layer(image)
    assert torch.allclose(found.primal, layer(image), atol=1e-10)
    assert torch.allclose(found.tangent, expected, atol=1e-10)


def case(name, count):
    torch.manual_seed(0)
    layer = LAYERS[name]().double()
    return layer, image_for(layer, count).double().requires_grad_()
