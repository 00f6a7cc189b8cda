"""Saved weights compared with the module that they are for."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan_convnorm.errors import BadInput

__all__ = ["check_finite", "check_weights"]

NOT_FINITE = "NaN or infinite values, so it cannot be used; use an earlier checkpoint"


def check_finite(saved: dict[str, Tensor]) -> None:
    """Raise unless saved weights are finite.

    >>> check_finite({"weight": torch.ones(2)})

    Raises:
        BadInput: names the first that has NaN or infinite values.
    """
    for name, value in saved.items():
        if isinstance(value, Tensor) and value.is_floating_point() and not torch.isfinite(value).all():
            raise BadInput(f"the checkpoint's {name!r} holds {NOT_FINITE}")


def check_weights(module: nn.Module, saved: dict[str, Tensor]) -> None:
    """Raise unless saved weights are a module's, and finite in its types.

    >>> layer = nn.Linear(2, 1)
    >>> check_weights(layer, layer.state_dict())

    Raises:
        BadInput: names the first weight that differs, and how, or that has NaN or infinite values.
    """
    own = module.state_dict()
    # A layer names buffers that have the size of the images it was trained on, and resizes them when it loads.
    resized = {
        f"{prefix}.{name}" if prefix else name
        for prefix, layer in module.named_modules()
        for name in getattr(layer, "image_sized_buffers", ())
    }
    for name, value in own.items():
        if name not in saved:
            raise BadInput(f"the checkpoint has no {name!r}; it was saved by another version of this program")
        found = saved[name]
        if not isinstance(found, Tensor) or found.is_floating_point() != value.is_floating_point():
            kind = str(found.dtype) if isinstance(found, Tensor) else type(found).__name__
            raise BadInput(f"the checkpoint's {name!r} is a {kind}; expected a tensor of {value.dtype}")
        if found.shape != value.shape and name not in resized:
            raise BadInput(
                f"the checkpoint's {name!r} has the shape {tuple(found.shape)}, and {tuple(value.shape)} is expected"
            )
        if found.is_floating_point() and not torch.isfinite(found.to(value.dtype)).all():
            raise BadInput(f"the checkpoint's {name!r} holds {NOT_FINITE}")
    for name in saved:
        if name not in own:
            raise BadInput(f"the checkpoint has {name!r}, which is not known; another version of this program saved it")
