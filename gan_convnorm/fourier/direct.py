"""Torch's own convolutions by their number of spatial dimensions."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional

__all__ = ["CONVOLVE", "CONVOLVE_TRANSPOSED"]

#: conv1d to conv3d: (images, weight, bias, stride, padding, dilation, groups)
#:
#: >>> import torch
#: >>> CONVOLVE[1](torch.ones(1, 1, 3), torch.ones(1, 1, 2))
#: tensor([[[2., 2.]]])
CONVOLVE: dict[int, Callable[..., Tensor]] = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}

#: their adjoints: (images, weight, bias, stride, padding, output_padding, groups, dilation)
CONVOLVE_TRANSPOSED: dict[int, Callable[..., Tensor]] = {
    1: functional.conv_transpose1d,
    2: functional.conv_transpose2d,
    3: functional.conv_transpose3d,
}
