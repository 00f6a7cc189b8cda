"""Whether saved weights are those of a module."""

from __future__ import annotations

from torch import Tensor, nn

from gan_convnorm.errors import BadInput

__all__ = ["check_weights"]


def check_weights(module: nn.Module, saved: dict[str, Tensor]) -> None:
    """Whether saved weights are a module's.

    Raises:
        BadInput: names the first key that differs, and how.
    """
    own = module.state_dict()
    for name, value in own.items():
        if name not in saved:
            raise BadInput(f"the checkpoint has no {name!r}; it was saved by another version of this program")
        if saved[name].shape != value.shape:
            found, expected = tuple(saved[name].shape), tuple(value.shape)
            raise BadInput(f"the checkpoint's {name!r} has the shape {found}, and {expected} is expected")
    for name in saved:
        if name not in own:
            raise BadInput(f"the checkpoint has {name!r}, which is not known; another version of this program saved it")
