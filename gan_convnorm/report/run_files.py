"""The files of a run folder, read as a stranger's: plain values of the expected types, or one line."""

from __future__ import annotations

import csv
import io
import math
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from gan_convnorm.errors import BadInput
from gan_convnorm.files.plain_json import read_json
from gan_convnorm.files.plain_values import flattened
from gan_convnorm.files.plain_yaml import read_yaml
from gan_convnorm.files.text import read_text

__all__ = ["last_samples", "read_config", "read_curves", "read_samples", "read_spectra", "read_summary"]

Curves = dict[str, list[tuple[int, float]]]
Spectra = dict[str, dict[str, list[float] | None]]

#: in MiB, far above what runs write
LARGEST = {"config.yaml": 1, "metrics.csv": 64, "summary.json": 16, "spectrum.json": 64}
LARGEST_PICTURE = 32
MOST_STEPS = 2**53  # above, floating point skips whole numbers
GRID = re.compile(r"step-(\d{1,15})\.png")


def read_config(folder: Path) -> dict[str, Any]:
    """Return the configuration by dotted key.

    Raises:
        BadInput: there is none, or it is no mapping of names.
    """
    path = folder / "config.yaml"
    content = read_yaml(_text(folder, path.name), str(path))
    if not isinstance(content, dict):
        raise BadInput(f"{path} holds {_kind(content)}; expected the configuration of a run")
    _check_names(content, path)
    return flattened(content)


def read_summary(folder: Path) -> dict[str, Any]:
    """Return summary.json, empty if the run has not ended.

    A damaged file, or a value of another type among those that are shown, raises BadInput.
    """
    return _read_json(folder, "summary.json", _check_summary)


def read_spectra(folder: Path) -> Spectra:
    """Return singular values before and after by layer, empty if they were not measured.

    A damaged spectrum.json, or another content, raises BadInput.
    """
    return _read_json(folder, "spectrum.json", _check_spectra).get("layers") or {}


def read_curves(folder: Path) -> Curves:
    """Return (step, value) of every column of metrics.csv.

    Raises:
        BadInput: there is none, or it is damaged.
    """
    path = folder / "metrics.csv"
    text = _text(folder, path.name)
    curves: Curves = {}
    line = 1
    reader = csv.DictReader(io.StringIO(text, newline=""))
    try:
        has_steps = "step" in (reader.fieldnames or [])
        for row in reader if has_steps else ():
            line = reader.line_num
            step, values = _numbers(row)
            for column, value in values.items():
                curves.setdefault(column, []).append((step, value))
    except csv.Error as error:
        raise BadInput(f"{path} cannot be read ({error}); expected the metrics.csv of a run") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise BadInput(f"line {line} of {path} is no row of numbers; expected the metrics.csv of a run") from error
    if not has_steps:
        raise BadInput(f"{path} has no column step; expected the metrics.csv of a run")
    return curves


def _numbers(row: dict[str, str]) -> tuple[int, dict[str, float]]:
    step = int(row.pop("step"))
    if not 0 <= step < MOST_STEPS:
        raise ValueError(step)
    return step, {column: float(value) for column, value in row.items() if value}


def last_samples(folder: Path) -> Path | None:
    """Return the sample grid of the last step, None where there is none."""
    grids = [path for path in (folder / "samples").glob("step-*.png") if GRID.fullmatch(path.name)]
    return max(grids, key=lambda path: int(path.stem.removeprefix("step-")), default=None)


def read_samples(path: Path) -> bytes:
    """Return a sample grid as a run has written it, a PNG file.

    Raises:
        BadInput: it is a link out of the run folder, or no picture.
    """
    from PIL import Image

    _check_inside(path.parent.parent, path)
    if not path.is_file():
        raise BadInput(f"{path} is no regular file")
    if path.stat().st_size > LARGEST_PICTURE * 2**20:
        raise BadInput(f"{path} has more than {LARGEST_PICTURE} MiB")
    try:
        data = path.read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of a picture that is far larger than its file
            with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
                image.verify()
    except Exception as error:  # Pillow raises as the damage has it
        raise BadInput(f"{path} is no PNG picture ({type(error).__name__})") from error
    return data


def _text(folder: Path, name: str) -> str:
    path = folder / name
    _check_inside(folder, path)
    return read_text(path, f"the {name} of a run", LARGEST[name] * 2**20)


def _check_inside(folder: Path, path: Path) -> None:
    """Refuse a link by which a run folder from elsewhere would put other files of this machine on the page."""
    try:
        inside = path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # a link to itself
        inside = False
    if not inside:
        raise BadInput(f"{path} is a link out of the run folder; put the file itself there")


def _read_json(folder: Path, name: str, check: Callable[[dict[str, Any], Path], None]) -> dict[str, Any]:
    path = folder / name
    if not path.exists() and not path.is_symlink():
        return {}
    content = read_json(_text(folder, name), str(path))
    if not isinstance(content, dict):
        raise BadInput(f"{path} holds {_kind(content)}; expected what a run has written")
    check(content, path)
    return content


def _check_summary(summary: dict[str, Any], path: Path) -> None:
    for key in ("seconds", "cpu_seconds", "g_steps"):
        if summary.get(key) is not None and not _is_amount(summary[key]):
            _refuse(path, key, summary[key], "a number of 0 or more")
    if isinstance(summary.get("g_steps"), float):
        _refuse(path, "g_steps", summary["g_steps"], "a whole number")
    if not isinstance(summary.get("commit"), str | None):
        _refuse(path, "commit", summary["commit"], "text")
    final = _mapping(summary, "final", path)
    for mapping, key in ((summary, "protocol"), (final, "protocol"), (summary, "versions")):
        for name, value in _mapping(mapping, key, path).items():
            if isinstance(value, dict | list):
                _refuse(path, f"{key}.{name}", value, "a number or text")
    for name, value in _mapping(final, "values", path).items():
        if not _is_number(value):
            _refuse(path, f"final.values.{name}", value, "a number")
    times = summary.get("times") or []
    if not isinstance(times, list):
        _refuse(path, "times", times, "a list")
    for time in times:
        if not isinstance(time, dict) or not all(map(_is_amount, time.values())) or "step" not in time:
            _refuse(path, "times", time, "numbers by name, a step among them")


def _check_spectra(content: dict[str, Any], path: Path) -> None:
    for name, layer in _mapping(content, "layers", path).items():
        if not isinstance(layer, dict):
            _refuse(path, f"layers.{name}", layer, "a mapping")
        for side in ("before", "after"):
            values = layer.get(side)
            if values is not None and not (isinstance(values, list) and all(map(_is_number, values))):
                _refuse(path, f"layers.{name}.{side}", values, "a list of numbers")


def _mapping(content: dict[str, Any], key: str, path: Path) -> dict[str, Any]:
    value = content.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        _refuse(path, key, value, "a mapping")
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63)


def _is_amount(value: object) -> bool:
    return isinstance(value, int | float) and _is_number(value) and math.isfinite(value) and value >= 0


def _refuse(path: Path, key: str, value: object, expected: str) -> NoReturn:
    raise BadInput(f"{path}: {key[:80]} is {_kind(value)}; expected {expected}")


def _kind(value: object) -> str:
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    return "nothing" if value is None else repr(value)[:60]


def _check_names(value: object, path: Path) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise BadInput(f"{path} has the key {key!r:.60}, which is no text; expected names")
            _check_names(inner, path)
    elif isinstance(value, list):
        for inner in value:
            _check_names(inner, path)
