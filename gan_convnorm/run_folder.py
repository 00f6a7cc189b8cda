"""Where a run writes, and what a checkpoint of an earlier run tells."""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path
from typing import Any

from gan_convnorm.errors import BadInput

__all__ = ["RUNS", "claim_folder", "last_checkpoint", "read_checkpoint"]

RUNS = Path("checkpoints/runs")


def claim_folder(path: Path, *, rename: bool = False) -> Path:
    """Make a folder for new output.

    Args:
        path: the folder.
        rename: take path-2, path-3, ... where there is one already.

    Returns:
        The folder, which exists and is empty.

    Raises:
        BadInput: it has files already, or cannot be made or written.
    """
    number, folder = 1, path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        while rename:
            try:
                folder.mkdir()  # fails where another run, perhaps in this moment, has made it
                break
            except FileExistsError:
                number += 1
                folder = path.with_name(f"{path.name}-{number}")
        folder.mkdir(exist_ok=True)
        occupied = any(folder.iterdir())
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise BadInput(
            f"the output folder {folder} cannot be written ({error.strerror}); choose another with --out"
        ) from error
    if occupied:
        raise BadInput(
            f"the output folder {folder} is not empty, and nothing is overwritten; choose another with --out"
        )
    return folder


def last_checkpoint(folder: Path | None) -> Path:
    """last.ckpt of a run folder, or of the run under `RUNS` that was saved last when no folder is given.

    Raises:
        BadInput: there is none.
    """
    where = folder if folder is not None else RUNS
    found = [folder / "last.ckpt"] if folder is not None else list(RUNS.glob("*/last.ckpt"))
    found = [path for path in found if path.is_file()]
    if not found:
        raise BadInput(f"there is no last.ckpt under {where} to resume; give a checkpoint with --resume PATH")
    return max(found, key=lambda path: path.stat().st_mtime)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint's tensors and values; its "config" is the YAML of the run that saved it.

    Raises:
        BadInput: no file, a damaged or foreign one.
    """
    import torch

    if not path.is_file():
        raise BadInput(f"there is no checkpoint {path}; expected a .ckpt file that a run has written")
    if not zipfile.is_zipfile(path):
        raise BadInput(f"{path} is damaged or no checkpoint; expected a .ckpt file that a run has written")
    try:
        # Tensors and plain values only: a pickle that would run code is refused.
        checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # the unpickler raises as the damage has it
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadInput(
            f"{path} cannot be read as a checkpoint ({reason[:200]}); expected a .ckpt file of a run"
        ) from error
    if not isinstance(checkpoint, dict) or "config" not in checkpoint:
        raise BadInput(
            f"{path} holds no run configuration; expected a .ckpt file that a run of this program has written"
        )
    return checkpoint
