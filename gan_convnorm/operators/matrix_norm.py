"""The largest singular value of a matrix, which may be a diverged network's."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["matrix_norm"]


def matrix_norm(matrix: Tensor) -> float:
    """Return ||W||_2; NaN where an entry is NaN or infinite, for which LAPACK raises.

    >>> matrix_norm(torch.tensor([[3.0], [4.0]]))
    5.0
    """
    if not bool(matrix.isfinite().all()):
        return float("nan")
    return float(torch.linalg.matrix_norm(matrix, 2))
