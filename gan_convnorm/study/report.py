"""A study's report as files: a table, Markdown with pictures beside it, and one HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gan_convnorm.errors import BadInput
from gan_convnorm.files.atomic_write import atomic_write, check_replaceable
from gan_convnorm.report.blocks import Picture
from gan_convnorm.report.markdown import link_target, render_markdown
from gan_convnorm.report.page import generator_tag, render_page
from gan_convnorm.study.definition import StudyDefinition
from gan_convnorm.study.report_content import report_blocks
from gan_convnorm.study.results import Result
from gan_convnorm.study.table import FIRST_COLUMNS, TABLE, write_table

__all__ = ["check_report", "is_report", "write_report"]

REPORT, PAGE = "report.md", "report.html"
#: the mark of the pages of a study
GENERATOR = "gan_convnorm.study"


def write_report(
    definition: StudyDefinition,
    results: Sequence[Result],
    folder: Path,
    *,
    floor: dict[str, Any] | None,
    failed: Sequence[str],
    others: Sequence[Result] = (),
    overwrite: bool = False,
) -> list[Path]:
    """Write runs.csv, report.md with its pictures, and report.html.

    Args:
        definition: the study.
        results: runs that have ended.
        folder: to write to; it exists.
        floor: what real images score, as `floor.floor` gives it; None where it is not known.
        failed: labels of runs whose worker died twice.
        others: runs that are not the definition's, such as those of an earlier form of the study: runs.csv keeps them.
        overwrite: replace also files that are no report of a study.

    Returns:
        The files.

    Raises:
        BadInput: one cannot be written, or is another command's.

    >>> import tempfile
    >>> from gan_convnorm.study.definition import Grid
    >>> definition = StudyDefinition("example", {"none": {}}, {"main": Grid(seed=[0])}, baseline="none")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [path.name for path in write_report(definition, [], Path(folder), floor=None, failed=[])]
    ['runs.csv', 'report.md', 'report.html']
    """
    blocks = report_blocks(definition, results, floor, failed)
    title = f"Study {definition.name}"
    text, page = render_markdown(title, blocks), render_page(title, blocks, GENERATOR)
    files = {folder / REPORT: text.encode("utf-8", "backslashreplace")}  # first: it names the pictures
    files[folder / PAGE] = page.encode("utf-8", "backslashreplace")
    files |= {folder / block.file: block.data for block in blocks if isinstance(block, Picture)}
    check_report(folder, overwrite=overwrite)
    for path in files:
        check_replaceable(path, is_report, overwrite)
    write_table([*results, *others], folder / TABLE, floor)
    for path, data in files.items():
        try:
            with atomic_write(path) as part:
                part.write_bytes(data)
        except OSError as error:
            raise BadInput(f"{path} cannot be written ({error.strerror}); choose another folder with --out") from error
    return [folder / TABLE, *files]


def check_report(folder: Path, *, overwrite: bool = False) -> None:
    """Raise BadInput for a folder in which a file with a report's name is no report's.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "report.md").write_text("my own")
    ...     check_report(Path(folder))
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: ...report.md exists and was not written by this command; ...
    """
    for name in (TABLE, REPORT, PAGE):
        check_replaceable(folder / name, is_report, overwrite)


def is_report(path: Path) -> bool:
    """Return True if a study has written a file; a page or picture is known by the report beside it, which is first.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "runs.csv").write_text("my,own")
    ...     is_report(Path(folder) / "runs.csv")
    False
    """
    report = path.with_name(REPORT)
    if path.name == TABLE:
        return _start(path).startswith(",".join(FIRST_COLUMNS))
    if path == report:
        return _start(path).startswith("# Study ")
    if path.name == PAGE:
        return generator_tag(GENERATOR) in _start(path) or is_report(report)
    return is_report(report) and f"]({link_target(path.name)})" in report.read_text(encoding="utf-8", errors="replace")


def _start(path: Path) -> str:
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.read(1000)
