"""Trained GANs and generators from the files they were saved to."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import torch

from gan_convnorm.devices import usable_device
from gan_convnorm.gan import GAN
from gan_convnorm.gan.generator_file import TrainedGenerator, read_generator
from gan_convnorm.gan.pretrained import CONFIG

__all__ = ["load", "load_gan"]


def load_gan(path: Path, device: torch.device | str = "cpu", *, trust: Sequence[str] = ()) -> GAN:
    """Return the GAN of a checkpoint, both networks and the averaged generator, in evaluation mode.

    A file that is missing, damaged or foreign, or names code that is not trusted, and a device that is not here,
    raise `BadInput`.

    >>> import tempfile
    >>> from gan_convnorm.gan.architecture import Architecture
    >>> gan, checkpoint = GAN(architecture=Architecture(width=0.05)), {}
    >>> gan.on_save_checkpoint(checkpoint)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "best.ckpt")
    ...     torch.save({**checkpoint, "state_dict": gan.state_dict()}, path)  # as a trainer does
    ...     torch.equal(load_gan(path).sample(2), gan.sample(2))
    True

    Args:
        path: a .ckpt file that a run has written.
        device: where it runs.
        trust: modules of your own that the file may name, such as ("my_norms",).
    """
    return GAN.load_from_checkpoint(path, usable_device(device), trust=trust)


def load(
    path: str | PathLike[str], device: torch.device | str = "cpu", *, trust: Sequence[str] = ()
) -> GAN | TrainedGenerator:
    """Return a trained generator, in evaluation mode: `load(path).sample(64)` gives 64 images.

    The file chooses no code: it may name the normalizations and networks of this package alone, and modules in `trust`.
    A file that is missing, damaged or foreign, or names code that is not trusted, and a device that is not here,
    raise `BadInput`.

    Args:
        path: a .ckpt file that a run has written; a folder of `GAN.save_pretrained`; or an exported generator, a folder
            or its .safetensors file.
        device: where it runs.
        trust: modules of your own that the file may name, such as ("my_norms",).

    Returns:
        The whole GAN of a checkpoint or of `save_pretrained`, the generator alone of an export; both have `sample`,
        `decode`, `latent_dim`, `num_classes`.

    >>> load("checkpoints/digits_convnorm").sample(2).shape
    torch.Size([2, 1, 16, 16])
    """
    path = Path(path)
    if (path / CONFIG).is_file():
        return GAN.from_pretrained(path, device=device, trust=trust)
    if path.is_dir() or path.suffix == ".safetensors":
        return read_generator(path, trust).to(usable_device(device))
    return load_gan(path, device, trust=trust)
