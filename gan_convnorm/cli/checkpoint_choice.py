"""The checkpoint that a training verb reads, and the folder that it writes to."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gan_convnorm.cli.command_words import values_of
from gan_convnorm.cli.configuration_files import given_values
from gan_convnorm.errors import BadInput
from gan_convnorm.program_start import is_first
from gan_convnorm.run_folder import last_checkpoint, restarted_folder

__all__ = ["chosen_checkpoint"]

#: environment variable with the checkpoint that the first process found
FOUND = "GAN_CONVNORM_LAST_CHECKPOINT"


def chosen_checkpoint(
    words: Sequence[str], files: Sequence[dict[str, Any]], runs: Path
) -> tuple[Path | None, Path | None]:
    """Return the folder to write to, None if the command line does not say, and the checkpoint to read, if any.

    Args:
        words: the verb and its flags, without short flags.
        files: content of the configuration files.
        runs: folder of the runs without a name.

    Raises:
        BadInput: an empty path, or no checkpoint where one is needed.

    >>> chosen_checkpoint(["validate", "--ckpt_path", "run/best.ckpt"], [], Path("checkpoints/runs"))
    (None, PosixPath('run/best.ckpt'))
    """
    verb = words[0]
    outs = given_values(words, files, "trainer.default_root_dir")
    if "" in values_of(words, "--trainer.default_root_dir"):
        raise BadInput("--out is empty; give a folder")
    out = Path(outs[-1]) if outs and outs[-1] not in ("", "null") else None
    paths = given_values(words, files, "ckpt_path")
    named = Path(paths[-1]).parent if paths and paths[-1] not in ("", "null", "last") else None
    if verb == "fit" and (own := restarted_folder(out or named, runs)) is not None:
        return own, last_checkpoint(own)
    if not paths or paths[-1] == "null":
        if verb != "fit":
            raise BadInput(f"{verb} needs a checkpoint: --ckpt_path PATH, such as checkpoints/runs/NAME/best.ckpt")
        return out, None
    if not paths[-1]:
        flag, more = ("--resume", ", or last for the newest run's") if verb == "fit" else ("--ckpt_path", "")
        raise BadInput(f"{flag} is empty; give the path of a checkpoint{more}")
    if verb != "fit":
        return out, Path(paths[-1])
    checkpoint = Path(paths[-1]) if paths[-1] != "last" else last_checkpoint(out, runs) if out else _newest(runs)
    return out or checkpoint.parent, checkpoint


def _newest(runs: Path) -> Path:
    """Return the checkpoint that was saved last; of several processes the first looks for it and tells the others.

    Another run may save one between two looks.

    Raises:
        BadInput: there is none; or other processes would look too, since this one does not start them.
    """
    if not is_first(os.environ) and FOUND in os.environ:
        return Path(os.environ[FOUND])
    if any(os.environ.get(name) not in (None, "", "1") for name in ("WORLD_SIZE", "SLURM_NTASKS")):
        raise BadInput("each of several processes would look for the last run; name the run with --out FOLDER")
    found = last_checkpoint(None, runs)
    os.environ[FOUND] = str(found)  # Lightning starts the others with this environment
    return found
