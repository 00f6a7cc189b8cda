"""Where a run writes."""

from __future__ import annotations

import tempfile
from pathlib import Path

from gan_convnorm.errors import BadInput

__all__ = ["RUNS", "claim_folder"]

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
