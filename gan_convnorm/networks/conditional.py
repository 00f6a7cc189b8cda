"""Labels in a network: a scale and shift by class or vector after a norm, and checks of a caller's labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from torch import Tensor, nn

from gan_convnorm.errors import BadInput
from gan_convnorm.layers.registry import Norm

__all__ = ["CONDITIONS", "ConditionalNorm", "check_classes", "check_labels", "conditional"]

#: vectors of training images that a generator keeps, to sample with
CONDITIONS = 1000


class ConditionalNorm(nn.Module):
    """Normalization with a scale and shift by label, gamma_y * norm(x) + beta_y, each per channel.

    Of a class they are rows of a table; of a vector they are an affine map of it, which starts at 1 and 0. The sources
    are Dumoulin et al., ICLR 2017, arXiv:1610.07629, eq. 5, and, for conditional batch normalization, Miyato and
    Koyama, ICLR 2018, arXiv:1802.05637.

    It contains the norm and is no subclass of it, so that `nn.SyncBatchNorm.convert_sync_batchnorm` keeps the classes.
    Around a norm without a layer for activations (none, spectral, convnorm) only the class's scale and shift remain:
    the chosen norm is never replaced by batch normalization without a word.

    Args:
        activation: builds the layer that normalizes activations of a number of channels; its own scale and shift are
            removed.
        num_classes: number of classes; None for vectors.
        channels: channels of the features.
        condition_size: length of the vectors; None for classes.

    >>> import torch
    >>> norm = ConditionalNorm(nn.BatchNorm2d, num_classes=2, channels=1)
    >>> norm.beta.weight.data[1] = 5.0
    >>> norm(torch.zeros(2, 1, 4, 4), torch.tensor([0, 1])).mean((1, 2, 3)).tolist()
    [0.0, 5.0]
    """

    def __init__(
        self,
        activation: Callable[[int], nn.Module],
        num_classes: int | None,
        channels: int,
        condition_size: int | None = None,
    ) -> None:
        super().__init__()
        norm: Any = activation(channels)
        if getattr(norm, "affine", False):
            norm.affine, norm.weight, norm.bias = False, None, None
        self.norm = norm
        self.gamma = _map(num_classes, condition_size, channels, 1.0)
        self.beta = _map(num_classes, condition_size, channels, 0.0)

    def forward(self, features: Tensor, labels: Tensor) -> Tensor:
        """Return normalized features, of the same shape and type.

        Args:
            features: shape (B, channels, H, W).
            labels: classes, shape (B,), or vectors, shape (B, condition_size).
        """
        normalized: Tensor = self.norm(features)
        labels = labels.to(next(self.gamma.parameters()).dtype) if labels.is_floating_point() else labels
        gamma: Tensor = self.gamma(labels).to(normalized.dtype)[:, :, None, None]
        beta: Tensor = self.beta(labels).to(normalized.dtype)[:, :, None, None]
        return gamma * normalized + beta


def _map(num_classes: int | None, condition_size: int | None, channels: int, start: float) -> nn.Module:
    """Return a map from labels to a number per channel, which is `start` for all of them."""
    if condition_size is not None:
        affine = nn.Linear(condition_size, channels)
        nn.init.zeros_(affine.weight)
        nn.init.constant_(affine.bias, start)
        return affine
    assert num_classes is not None
    table = nn.Embedding(num_classes, channels)
    nn.init.constant_(table.weight, start)
    return table


def conditional(norm: Norm, num_classes: int | None, condition_size: int | None = None) -> Norm:
    """Return the norm with a scale and shift by label after its activations, or unchanged without labels.

    Args:
        norm: of a network.
        num_classes: number of classes, 1 or more, else `BadInput`; None without classes.
        condition_size: length of vectors in place of classes, likewise.

    Returns:
        A norm whose activation layers are called with (features, labels).

    >>> type(conditional(Norm(activation=nn.BatchNorm2d), num_classes=10).activation(8)).__name__
    'ConditionalNorm'
    >>> conditional(Norm(), num_classes=None) == Norm()
    True
    """
    check_classes(num_classes, condition_size)
    if num_classes is None and condition_size is None:
        return norm
    return replace(
        norm, activation=partial(ConditionalNorm, norm.activation, num_classes, condition_size=condition_size)
    )


def check_classes(num_classes: int | None, condition_size: int | None = None) -> None:
    """Raise unless there are no labels, or 1 class or more, or vectors of 1 number or more.

    Raises:
        BadInput: fewer than 1 class or number; both classes and vectors.

    >>> check_classes(num_classes=10)
    >>> check_classes(num_classes=0)
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: num_classes is 0, and must be 1 or more, or omitted for an unconditional network
    """
    if condition_size is not None and (condition_size < 1 or num_classes is not None):
        raise BadInput(
            f"condition_size is {condition_size} and num_classes {num_classes}; expected vectors of 1 number or more, "
            "or classes, not both"
        )
    if num_classes is not None and num_classes < 1:
        raise BadInput(f"num_classes is {num_classes}, and must be 1 or more, or omitted for an unconditional network")


def check_labels(
    network: str, num_classes: int | None, condition_size: int | None, labels: Tensor | None, count: int
) -> tuple[Tensor, ...]:
    """Return the labels as the arguments that follow the features in a call.

    That labels are below `num_classes` is up to the data: to check it here would make the CPU wait for the GPU.

    Args:
        network: its name, for messages.
        num_classes: number of classes; None without.
        condition_size: length of the vectors; None without.
        labels: as the caller gives them.
        count: number of images.

    Returns:
        One tensor, of int64 for classes, of the caller's type for vectors; nothing for an unconditional network.

    Raises:
        BadInput: labels are missing or superfluous, of another type or shape.

    >>> import torch
    >>> check_labels("generator", 10, None, torch.tensor([3, 7]), count=2)
    (tensor([3, 7]),)
    >>> check_labels("generator", None, None, None, count=2)
    ()
    >>> check_labels("generator", 10, None, None, count=2)
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: the generator has 10 classes and got no labels; give one per image
    """
    if condition_size is not None:
        if (
            labels is None
            or not labels.is_floating_point()
            or labels.dim() != 2
            or labels.shape[0] != count
            or (labels.shape[1] != condition_size)
        ):
            found = "no labels" if labels is None else f"labels as {labels.dtype} of shape {tuple(labels.shape)}"
            raise BadInput(
                f"the {network} got {found}; expected vectors, floating-point numbers of shape "
                f"({count}, {condition_size})"
            )
        return (labels,)
    if num_classes is None:
        if labels is not None:
            raise BadInput(f"the {network} was built without classes and got labels; give it num_classes or no labels")
        return ()
    if labels is None:
        raise BadInput(f"the {network} has {num_classes} classes and got no labels; give one per image")
    # Neither shape != (count,) nor len(), for which torch.export would fix the number.
    if labels.dim() != 1 or labels.shape[0] != count or labels.is_floating_point() or labels.is_complex():
        found = f"{labels.dtype} of shape {tuple(labels.shape)}"
        raise BadInput(f"the {network} got labels as {found}; expected whole numbers of shape ({count},)")
    return (labels.long(),)
