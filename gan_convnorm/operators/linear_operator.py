"""A linear operator between images: the one description that every measurement in this package works on."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor
from typing_extensions import override

__all__ = ["LinearOperator", "MatrixOperator", "ScaledOutputs"]


class LinearOperator(ABC):
    """A real linear map y = A x that is run, not stored; as scipy.sparse.linalg.LinearOperator, on batches of images.

    >>> class Reversal(LinearOperator):
    ...     input_shape = output_shape = (2,)
    ...     groups, dtype, device = 1, torch.float32, torch.device("cpu")
    ...
    ...     def apply(self, inputs):
    ...         return inputs.flip(1)
    ...
    ...     adjoint = apply
    >>> Reversal().matrix()
    tensor([[0., 1.],
            [1., 0.]])

    Attributes:
        input_shape: of x without the batch, such as (channels, height, width).
        output_shape: of y without the batch.
        groups: number of diagonal blocks of A: the b-th share of x's entries decides the b-th share of y's alone.
        dtype: floating-point type of x and y.
        device: where x and y are.
    """

    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    groups: int
    dtype: torch.dtype
    device: torch.device

    @abstractmethod
    def apply(self, inputs: Tensor) -> Tensor:
        """Return A x for every x of a batch: (B, *input_shape) to (B, *output_shape)."""

    @abstractmethod
    def adjoint(self, outputs: Tensor) -> Tensor:
        """Return A^T y for every y of a batch: (B, *output_shape) to (B, *input_shape)."""

    def gram(self, inputs: Tensor) -> Tensor:
        """Return A^T A x for every x of a batch, of the same shape."""
        return self.adjoint(self.apply(inputs))

    def matrix(self) -> Tensor:
        """Return A as a matrix of shape (outputs, inputs), by one `apply` to all unit vectors: for small operators."""
        count = math.prod(self.input_shape)
        units = torch.eye(count, dtype=self.dtype, device=self.device).view(count, *self.input_shape)
        return self.apply(units).flatten(1).T


class MatrixOperator(LinearOperator):
    """A matrix as an operator, as which a linear layer is measured.

    >>> MatrixOperator(torch.tensor([[3.0, 0.0], [4.0, 1.0]])).gram(torch.tensor([[1.0, 0.0]]))
    tensor([[25.,  4.]])

    Args:
        matrix: A, shape (outputs, inputs).
    """

    def __init__(self, matrix: Tensor) -> None:
        rows, columns = matrix.shape
        self.input_shape, self.output_shape, self.groups = (columns,), (rows,), 1
        self.dtype, self.device = matrix.dtype, matrix.device
        self._matrix = matrix

    @override
    def apply(self, inputs: Tensor) -> Tensor:
        return inputs @ self._matrix.T

    @override
    def adjoint(self, outputs: Tensor) -> Tensor:
        return outputs @ self._matrix

    @override
    def matrix(self) -> Tensor:
        return self._matrix


class ScaledOutputs(LinearOperator):
    """An operator whose output channels are multiplied by one number each: D A with a diagonal D.

    >>> ScaledOutputs(MatrixOperator(torch.eye(2)), torch.tensor([2.0, 3.0])).matrix()
    tensor([[2., 0.],
            [0., 3.]])

    Args:
        operator: A.
        scale: one factor for every output channel, shape (C_out,).
    """

    def __init__(self, operator: LinearOperator, scale: Tensor) -> None:
        self.input_shape, self.output_shape, self.groups = operator.input_shape, operator.output_shape, operator.groups
        self.dtype, self.device = operator.dtype, operator.device
        self._operator = operator
        self._scale = scale.detach().to(operator.device, operator.dtype).view(-1, *_ones(operator.output_shape[1:]))

    @override
    def apply(self, inputs: Tensor) -> Tensor:
        return self._operator.apply(inputs) * self._scale

    @override
    def adjoint(self, outputs: Tensor) -> Tensor:
        return self._operator.adjoint(outputs * self._scale)


def _ones(shape: Sequence[int]) -> list[int]:
    return [1] * len(shape)
