"""A study's definition: the norms, the grids, and the configuration that all runs share."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

__all__ = ["Grid", "StudyDefinition", "StudyRun"]


@dataclass(frozen=True)
class Grid:
    """Every norm with every seed, n_dis and learning rate.

    Args:
        seed: seeds of the runs.
        norm: names of the definition's norms; all when not given.
        n_dis: discriminator steps per generator step; the configuration's when not given.
        learning_rate: Adam's, of both networks; the configuration's when not given.
        config: laid over the definition's configuration.

    >>> Grid(seed=[0, 1], learning_rate=[0.001, 0.002]).n_dis is None
    True
    """

    seed: list[int]
    norm: list[str] | None = None
    n_dis: list[int] | None = None
    learning_rate: list[float] | None = None
    config: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class StudyRun:
    """One run of a study.

    Attributes:
        grid: name of its grid.
        norm: name of its norm in the definition.
        seed: of the run.
        n_dis: discriminator steps per generator step; None where the grid leaves it to the configuration.
        learning_rate: of both networks; None likewise.
        config: the run's configuration, as `train_gan.py --config` reads it.
        words: of the command line that change the configuration.

    >>> point = StudyRun("main", "none", 0, 5, None, {})
    >>> point.label, point.name
    ('main, none, seed 0, n_dis 5', 'main-none-seed0-n-dis5-44136fa3')
    """

    grid: str
    norm: str
    seed: int
    n_dis: int | None
    learning_rate: float | None
    config: dict[str, Any]
    words: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The values that tell it from the study's other runs, for a person."""
        parts = [self.grid, self.norm, f"seed {self.seed}"]
        parts += [f"n_dis {self.n_dis}"] if self.n_dis is not None else []
        parts += [f"learning rate {self.learning_rate:g}"] if self.learning_rate is not None else []
        return ", ".join(parts)

    @property
    def name(self) -> str:
        """The name of its folder. The configuration's digest is part of it: a changed configuration is another run."""
        words = "".join(c if c.isalnum() or c in ".-" else "-" for c in self.label.replace(", ", "-").replace(" ", ""))
        return f"{words}-{self.digest}"

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits of a hash of the configuration and the words that change it."""
        hashed = [self.config, self.words] if self.words else self.config
        return hashlib.sha256(json.dumps(hashed, sort_keys=True).encode()).hexdigest()[:8]


@dataclass(frozen=True)
class StudyDefinition:
    """A study.

    Args:
        name: of the study, in its storage and its folder.
        norms: for each name the configuration that makes it, such as
            {"model": {"architecture": {"disc_norm": "spectral"}}}.
        grids: the runs, by name of the grid.
        baseline: the norm with which the others are compared.
        config: configuration that all runs share.
        smoke: configuration laid over all runs of a smoke run, which has the first and the last level of each factor.
        words: of the command line that change the configuration of all runs.

    >>> definition = StudyDefinition("example", {"none": {}, "spectral": {}}, {"main": Grid(seed=[0, 1])})
    >>> definition.count(), [point.label for point in definition.points()][:2]
    (4, ['main, none, seed 0', 'main, spectral, seed 0'])
    """

    name: str
    norms: dict[str, dict[str, Any]]
    grids: dict[str, Grid]
    baseline: str = "spectral"
    config: dict[str, Any] = field(default_factory=dict)
    smoke: dict[str, Any] = field(default_factory=dict)
    words: tuple[str, ...] = ()

    def count(self) -> int:
        """Return the number of runs."""
        return sum(math.prod(map(len, self._axes(grid))) for grid in self.grids.values())

    def _axes(self, grid: Grid) -> tuple[Sequence[Any], ...]:
        return (grid.seed, grid.learning_rate or [None], grid.n_dis or [None], grid.norm or list(self.norms))

    def points(self) -> list[StudyRun]:
        """Return the runs, seed by seed, so that a study that is ended early has all norms."""
        found = []
        for name, grid in self.grids.items():
            for seed, rate, n_dis, norm in itertools.product(*self._axes(grid)):
                varied: dict[str, Any] = {} if n_dis is None else {"n_dis": n_dis}
                varied |= {} if rate is None else {"gen_lr": rate, "disc_lr": rate}
                config: dict[str, Any] = {}
                own = {"seed_everything": seed, **({"model": {"optimization": varied}} if varied else {})}
                for layer in (self.config, grid.config, self.norms[norm], own):
                    config = _merge(config, layer)
                found.append(StudyRun(name, norm, seed, n_dis, rate, config, self.words))
        return found

    def keys(self) -> set[tuple[str, str, str]]:
        """Return what tells the study's runs from others in a table: grid, norm and digest of each.

        >>> StudyDefinition("example", {"none": {}}, {"main": Grid(seed=[0])}).keys()
        {('main', 'none', 'aa34d06b')}
        """
        return {(point.grid, point.norm, point.digest) for point in self.points()}

    def for_smoke(self) -> StudyDefinition:
        """Return the study with the first and the last level of each factor, and the configuration of a smoke run.

        The baseline is always among its norms, so that the report has something to compare with.
        """

        def ends(values: list[Any]) -> list[Any]:
            return list(dict.fromkeys([values[0], values[-1]]))

        grids = {
            name: replace(
                grid,
                seed=ends(grid.seed),
                norm=list(dict.fromkeys([*ends(grid.norm or list(self.norms)), self.baseline])),
                n_dis=grid.n_dis and ends(grid.n_dis),
                learning_rate=grid.learning_rate and ends(grid.learning_rate),
            )
            for name, grid in self.grids.items()
        }
        norms = {name: _merge(config, self.smoke) for name, config in self.norms.items()}
        return replace(self, name=f"{self.name}-smoke", norms=norms, grids=grids)


def _merge(lower: dict[str, Any], upper: dict[str, Any]) -> dict[str, Any]:
    """Return nested mappings laid over one another, the upper one's values winning.

    Options of a norm are taken whole: those of a lower layer, which may be another norm's, are dropped.
    """
    merged = {k: v for k, v in lower.items() if not k.endswith("_options") or k.removesuffix("_options") not in upper}
    for key, value in upper.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both and not key.endswith("_options") else value
    return merged
