"""Checkpoints as files: written whole or not at all, with tensors and plain values only."""

from __future__ import annotations

import os
import pickle
import re
import shutil
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pytorch_lightning.plugins import TorchCheckpointIO
from typing_extensions import override

from gan_convnorm.errors import BadInput, RunStopped
from gan_convnorm.files.atomic_write import atomic_write
from gan_convnorm.files.part_files import part_path
from gan_convnorm.run_folder.claim import RUNS
from gan_convnorm.run_folder.lock import check_folder
from gan_convnorm.run_folder.run_settings import RUN
from gan_convnorm.run_folder.what_is_left import what_is_left

__all__ = [
    "LAST",
    "PREVIOUS",
    "CheckpointFiles",
    "check_restorable",
    "check_resumable",
    "last_checkpoint",
    "read_checkpoint",
]

LAST = "last.ckpt"
#: the one before the last, for when the last is damaged
PREVIOUS = "previous.ckpt"
#: entries that a run needs to go on, and their types
RESUMED = {
    "epoch": int,
    "global_step": int,
    "optimizer_states": list,
    "lr_schedulers": list,
    "callbacks": dict,
    "loops": dict,
}


class CheckpointFiles(TorchCheckpointIO):
    """Lightning's checkpoint files, written beside their place and renamed into it.

    A process that is killed while it writes leaves the checkpoint that was there; a last.ckpt stays as previous.ckpt
    when a newer one takes its place.
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
                + what_is_left(path.parent)
            ) from error

    @override
    def load_checkpoint(
        self,
        path: str | os.PathLike[str],
        map_location: Callable[..., Any] | None = None,
        weights_only: bool | None = True,
    ) -> dict[str, Any]:
        return read_checkpoint(Path(path))


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


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return a checkpoint's tensors and plain values; its entry `RUN` is the record of the run that saved it.

    Raises:
        BadInput: no file, a damaged or foreign one, an entry of another type.
    """
    import torch

    if not path.is_file():
        problem = f"{path} is not a file" if path.exists() else f"there is no checkpoint {path}"
        raise BadInput(f"{problem}; expected a .ckpt file that a run has written")
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, OSError, EOFError, RuntimeError, NotImplementedError, ValueError) as error:
        raise BadInput(
            f"{path} is damaged or no checkpoint ({error}); expected a .ckpt file that a run has written"
        ) from error
    if damaged:
        raise BadInput(f"{path} is damaged (in {damaged}); go on from another checkpoint, such as {PREVIOUS}")
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise BadInput(
            f"{path} cannot be read as a checkpoint: it holds other objects than tensors and plain values, which could "
            "run code; expected a .ckpt file that a run has written"
        ) from error
    except Exception as error:  # a damaged file makes torch raise anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadInput(
            f"{path} cannot be read as a checkpoint ({reason[:200]}); expected a .ckpt file of a run"
        ) from error
    _check_entries(checkpoint, path)
    return checkpoint


def _check_entries(checkpoint: object, path: Path) -> None:
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get(RUN), dict):
        raise BadInput(
            f"{path} holds no run settings; expected a .ckpt file that a run of this version of the program has written"
        )
    weights = checkpoint.get("state_dict")
    if not isinstance(weights, dict) or not all(isinstance(name, str) for name in weights):
        raise BadInput(f"{path} has no 'state_dict' of weights by name; another program saved it, or it was changed")


def check_restorable(checkpoint: dict[str, Any], path: Path) -> None:
    """Raise unless Lightning can restore a module from a checkpoint.

    Raises:
        BadInput: names the entry that is missing or of another type.
    """
    version = checkpoint.get("pytorch-lightning_version")
    if not isinstance(version, str) or not re.match(r"\d+\.\d+", version):
        raise BadInput(f"{path} says pytorch-lightning_version {version!r:.40}; expected a version, such as 2.6.6")
    if not isinstance(checkpoint.get("callbacks", {}), dict):
        found = checkpoint["callbacks"]
        raise BadInput(f"{path} holds {type(found).__name__} {found!r:.40} as its 'callbacks'; expected a mapping")


def check_resumable(checkpoint: dict[str, Any], path: Path, optimizers: int, callbacks: tuple[str, ...]) -> None:
    """Raise unless a run can go on exactly from a checkpoint: weights alone are not enough.

    Args:
        checkpoint: what `read_checkpoint` gave.
        path: the file, for messages.
        optimizers: how many the run has, each with a schedule of its learning rate unless the run has none.
        callbacks: names of those whose state the run needs.

    Raises:
        BadInput: names the first entry that is missing, empty or of another type.
    """
    advice = f"without which a run cannot go on exactly; resume from another checkpoint of the run, such as {PREVIOUS}"
    for name, kind in RESUMED.items():
        value = checkpoint.get(name)
        if isinstance(value, bool) or not isinstance(value, kind) or (isinstance(value, int) and value < 0):
            found = "has no" if name not in checkpoint else f"holds {type(value).__name__} {value!r:.40} as its"
            raise BadInput(f"{path} {found} {name!r}, {advice}")
    if len(checkpoint["optimizer_states"]) != optimizers:
        raise BadInput(
            f"{path} has the state of {len(checkpoint['optimizer_states'])} optimizers; expected {optimizers}, {advice}"
        )
    whole = [
        isinstance(state, dict) and {"state", "param_groups"} <= state.keys()
        for state in checkpoint["optimizer_states"]
    ]
    if not all(whole) or not isinstance(checkpoint["loops"].get("fit_loop"), dict):
        raise BadInput(f"{path} has optimizers or loops without their state, {advice}")
    states = checkpoint["callbacks"]
    for name in callbacks:
        if not any(isinstance(states[key], dict) and states[key] for key in states if str(key).startswith(name)):
            raise BadInput(f"{path} has no state of the callback {name}, {advice}")
