"""The size of a convolution as a linear operator: one method a file."""

from gan_convnorm.fourier.power_spectrum import autocorrelation, power_spectrum
from gan_convnorm.operators.certified_bound import certified_bound
from gan_convnorm.operators.circular_convolution import CircularConvolution
from gan_convnorm.operators.gram_iteration import gram_iteration
from gan_convnorm.operators.kernel import flattened_norm, kernel_of
from gan_convnorm.operators.layer_operator import layer_operator
from gan_convnorm.operators.linear_operator import LinearOperator, MatrixOperator, ScaledOutputs
from gan_convnorm.operators.operator_norm import measure_operator, operator_norm
from gan_convnorm.operators.recording import Layer, recording
from gan_convnorm.operators.report import LayerNorms, LipschitzReport, lipschitz_report
from gan_convnorm.operators.singular_values import circular_size, condition_number, singular_values
from gan_convnorm.operators.sum_bound import sum_bound

__all__ = [
    "CircularConvolution",
    "Layer",
    "LayerNorms",
    "LinearOperator",
    "LipschitzReport",
    "MatrixOperator",
    "ScaledOutputs",
    "autocorrelation",
    "certified_bound",
    "circular_size",
    "condition_number",
    "flattened_norm",
    "gram_iteration",
    "kernel_of",
    "layer_operator",
    "lipschitz_report",
    "measure_operator",
    "operator_norm",
    "power_spectrum",
    "recording",
    "singular_values",
    "sum_bound",
]
