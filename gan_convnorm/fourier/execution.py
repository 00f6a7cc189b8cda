"""How torch runs a computation: its precision, tracers, memory format and the parts of a batch."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

__all__ = [
    "autocast_off",
    "cached",
    "complex_dtype",
    "exact_dtype",
    "holds_real_tensors",
    "is_batched",
    "memory_format_of",
    "part_elements",
    "parts",
    "traced",
    "transformed",
]


P = ParamSpec("P")
R = TypeVar("R")


def holds_real_tensors() -> bool:
    """Return True if new tensors have numbers and may be kept: no tracer runs, and no dispatch mode.

    In `torch.export` and under `FakeTensorMode` new tensors are fake. One that is kept would be taken for real numbers
    by the next call.

    >>> from torch._subclasses.fake_tensor import FakeTensorMode
    >>> with FakeTensorMode():
    ...     holds_real_tensors()
    False
    """
    return not traced() and not torch._C._len_torch_dispatch_stack()


def cached(function: Callable[P, R]) -> Callable[P, R]:
    """Keep the tensors that a function makes of plain arguments, of the last 64 calls; none that are not real.

    >>> ones = cached(lambda count: torch.ones(count))
    >>> ones(2) is ones(2)
    True

    Args:
        function: of hashable arguments.

    Returns:
        The function that keeps them.
    """
    kept = lru_cache(maxsize=64)(torch.inference_mode(False)(function))

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return kept(*args, **kwargs) if holds_real_tensors() else function(*args, **kwargs)  # type: ignore[arg-type]

    return call


def exact_dtype(tensor: Tensor) -> Tensor:
    """Return the tensor in at least float32. Half precision is too coarse for a spectrum, and often has no transform.

    >>> exact_dtype(torch.zeros(1, dtype=torch.bfloat16)).dtype
    torch.float32
    """
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def autocast_off(device: torch.device) -> torch.autocast:
    """Return the context in which autocast rounds nothing on a device.

    >>> with torch.autocast("cpu", dtype=torch.bfloat16), autocast_off(torch.device("cpu")):
    ...     (torch.ones(1, 1) @ torch.ones(1, 1)).dtype
    torch.float32
    """
    # Nothing is computed on the meta device, and autocast does not know it.
    return torch.autocast("cpu" if device.type == "meta" else device.type, enabled=False)


def output_dtype(images: Tensor) -> torch.dtype:
    """Return the type of a convolution's output for images: autocast's where it is on, save for float64.

    >>> with torch.autocast("cpu", dtype=torch.bfloat16):
    ...     output_dtype(torch.zeros(1)), output_dtype(torch.zeros(1, dtype=torch.float64))
    (torch.bfloat16, torch.float64)
    """
    kind = "cpu" if images.device.type == "meta" else images.device.type
    if images.dtype == torch.float64 or not torch.is_autocast_enabled(kind):
        return images.dtype
    return torch.get_autocast_dtype(kind)


def complex_dtype(tensor: Tensor) -> torch.dtype:
    """Return the complex dtype of a real tensor's spectrum.

    >>> complex_dtype(torch.zeros(1, dtype=torch.float64))
    torch.complex128
    """
    return torch.complex128 if tensor.dtype == torch.float64 else torch.complex64


def traced() -> bool:
    """Return True while a compiler, a tracer, a function transform or forward-mode differentiation runs.

    They have to see plain operations.

    >>> traced(), bool(torch.vmap(lambda x: x + traced())(torch.zeros(1)))
    (False, True)
    """
    differentiating_forward = torch.autograd.forward_ad._current_level >= 0
    return torch.compiler.is_compiling() or torch.jit.is_tracing() or transformed() or differentiating_forward


def transformed() -> bool:
    """Return True while a function transform such as vmap runs, outside of compilers.

    >>> transformed()
    False
    """
    return not torch.compiler.is_compiling() and torch._C._are_functorch_transforms_active()


def is_batched(gradient: Tensor) -> bool:
    """Return True for several gradients at once, as `torch.autograd.grad(..., is_grads_batched=True)` has them.

    >>> is_batched(torch.zeros(3))
    False
    """
    return not torch.compiler.is_compiling() and torch._C._functorch.is_legacy_batchedtensor(gradient)


def memory_format_of(*tensors: Tensor) -> torch.memory_format:
    """Return channels last if a batch of images, or a weight, is stored so. torch's own layers follow the same rule.

    >>> memory_format_of(torch.zeros(2, 3, 4, 4).to(memory_format=torch.channels_last))
    torch.channels_last
    """
    if transformed():
        return torch.contiguous_format  # vmap hides an axis, and cannot tell
    for tensor in tensors:
        for dims, candidate in ((4, torch.channels_last), (5, torch.channels_last_3d)):
            if tensor.dim() == dims and not tensor.is_contiguous() and tensor.is_contiguous(memory_format=candidate):
                return candidate
    return torch.contiguous_format


def parts(tensor: Tensor) -> list[slice]:
    """Return slices of a batch, each of at most `part_elements` numbers or of one image.

    So small transforms stay in the cache, and the whole batch's spectrum is never stored.

    Args:
        tensor: a batch, its images along the first axis.

    >>> parts(torch.zeros(2, 8, 16, 16))
    [slice(0, 128, None)]
    """
    images = tensor.shape[0]
    size = max(1, part_elements(tensor) * images // max(1, tensor.numel()))
    return [slice(first, first + size) for first in range(0, images, size)]


def part_elements(tensor: Tensor) -> int:
    """Return how many numbers one part of a batch has: on a CPU as many as the cache holds, more on a GPU.

    >>> part_elements(torch.zeros(1))
    262144
    """
    return 2**18 if tensor.device.type == "cpu" else 2**25
