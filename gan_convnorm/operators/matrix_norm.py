"""The largest singular value of a matrix, also of a diverged network's."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["matrix_norm"]


def matrix_norm(matrix: Tensor) -> float:
    """||W||_2; not a number where an entry is none, of which LAPACK makes an error."""
    if not bool(matrix.isfinite().all()):
        return float("nan")
    return float(torch.linalg.matrix_norm(matrix, 2))
