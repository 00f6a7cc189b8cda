"""A device by its name, tried before it is used."""

from __future__ import annotations

import torch

from gan_convnorm.errors import BadInput

__all__ = ["usable_device"]


def usable_device(name: torch.device | str | None = None) -> torch.device:
    """Return a device that works.

    >>> usable_device("cpu")
    device(type='cpu')

    Args:
        name: the device; by default the GPU if there is one, else the CPU.

    Returns:
        The device. One that is named was tried first, by computing one number on it.

    Raises:
        BadInput: no such device here.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return _tried(name)
    except Exception as error:  # each kind of device raises another type
        found = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
        raise BadInput(
            f"the device {str(name)!r} is not here (--device); there are: {', '.join(['cpu', *found])}"
        ) from error


def _tried(name: torch.device | str) -> torch.device:
    """Return a device after one number was computed on it.

    Returns:
        The device.

    Raises:
        ValueError: a CPU of a number, of which torch takes any; other devices raise other types.
    """
    device = torch.device(name)
    torch.ones(1, device=device).item()
    if device.type == "cpu" and device.index:
        raise ValueError(device)
    return device
