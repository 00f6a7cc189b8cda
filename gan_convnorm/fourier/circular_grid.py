"""Circular grids: reading an output off, putting a gradient back, spectra of real grids, parts of a batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = [
    "Context",
    "Crop",
    "add_bias",
    "as_real_as",
    "autocast_off",
    "bias_gradient",
    "complex_dtype",
    "differentiable_gradients",
    "embed",
    "empty_output",
    "exact_dtype",
    "half_grid_weights",
    "memory_format_of",
    "part_elements",
    "parts",
    "read",
    "spatial",
    "to_pixels",
    "to_spectrum",
    "traced",
    "transformed",
    "write",
]

#: torch's context of an autograd function, an object of no public type
Context = Any

#: (first, count, step) of the pixels that are read of a circular grid, one per dimension.
Crop = Sequence[tuple[int, int, int]]


def read(filtered: Tensor, crop: Crop, *, around: bool = True) -> Tensor:
    """Return the pixels of a crop: a view, except where the crop goes around the grid.

    Args:
        filtered: shape (B, C, *grid).
        crop: the pixels.
        around: the crop may go around. If it is known not to, sizes that are symbols need not be compared.

    >>> read(torch.arange(6.0).view(1, 1, 6), [(-1, 3, 1)])
    tensor([[[5., 0., 1.]]])
    """
    for axis, (first, count, step) in enumerate(crop, start=2):
        size = filtered.shape[axis]
        symbolic = not around and step > 1 and isinstance(size, torch.SymInt)  # a slice would compare its end with it
        if symbolic or (around and _wraps(size, (first, count, step))):
            index = torch.arange(count, device=filtered.device) * step + first
            filtered = filtered.index_select(axis, index if symbolic else index % size)
        else:
            filtered = filtered[(slice(None),) * axis + (slice(first, first + (count - 1) * step + 1, step),)]
    return filtered


def write(output: Tensor, filtered: Tensor, crop: Crop, bias: Tensor | None) -> None:
    """Put the pixels of a crop, plus the bias, into the output."""
    output.copy_(read(filtered, crop))
    if bias is not None:
        output += bias.view(-1, *[1] * len(crop))


def embed(gradient: Tensor, grid: Sequence[int], crop: Crop) -> Tensor:
    """Return the pixels at their places on a grid of zeros: the transpose of `read`.

    >>> embed(torch.ones(1, 1, 2), [4], [(1, 2, 1)])
    tensor([[[0., 1., 1., 0.]]])
    """
    if not any(_wraps(n, pixels) for n, pixels in zip(grid, crop, strict=True)):
        embedded = gradient.new_zeros(*gradient.shape[:2], *grid)
        read(embedded, crop).copy_(gradient)
        return embedded
    for axis, (n, (first, count, step)) in enumerate(zip(grid, crop, strict=True), start=2):
        index = torch.arange(first, first + count * step, step, device=gradient.device) % n
        shape = (*gradient.shape[:axis], n, *gradient.shape[axis + 1 :])
        gradient = gradient.new_zeros(shape).index_add_(axis, index, gradient)
    return gradient


def _wraps(size: int, pixels: tuple[int, int, int]) -> bool:
    """Return whether the pixels go around the grid, as those of circular padding do."""
    first, count, step = pixels
    return first < 0 or first + (count - 1) * step >= size


def add_bias(output: Tensor, bias: Tensor | None) -> Tensor:
    """Return the output plus the bias, dense in memory as torch's own layers return it.

    >>> add_bias(torch.zeros(1, 2, 1), torch.tensor([1.0, 2.0]))
    tensor([[[1.],
             [2.]]])
    """
    output = output.contiguous(memory_format=memory_format_of(output))
    return output if bias is None else output + bias.view(-1, *[1] * (output.dim() - 2))


def bias_gradient(needed: bool, gradient: Tensor) -> Tensor | None:
    """Return the bias's gradient if it is needed, else None."""
    return gradient.sum([0, *range(2, gradient.dim())]) if needed else None


