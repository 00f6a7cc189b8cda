"""report.html: a run on one page that needs no other file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from gan_convnorm.files.atomic_write import atomic_write
from gan_convnorm.report.blocks import Block, Code, Heading, Paragraph, Picture, Sample, Samples, Table
from gan_convnorm.report.page import write_page
from gan_convnorm.report.run_curves import draw_losses_and_scores, draw_operator_sizes
from gan_convnorm.run_folder import read_rows
from gan_convnorm.score_table import SCORES, protocol_in_words, score_rows, titles, write_score

__all__ = ["score_cells", "write_run_page"]

#: by which a page of a run is known again
GENERATOR = "gan_convnorm.run"
SAMPLES = 12  # pictures at most, spread over the run: a page of a long run stays some megabytes
STEP = re.compile(r"step-\d{6,}\.png")
PNG = b"\x89PNG\r\n\x1a\n"


def write_run_page(folder: Path) -> None:
    """Write report.html and curves.png from the files of a run's folder; a file that is missing is no error.

    The page shows scores and losses over the steps, operator norms and condition numbers (columns
    "spectrum/LAYER/KIND" of metrics.csv), samples over the run, the configuration, and versions.

    Args:
        folder: of a run, with metrics.csv, samples/, config.yaml, summary.json.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_run_page(Path(folder))
    ...     "G step 0, not finished" in (Path(folder) / "report.html").read_text()
    True
    """
    rows = read_rows(folder / "metrics.csv")
    summary = json.loads(_text(folder / "summary.json") or "{}")
    blocks = [
        *_overview(rows, summary),
        *_section("Scores and losses", _curves(rows, folder / "curves.png")),
        *_section("Spectra", _figure(draw_operator_sizes(rows), "spectra over steps")),
        *_section("Samples", _samples(folder / "samples")),
        *_section("Configuration", _configuration(folder, summary)),
    ]
    write_page(folder / "report.html", folder.resolve().name, blocks, GENERATOR)


def score_cells(summary: dict[str, Any], names: list[str]) -> list[list[str]]:
    """Return the rows "last", "best" and "final" of a table: label, generator step, and the scores in `names`.

    Args:
        summary: "last" and "best", each with "g_step" and scores; "final" with "values", and "g_steps".
        names: of scores.

    >>> score_cells({"last": {"g_step": 20, "fid": 4.0}}, ["fid"])
    [['last', '20', '4.00']]
    """
    found = {label: summary.get(label) for label in ("last", "best")}
    cells = [[label, str(row["g_step"]), *(write_score(row, n) for n in names)] for label, row in found.items() if row]
    if final := summary.get("final"):
        cells.append(["final", str(summary["g_steps"]), *(write_score(final["values"], name) for name in names)])
    return cells


def _section(title: str, content: list[Block]) -> list[Block]:
    return [Heading(title), *content] if content else []


def _overview(rows: list[dict[str, str]], summary: dict[str, Any]) -> list[Block]:
    scores = score_rows(rows)
    step = rows[-1]["step"] if rows else "0"
    progress = f"G step {step}, not finished"
    if summary:
        steps, commit = summary["hyperparameters"]["optimization"]["steps"], _short(summary["commit"])
        progress = f"G step {step} of {steps}, {summary['seconds']:.0f} s, commit {commit}"
    blocks: list[Block] = [Paragraph(progress, note=True, name="progress")]
    if not scores:
        return blocks
    shown = titles(scores[-1])
    cells = score_cells({**summary, "last": scores[-1]}, list(shown))
    best = SCORES.get(summary.get("best_of", ""))
    cells = [[f"best {best.title}" if row[0] == "best" and best else row[0], *row[1:]] for row in cells]
    blocks.append(Table(["", "G step", *shown.values()], cells, first_number=1, name="scores"))
    if summary:
        blocks.append(Paragraph(f"last, best: {protocol_in_words(summary['protocol'])}", note=True))
    if final := summary.get("final"):
        protocol = final["protocol"]
        blocks.append(Paragraph(f"final ({protocol['name']}): {protocol_in_words(protocol)}", note=True))
    return blocks


def _curves(rows: list[dict[str, str]], path: Path) -> list[Block]:
    picture = draw_losses_and_scores(rows)
    if picture:
        with atomic_write(path) as part:
            part.write_bytes(picture)
    return _figure(picture, "scores and losses over steps")


def _figure(picture: bytes, title: str) -> list[Block]:
    return [Picture(picture, title)] if picture else []


def _samples(folder: Path) -> list[Block]:
    # Others may lie there, and a link may lead out of the folder.
    files = sorted(path for path in folder.glob("step-*.png") if _is_sample(path))
    if len(files) > SAMPLES:
        files = [files[round(i * (len(files) - 1) / (SAMPLES - 1))] for i in range(SAMPLES)]
    if not files:
        return []
    pictures = []
    for file in files:
        step = f"G step {int(file.stem.removeprefix('step-'))}"
        pictures.append(Sample(file.read_bytes(), f"samples at {step}", step))
    note = "The averaged generator on the same noise at every evaluation. A click enlarges."
    return [Samples(pictures), Paragraph(note, note=True)]


def _is_sample(path: Path) -> bool:
    if not STEP.fullmatch(path.name) or path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(PNG)) == PNG


def _configuration(folder: Path, summary: dict[str, Any]) -> list[Block]:
    text = _text(folder / "config.yaml")
    blocks: list[Block] = [Code(text, name="config")] if text else []
    if summary:
        versions = [f"{name} {number}" for name, number in summary["versions"].items()]
        blocks.append(Paragraph(", ".join([f"Python {summary['python']}", *versions]), note=True))
    return blocks


def _short(commit: str | None) -> str:
    name, *dirty = (commit or "unknown").split("-")
    return "-".join([name[:12], *dirty])


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""
