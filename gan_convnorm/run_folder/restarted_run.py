"""The run that a SLURM job goes on with when it is started again."""

from __future__ import annotations

from pathlib import Path

from gan_convnorm.run_folder.checkpoint_content import LAST, PREVIOUS
from gan_convnorm.run_folder.lock import LOCK, read_holder
from gan_convnorm.run_folder.slurm_job import is_restarted_job, slurm_job

__all__ = ["restarted_folder"]


def restarted_folder(out: Path | None, runs: Path) -> Path | None:
    """Return the folder, with a checkpoint, that this SLURM job wrote to before it was started again.

    Args:
        out: the folder that the command line names; None if it names none.
        runs: where unnamed runs' folders are.

    Returns:
        None if the job runs for the first time, or saved nothing.

    >>> restarted_folder(None, Path("checkpoints/runs")) is None  # outside of SLURM
    True
    """
    if not is_restarted_job():
        return None
    folders = [out] if out is not None else [path.parent for path in runs.glob(f"*/{LOCK}")]
    own = [
        folder
        for folder in folders
        if read_holder(folder).get("slurm_job") == slurm_job()
        and any((folder / name).is_file() for name in (LAST, PREVIOUS))
    ]
    return max(own, key=lambda folder: (folder / LOCK).stat().st_mtime_ns, default=None)
