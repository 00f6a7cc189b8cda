"""Run folders as data, and groups of runs that differ only in their seed."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gan_convnorm.errors import BadInput
from gan_convnorm.report.flag_names import flag_name
from gan_convnorm.report.run_files import (
    Curves,
    SingularValues,
    last_samples,
    read_config,
    read_curves,
    read_singular_values,
    read_summary,
)

__all__ = ["Group", "Run", "group_runs", "read_runs"]

#: the most flags in a group's label; a group with more is named by its first run
MOST_FLAGS = 3
#: settings that say where a run writes, not what it does
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
        singular_values: singular values before and after by layer, empty where they were not measured.
        samples: the last sample grid.

    >>> Run("a", {}, 0, {}, {"cpu_seconds": 3.0, "g_steps": 20}, {}, None).cpu_seconds_per_step
    0.15
    """

    name: str
    config: dict[str, Any]
    seed: Any
    curves: Curves
    summary: dict[str, Any]
    singular_values: SingularValues
    samples: Path | None

    @property
    def cpu_seconds_per_step(self) -> float | None:
        """CPU seconds for one generator step of the whole run, evaluations included; None if it has not ended."""
        seconds, steps = self.summary.get("cpu_seconds"), self.summary.get("g_steps")
        return seconds / steps if seconds and steps else None


@dataclass(frozen=True)
class Group:
    """Runs that differ in nothing but the seed.

    Attributes:
        label: what sets it apart from the other groups.
        runs: at least one.

    >>> run = Run("a", {}, 0, {}, {}, {}, None)
    >>> len(Group("--disc-norm none", (run, run)).runs)
    2
    """

    label: str
    runs: tuple[Run, ...]


def read_runs(folders: Sequence[Path], *, unmeasured: bool = False) -> list[Run]:
    """Return runs read from their folders.

    Args:
        folders: each once.
        unmeasured: take a run that was stopped before its first row of metrics.csv.

    Returns:
        The runs in that order.

    Raises:
        BadInput: one is given twice, there is none, it has no config.yaml or metrics.csv, or a file in it is damaged
            or lies outside.

    >>> read_runs([Path("a"), Path("a")])
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: the run a is given twice; give each run once
    """
    resolved = [os.path.realpath(folder) for folder in folders]  # Path.resolve fails on a link to itself
    twice = next((folder for folder, path in zip(folders, resolved, strict=True) if resolved.count(path) > 1), None)
    if twice is not None:
        raise BadInput(f"the run {twice} is given twice; give each run once")
    names = [Path(path).name for path in resolved]
    return [
        _read_run(folder, name if names.count(name) == 1 else str(folder), unmeasured)
        for folder, name in zip(folders, names, strict=True)
    ]


def _read_run(folder: Path, name: str, unmeasured: bool) -> Run:
    if not folder.is_dir():
        raise BadInput(f"there is no run folder {folder}; expected one such as checkpoints/runs/NAME")
    measured = not unmeasured or (folder / "metrics.csv").exists()
    for file in ("metrics.csv", "config.yaml") if measured else ("config.yaml",):
        if not (folder / file).is_file():
            raise BadInput(
                f"{folder} has no {file}, so it is no folder of a run; expected one such as checkpoints/runs/NAME"
            )
    config = read_config(folder)
    return Run(
        name=name,
        config={key: value for key, value in config.items() if key not in PLACES and not _is_seed(key)},
        seed=config.get("seed_everything"),
        curves=read_curves(folder) if measured else {},
        summary=read_summary(folder),
        singular_values=read_singular_values(folder),
        samples=last_samples(folder),
    )


def group_runs(runs: list[Run]) -> tuple[list[Group], list[str]]:
    """Return groups of runs that differ only in their seed, and the keys in which the groups differ.

    Args:
        runs: the groups have their order.

    Returns:
        The groups, each labelled by the flags that set these keys, or, for none or more than three of them, by its
        first run's name; the keys.

    >>> runs = [Run(f"run{seed}", {"model.architecture.disc_norm": norm}, seed, {}, {}, {}, None)
    ...     for seed in (0, 1) for norm in ("none", "spectral")]
    >>> groups, keys = group_runs(runs)
    >>> [(group.label, len(group.runs)) for group in groups], keys
    ([('--disc-norm none', 2), ('--disc-norm spectral', 2)], ['model.architecture.disc_norm'])
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
        values = [f"{flag_name(key)} {show(group[0].config.get(key))}" for key in differing]
        label = ", ".join(values) if 0 < len(values) <= MOST_FLAGS else group[0].name
        groups.append(Group(label, tuple(group)))
    return groups, differing


def show(value: object) -> str:
    """Return a configuration's value as YAML writes it.

    >>> show(None), show(True), show(0.5)
    ('null', 'true', '0.5')
    """
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _is_seed(key: str) -> bool:
    return key == "seed_everything" or key.rpartition(".")[2] == "seed"
