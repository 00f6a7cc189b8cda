"""Power spectra against the definition: the squared DFT of every kernel, summed."""

import pytest
import torch

from gan_convnorm.spectrum import autocorrelation, power_spectrum


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


def test_autocorrelation_at_lag_zero_is_the_energy():
    weight = torch.randn(4, 3, 2, 5)
    correlation = autocorrelation(weight)
    assert torch.allclose(correlation[:, 1, 4], weight.square().sum(dim=(1, 2, 3)))
    assert torch.allclose(correlation, correlation.flip(1, 2), atol=1e-6)
