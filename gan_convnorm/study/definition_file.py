"""A study's file, read as plain values of the expected types."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

from gan_convnorm.errors import BadInput
from gan_convnorm.files.plain_yaml import read_yaml
from gan_convnorm.files.text import read_text
from gan_convnorm.study.definition import Grid, StudyDefinition

__all__ = ["read_study"]

#: names that can be a folder's or a file's: no separator, no dot or dash first
NAME = re.compile(r"\w[\w .,+=-]*")
LONGEST_NAME = 60  # bytes; the name of a run's folder has two
MOST_RUNS = 50_000


def read_study(path: Path) -> StudyDefinition:
    r"""Return the definition in a study's file.

    Raises:
        BadInput: no such file, not YAML, an unknown or missing key, a value of another type, a name that can name no
            folder, a grid or baseline that names no norm of the definition, an empty axis, or too many runs.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "definition.yaml"
    ...     _ = path.write_text("name: small\nbaseline: none\nnorms: {none: {}}\ngrids: {main: {seed: [0, 1]}}")
    ...     read_study(path).count()
    2
    """
    expected = "a YAML file such as configs/studies/digits_norms.yaml"
    if not path.exists():
        raise BadInput(f"there is no study {path}; expected {expected}")
    content = read_yaml(read_text(path, expected), str(path))
    if not isinstance(content, dict):
        raise BadInput(f"{path} holds {content!r:.60}; expected a mapping with name, norms and grids")
    try:
        return _definition(content)
    except BadInput as problem:
        raise BadInput(f"{path}: {problem}") from problem


def _definition(content: dict[str, Any]) -> StudyDefinition:
    _check_keys(
        "the study", content, {field.name for field in fields(StudyDefinition)} - {"words"}, ("name", "norms", "grids")
    )
    try:
        json.dumps(content, sort_keys=True)
    except TypeError as error:  # a date, a set, bytes, or numbers among the names of a mapping
        raise BadInput(f"it holds more than numbers, text, lists and mappings by name ({error})") from error
    name = _name("the name", content["name"])
    norms = _mapping("norms", content["norms"])
    for norm, config in norms.items():
        _norm_name(norm)
        _mapping(f"the norm {norm!r}", config)
    if not norms:
        example = "spectral: {model: {architecture: {disc_norm: spectral}}}"
        raise BadInput(f"there is no norm; expected norms such as {example}")
    baseline = content.get("baseline", StudyDefinition.baseline)
    if not isinstance(baseline, str) or baseline not in norms:
        raise BadInput(f"the baseline is {baseline!r}; the norms are: {', '.join(norms)}")
    grids = {_name("a grid's name", grid): _grid(grid, axes, norms) for grid, axes in _grids(content["grids"]).items()}
    config, smoke = (_mapping(key, content.get(key, {})) for key in ("config", "smoke"))
    definition = StudyDefinition(name, norms, grids, baseline, config, smoke)
    if definition.count() > MOST_RUNS:
        raise BadInput(f"the grids have {definition.count()} runs; expected at most {MOST_RUNS}, so give fewer levels")
    return definition


def _grids(value: object) -> dict[Any, Any]:
    grids = _mapping("grids", value)
    if not grids:
        raise BadInput("there is no grid; expected grids with a list of seeds each")
    return grids


def _grid(name: str, value: object, norms: dict[str, Any]) -> Grid:
    where = f"grid {name}"
    axes = _mapping(where, value)
    _check_keys(where, axes, {field.name for field in fields(Grid)}, ())

    def known(norm: object) -> str:
        if not isinstance(norm, str) or norm not in norms:
            raise BadInput(f"{norm!r:.60}; choose one of: {', '.join(norms)}")
        return norm

    readers = {"seed": _seed, "norm": known, "n_dis": _n_dis, "learning_rate": _rate}
    found = {axis: _axis(where, axis, axes[axis], read) for axis, read in readers.items() if axes.get(axis) is not None}
    if "seed" not in found:
        raise BadInput(f"{where} has no seed; expected a list of seeds")
    return Grid(**found, config=_mapping(f"{where}'s config", axes.get("config", {})))


def _axis(where: str, name: str, values: object, read: Callable[[object], Any]) -> list[Any]:
    if not isinstance(values, list):
        raise BadInput(f"{where} has {name} {values!r:.60}; expected a list, such as [{values!r:.60}]")
    try:
        found = [read(value) for value in values]
    except BadInput as problem:
        raise BadInput(f"{where} has {name} {problem}") from problem
    if not found or len(set(found)) < len(found):
        raise BadInput(f"{where} has {name} {str(values)[:100]}; expected values, each once")
    return found


def _seed(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**32:
        raise BadInput(f"{value!r:.60}; expected whole numbers from 0 to {2**32 - 1}")
    return value


def _n_dis(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise BadInput(f"{value!r:.60}; expected whole numbers of 1 or more")
    return value


def _rate(value: object) -> float:
    try:
        # YAML reads 1e-3 as text.
        rate = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        rate = math.nan
    if not 0 < rate < math.inf:
        raise BadInput(f"{value!r:.60}; expected numbers above 0")
    return rate


def _mapping(what: str, value: object) -> dict[Any, Any]:
    if not isinstance(value, dict):
        raise BadInput(f"{what} is {value!r:.60}; expected a mapping")
    return value


def _check_keys(where: str, content: dict[Any, Any], known: set[str], needed: tuple[str, ...]) -> None:
    for key in content:
        if key not in known:
            raise BadInput(f"{where} has the key {key!r:.60}; the keys are: {', '.join(sorted(known))}")
    for key in needed:
        if key not in content:
            raise BadInput(f"{where} has no {key}; expected one")


def _name(what: str, value: object) -> str:
    if not isinstance(value, str) or not NAME.fullmatch(value) or len(value.encode()) > LONGEST_NAME:
        raise BadInput(
            f"{what} is {value!r:.80}; expected letters, digits, spaces and .,+=-_ that can name a folder, at most "
            f"{LONGEST_NAME}"
        )
    return value


def _norm_name(value: object) -> None:
    if not isinstance(value, str) or not value or not value.isprintable() or "|" in value:
        raise BadInput(f"a norm's name is {value!r:.80}; expected printable text without |")
    if len(value.encode()) > LONGEST_NAME:
        raise BadInput(f"a norm's name is {value!r:.80}; expected at most {LONGEST_NAME} letters")
