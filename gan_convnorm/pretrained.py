"""A trained GAN from the file it was saved to."""

from __future__ import annotations

import inspect
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from gan_convnorm.checkpoint_files import read_checkpoint
from gan_convnorm.gan import GAN, check_weights

__all__ = ["load"]


def load(path: str | PathLike[str], device: torch.device | str = "cpu") -> GAN:
    """The GAN of a checkpoint, in evaluation mode: `load(path).sample(64)` gives 64 images.

    Args:
        path: a .ckpt file that a run has written.
        device: where it runs.

    Raises:
        BadInput: no file, a damaged or foreign one.
    """
    checkpoint: dict[str, Any] = read_checkpoint(Path(path))
    # Lightning keeps entries of its own beside the constructor's.
    names = inspect.signature(GAN).parameters
    module = GAN(**{name: value for name, value in checkpoint["hyper_parameters"].items() if name in names})
    check_weights(module, checkpoint["state_dict"])
    module.load_state_dict(checkpoint["state_dict"])
    module.g_step = checkpoint["g_step"]
    return module.to(device).eval()
