"""How cases spoil a checkpoint: its keys, its run's configuration, its weights."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import yaml

from bad_input_cases.case import NotThisVersion

__all__ = ["CANARY_PICKLE", "edited", "lay_over", "malicious", "without"]

LAST = Path("trained/last.ckpt")


class CANARY_PICKLE:  # noqa: N801 - reads as a constant where it is used
    """An object whose pickle runs code when it is read."""

    def __reduce__(self) -> tuple[Any, tuple[str, ...]]:
        return exec, ("import os, pathlib; pathlib.Path(os.environ['CANARY']).write_text('sung')",)


def edited(change: Callable[[dict[str, Any]], Any], path: Path = LAST) -> Callable[[], None]:
    """Return a function that changes a checkpoint in place; `change` may return other content."""

    def prepare() -> None:
        checkpoint = torch.load(path, weights_only=True)
        found = change(checkpoint)
        torch.save(checkpoint if found is None else found, path)

    return prepare


def _laid_over(lower: dict[str, Any], upper: dict[str, Any]) -> dict[str, Any]:
    """Return settings laid over others, those of a group by their names."""
    groups = {
        name: {**lower[name], **value}
        for name, value in upper.items()
        if name in ("architecture", "optimization") and isinstance(lower.get(name), dict)
    }
    return {**lower, **upper, **groups}


def lay_over(changes: dict[str, Any], path: Path = LAST) -> Callable[[], None]:
    """Return a function that overwrites run settings in a checkpoint by a configuration's values.

    The same values are also put where Lightning, and an earlier version of this program, looked for them.
    """

    def change(checkpoint: dict[str, Any]) -> None:
        run = checkpoint["run"]
        for name, values in changes.items():
            if name == "data":
                run["data"], run["data_arguments"] = values["class_path"], values.get("init_args", {})
            else:
                place = run if name in ("model", "trainer") else run["sections"]
                place[name] = _laid_over(place.get(name, {}), values)
        checkpoint["config"] = yaml.safe_dump(changes)
        checkpoint["hyper_parameters"] = _laid_over(checkpoint.get("hyper_parameters", {}), changes.get("model", {}))

    return edited(change, path)


def without(key: str, path: Path = LAST) -> Callable[[], None]:
    """Return a function that removes a key from a checkpoint."""

    def change(checkpoint: dict[str, Any]) -> None:
        if key not in checkpoint:
            raise NotThisVersion(f"no {key}")
        del checkpoint[key]

    return edited(change, path)


def replaced(key: str, value: Any, path: Path = LAST) -> Callable[[], None]:
    """Return a function that replaces the value of a key."""

    def change(checkpoint: dict[str, Any]) -> None:
        if key not in checkpoint:
            raise NotThisVersion(f"no {key}")
        checkpoint[key] = value

    return edited(change, path)


def malicious(path: str, *, legacy: bool = False) -> Callable[[], None]:
    """Return a function that replaces a file by a pickle that runs code."""

    def prepare() -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        torch.save({"config": CANARY_PICKLE()}, path, _use_new_zipfile_serialization=not legacy)

    return prepare


def bytes_changed(path: str | Path, place: float = 0.5, count: int = 64) -> Callable[[], None]:
    """Return a function that overwrites some bytes of a file."""

    def prepare() -> None:
        content = bytearray(Path(path).read_bytes())
        start = int(place * len(content))
        content[start : start + count] = bytes(255 - b for b in content[start : start + count])
        Path(path).write_bytes(content)

    return prepare


def cut(path: str | Path, share: float = 0.5) -> Callable[[], None]:
    """Return a function that truncates a file."""

    def prepare() -> None:
        content = Path(path).read_bytes()
        Path(path).write_bytes(content[: int(share * len(content))])

    return prepare


def zipped(path: str, names: dict[str, bytes]) -> Callable[[], None]:
    """Return a function that writes a zip file that is not a checkpoint."""

    def prepare() -> None:
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in names.items():
                archive.writestr(name, content)

    return prepare
