"""The content of a checkpoint: tensors and plain values only, and complete enough for what is asked of it."""

from __future__ import annotations

import os
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

from gan_convnorm.errors import BadInput
from gan_convnorm.run_folder.run_settings import RUN

__all__ = ["LAST", "PREVIOUS", "check_restorable", "check_resumable", "read_checkpoint"]

#: a run's newest checkpoint
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


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return a checkpoint's tensors and plain values; its entry `RUN` is the record of the run that saved it.

    Raises:
        BadInput: no file, a damaged or foreign one, an entry of another type.

    >>> read_checkpoint(Path("none.ckpt"))
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: there is no checkpoint none.ckpt; expected a .ckpt file that a run has written
    """
    import torch

    from gan_convnorm.files.tensors import odd_tensor

    if not os.path.isfile(path):  # noqa: PTH113 - which is false for a name that is too long
        problem = f"{path} is not a file" if os.path.exists(path) else f"there is no checkpoint {path}"  # noqa: PTH110
        inside = sorted(path.glob("*.ckpt")) if os.path.isdir(path) else []  # noqa: PTH112
        which = f", such as {inside[0]}" if inside else " that a run has written"
        raise BadInput(f"{problem}; expected a .ckpt file{which}")
    try:
        with zipfile.ZipFile(path) as archive:
            # torch compresses nothing, and few bytes could become many.
            packed = next(
                (each.filename for each in archive.infolist() if each.compress_type != zipfile.ZIP_STORED), None
            )
            damaged = None if packed else archive.testzip()
    except (zipfile.BadZipFile, OSError, EOFError, RuntimeError, NotImplementedError, ValueError) as error:
        raise BadInput(
            f"{path} is damaged or no checkpoint ({error}); expected a .ckpt file that a run has written"
        ) from error
    if packed:
        raise BadInput(f"{path} has the compressed entry {packed}; expected a .ckpt file as a run has written it")
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
    if (odd := odd_tensor(checkpoint)) is not None:
        raise BadInput(f"{path} holds {odd}; expected plain tensors, as a run has written them")
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

    >>> check_restorable({"pytorch-lightning_version": "2.6.6", "callbacks": []}, Path("last.ckpt"))
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: last.ckpt holds list [] as its 'callbacks'; expected a mapping
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

    >>> check_resumable({"epoch": 0}, Path("best.ckpt"), 2, ())
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: best.ckpt has no 'global_step', without which a run cannot go on exactly; ...
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
