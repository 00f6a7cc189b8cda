"""ConvNorm2d as a layer: reload, modes, shapes, text, refused options, precision at spectral zeros."""

import math

import pytest
import torch
from convnorm_oracle import make
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from gan_convnorm.layers import ConvNorm2d
from gan_convnorm.layers.convnorm.methods import choose


def test_scale_of_the_weights_does_not_matter_without_eps():
    layer = make("3x3", eps=0.0)
    image = torch.randn(2, 2, 6, 5, dtype=torch.float64)
    before = layer(image)
    with torch.no_grad():
        layer.weight *= 7
    assert torch.allclose(layer(image), before, rtol=1e-10)


@pytest.mark.parametrize("affine", [None, "channel", "depthwise"])
def test_reload_into_a_fresh_layer_at_another_size(affine):
    layer = ConvNorm2d(2, 3, 3, padding=1, affine=affine)
    layer(torch.randn(4, 2, 6, 5)).square().mean().backward()
    torch.optim.SGD(layer.parameters(), lr=0.1).step()
    fresh = ConvNorm2d(2, 3, 3, padding=1, affine=affine)
    fresh(torch.randn(1, 2, 9, 9))
    fresh.load_state_dict(layer.state_dict())
    image = torch.randn(2, 2, 11, 8)
    assert torch.equal(fresh.eval()(image), layer.eval()(image))


@pytest.mark.parametrize("affine", [None, "channel", "depthwise"])
def test_train_and_eval_agree(affine):
    layer = ConvNorm2d(2, 3, 3, padding=1, affine=affine)
    image = torch.randn(4, 2, 6, 5)
    assert torch.equal(layer.train()(image), layer.eval()(image))


@pytest.mark.parametrize("size", [(3, 9), (9, 2)])
def test_an_image_below_the_kernel_is_refused_as_in_conv2d(size):
    image = torch.randn(1, 2, *size)
    with pytest.raises(RuntimeError, match="size"):
        nn.Conv2d(2, 3, 4)(image)
    with pytest.raises(ValueError, match="below the kernel"):
        ConvNorm2d(2, 3, 4)(image)
    ConvNorm2d(2, 3, 4)(torch.randn(1, 2, 4, 4))


def test_unbatched_input_has_conv2d_shape():
    layer = ConvNorm2d(2, 3, 3, padding=1)
    image = torch.randn(2, 6, 5)
    assert torch.allclose(layer(image), layer(image[None])[0])
    for options in (dict(tolerance=0.5, max_radius=1), dict(stride=2, strided="fold"), dict(kernel_size=1, padding=0)):
        other = ConvNorm2d(**{"in_channels": 2, "out_channels": 3, "kernel_size": 3, "padding": 1, **options})
        assert torch.allclose(other(image), other(image[None])[0])


def test_repr_tells_the_options_that_are_not_the_default():
    text = repr(ConvNorm2d(2, 3, 3, gain="lipschitz", affine="channel", tolerance=1e-3))
    assert "eps=0.0001, gain='lipschitz', affine='channel', tolerance=0.001)" in text


def test_circular_padding_folds_only_whole_strides():
    layer = ConvNorm2d(2, 3, 3, stride=2, padding=1, padding_mode="circular", strided="fold")
    with pytest.raises(ValueError, match="the stride 2 divides, not 5"):
        layer(torch.randn(1, 2, 6, 5))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(padding_mode="mirror"), "padding_mode is 'mirror', and must be one of: 'zeros'"),
        (dict(gradient="none"), "one of: 'full', 'stop'"),
        (dict(strided="first"), "one of: 'subsample', 'fold'"),
        (dict(boundary="zero"), "one of: 'circular', 'linear'"),
        (dict(boundary="linear", padding_mode="circular"), "contradicts"),
        (dict(tolerance=1.0), "at least 0 and below 1"),
        (dict(max_radius=0), "whole number of at least 1"),
        (dict(eps=-1.0), "number of at least 0"),
        (dict(gain="spectral"), "number or 'lipschitz'"),
        (dict(affine="batch"), "one of: None, 'channel', 'depthwise'"),
    ],
)
def test_unknown_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ConvNorm2d(2, 3, 3, **options)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("options", [{}, {"stride": 2}, {"affine": "depthwise"}])
def test_autocast_rounds_the_output_alone(options, dtype):
    """On CPUs the products in float32 are faster than a convolution in half precision and a filter behind it."""
    torch.manual_seed(0)
    layer = ConvNorm2d(8, 8, 3, padding=1, **options)
    images = torch.randn(16, 8, 6, 6).to(dtype).float().requires_grad_()
    exact = layer(images)
    target = torch.randn_like(exact).to(dtype).float()
    to_images, *gradients = torch.autograd.grad((exact * target).sum(), [images, *layer.parameters()])
    with torch.autocast("cpu", dtype):
        for given in images, images.detach().to(dtype).requires_grad_():
            output = layer(given)
            assert torch.equal(output, exact.to(dtype))
            # As in Lightning's manual optimization, where backward runs under autocast too.
            for create_graph in False, True:
                loss = (output.float() * target).sum()
                inputs = [given, *layer.parameters()]
                to_given, *found = torch.autograd.grad(loss, inputs, retain_graph=True, create_graph=create_graph)
                torch.testing.assert_close(to_given, to_images.to(given.dtype))
                for one, other in zip(found, gradients, strict=True):
                    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-4)
    with torch.autocast("cpu", dtype):
        assert choose(layer, images, layer.respond(images)[1]).__name__ == "convolve_by_matmul"
        wide = ConvNorm2d(128, 128, 1)
        for count, way in ((16, "filter_by_fft"), (32, "convolve_by_matmul")):
            images = torch.zeros(count, 128, 2, 2)
            assert choose(wide, images, wide.respond(images)[1]).__name__ == way


