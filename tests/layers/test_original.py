"""The layer of 2021 against its steps written out: every kernel's transform, the running average, affine and norm."""

import copy
import math

import pytest
import torch
from torch import nn

from gan_convnorm.errors import BadInput
from gan_convnorm.layers import ConvNorm2d, OriginalConvNorm2d, convnorm_2021


def steps(layer, image, average=None):
    """Output and preconditioner; the preconditioner is computed, or given as the average."""
    k, p, s = layer.kernel_size[0], layer.padding[0], layer.stride[0]
    response = nn.functional.conv2d(image, layer.weight, layer.bias, 1, k - 1, 1, layer.groups)
    grid = tuple(response.shape[-2:])
    spectrum = torch.zeros(layer.out_channels, grid[0], grid[1] // 2 + 1, dtype=image.dtype)
    for kernels in layer.weight.detach().transpose(0, 1):
        spectrum += torch.fft.rfft2(kernels, s=grid).abs() ** 2
    preconditioner = 1 / (spectrum + layer.eps).sqrt()
    used = preconditioner if average is None else average
    filtered = torch.fft.irfft2(torch.fft.rfft2(response) * used, s=grid)
    crop = k - 1 - p
    filtered = filtered[..., crop : grid[0] - crop, crop : grid[1] - crop][..., ::s, ::s]
    return layer.batch_norm(layer.affine(filtered)), preconditioner


@pytest.mark.parametrize(
    "arguments",
    [
        dict(kernel_size=3, padding=1),
        dict(kernel_size=5, padding=4, stride=2),
        dict(kernel_size=1),
        dict(kernel_size=3, groups=2, padding=1),
    ],
)
@pytest.mark.parametrize("eps", [0.0, 1e-4])
def test_equals_the_steps_of_2021(arguments, eps):
    torch.manual_seed(0)
    layer = OriginalConvNorm2d(4, 6, eps=eps, dtype=torch.float64, **arguments)
    other = copy.deepcopy(layer)
    image = torch.randn(3, 4, 8, 7, dtype=torch.float64)
    expected, _ = steps(other, image)
    assert torch.allclose(layer(image), expected, rtol=1e-10, atol=1e-10)
    layer(image).square().sum().backward()
    other_output, _ = steps(other, image)
    other_output.square().sum().backward()
    assert torch.allclose(layer.weight.grad, other.weight.grad, rtol=1e-8, atol=1e-10)


def test_evaluation_reads_the_running_average():
    torch.manual_seed(0)
    layer = OriginalConvNorm2d(4, 6, 3, padding=1, dtype=torch.float64, eps=1e-4)
    image = torch.randn(3, 4, 8, 7, dtype=torch.float64)
    average = torch.zeros(6, 10, 5, dtype=torch.float64)
    for t in (1, 2, 20_000, 39_999, 40_000, 100_000):
        layer.num_batches_tracked.fill_(t - 1)
        with torch.no_grad():
            layer.weight.normal_()
        layer(image)
        _, current = steps(layer, image)
        factor = max((1 + math.cos(math.pi * min(t, 40_000) / 40_000)) / 2, 0.01)
        average = factor * current + (1 - factor) * average
    layer.eval()
    assert torch.allclose(layer.running_preconditioner, average, rtol=1e-6)
    assert torch.allclose(layer(image), steps(layer, image, layer.running_preconditioner)[0], rtol=1e-10)
    assert layer.num_batches_tracked == 100_000


def test_reload_keeps_the_average_and_refuses_another_resolution():
    torch.manual_seed(0)
    layer = OriginalConvNorm2d(4, 6, 3, padding=1, momentum=0.5)
    image = torch.randn(3, 4, 8, 8)
    layer(image)
    fresh = OriginalConvNorm2d(4, 6, 3, padding=1, momentum=0.5)
    with pytest.raises(BadInput, match="not trained yet"):
        fresh.eval()(image)
    fresh.load_state_dict(layer.state_dict())
    assert torch.equal(fresh.eval()(image), layer.eval()(image))
    with pytest.raises(BadInput, match="resolution of the training"):
        fresh(torch.randn(3, 4, 9, 9))


def test_agrees_with_convnorm2d_where_the_definitions_do():
    torch.manual_seed(0)
    original = OriginalConvNorm2d(4, 6, 3, stride=2, padding=1, bias=False, affine=False, batch_norm=False, eps=1e-4)
    layer = ConvNorm2d(4, 6, 3, stride=2, padding=1, bias=False, gradient="stop")
    layer.load_state_dict({"weight": original.weight})
    image = torch.randn(3, 4, 8, 7)
    assert torch.allclose(original(image), layer(image), atol=1e-5)


@pytest.mark.parametrize(
    "arguments",
    [
        dict(kernel_size=4),
        dict(kernel_size=(1, 3)),
        dict(kernel_size=3, padding=3),
        dict(kernel_size=3, dilation=2),
        dict(kernel_size=3, padding=1, padding_mode="circular"),
        dict(kernel_size=3, padding="same"),
        dict(kernel_size=3, eps=-1.0),
    ],
)
def test_refuses_what_the_code_of_2021_gets_wrong(arguments):
    with pytest.raises(BadInput):
        OriginalConvNorm2d(4, 6, **arguments)


def test_convnorm_makes_one():
    with pytest.raises(BadInput, match="convnorm_2021: found ConvTranspose2d, and can take Conv2d"):
        convnorm_2021(nn.ConvTranspose2d(4, 6, 3))
    conv = nn.Conv2d(4, 6, 3, padding=1, bias=False)
    layer = convnorm_2021(conv, eps=0.0)
    assert isinstance(layer, OriginalConvNorm2d)
    assert layer.weight is conv.weight
    assert layer.bias is None
    assert layer.eps == 0.0
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.isfinite(layer(torch.randn(2, 4, 8, 8))).all()


def dense_powers(weight, grid):
    """|sum_t a[t] exp(-2 pi i w t / N)|^2 summed over the input channels, float64, term by term."""
    angles = torch.zeros(*grid, *weight.shape[2:], dtype=torch.float64)
    for axis, (n, k) in enumerate(zip(grid, weight.shape[2:], strict=True)):
        shape = [1] * 4
        shape[axis], shape[axis + 2] = n, k
        turn = (torch.arange(n)[:, None] * torch.arange(k) % n).double() * (2 * math.pi / n)
        angles += turn.view(shape)
    found = torch.einsum("hwyx,kjyx->kjhw", torch.polar(torch.ones_like(angles), angles), weight.to(torch.complex128))
    return found.abs().square().sum(1)[..., : grid[1] // 2 + 1]


GREY = {
    "grey": dict(in_channels=1, out_channels=64, kernel_size=3, padding=1),
    "depthwise": dict(in_channels=64, out_channels=64, kernel_size=3, padding=1, groups=64),
    "grey 5x5": dict(in_channels=1, out_channels=64, kernel_size=5, padding=2),
    "colours": dict(in_channels=3, out_channels=64, kernel_size=3, padding=1),
}


@pytest.mark.parametrize("case", GREY)
def test_float32_is_right_at_spectral_zeros(case):
    """With eps = 0 a power that rounds to zero, or below, would be infinite for ever in the running average."""
    for seed in range(40):
        torch.manual_seed(seed)
        layer = OriginalConvNorm2d(**GREY[case])
        output = layer(torch.randn(2, layer.in_channels, 16, 16))
        assert output.isfinite().all()
        n = 16 + layer.kernel_size[0] - 1
        expected = dense_powers(layer.weight.detach(), (n, n)).rsqrt()
        assert (layer.running_preconditioner.double() / expected - 1).abs().max() <= 1e-6


def test_a_kernel_of_zeros_has_no_preconditioner():
    layer, image = OriginalConvNorm2d(2, 3, 3, padding=1, momentum=0.1), torch.randn(2, 2, 8, 8)
    with torch.no_grad():
        layer.weight[0] = 0
    layer(image).square().sum().backward()
    assert layer.running_preconditioner[0].abs().max() == 0
    assert layer.running_preconditioner.isfinite().all() and layer.weight.grad.isfinite().all()


def test_a_short_training_of_grey_images_stays_finite():
    torch.manual_seed(0)
    network = nn.Sequential(OriginalConvNorm2d(1, 16, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 64, 1))
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(40):
        loss = (network(torch.randn(8, 1, 8, 8)) - 1).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert all(value.isfinite().all() for value in network.state_dict().values())


def test_replicas_share_the_average():
    """A replica of nn.DataParallel has the buffer's memory, and loses what it assigns."""
    layer = OriginalConvNorm2d(3, 4, 3, padding=1)
    replica = copy.copy(layer)
    replica._buffers = dict(layer._buffers)
    for _ in range(2):
        replica(torch.randn(2, 3, 8, 8))
    assert layer.running_preconditioner.shape == (4, 10, 6) and layer.num_batches_tracked == 2
    layer.eval()(torch.randn(1, 3, 8, 8))
