"""Checkpoints as files: written whole or not at all, the one before kept, the newest whole one found again."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pytorch_lightning.plugins import TorchCheckpointIO
from typing_extensions import override

from gan_convnorm.errors import BadInput, RunStopped
from gan_convnorm.files.atomic_write import atomic_write
from gan_convnorm.files.part_files import part_path
from gan_convnorm.run_folder.checkpoint_content import LAST, PREVIOUS, read_checkpoint
from gan_convnorm.run_folder.claim import RUNS
from gan_convnorm.run_folder.lock import check_folder
from gan_convnorm.run_folder.resume_advice import resume_advice

__all__ = ["CheckpointFiles", "check_newest", "last_checkpoint"]


class CheckpointFiles(TorchCheckpointIO):
    """Lightning's checkpoint files, written beside their place and renamed into it.

    A process that is killed while it writes leaves the checkpoint that was there; a last.ckpt stays as previous.ckpt
    when a newer one takes its place.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for step in (1, 2):
    ...         CheckpointFiles().save_checkpoint({"step": step}, Path(folder) / "last.ckpt")
    ...     sorted(path.name for path in Path(folder).iterdir())
    ['last.ckpt', 'previous.ckpt']
    """

    @override
    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: object = None
    ) -> None:
        import torch

        path = Path(path)
        check_folder(path.parent)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(path) as part:
                torch.save(checkpoint, part)
                if path.name == LAST and path.exists():
                    _keep(path, path.with_name(PREVIOUS))
        except (OSError, RuntimeError) as error:  # torch's own writer raises the latter
            free = shutil.disk_usage(path.parent).free / 2**20 if path.parent.is_dir() else 0
            reason = (isinstance(error, OSError) and error.strerror) or str(error).splitlines()[0][:120]
            raise RunStopped(
                f"the checkpoint {path} cannot be written ({reason}; {free:.0f} MiB are free there); "
                + resume_advice(path.parent)
            ) from error

    @override
    def load_checkpoint(
        self,
        path: str | os.PathLike[str],
        map_location: Callable[..., Any] | None = None,
        weights_only: bool | None = True,
    ) -> dict[str, Any]:
        checkpoint = read_checkpoint(Path(path))
        _relocate_best(checkpoint, Path(path).parent.resolve())  # as ModelCheckpoint writes its folder
        return checkpoint

    @override
    def remove_checkpoint(self, path: str | os.PathLike[str]) -> None:
        """Remove a local .ckpt file; leave all else where it is.

        A resumed run's checkpoint says which file was the best so far. Lightning would remove what that name means to
        any file system, whole folders and places outside the run's folder (by "..") too.
        """
        file = Path(path)
        if file.suffix == ".ckpt" and ".." not in file.parts and file.is_file():
            file.unlink(missing_ok=True)


def _relocate_best(checkpoint: dict[str, Any], folder: Path) -> None:
    """Let a checkpoint name the best one by the folder that both are in, which may have been moved since.

    Lightning forgets the best score where the folder's name differs, and would replace the best checkpoint by a worse
    one.
    """
    for key, state in checkpoint.get("callbacks", {}).items():
        known = str(key).startswith("ModelCheckpoint") and isinstance(state, dict)
        best = state.get("best_model_path") if known else None
        if not isinstance(best, str) or not (folder / Path(best).name).is_file():
            continue
        moved = str(folder / Path(best).name)
        scores = state.get("best_k_models")
        state |= {"dirpath": str(folder), "best_model_path": moved}
        if isinstance(scores, dict):
            state["best_k_models"] = {moved if path == best else path: score for path, score in scores.items()}
        if state.get("kth_best_model_path") == best:
            state["kth_best_model_path"] = moved


def _keep(path: Path, previous: Path) -> None:
    """Give a second name to a file that is about to be replaced, so that one of the two is always there."""
    link = part_path(previous)
    link.unlink(missing_ok=True)
    try:
        os.link(path, link)
    except OSError:  # a file system without hard links
        shutil.copyfile(path, link)
    os.replace(link, previous)


def last_checkpoint(folder: Path | None, runs: Path = RUNS) -> Path:
    """Return the newest whole checkpoint of a run folder.

    In place of a damaged last.ckpt it is previous.ckpt, with a warning.

    Args:
        folder: the run folder; None for that under `runs` which was saved last.
        runs: where run folders are.

    Returns:
        The path of last.ckpt or previous.ckpt.

    Raises:
        BadInput: there is none.

    >>> last_checkpoint(Path("no such run"))
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: there is no last.ckpt under no such run to resume; ...
    """
    where = folder if folder is not None else runs
    folders = [folder] if folder is not None else [path.parent for path in runs.glob(f"*/{LAST}")]
    found = [path for each in folders for path in (each / LAST, each / PREVIOUS) if path.is_file()]
    if not found:
        raise BadInput(f"there is no {LAST} under {where} to resume; give a checkpoint with --resume PATH")
    newest = max(found, key=lambda path: path.stat().st_mtime_ns).parent
    last, previous = newest / LAST, newest / PREVIOUS
    try:
        read_checkpoint(last)
        return last
    except BadInput as problem:
        if not previous.is_file():
            raise
        warnings.warn(f"{problem}; the run goes on from {previous}", stacklevel=2)
    read_checkpoint(previous)
    return previous


def check_newest(checkpoint: Path) -> None:
    """Raise if a run that goes on in a checkpoint's folder would replace a later state there.

    Raises:
        BadInput: last.ckpt of the folder can be read, and is of a later step.

    >>> check_newest(Path("no such run/best.ckpt"))  # there is no later one
    """
    last = checkpoint.with_name(LAST)
    if checkpoint.name == LAST or not last.is_file():
        return
    try:
        steps = [read_checkpoint(path)["global_step"] for path in (checkpoint, last)]
    except (BadInput, KeyError):
        return
    if steps[0] < steps[1]:
        raise BadInput(
            f"{last} is of a later step than {checkpoint.name}, and would be lost; go on from {checkpoint.name} in "
            "another folder with --out, or from last.ckpt"
        )
