"""A trained GAN or generator from the file it was saved to."""

from __future__ import annotations

import inspect
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from gan_convnorm.exported import TrainedGenerator, read_generator
from gan_convnorm.gan import GAN
from gan_convnorm.run_folder import read_checkpoint
from gan_convnorm.weights import check_weights

__all__ = ["load", "read_gan"]


def load(path: str | PathLike[str], device: torch.device | str = "cpu") -> GAN | TrainedGenerator:
    """A trained generator, in evaluation mode: `load(path).sample(64)` gives 64 images.

    Args:
        path: a .ckpt file that a run has written; or an exported generator, a folder or its .safetensors file.
        device: where it runs.

    Returns:
        The whole GAN of a checkpoint, the generator alone of an export; both have `sample`, `decode`, `latent_dim`,
        `num_classes`.

    Raises:
        BadInput: no file, a damaged or foreign one.
    """
    path = Path(path)
    if path.is_dir() or path.suffix == ".safetensors":
        return read_generator(path).to(device)
    return read_gan(path).to(device)


def read_gan(path: Path) -> GAN:
    """The GAN of a checkpoint, on the CPU, in evaluation mode.

    Raises:
        BadInput: no file, a damaged or foreign one.
    """
    checkpoint: dict[str, Any] = read_checkpoint(path)
    # Lightning keeps entries of its own beside the constructor's.
    names = inspect.signature(GAN).parameters
    module = GAN(**{name: value for name, value in checkpoint["hyper_parameters"].items() if name in names})
    check_weights(module, checkpoint["state_dict"])
    module.load_state_dict(checkpoint["state_dict"])
    module.g_step = checkpoint["g_step"]
    return module.eval()
