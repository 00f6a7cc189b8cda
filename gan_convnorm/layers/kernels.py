"""A layer's kernels as the norms see them: by group, by the stride's phases, and their correlations.

A linear layer is a convolution on one pixel. A transposed convolution stands for its adjoint, which is the plain
convolution with the same weight from the second axis to the first, and has its norm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gan_convnorm.errors import BadInput
from gan_convnorm.fourier.direct import CONVOLVE

__all__ = ["KernelLayout", "correlations", "kernel_layout", "phases"]


@dataclass(frozen=True)
class KernelLayout:
    """The layout of a weight of shape (groups * outputs, inputs, *kernel_size).

    Attributes:
        groups: independent parts of the layer.
        stride: of the layer, one per dimension; empty for a linear one.
        dilation: of the layer, one per dimension; empty for a linear one.

    >>> KernelLayout(2, (1,), (1,)).split(torch.zeros(4, 3, 5)).shape
    torch.Size([2, 2, 3, 5])
    """

    groups: int
    stride: tuple[int, ...]
    dilation: tuple[int, ...]

    def split(self, weight: Tensor) -> Tensor:
        """Return the weight with its groups apart, shape (groups, outputs, inputs, *kernel_size)."""
        return weight.unflatten(0, (self.groups, -1))


def kernel_layout(norm: str, layer: nn.Module) -> KernelLayout:
    """Return the layout of the kernels of a linear layer or a (transposed) convolution.

    Args:
        norm: name of the norm, for the message.
        layer: the layer.

    Returns:
        Its groups, stride and dilation.

    Raises:
        BadInput: another module.

    >>> kernel_layout("oni", nn.Conv2d(4, 8, 3, groups=2))
    KernelLayout(groups=2, stride=(1, 1), dilation=(1, 1))
    """
    if isinstance(layer, nn.Linear):
        return KernelLayout(1, (), ())
    if isinstance(layer, nn.modules.conv._ConvNd):
        return KernelLayout(layer.groups, tuple(layer.stride), tuple(layer.dilation))
    raise BadInput(f"{norm}: found {type(layer).__name__}, and can take Linear, Conv1d to 3d and ConvTranspose1d to 3d")


def phases(weight: Tensor, stride: tuple[int, ...], dilation: tuple[int, ...]) -> tuple[Tensor, Tensor, list[int]]:
    """Return a strided convolution as one without a stride, of images whose phases modulo the stride are channels.

    Args:
        weight: shape (..., *kernel_size).
        stride: of the layer.
        dilation: of the layer.

    Returns:
        The kernels of every phase, dilation written out as zeros, shape (..., phases, *coarse kernel); the phase of
        every tap, shape (taps); and per dimension the index of the coarse tap that stands at the output's own place.
        Tap t is at pixel p = d (t - (k - 1) // 2) from there, in phase p mod s.

    >>> kernels, phase, centres = phases(torch.tensor([[1.0, 2.0, 3.0]]), (2,), (1,))
    >>> kernels, phase, centres
    (tensor([[[0., 2.],
             [1., 3.]]]), tensor([1, 0, 1]), [1])
    """
    kernel_size = weight.shape[-len(stride) :] if stride else ()
    phase = torch.zeros(1, dtype=torch.int64, device=weight.device)
    place, sizes, centres = phase, [], []
    for k, s, d in zip(kernel_size, stride, dilation, strict=True):
        pixel = d * (torch.arange(k, device=weight.device) - (k - 1) // 2)
        first, last = -d * ((k - 1) // 2) // s, d * (k - 1 - (k - 1) // 2) // s
        sizes.append(last - first + 1)
        centres.append(-first)
        phase = (phase[:, None] * s + pixel % s).flatten()
        place = (place[:, None] * sizes[-1] + pixel.div(s, rounding_mode="floor") - first).flatten()
    count = math.prod(sizes)
    taps = weight.flatten(weight.dim() - len(stride)) if stride else weight.unsqueeze(-1)
    placed = weight.new_zeros(*taps.shape[:-1], math.prod(stride) * count).index_copy(-1, phase * count + place, taps)
    return placed.unflatten(-1, (math.prod(stride), *sizes)), phase, centres


def correlations(kernels: Tensor, step: tuple[int, ...]) -> Tensor:
    """Return sum_b sum_s a_gib[s + t] a_gjb[s] between the kernels of a group, at lags t that are multiples of a step.

    Args:
        kernels: shape (groups, A, B, *kernel_size).
        step: spacing of the lags, in taps.

    Returns:
        Shape (A, groups, A, *lags), the first axis for i, lag zero in the centre.

    >>> correlations(torch.tensor([[[[1.0, 2.0]]]]), (1,)).flatten()
    tensor([2., 5., 2.])
    """
    groups, count = kernels.shape[:2]
    if kernels.dim() == 3:
        kernels, step = kernels.unsqueeze(-1), (1,)
    images = kernels.transpose(0, 1).flatten(1, 2)
    # The largest multiple of the step, not k - 1: lag zero has to be among those that a strided convolution reads.
    padding = [(k - 1) // s * s for k, s in zip(kernels.shape[3:], step, strict=True)]
    convolve = CONVOLVE[images.dim() - 2]
    found = convolve(images, kernels.flatten(0, 1), stride=step, padding=padding, groups=groups)
    return found.unflatten(1, (groups, count))
