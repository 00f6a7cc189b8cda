"""The files of a run folder, read as a stranger's: plain values and pictures, or an error of one line."""

from __future__ import annotations

import csv
import io
import math
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gan_convnorm.errors import BadInput
from gan_convnorm.files.plain_json import read_json
from gan_convnorm.files.plain_values import flattened
from gan_convnorm.files.plain_yaml import read_yaml
from gan_convnorm.files.text import read_text
from gan_convnorm.report.run_file_checks import check_names, check_singular_values, check_summary, kind
from gan_convnorm.score_table import LARGEST_NUMBER

__all__ = [
    "last_samples",
    "read_config",
    "read_curves",
    "read_samples",
    "read_singular_values",
    "read_summary",
    "sample_grids",
]

Curves = dict[str, list[tuple[int, float]]]
SingularValues = dict[str, dict[str, list[float] | None]]

#: in MiB, far above what runs write
LARGEST = {"config.yaml": 1, "metrics.csv": 64, "summary.json": 16, "singular_values.json": 64}
LARGEST_PICTURE = 32
MOST_STEPS = 2**53  # above, floating point skips whole numbers
GRID = re.compile(r"step-(\d{6,15})\.png")


def read_config(folder: Path) -> dict[str, Any]:
    """Return the configuration by dotted key.

    Raises:
        BadInput: there is none, or it is no mapping of names.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "config.yaml").write_text("model: {width: 0.5}")
    ...     read_config(Path(folder))
    {'model.width': 0.5}
    """
    path = folder / "config.yaml"
    content = read_yaml(_text(folder, path.name), str(path))
    if not isinstance(content, dict):
        raise BadInput(f"{path} holds {kind(content)}; expected the configuration of a run")
    check_names(content, path)
    return flattened(content)


def read_summary(folder: Path) -> dict[str, Any]:
    """Return summary.json, empty if the run has not ended.

    A damaged file, or a value of another type among those that are shown, raises BadInput.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "summary.json").write_text('{"g_steps": 10}')
    ...     read_summary(Path(folder))
    {'g_steps': 10}
    """
    return _read_json(folder, "summary.json", check_summary)


def read_singular_values(folder: Path) -> SingularValues:
    """Return singular values before and after by layer, empty if they were not measured.

    A damaged singular_values.json, or another content, raises BadInput.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "singular_values.json").write_text('{"layers": {"linear": {"after": [2.0, 1.0]}}}')
    ...     read_singular_values(Path(folder))
    {'linear': {'after': [2.0, 1.0]}}
    """
    return _read_json(folder, "singular_values.json", check_singular_values).get("layers") or {}


def read_curves(folder: Path) -> Curves:
    r"""Return (step, value) of every column of metrics.csv.

    Raises:
        BadInput: there is none, or it is damaged.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "metrics.csv").write_text("step,fid\n10,4.0\n20,3.5\n")
    ...     read_curves(Path(folder))
    {'fid': [(10, 4.0), (20, 3.5)]}
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
    values = {column: float(value) for column, value in row.items() if value}
    if any(LARGEST_NUMBER < abs(value) < math.inf for value in values.values()):
        raise ValueError(values)
    return step, values


def last_samples(folder: Path) -> Path | None:
    """Return the sample grid of the last step, None where there is none.

    >>> last_samples(Path("no such run")) is None
    True
    """
    return next(reversed(sample_grids(folder / "samples").values()), None)


def sample_grids(folder: Path) -> dict[int, Path]:
    """Return the sample grids in a run's samples/ by their steps, in the order of these; others may lie there.

    >>> sample_grids(Path("no such folder"))
    {}
    """
    found = ((GRID.fullmatch(path.name), path) for path in folder.glob("step-*.png"))
    return dict(sorted((int(name[1]), path) for name, path in found if name is not None))


def read_samples(path: Path) -> bytes:
    """Return a sample grid as a run has written it, a PNG file.

    Raises:
        BadInput: it is a link out of the run folder, or no picture.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "step-000010.png").write_text("no picture")
    ...     read_samples(Path(folder) / "step-000010.png")
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: ...step-000010.png is no PNG picture (UnidentifiedImageError)
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
    except Exception as error:  # a damaged file makes Pillow raise anything
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
        raise BadInput(f"{path} holds {kind(content)}; expected what a run has written")
    check(content, path)
    return content
