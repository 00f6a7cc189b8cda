"""The preconditioner cut to few taps, with a certified error: a small filter in place of a transform."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_convnorm.fourier.direct import CONVOLVE, CONVOLVE_TRANSPOSED
from gan_convnorm.fourier.power_spectrum import place
from gan_convnorm.layers.convnorm.geometry import Geometry

__all__ = ["Truncated", "certified_taps", "compose", "filter_truncated", "radius_limit"]


class Truncated(NamedTuple):
    """Taps of a preconditioner, with a bound of the error.

    Attributes:
        taps: shape (C, *(2 radius + 1)), centre at the origin.
        radius: taps on each side of the centre, the same for every channel.
        bound: upper bound of max_k ||P'_k - P_k|| / ||P_k||, with P' the truncated preconditioner.

    >>> found = certified_taps(torch.full((1, 5), 4.0), [8], 0.1, 2, [True])
    >>> found.radius, found.taps.shape, found.bound < 1e-6
    (1, torch.Size([1, 3]), True)
    """

    taps: Tensor
    radius: int
    bound: float


def radius_limit(device: torch.device) -> int:
    """Return the largest radius that pays: beyond it the exact filter is faster (docs/results/convnorm_cost.md).

    >>> radius_limit(torch.device("cpu"))
    2
    """
    return 2 if device.type == "cpu" else 7


def certified_taps(
    spectrum: Tensor, grid: Sequence[int], tolerance: float, limit: int, filtered_axes: Sequence[bool]
) -> Truncated | None:
    """Return the fewest taps of F^-1[S^(-1/2)] within a tolerance, scaled so that ||Q_k|| <= 1 still holds.

    Let v be the preconditioner's taps and u those that are kept. The operator's error is max_w |U - V|. It is at most
    the l1 norm of v - u (Young's inequality). The norm of Q'_k is the largest |U| sqrt(S_k) on the grid. If it exceeds
    1, the taps are divided by it, and the bound includes the change.

    Args:
        spectrum: S_k + eps, shape (C, *half grid).
        grid: size of the circular grid.
        tolerance: largest permitted bound, relative to max V per channel.
        limit: largest permitted radius.
        filtered_axes: True for the dimensions in which the power spectrum varies; the others need one tap.

    Returns:
        The taps; None if no radius up to the limit is within the tolerance.

    >>> certified_taps(torch.full((1, 5), 4.0), [8], 0.1, 2, [True]).taps.round(decimals=3)
    tensor([[0.0000, 0.5000, 0.0000]])
    """
    axes = list(range(-len(grid), 0))
    transfer = spectrum.rsqrt()
    largest = transfer.flatten(1).amax(1)
    preconditioner = torch.fft.irfftn(transfer, s=tuple(grid), dim=axes)
    # Centred, so that the taps of every radius are a slice.
    centre = [n // 2 for n in grid]
    preconditioner = preconditioner.roll(centre, axes)
    total = preconditioner.abs().flatten(1).sum(1)
    bounds = []
    for radius in range(1, limit + 1):
        if any(2 * radius + 1 >= n for n, filtered in zip(grid, filtered_axes, strict=True) if filtered):
            break
        kept = preconditioner[_window(centre, radius, filtered_axes)]
        bounds.append(((total - kept.abs().flatten(1).sum(1)) / largest).detach().amax())
    for radius, bound in enumerate(torch.stack(bounds).tolist() if bounds else [], start=1):
        if bound > tolerance:
            continue
        taps = preconditioner[_window(centre, radius, filtered_axes)]
        response = torch.fft.rfftn(place(taps, grid, [n // 2 for n in taps.shape[1:]]), dim=axes).real
        scale = (response.abs() * spectrum.sqrt()).flatten(1).amax(1).clamp_min(1)
        bound = max(bound, 0.0) + float((1 - 1 / scale.detach()).amax())
        if bound <= tolerance:
            return Truncated(taps / scale.view(-1, *[1] * len(grid)), radius, bound)
    return None


def compose(taps: Tensor, affine: Tensor) -> tuple[Tensor, list[int]]:
    """Return one filter for centred taps and the affine after them, and its taps before the origin per dimension.

    >>> compose(torch.tensor([[0.0, 2.0, 0.0]]), torch.tensor([[0.0, 1.0, 0.0]]))
    (tensor([[0., 0., 2., 0., 0.]]), [2])
    """
    reach = [n // 2 + (k - 1) // 2 for n, k in zip(taps.shape[1:], affine.shape[1:], strict=True)]
    transposed = CONVOLVE_TRANSPOSED[taps.dim() - 1]
    return transposed(taps[None], affine[:, None], groups=taps.shape[0])[0], reach


def filter_truncated(
    response: Tensor, taps: Tensor, reach: Sequence[int], bias: Tensor | None, geometry: Geometry, *, wrap: bool
) -> Tensor:
    """Return the output's pixels of a response, filtered by few taps.

    Args:
        response: shape (B, C, *geometry.size).
        taps: shape (C, *size).
        reach: taps before the origin.
        bias: shape (C), or None.
        geometry: of the response.
        wrap: the response is periodic; otherwise zero surrounds it.

    Returns:
        Shape (B, C, *counts of the crop).

    >>> geometry = Geometry(padding=(1,), stride=(1,), size=(4,), grid=(4,), crop=((1, 2, 1),), circular=False)
    >>> filter_truncated(torch.ones(1, 1, 4), torch.tensor([[1.0, 2.0, 1.0]]), [1], None, geometry, wrap=False)
    tensor([[[4., 4.]]])
    """
    padding: list[int] = []
    for axis, ((first, count, step), n, before) in enumerate(
        zip(geometry.crop, geometry.size, reach, strict=True), start=2
    ):
        low, high = first - before, first + (count - 1) * step + taps.shape[axis - 1] - before
        if wrap and (low < 0 or high > n):
            response = response.index_select(axis, torch.arange(low, high, device=response.device) % n)
            low, high, n = 0, high - low, high - low
        response = response.narrow(axis, max(low, 0), min(high, n) - max(low, 0))
        padding = [max(-low, 0), max(high - n, 0), *padding]
    if any(padding):
        response = F.pad(response, padding)
    stride = [step for _, _, step in geometry.crop]
    return CONVOLVE[taps.dim() - 1](response, taps[:, None], bias, stride, groups=taps.shape[0])


def _window(centre: Sequence[int], radius: int, filtered_axes: Sequence[bool]) -> tuple[slice, ...]:
    reach = [radius if filtered else 0 for filtered in filtered_axes]
    return (slice(None), *(slice(c - r, c + r + 1) for c, r in zip(centre, reach, strict=True)))
