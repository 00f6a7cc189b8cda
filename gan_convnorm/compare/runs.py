"""Run folders as data, and which runs are seeds of one another."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from gan_convnorm.errors import BadInput

__all__ = ["Group", "Run", "group_runs", "read_runs"]

#: configuration that says where a run writes and not what it does
PLACES = ("trainer.default_root_dir", "ckpt_path")


@dataclass(frozen=True)
class Run:
    """One run folder.

    Attributes:
        name: the folder's, or its path where another's is the same.
        config: configuration by dotted key, without seeds and places.
        seed: of the run.
        curves: (step, value) of every column of metrics.csv.
        summary: summary.json, empty where the run has not ended.
        spectra: singular values before and after by layer, empty where they were not measured.
        samples: the last sample grid.
    """

    name: str
    config: dict[str, Any]
    seed: Any
    curves: dict[str, list[tuple[int, float]]]
    summary: dict[str, Any]
    spectra: dict[str, dict[str, list[float] | None]]
    samples: Path | None

    @property
    def seconds_per_step(self) -> float | None:
        """Of the whole run, evaluations included; None where it has not ended."""
        seconds, steps = self.summary.get("seconds"), self.summary.get("g_steps")
        return seconds / steps if seconds and steps else None


@dataclass(frozen=True)
class Group:
    """Runs that differ in nothing but the seed.

    Attributes:
        label: what sets it apart from the other groups.
        runs: at least one.
    """

    label: str
    runs: tuple[Run, ...]


def read_runs(folders: Sequence[Path]) -> list[Run]:
    """Read run folders.

    Raises:
        BadInput: one is given twice, there is none, it has no config.yaml or metrics.csv, or a file in it cannot be
            read.
    """
    resolved = [folder.resolve() for folder in folders]
    twice = next((folder for folder in folders if resolved.count(folder.resolve()) > 1), None)
    if twice is not None:
        raise BadInput(f"the run {twice} is given twice; give each run once")
    names = [path.name for path in resolved]
    return [
        _read_run(folder, name if names.count(name) == 1 else str(folder))
        for folder, name in zip(folders, names, strict=True)
    ]


def _read_run(folder: Path, name: str) -> Run:
    if not folder.is_dir():
        raise BadInput(f"there is no run folder {folder}; expected one such as checkpoints/runs/NAME")
    for file in ("metrics.csv", "config.yaml"):
        if not (folder / file).is_file():
            raise BadInput(
                f"{folder} has no {file}, so it is no folder of a run; expected one such as checkpoints/runs/NAME"
            )
    config = _flat(_read(folder / "config.yaml", yaml.safe_load, dict))
    seed = config.get("seed_everything")
    kept = {key: value for key, value in config.items() if key not in PLACES and not _is_seed(key)}
    summary = folder / "summary.json"
    spectra = folder / "spectrum.json"
    grids = sorted((folder / "samples").glob("step-*.png"))
    return Run(
        name=name,
        config=kept,
        seed=seed,
        curves=_curves(folder / "metrics.csv"),
        summary=_read(summary, json.loads, dict) if summary.exists() else {},
        spectra=_read(spectra, json.loads, dict).get("layers", {}) if spectra.exists() else {},
        samples=grids[-1] if grids else None,
    )


def group_runs(runs: list[Run]) -> tuple[list[Group], list[str]]:
    """Groups of runs that differ only in their seed, in the order given, and the keys in which the groups differ.

    A group's label is its values of these keys, its first run's name where there are none.
    """
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(json.dumps(run.config, sort_keys=True, default=str), []).append(run)
    members = list(found.values())
    absent = object()
    keys = sorted({key for group in members for key in group[0].config})
    differing = [
        key
        for key in keys
        if any(g[0].config.get(key, absent) != members[0][0].config.get(key, absent) for g in members)
    ]
    groups = []
    for group in members:
        values = [f"{key.rpartition('.')[2]} {show(group[0].config.get(key))}" for key in differing]
        groups.append(Group(", ".join(values) or group[0].name, tuple(group)))
    return groups, differing


def show(value: Any) -> str:
    """A configuration's value as YAML writes it."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _is_seed(key: str) -> bool:
    return key == "seed_everything" or key.rpartition(".")[2] == "seed"


def _flat(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        if isinstance(inner, dict) and inner:
            flat |= _flat(inner, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = inner
    return flat


def _read(path: Path, parse: Any, expected: type) -> Any:
    try:
        content = parse(path.read_text())
    except (OSError, ValueError, yaml.YAMLError) as error:  # undecodable text is a ValueError
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise BadInput(f"{path} cannot be read ({reason}); expected what a run has written") from error
    if not isinstance(content, expected):
        raise BadInput(f"{path} holds {content!r:.60}; expected what a run has written")
    return content


def _curves(path: Path) -> dict[str, list[tuple[int, float]]]:
    curves: dict[str, list[tuple[int, float]]] = {}
    row: dict[str, Any] = {}
    line = 1
    try:
        with path.open(newline="") as file:
            reader = csv.DictReader(file)
            if "step" not in (reader.fieldnames or []):
                raise BadInput(f"{path} has no column step; expected the metrics.csv of a run")
            for row in reader:
                line = reader.line_num
                step = int(row.pop("step"))
                for column, text in row.items():
                    if text:
                        curves.setdefault(column, []).append((step, float(text)))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise BadInput(f"{path} cannot be read ({reason}); expected the metrics.csv of a run") from error
    except (ValueError, TypeError, AttributeError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"line {line} of {path} is no row of numbers; expected the metrics.csv of a run") from error
    return curves
