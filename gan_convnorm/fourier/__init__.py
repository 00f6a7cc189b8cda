"""Circular grids, real Fourier transforms as matrix products, power spectra of kernels; knows no layer."""
