"""The device that scores are computed on."""

from __future__ import annotations

from typing import Any

import torch

from gan_convnorm.errors import BadInput

__all__ = ["usable_device"]


def usable_device(name: Any = None) -> torch.device:
    """Return a device that computes; a GPU where there is one if none is named.

    Raises:
        BadInput: no such device here.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.ones(1, device=device).item()
        if device.type == "cpu" and device.index:
            raise ValueError
    except Exception as error:  # each kind of device has its own way to say that it is not there
        found = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
        raise BadInput(
            f"the device {str(name)!r} is not here (--device); there are: {', '.join(['cpu', *found])}"
        ) from error
    return device
