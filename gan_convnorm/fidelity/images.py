"""Images from a tensor, a folder, an array file, or something that generates them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from gan_convnorm.errors import BadInput
from gan_convnorm.evaluation_mode import evaluating
from gan_convnorm.fidelity.generated_images import GeneratedImages
from gan_convnorm.fidelity.image_files import FolderImages, array_images
from gan_convnorm.fidelity.image_set import Images, TensorImages
from gan_convnorm.random_streams import numbered_latents

__all__ = ["as_images"]


def as_images(
    source: object,
    *,
    name: str | None = None,
    num_fake: int = 50_000,
    seed: int = 0,
    ema: bool = True,
    latent_dim: int = 128,
    device: torch.device | str = "cpu",
    resize: int | str | None = None,
    skip_bad: bool = False,
) -> Images:
    """Return a set of images from anything that holds or generates them.

    >>> len(as_images(torch.zeros(5, 3, 8, 8, dtype=torch.uint8)))
    5

    Args:
        source: uint8 images (N, C, H, W); a folder; an .npz or .npy file of uint8 images; a module
            with `sample(n, seed=, ema=, first=)`, such as `gan_convnorm.gan.GAN`; a callable from normal latents
            (n, latent_dim) to uint8 images; or an object that has the methods of `Images` already.
        name: their name, for the scores' protocol.
        num_fake: number of samples, if the source generates them.
        seed: seeds the latents.
        ema: sample from the averaged weights, else from the current ones.
        latent_dim: length of a callable's latents.
        device: where a callable's latents lie.
        resize: for folders and arrays, see `FolderImages`.
        skip_bad: for folders, see `FolderImages`.

    Returns:
        The images.

    Raises:
        BadInput: another source, or one that cannot be read.
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
        module: Any = source

        def generate(first: int, count: int) -> Tensor:
            with _in_evaluation(module):
                samples: Tensor = module.sample(count, seed=seed, ema=ema, first=first)
            return samples

        return GeneratedImages(generate, num_fake, name or ("EMA samples" if ema else "samples"))
    if callable(source):
        from_latents: Callable[[Tensor], Tensor] = source

        @torch.no_grad()
        def call(first: int, count: int) -> Tensor:
            with _in_evaluation(from_latents):
                return from_latents(numbered_latents(first, first + count, latent_dim, seed).to(device))

        return GeneratedImages(call, num_fake, name or "samples")
    if all(hasattr(source, method) for method in ("batches", "digest", "__len__")):
        return cast(Images, source)
    raise BadInput(
        f"cannot take images from {type(source).__name__}; expected a uint8 tensor, a folder, an .npz or .npy file, "
        "a module with sample(), or a function from latents to uint8 images"
    )


def _in_evaluation(source: object) -> contextlib.AbstractContextManager[None]:
    """Return evaluation mode for a network, as torch-fidelity has it; no norm's statistics change."""
    return evaluating(source) if isinstance(source, nn.Module) else contextlib.nullcontext()
