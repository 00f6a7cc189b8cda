"""Labels in a network: a scale and shift per class after a norm, and checks of a caller's labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from torch import Tensor, nn

from gan_convnorm.errors import BadInput
from gan_convnorm.layers.registry import Norm

__all__ = ["ConditionalNorm", "check_classes", "check_labels", "conditional"]


class ConditionalNorm(nn.Module):
    """Normalization with a scale and shift per class, gamma_y * norm(x) + beta_y, each per channel.

    The sources are Dumoulin et al., ICLR 2017, arXiv:1610.07629, eq. 5, and, for conditional batch normalization,
    Miyato and Koyama, ICLR 2018, arXiv:1802.05637.

    It contains the norm and is no subclass of it, so that `nn.SyncBatchNorm.convert_sync_batchnorm` keeps the classes.
    Around a norm without a layer for activations (none, spectral, convnorm) only the class's scale and shift remain:
    the chosen norm is never replaced by batch normalization without a word.

    Args:
        activation: builds the layer that normalizes activations of a number of channels; its own scale and shift are
            removed.
        num_classes: number of classes.
        channels: channels of the features.
    """

    def __init__(self, activation: Callable[[int], nn.Module], num_classes: int, channels: int) -> None:
        super().__init__()
        norm: Any = activation(channels)
        if getattr(norm, "affine", False):
            norm.affine, norm.weight, norm.bias = False, None, None
        self.norm = norm
        self.gamma = nn.Embedding(num_classes, channels)
        self.beta = nn.Embedding(num_classes, channels)
        nn.init.ones_(self.gamma.weight)
        nn.init.zeros_(self.beta.weight)

    def forward(self, features: Tensor, labels: Tensor) -> Tensor:
        """Return normalized features, of the same shape and type.

        Args:
            features: shape (B, channels, H, W).
            labels: classes, shape (B,).
        """
        normalized: Tensor = self.norm(features)
        gamma: Tensor = self.gamma(labels).to(normalized.dtype)[:, :, None, None]
        beta: Tensor = self.beta(labels).to(normalized.dtype)[:, :, None, None]
        return gamma * normalized + beta


def conditional(norm: Norm, num_classes: int | None) -> Norm:
    """Return the norm with a scale and shift per class after its activations, or unchanged without classes.

    Args:
        norm: of a network.
        num_classes: number of classes, 1 or more, else `BadInput`; None without classes.

    Returns:
        A norm whose activation layers are called with (features, labels).
    """
    check_classes(num_classes)
    if num_classes is None:
        return norm
    return replace(norm, activation=partial(ConditionalNorm, norm.activation, num_classes))


def check_classes(num_classes: int | None) -> None:
    """Raise unless there are no classes, or 1 or more.

    Raises:
        BadInput: fewer than 1 class.
    """
    if num_classes is not None and num_classes < 1:
        raise BadInput(f"num_classes is {num_classes}, and must be 1 or more, or omitted for an unconditional network")


def check_labels(network: str, num_classes: int | None, labels: Tensor | None, count: int) -> tuple[Tensor, ...]:
    """Return the labels as the arguments that follow the features in a call.

    The data must see to it that labels are below `num_classes`: to look at them would make a GPU wait for the CPU.

    Args:
        network: its name, for messages.
        num_classes: number of classes; None for an unconditional network.
        labels: as the caller gives them.
        count: number of images.

    Returns:
        One tensor of int64, or nothing for an unconditional network.

    Raises:
        BadInput: labels are missing or superfluous, not whole numbers, or not one per image.
    """
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
