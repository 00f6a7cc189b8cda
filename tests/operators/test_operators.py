"""Power spectra against the definition: the squared DFT of every kernel, summed."""

from itertools import product

import pytest
import torch
from dense_operators import circular_convolution_matrix

from gan_convnorm.fourier.power_spectrum import direct_power_spectrum
from gan_convnorm.operators import autocorrelation, power_spectrum


@pytest.mark.parametrize("kernel", [(3, 3), (2, 4), (1, 5), (1, 1), (7, 7)])
@pytest.mark.parametrize("grid", [(8, 8), (9, 12), (5, 4), (3, 2)])
@pytest.mark.parametrize("dilation", [(1, 1), (2, 3)])
def test_power_spectrum_is_the_summed_squared_dft(kernel, grid, dilation):
    torch.manual_seed(0)
    weight = torch.randn(4, 3, *kernel, dtype=torch.float64)
    # On a grid smaller than the kernel the taps wrap around.
    placed = torch.zeros(4, 3, *grid, dtype=torch.float64)
    for row in range(kernel[0]):
        for column in range(kernel[1]):
            placed[..., row * dilation[0] % grid[0], column * dilation[1] % grid[1]] += weight[..., row, column]
    expected = torch.fft.rfft2(placed).abs().square().sum(dim=1)
    found = power_spectrum(autocorrelation(weight), grid, dilation)
    assert torch.allclose(found, expected, rtol=1e-12, atol=1e-12)
    assert torch.allclose(direct_power_spectrum(weight, grid, dilation), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("kernel", "stride", "dilation"), [((3, 4), (2, 2), (1, 3)), ((4, 1), (3, 1), (2, 1))])
def test_power_spectrum_of_a_stride_is_that_of_the_strided_operator(kernel, stride, dilation):
    """The eigenvalues of A A^T, A written out as a matrix that keeps every stride-th pixel."""
    torch.manual_seed(0)
    weight, coarse = torch.randn(2, 3, *kernel, dtype=torch.float64), (4, 5)
    fine = [n * s for n, s in zip(coarse, stride, strict=True)]
    kept = [y * fine[1] + x for y, x in product(range(0, fine[0], stride[0]), range(0, fine[1], stride[1]))]
    for kernels, *found in zip(
        weight,
        power_spectrum(autocorrelation(weight), coarse, dilation, stride),
        direct_power_spectrum(weight, coarse, dilation, stride),
        strict=True,
    ):
        rows = torch.cat([circular_convolution_matrix(a, fine, dilation)[kept] for a in kernels], 1)
        expected = torch.fft.rfft2((rows @ rows.T)[0].unflatten(0, coarse)).real
        assert all(torch.allclose(value, expected, rtol=1e-11, atol=1e-11) for value in found)


@pytest.mark.parametrize("inputs", [1, 16])
def test_the_kernels_own_transforms_are_right_at_spectral_zeros(inputs):
    """Kernels of which every one sums up to nearly nothing, so that S_k(0) is 1e-12 of the largest S_k."""
    torch.manual_seed(0)
    weight = torch.randn(8, inputs, 3, 3)
    weight -= weight.mean((2, 3), keepdim=True) * (1 - 1e-6)
    taps = weight.double().sum((2, 3)).square().sum(1)
    assert taps.max() <= 1e-9
    found = direct_power_spectrum(weight, (12, 9))
    assert found.dtype == torch.float32 and (found > 0).all()
    assert torch.allclose(found[:, 0, 0].double(), taps, rtol=1e-6, atol=0)
    # By the autocorrelation it is a number of either sign, which rounding made.
    by_correlation = power_spectrum(autocorrelation(weight), (12, 9))[:, 0, 0]
    assert ((by_correlation.double() / taps - 1).abs() > 0.1).any()


def test_autocorrelation_at_lag_zero_is_the_energy():
    weight = torch.randn(4, 3, 2, 5)
    correlation = autocorrelation(weight)
    assert torch.allclose(correlation[:, 1, 4], weight.square().sum(dim=(1, 2, 3)))
    assert torch.allclose(correlation, correlation.flip(1, 2), atol=1e-6)
