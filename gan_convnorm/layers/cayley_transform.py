"""The Cayley transform of any matrix: a matrix with orthonormal columns, or rows."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["cayley_transform"]


def cayley_transform(matrix: Tensor) -> Tensor:
    """Return a semi-orthogonal matrix: Q^H Q = I, or Q Q^H = I for fewer rows than columns.

    Trockman & Kolter, ICLR 2021, arXiv:2104.07167, eq. 4 and appendix A. Let U be the square upper part and V the rest:

        A = U - U^H + V^H V
        Q = [(I - A)(I + A)^{-1}; -2 V (I + A)^{-1}]

    I + A is always invertible.

    Args:
        matrix: shape (..., rows, columns), real or complex.

    Returns:
        Q, of the matrix's shape.

    >>> q = cayley_transform(torch.tensor([[0.0, 2.0], [0.0, 0.0]]))
    >>> torch.allclose(q @ q.T, torch.eye(2), atol=1e-6)
    True
    """
    rows, columns = matrix.shape[-2:]
    if rows < columns:
        return cayley_transform(matrix.mH).mH
    upper, lower = matrix[..., :columns, :], matrix[..., columns:, :]
    identity = torch.eye(columns, dtype=matrix.dtype, device=matrix.device)
    inverse = torch.linalg.inv(identity + upper - upper.mH + lower.mH @ lower)
    return torch.cat([2 * inverse - identity, -2 * lower @ inverse], dim=-2)
