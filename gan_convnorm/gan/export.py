"""A checkpoint's generator as files for other programs."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import cast

from gan_convnorm.gan.architecture import Architecture
from gan_convnorm.gan.generator_file import write_generator
from gan_convnorm.gan.loading import load_gan
from gan_convnorm.gan.programs import check_onnx, export_onnx, export_program
from gan_convnorm.networks import Generator
from gan_convnorm.run_folder import RUN, claim_folder, folder_locks, read_checkpoint, repeat_advice

__all__ = ["export"]

PROGRAM, ONNX = "generator.pt2", "generator.onnx"


def export(
    checkpoint: Path,
    folder: Path,
    *,
    ema: bool = True,
    program: bool = True,
    onnx: bool = False,
    trust: Sequence[str] = (),
) -> list[Path]:
    """Write a checkpoint's generator as generator.safetensors, generator.json and generator.pt2, and generator.onnx.

    A missing checkpoint, a folder with files and a network that `torch.export` cannot take raise `BadInput`.

    >>> import tempfile, torch
    >>> from gan_convnorm.gan import GAN
    >>> gan, checkpoint = GAN(architecture=Architecture(width=0.05)), {}
    >>> gan.on_save_checkpoint(checkpoint)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "best.ckpt")
    ...     torch.save({**checkpoint, "state_dict": gan.state_dict()}, path)  # as a trainer does
    ...     [file.name for file in export(path, Path(folder, "exported"), program=False)]
    ['generator.safetensors', 'generator.json']

    Args:
        checkpoint: a .ckpt file that a run has written.
        folder: where to write; made, and empty.
        ema: the averaged weights, else the current ones.
        program: also write generator.pt2, see `export_program`.
        onnx: also write generator.onnx, see `export_onnx`.
        trust: modules that the checkpoint may name.

    Returns:
        The files.
    """
    if onnx:
        check_onnx()  # before there is a folder
    gan = load_gan(checkpoint, trust=trust)
    settings = read_checkpoint(checkpoint)[RUN]
    architecture = Architecture(**settings["model"]["architecture"])
    description = {
        "network": architecture.network,
        "arguments": architecture.generator_arguments(
            gan.hparams["resolution"], gan.hparams["channels"], gan.num_classes, gan.condition_size
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
    network = cast("Generator", gan.generator_with(ema=ema))
    with folder_locks(repeat_advice):
        folder = claim_folder(folder)
        programs = [
            write(network, folder / name)
            for write, name, asked in ((export_program, PROGRAM, program), (export_onnx, ONNX, onnx))
            if asked
        ]
        return [*write_generator(network, description, folder), *programs]
