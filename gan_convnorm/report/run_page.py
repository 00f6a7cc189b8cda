"""report.html: a run on one page that needs no other file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gan_convnorm.files.atomic_write import atomic_write
from gan_convnorm.report.blocks import Block, Code, Heading, Paragraph, Picture, Table
from gan_convnorm.report.page import write_page
from gan_convnorm.report.run_about import read_about
from gan_convnorm.report.run_curves import draw_losses_and_scores, draw_operator_sizes
from gan_convnorm.report.run_samples import sample_blocks
from gan_convnorm.run_folder import read_rows
from gan_convnorm.score_table import SCORES, protocol_in_words, score_rows, titles, write_score

__all__ = ["score_cells", "score_words", "write_run_page"]

#: the mark of the pages of a run
GENERATOR = "gan_convnorm.run"
#: the rows of the table of scores, in words
WORDS = (
    "last: the last evaluation; best: the evaluation with the best {best}, kept as best.ckpt; final: the last weights, "
    "scored by the whole protocol."
)


def write_run_page(folder: Path) -> None:
    """Write report.html and curves.png from the files of a run's folder; a file that is missing is no error.

    The page shows scores and losses over the steps, operator norms and condition numbers (columns
    "layers/LAYER/KIND" of metrics.csv), samples over the run, the configuration, and versions.

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
    about = read_about(folder)
    blocks = [
        *_about(about),
        *_overview(rows, summary),
        *_section("Samples", sample_blocks(folder / "samples")),
        *_section("Scores and losses", _curves(rows, folder / "curves.png")),
        *_section("Operator norms and condition numbers of the discriminator's layers", _operator_norms(rows)),
        *_section("Configuration", _configuration(folder, summary, about)),
    ]
    write_page(folder / "report.html", _title(about, folder.resolve().name), blocks, GENERATOR)


def score_cells(summary: dict[str, Any], names: list[str]) -> list[list[str]]:
    """Return the rows "last", "best" and "final" of a table: label, generator step, and the scores in `names`.

    Args:
        summary: "last" and "best", each with "g_step" and scores; "final" with "values", and "g_steps".
        names: of scores.

    Returns:
        The rows; equal ones are one row, whose label names them all.

    >>> score_cells({"last": {"g_step": 20, "fid": 4.0}, "best": {"g_step": 20, "fid": 4.0}}, ["fid"])
    [['last = best', '20', '4.00']]
    """
    found = {label: summary.get(label) for label in ("last", "best")}
    cells = [[label, str(row["g_step"]), *(write_score(row, n) for n in names)] for label, row in found.items() if row]
    if final := summary.get("final"):
        cells.append(["final", str(summary["g_steps"]), *(write_score(final["values"], name) for name in names)])
    labels: dict[tuple[str, ...], list[str]] = {}
    for label, *values in cells:
        labels.setdefault(tuple(values), []).append(label)
    return [[" = ".join(same), *values] for values, same in labels.items()]


def score_words(summary: dict[str, Any]) -> list[str]:
    """Return lines that explain the rows of `score_cells` and say how the scores were taken, each protocol once.

    >>> protocol = {"n_fake": 50, "fake": "samples", "extractor": "inception"}
    >>> score_words({"best_of": "fid", "protocol": protocol})[1]
    'Scores: 50 samples; inception features.'
    """
    best = SCORES.get(str(summary.get("best_of")))
    lines = [WORDS.format(best=best.title if best else "score")]
    usual = protocol_in_words(summary["protocol"])
    final = summary.get("final")
    last = protocol_in_words(final["protocol"]) if final else usual
    if last == usual:
        return [*lines, f"Scores: {usual}."]
    return [*lines, f"Scores of last and best: {usual}.", f"Scores of final: {last}."]


def _title(about: dict[str, Any], name: str) -> str:
    """Return the page's title: data, normalization and resolution, then the folder's name."""
    parts = [str(about[key]) for key in ("data", "norm") if key in about]
    parts += [_size(about["resolution"])] if "resolution" in about else []
    return f"{', '.join(parts)} ({name})" if parts else name


def _size(resolution: object) -> str:
    """Return height x width in words, from the side of a square or text such as "32x48"."""
    return resolution.replace("x", " x ") if isinstance(resolution, str) else f"{resolution} x {resolution}"


def _about(about: dict[str, Any]) -> list[Block]:
    lines: list[Block] = [Paragraph(f"Started {about['started']}", note=True)] if "started" in about else []
    lines += [Code(str(about["command"]), name="command")] if "command" in about else []
    for later in about.get("resumed", []):
        lines += [Paragraph(f"Resumed {later.get('started', '')}", note=True), Code(later.get("command", ""))]
    return lines


def _section(title: str, content: list[Block]) -> list[Block]:
    return [Heading(title), *content] if content else []


def _overview(rows: list[dict[str, str]], summary: dict[str, Any]) -> list[Block]:
    scores = score_rows(rows)
    step = rows[-1]["step"] if rows else "0"
    progress = f"G step {step}, not finished"
    if summary:
        steps, commit = summary["hyperparameters"]["optimization"]["steps"], _short(summary["commit"])
        cpu = f" ({summary['cpu_seconds']:.1f} s of CPU time)" if "cpu_seconds" in summary else ""
        progress = f"G step {step} of {steps} in {summary['seconds']:.1f} s on the clock{cpu}, commit {commit}"
    blocks: list[Block] = [Paragraph(progress, note=True, name="progress")]
    if not scores:
        return blocks
    shown = titles(scores[-1])
    cells = score_cells({**summary, "last": scores[-1]}, list(shown))
    blocks.append(Table(["", "G step", *shown.values()], cells, first_number=1, name="scores"))
    return [*blocks, *(Paragraph(line, note=True) for line in (score_words(summary) if summary else []))]


def _curves(rows: list[dict[str, str]], path: Path) -> list[Block]:
    picture = draw_losses_and_scores(rows)
    narrow = draw_losses_and_scores(rows, columns=1)
    if picture:
        with atomic_write(path) as part:
            part.write_bytes(picture)
    return _figure(picture, narrow, "scores and losses over steps")


def _operator_norms(rows: list[dict[str, str]]) -> list[Block]:
    figure = _figure(draw_operator_sizes(rows), draw_operator_sizes(rows, columns=1), "operator norms over steps")
    note = "The operator norm is the largest singular value of a layer; the condition number, largest over smallest."
    return [*figure, Paragraph(note, note=True)] if figure else []


def _figure(picture: bytes, narrow: bytes, title: str) -> list[Block]:
    return [Picture(picture, title, narrow=narrow)] if picture else []


def _configuration(folder: Path, summary: dict[str, Any], about: dict[str, Any]) -> list[Block]:
    text = _text(folder / "config.yaml")
    blocks: list[Block] = []
    if changed := about.get("changed"):
        rows = [[flag, value] for flag, value in changed.items()]
        blocks.append(Table(["flag that differs from its default", "value"], rows, name="changed"))
    if text:
        blocks.append(Code(text, name="config", summary="the whole configuration, config.yaml"))
    if summary:
        versions = [f"{name} {number}" for name, number in summary["versions"].items()]
        blocks.append(Paragraph(", ".join([f"Python {summary['python']}", *versions]), note=True))
    return blocks


def _short(commit: str | None) -> str:
    name, *dirty = (commit or "unknown").split("-")
    return "-".join([name[:12], *dirty])


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""
