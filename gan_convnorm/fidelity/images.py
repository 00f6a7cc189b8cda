"""Images from a tensor, a folder, an array file, or something that generates them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gan_convnorm.errors import BadInput
from gan_convnorm.fidelity.generated_images import GeneratedImages
from gan_convnorm.fidelity.image_files import FolderImages, array_images
from gan_convnorm.fidelity.image_set import Images, TensorImages
from gan_convnorm.noise import numbered_noise

__all__ = ["as_images"]


def as_images(
    source: Any,
    *,
    name: str | None = None,
    num_fake: int = 50_000,
    seed: int = 0,
    ema: bool = True,
    latent_dim: int = 128,
    device: torch.device | str = "cpu",
    resize: int | None = None,
    skip_bad: bool = False,
) -> Images:
    """Images from whatever holds or makes them.

    Args:
        source: uint8 images (N, C, H, W); a folder; an .npz or .npy file of uint8 images; a module
            with `sample(n, seed=, ema=, first=)`, such as `gan_convnorm.gan.GAN`; a callable from normal noise
            (n, latent_dim) to uint8 images; or an object that has the methods of `Images` already.
        name: what they are, for the protocol.
        num_fake: how many to generate, where they are generated.
        seed: seeds the noise.
        ema: from the averaged weights, else from the current ones.
        latent_dim: length of a callable's noise vectors.
        device: where a callable's noise lies.
        resize: for folders and arrays, see `FolderImages`.
        skip_bad: for folders, see `FolderImages`.

    Raises:
        BadInput: nothing of these, or something wrong with it.
    """
    if isinstance(source, Tensor):
        return TensorImages(source, name or "images")
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        if path.suffix.lower() in (".npz", ".npy") and not path.is_dir():
            return array_images(path, resize)
        if path.is_file():
            raise BadInput(f"{path} is no .npz or .npy file; load a checkpoint first, by gan_convnorm.load(path)")
        return FolderImages(path, resize, skip_bad)
    if isinstance(source, (TensorImages, FolderImages, GeneratedImages)):
        return source
    if hasattr(source, "sample"):
        module = source

        def generate(first: int, count: int) -> Tensor:
            return module.sample(count, seed=seed, ema=ema, first=first)

        return GeneratedImages(generate, num_fake, name or ("EMA samples" if ema else "samples"))
    if callable(source):
        from_noise = source

        @torch.no_grad()
        def call(first: int, count: int) -> Tensor:
            return from_noise(numbered_noise(first, first + count, latent_dim, seed).to(device))

        return GeneratedImages(call, num_fake, name or "samples")
    if all(hasattr(source, method) for method in ("batches", "digest", "__len__")):
        return source
    raise BadInput(
        f"cannot take images from {type(source).__name__}; expected a uint8 tensor, a folder, an .npz or .npy file, "
        "a module with sample(), or a function from noise to uint8 images"
    )
