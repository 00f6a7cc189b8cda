"""The folder that a run writes to: a new one, or the one that the same SLURM job used before its restart."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

from gan_convnorm.errors import BadInput
from gan_convnorm.run_folder.lock import LOCK, check_unlocked, lock_folder, read_holder
from gan_convnorm.run_folder.slurm_job import is_restarted_job, slurm_job

__all__ = ["RUNS", "claim_folder"]

RUNS = Path("checkpoints/runs")


def claim_folder(path: Path, *, rename: bool = False, restart: bool = False) -> Path:
    """Make a folder for new output, and lock it (see `lock_folder`).

    Args:
        path: the folder.
        rename: if the folder exists, take path-2, path-3, ... instead.
        restart: in a SLURM job that is started again, rename the folder that the job made, if it has no checkpoint.

    Returns:
        The folder, which exists and is empty, save for its lock.

    Raises:
        BadInput: it has files already, is another process's, or cannot be made or written.

    >>> import tempfile
    >>> from gan_convnorm.run_folder import folder_locks
    >>> with tempfile.TemporaryDirectory() as folder, folder_locks():
    ...     claim_folder(Path(folder) / "run").name, claim_folder(Path(folder) / "run", rename=True).name
    ('run', 'run-2')
    """
    number, folder = 1, path
    above = [parent for parent in path.parents if not parent.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if restart and not rename:
            _set_aside_own(path)
        while rename:
            try:
                folder.mkdir()  # fails where another run, perhaps in this moment, has made it
                break
            except FileExistsError:
                number += 1
                folder = path.with_name(f"{path.name}-{number}")
        made = rename or not folder.exists()
        folder.mkdir(exist_ok=True)
        if _is_occupied(folder):
            check_unlocked(folder)
        else:
            lock_folder(folder, made=made, above=above, restart=restart)
        occupied = _is_occupied(folder)  # now that no other process can write to it
        if not occupied:
            with tempfile.TemporaryFile(dir=folder):
                pass
    except OSError as error:
        raise BadInput(
            f"the output folder {folder} cannot be written ({error.strerror}); choose another folder"
        ) from error
    if occupied:
        raise BadInput(f"the output folder {folder} is not empty, and nothing is overwritten; choose another folder")
    return folder


def _is_occupied(folder: Path) -> bool:
    return any(entry.name != LOCK for entry in folder.iterdir())


def _set_aside_own(folder: Path) -> None:
    """Rename what a SLURM job left before its first checkpoint, when the same job is started again."""
    if not is_restarted_job() or read_holder(folder).get("slurm_job") != slurm_job() or any(folder.glob("*.ckpt")):
        return
    lock_folder(folder)  # its process is dead
    free = (folder.with_name(f"{folder.name}.dead{number}") for number in itertools.count(1))
    folder.rename(next(name for name in free if not name.exists()))