def half_grid_weights(grid: Sequence[int], like: Tensor) -> Tensor:
    """Return how often each column of the half grid counts in a sum over the grid, divided by the number of pixels."""
    weights = like.new_full((grid[-1] // 2 + 1,), 2.0)
    weights[0] = 1
    if grid[-1] % 2 == 0:
        weights[-1] = 1
    return weights / math.prod(grid)


def empty_output(response: Tensor, crop: Crop) -> Tensor:
    """Return memory for the pixels of a crop, in the memory format of the response."""
    shape = (*response.shape[:2], *(count for _, count, _ in crop))
    return torch.empty(shape, dtype=response.dtype, device=response.device, memory_format=memory_format_of(response))


def memory_format_of(*tensors: Tensor) -> torch.memory_format:
    """Return channels last where a batch of images, or a weight, is stored so, as torch's own layers do."""
    if transformed():
        return torch.contiguous_format  # vmap hides an axis, and cannot tell
    for tensor in tensors:
        for dims, candidate in ((4, torch.channels_last), (5, torch.channels_last_3d)):
            if tensor.dim() == dims and not tensor.is_contiguous() and tensor.is_contiguous(memory_format=candidate):
                return candidate
    return torch.contiguous_format


def traced() -> bool:
    """Return whether a compiler, a tracer or a function transform runs: they have to see plain operations."""
    return torch.compiler.is_compiling() or torch.jit.is_tracing() or transformed()


def transformed() -> bool:
    """Return whether a function transform such as vmap runs, outside of compilers."""
    return not torch.compiler.is_compiling() and torch._C._are_functorch_transforms_active()


def parts(tensor: Tensor, dim: int = 0) -> list[slice]:
    """Return parts of the batch: small transforms stay in the cache, and the whole batch's spectrum is never stored."""
    images = tensor.shape[dim]
    size = max(1, part_elements(tensor) * images // max(1, tensor.numel()))
    return [slice(first, first + size) for first in range(0, images, size)]


def part_elements(tensor: Tensor) -> int:
    """Return how many numbers one part has: on a CPU what the cache holds, on a GPU what keeps it busy."""
    return 2**20 if tensor.device.type == "cpu" else 2**25


def exact_dtype(tensor: Tensor) -> Tensor:
    """Return the tensor, half precision as float32: too coarse for a spectrum, and often without transforms.

    >>> exact_dtype(torch.zeros(1, dtype=torch.bfloat16)).dtype
    torch.float32
    """
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def autocast_off(device: torch.device) -> torch.autocast:
    """Return the context in which autocast rounds nothing on a device."""
    # Nothing is computed on the meta device, and autocast does not know it.
    return torch.autocast("cpu" if device.type == "meta" else device.type, enabled=False)


def as_real_as(value: Tensor, other: Tensor) -> Tensor:
    """Return the value, or its real part if the other tensor is real."""
    return value if other.is_complex() else value.real


def complex_dtype(tensor: Tensor) -> torch.dtype:
    """Return the complex dtype of a real tensor's spectrum.

    >>> complex_dtype(torch.zeros(1, dtype=torch.float64))
    torch.complex128
    """
    return torch.complex128 if tensor.dtype == torch.float64 else torch.complex64


def to_spectrum(pixels: Tensor, axes: Sequence[int]) -> Tensor:
    """Return `torch.fft.rfftn`, of an empty batch too, for which MKL has no transform.

    >>> to_spectrum(torch.ones(0, 1, 4), [-1]).shape
    torch.Size([0, 1, 3])
    """
    if not traced() and pixels.numel() == 0:
        return torch.complex(pixels, pixels).narrow(axes[-1], 0, pixels.shape[axes[-1]] // 2 + 1)
    return torch.fft.rfftn(pixels, dim=axes)


def to_pixels(spectrum: Tensor, grid: Sequence[int], axes: Sequence[int]) -> Tensor:
    """Return `torch.fft.irfftn`, of an empty batch too.

    >>> to_pixels(torch.ones(0, 1, 3, dtype=torch.complex64), [4], [-1]).shape
    torch.Size([0, 1, 4])
    """
    if not traced() and spectrum.numel() == 0:
        return spectrum.real.narrow(axes[-1], 0, 1).expand(*spectrum.shape[: -len(grid)], *grid)
    return torch.fft.irfftn(spectrum, s=tuple(grid), dim=axes)


def spatial(count: int) -> list[int]:
    """Return the numbers of the last `count` axes, counted from the end.

    >>> spatial(2)
    [-2, -1]
    """
    return list(range(-count, 0))


def differentiable_gradients(
    function: Callable[..., Tensor], inputs: Sequence[Tensor | None], constants: tuple[object, ...], gradient: Tensor
) -> list[Tensor | None]:
    """Return gradients that have a gradient themselves, through plain operations: a gradient penalty needs them."""
    wanted = [tensor for tensor in inputs if tensor is not None and tensor.requires_grad]
    found = iter(torch.autograd.grad(function(*inputs, *constants), wanted, gradient, create_graph=True))
    return [next(found) if tensor is not None and tensor.requires_grad else None for tensor in inputs]
