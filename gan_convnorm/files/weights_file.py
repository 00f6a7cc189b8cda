"""Weights by name in a safetensors file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from gan_convnorm.errors import BadInput
from gan_convnorm.files.atomic_write import atomic_write

__all__ = ["read_weights", "write_weights"]


def write_weights(weights: Mapping[str, Tensor], path: Path) -> None:
    """Write tensors by name, whole or not at all.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_weights({"w": torch.ones(2)}, Path(folder, "a.safetensors"))
    ...     read_weights(Path(folder, "a.safetensors"))
    {'w': tensor([1., 1.])}

    Args:
        weights: tensors by name, on any device.
        path: the file.
    """
    from safetensors.torch import save

    # Copies: safetensors refuses tensors that share memory or are not contiguous.
    tensors = {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format) for name, value in weights.items()
    }
    with atomic_write(path) as part:
        # As bytes: safetensors' own file can be read by its owner alone.
        part.write_bytes(save(tensors, {"format": "pt"}))


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file by name, on the CPU.

    >>> read_weights(Path("nowhere.safetensors"))
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: there is no file nowhere.safetensors; expected weights in safetensors format

    Raises:
        BadInput: no file, or a damaged or foreign one.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise BadInput(f"there is no file {path}; expected weights in safetensors format")
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise BadInput(f"{path} is damaged or no safetensors file ({error})") from error
