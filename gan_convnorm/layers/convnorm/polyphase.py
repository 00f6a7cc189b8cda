"""A strided convolution as one without a stride, of images with more channels and fewer pixels."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

__all__ = ["polyphase"]


def polyphase(
    images: Tensor, weight: Tensor, stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int]
) -> tuple[Tensor, Tensor, list[int]]:
    """Return the images, kernels and padding of the convolution of stride 1 that has the same output.

    Pixels x[s m + r] of a stride s are channel r of a smaller image: y[m] = sum_t a[t] x[s m + d t - p] reads it at
    m + q, for d t - p = s q + r. Both tensors keep their gradients.

    Args:
        images: shape (B, C_in, *size).
        weight: shape (C_out, C_in, *kernel_size).
        stride: s, of the convolution.
        padding: p, zeros before the image.
        dilation: d, of the convolution.

    >>> import torch
    >>> images, weight = torch.arange(6.0).view(1, 1, 6), torch.tensor([[[1.0, 10.0, 100.0]]])
    >>> x, a, (p,) = polyphase(images, weight, [2], [1], [1])
    >>> x.tolist(), p
    ([[[0.0, 2.0, 4.0], [1.0, 3.0, 5.0]]], 1)
    >>> torch.nn.functional.conv1d(x, a, padding=p)[..., :3] - torch.nn.functional.conv1d(images, weight, None, 2, 1)
    tensor([[[0., 0., 0.]]])
    """
    before = [-(-p // s) for p, s in zip(padding, stride, strict=True)]
    places, sizes = [], []
    for k, s, p, d, whole in zip(weight.shape[2:], stride, padding, dilation, before, strict=True):
        first = s * whole - p
        places.append(slice(first, first + d * (k - 1) + 1, d))
        sizes.append(s * (-(-(first + d * (k - 1) + 1) // s)))
    spread = weight.new_zeros(*weight.shape[:2], *sizes)
    spread[:, :, *places] = weight
    missing = [p for n, s in zip(images.shape[2:], stride, strict=True) for p in (-n % s, 0)]
    return _phases(nn.functional.pad(images, missing[::-1]), stride), _phases(spread, stride), before


def _phases(tensor: Tensor, stride: Sequence[int]) -> Tensor:
    """Return (N, C * phases, *size / stride) of (N, C, *size)."""
    dims = len(stride)
    for axis, s in enumerate(stride):
        tensor = tensor.unflatten(2 + 2 * axis, (-1, s))
    order = [0, 1, *range(3, 2 + 2 * dims, 2), *range(2, 2 + 2 * dims, 2)]
    return tensor.permute(order).flatten(1, 1 + dims)
