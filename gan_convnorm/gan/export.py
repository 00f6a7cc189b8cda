"""A checkpoint's generator as files for other programs."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor, nn

from gan_convnorm.errors import BadInput
from gan_convnorm.files.atomic_write import atomic_write
from gan_convnorm.gan.architecture import Architecture
from gan_convnorm.gan.generator_file import write_generator
from gan_convnorm.gan.loading import load_gan
from gan_convnorm.run_folder import RUN, claim_folder, read_checkpoint

__all__ = ["export", "export_program"]

PROGRAM = "generator.pt2"
#: largest difference of the exported program to the network, of images in [-1, 1]
TOLERANCE = 1e-5


def export(
    checkpoint: Path, folder: Path, *, ema: bool = True, program: bool = True, trust: Sequence[str] = ()
) -> list[Path]:
    """Write a checkpoint's generator as generator.safetensors, generator.json and generator.pt2.

    A missing checkpoint, a folder with files and a network that `torch.export` cannot take raise `BadInput`.

    Args:
        checkpoint: a .ckpt file that a run has written.
        folder: where to write; made, and empty.
        ema: the averaged weights, else the current ones.
        program: also write generator.pt2, see `export_program`.
        trust: modules that the checkpoint may name.

    Returns:
        The files.
    """
    gan = load_gan(checkpoint, trust=trust)
    settings = read_checkpoint(checkpoint)[RUN]
    architecture = Architecture(**settings["model"]["architecture"])
    description = {
        "network": architecture.network,
        "arguments": architecture.generator_arguments(
            gan.hparams["resolution"], gan.hparams["channels"], gan.num_classes
        ),
        "seed": gan.seed,
        "g_step": gan.g_step,
        "weights": "ema" if ema else "raw",
        "gan_convnorm": version("gan_convnorm"),
        # For a reader: what the generator was trained with. `load` reads none of it.
        "run": {
            key: settings[key] for key in ("seed", "model", "data", "data_arguments", "sections") if key in settings
        },
    }
    network = gan.generator_with(ema=ema)
    folder = claim_folder(folder)
    programs = [export_program(network, gan.latent_dim, gan.num_classes, folder / PROGRAM)] if program else []
    return [*write_generator(network, description, folder), *programs]


def export_program(network: nn.Module, latent_dim: int, num_classes: int | None, path: Path) -> Path:
    """Write a generator as a program of `torch.export` that runs without this package, for any batch size.

    The program maps latents (B, latent_dim), float32, to images (B, C, H, W) in [-1, 1]:
    `torch.export.load(path).module()(latents)`. A conditional generator's also takes labels (B,), int64.

    Args:
        network: the generator, in evaluation mode, on the CPU.
        latent_dim: length of the latents.
        num_classes: number of classes; None for an unconditional generator.
        path: file to write.

    Returns:
        The file.

    Raises:
        BadInput: `torch.export` cannot take the network, or its program differs from it by more than 1e-5.
    """
    batch = torch.export.Dim("batch", min=1)
    example = _inputs(2, latent_dim, num_classes)
    shapes = tuple({0: batch} for _ in example)
    try:
        with torch.no_grad():
            program = torch.export.export(network, example, dynamic_shapes=shapes)
    except Exception as error:  # the tracer raises errors of any type
        reason = " ".join(str(error).split())[:200]
        raise BadInput(f"torch.export cannot take this generator ({reason}); leave it out with --no-program") from error
    with atomic_write(path) as part:
        # By handle: torch wants a name that ends in .pt2.
        with part.open("wb") as file, warnings.catch_warnings():
            # torch warns of weights that are views of one another; the comparison below shows that all is well.
            warnings.filterwarnings("ignore", "No complete tensor found")
            torch.export.save(program, file)
        with part.open("rb") as file:
            loaded = torch.export.load(file).module()
        for count in (1, 5):
            inputs = _inputs(count, latent_dim, num_classes)
            with torch.no_grad():
                difference = float((loaded(*inputs) - network(*inputs)).abs().max())
            if not difference <= TOLERANCE:
                raise BadInput(
                    f"the exported program differs from the generator by {difference:.1e} in [-1, 1]; "
                    "leave it out with --no-program"
                )
    return path


def _inputs(count: int, latent_dim: int, num_classes: int | None) -> tuple[Tensor, ...]:
    latents = torch.randn(count, latent_dim, generator=torch.Generator().manual_seed(count))
    return (latents,) if num_classes is None else (latents, torch.arange(count) % num_classes)
