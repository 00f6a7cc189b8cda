"""The largest singular value of an operator that can only be run: Lanczos iteration on A^T A."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Largest", "largest_singular"]

#: floats of the Krylov basis
MEMORY = 2**25


class Largest(NamedTuple):
    """A largest singular value.

    Attributes:
        value: of all groups.
        vector: right singular vectors, shape (groups, inputs of a group), to start the next measurement with.
        iterations: runs of A and A^T.
        residual: ||A^T A v - value^2 v|| / value^2, at worst over the groups.
    """

    value: float
    vector: Tensor
    iterations: int
    residual: float


def largest_singular(
    gram: Callable[[Tensor], Tensor], start: Tensor, *, tolerance: float, max_iterations: int
) -> Largest:
    """Lanczos iteration with full reorthogonalization (Golub and Van Loan, Matrix Computations, 4th ed., 10.1).

    A power iteration needs (gap)^-1 runs where this needs (gap)^-1/2, and keeps one vector where this keeps a basis. It
    stops where a singular value is certain to be within the tolerance: ||A^T A v - t v|| <= 2 tolerance t. That it is
    the largest is as certain as that the start has a share of its vector. Groups are iterated side by side, each its
    own, and the value is the largest group's; not a number where the operator's outputs are none.

    Args:
        gram: x -> A^T A x for a block diagonal A, in and out of shape (groups, inputs of a group).
        start: the first x.
        tolerance: relative, of the value.
        max_iterations: runs of `gram`, after which the best value so far is returned.
    """
    count = max(8, min(max_iterations, MEMORY // start.numel()))
    vector, iterations = start, 0
    while True:
        vector, values, residuals, used, done = _cycle(gram, vector, count, max_iterations - iterations, tolerance)
        iterations += used
        if done or iterations >= max_iterations:
            top = float(values.max())
            residual = float(residuals.max()) / top if top > 0 else 0.0
            return Largest(max(top, 0.0) ** 0.5, vector, iterations, residual)


def _cycle(
    gram: Callable[[Tensor], Tensor], start: Tensor, count: int, budget: int, tolerance: float
) -> tuple[Tensor, Tensor, Tensor, int, bool]:
    """Grow one basis until it converges, or is full: Ritz vectors, values and residuals of the groups."""
    stored = _unit(start)[:, None]
    length = stored.new_zeros(len(start))
    matrix = torch.zeros(start.shape[0], count + 1, count + 1, dtype=torch.float64)
    for step in range(min(count, budget)):
        basis = stored[:, : step + 1]
        image = gram(basis[:, -1])
        scale = image.norm(dim=1)
        if not bool(scale.isfinite().all()):
            unknown = matrix.new_full((len(start),), float("nan"))
            return start, unknown, unknown, step + 1, True
        # The recurrence first, so that what the whole basis takes away is rounding: once is enough, and twice where it
        # takes much (Daniel et al., Mathematics of Computation 30, 1976).
        diagonal = (basis[:, -1] * image).sum(1)
        image = image - diagonal[:, None] * basis[:, -1]
        if step:
            image = image - length[:, None] * basis[:, -2]
        before = image.norm(dim=1)
        image = _orthogonal(image, basis)
        if bool((image.norm(dim=1) < 0.7 * before).any()):
            image = _orthogonal(image, basis)
        matrix[:, step, step] = diagonal.double().cpu()
        length = image.norm(dim=1)
        # An exhausted group has nothing but rounding left: zeros, which add nothing.
        length = torch.where(length > 8 * torch.finfo(length.dtype).eps * scale, length, 0)
        values, vectors = torch.linalg.eigh(matrix[:, : step + 1, : step + 1])
        residuals = length.double().cpu() * vectors[:, -1, -1].abs()
        done = bool(residuals.max() <= 2 * tolerance * values[:, -1].max())
        if done or step + 1 == min(count, budget):
            ritz = torch.einsum("gsn,gs->gn", basis, vectors[:, :, -1].to(basis))
            return ritz, values[:, -1], residuals, step + 1, done
        matrix[:, step, step + 1] = matrix[:, step + 1, step] = length.double().cpu()
        following = torch.where(length[:, None] > 0, image / length.clamp_min(1e-30)[:, None], 0)
        if step + 1 == stored.shape[1]:
            stored = torch.cat([stored, torch.empty_like(stored)], dim=1)  # room for twice as many
        stored[:, step + 1] = following
    raise AssertionError("a cycle has at least one step")


def _orthogonal(vectors: Tensor, basis: Tensor) -> Tensor:
    return vectors - torch.einsum("gsn,gs->gn", basis, torch.einsum("gsn,gn->gs", basis, vectors))


def _unit(vectors: Tensor) -> Tensor:
    return vectors / vectors.norm(dim=1, keepdim=True).clamp_min(1e-30)