def test_weights_and_images_are_kept_for_backward_as_they_are():
    """Copies in float64 and in float32, in which the layer computes, would double their memory."""
    kept = []
    layer, images = ConvNorm2d(8, 8, 3, padding=1), torch.randn(16, 8, 6, 6, dtype=torch.bfloat16, requires_grad=True)
    hooks = torch.autograd.graph.saved_tensors_hooks(
        lambda tensor: kept.append(tensor) or tensor, lambda tensor: tensor
    )
    with torch.autocast("cpu", torch.bfloat16), hooks:
        layer(images)
    of_images = {tensor.dtype for tensor in kept if tensor.shape == images.shape}
    of_weights = {tensor.dtype for tensor in kept if tensor.numel() == layer.weight.numel()}
    assert (of_images, of_weights) == ({torch.bfloat16}, {torch.float32})


def test_gradients_that_have_a_gradient_are_those_of_a_backward():
    """The filter depends on the kernels: their gradient follows that path once, with `create_graph` too."""
    torch.manual_seed(0)
    layer, images = ConvNorm2d(8, 8, 3, padding=1).double(), torch.randn(16, 8, 6, 6, dtype=torch.float64)
    assert choose(layer, images, layer.respond(images)[1]).__name__ == "convolve_by_matmul"
    target = torch.randn(16, 8, 6, 6, dtype=torch.float64)
    parameters = [*layer.parameters()]
    plain = torch.autograd.grad((layer(images) * target).sum(), parameters)
    differentiable = torch.autograd.grad((layer(images) * target).sum(), parameters, create_graph=True)
    for one, other in zip(plain, differentiable, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-12, atol=1e-12)
    # A Hessian-vector product, against differences of the plain gradient.
    direction = torch.randn_like(layer.weight)
    (product,) = torch.autograd.grad((differentiable[0] * direction).sum(), layer.weight)
    step, sides = 1e-5, []
    for sign in (1, -1):
        with torch.no_grad():
            layer.weight += sign * step * direction
        sides.append(torch.autograd.grad((layer(images) * target).sum(), layer.weight)[0])
        with torch.no_grad():
            layer.weight -= sign * step * direction
    torch.testing.assert_close(product, (sides[0] - sides[1]) / (2 * step), rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("mode", ["export", "fake tensors"])
def test_a_layer_that_was_traced_leaves_no_fake_numbers_behind(mode):
    """Constants of a kernel size that were first made while fake tensors flow must not serve real ones."""
    torch.manual_seed(0)
    kernel_size, images = {"export": (7, 2), "fake tensors": (2, 7)}[mode], torch.randn(2, 4, 9, 9)
    layer = ConvNorm2d(4, 5, kernel_size).eval()
    if mode == "export":
        torch.export.export(layer, (images,))
    else:
        with FakeTensorMode(allow_non_fake_inputs=True):
            layer(images)
    found = layer(images)
    expected = layer.double()(images.double())
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-5)
    torch.export.export(layer, (images.double(),))


@pytest.mark.parametrize("inputs", [1, 3, 8])
@pytest.mark.parametrize(("eps", "scale"), [(0.0, 1.0), (1e-9, 1.0), (1e-4, 1.0), (1e-4, 100.0)])
def test_float32_is_right_at_spectral_zeros(inputs, eps, scale):
    """||Q_k|| <= 1 holds there, with weights large beside eps too: equal colours, kernels that sum up to 0."""
    torch.manual_seed(0)
    layer = ConvNorm2d(inputs, 32, 3, padding=1, eps=eps)
    with torch.no_grad():
        kernel = torch.randn(32, 1, 3, 3)
        layer.weight.copy_(scale * (kernel - kernel.mean((2, 3), keepdim=True) * (1 - 1e-5)).expand_as(layer.weight))
    grid = (10, 9)
    weight = layer.weight.detach().double()
    wave = [
        torch.exp(-2j * math.pi / n * torch.outer(torch.arange(n).double(), torch.arange(3).double())) for n in grid
    ]
    power = torch.einsum("hy,wx,kjyx->kjhw", *wave, weight.to(torch.complex128)).abs().square().sum(1)[..., :5]
    found = layer.transfer_function(grid).detach().double()
    assert (found * (power + eps).sqrt() - 1).abs().max() <= 1e-6
    image = torch.randn(2, inputs, 8, 7, requires_grad=True)
    output = layer(image)
    (gradient,) = torch.autograd.grad(output.sum(), image, create_graph=True)
    (output.square().sum() + gradient.square().sum()).backward()
    assert output.isfinite().all() and layer.weight.grad.isfinite().all()
