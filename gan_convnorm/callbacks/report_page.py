"""report.html: a run on one page that needs no other file."""

from __future__ import annotations

import base64
import html
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Any

from gan_convnorm.callbacks.score_table import TITLES, cell, score_rows
from gan_convnorm.fidelity import Scores
from gan_convnorm.files.atomic_write import atomic_write
from gan_convnorm.run_folder import read_rows

__all__ = ["write_page"]

SAMPLES = 12  # pictures at most, spread over the run: a page of a long run stays some megabytes
LAYERS = 24  # curves in one figure
STEP = re.compile(r"step-\d{6,}\.png")
PNG = b"\x89PNG\r\n\x1a\n"

PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
:root { color-scheme: light; }
body { font: 15px/1.45 system-ui, sans-serif; color: #222; background: #fff; }
body { max-width: 1100px; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.5em; margin-bottom: .2em; } h2 { font-size: 1.15em; margin-top: 2em; border-bottom: 1px solid #ddd; }
table { border-collapse: collapse; } th, td { padding: .25em 1.4em .25em 0; text-align: left; vertical-align: top; }
td.number { font-variant-numeric: tabular-nums; white-space: nowrap; } tr + tr td { border-top: 1px solid #eee; }
p.note, figcaption { color: #555; font-size: .9em; }
figure { margin: 0; } img.figure { width: 100%; }
.samples { display: grid; grid-template-columns: repeat(auto-fill, minmax(300px, 1fr)); gap: 1em; }
.samples img { width: 100%; image-rendering: pixelated; }
.samples img:focus { position: fixed; inset: 0; margin: auto; width: auto; max-width: 96vw; max-height: 96vh; }
.samples img:focus { box-shadow: 0 0 0 100vmax #000c; }
pre { background: #f6f6f6; padding: 1em; overflow-x: auto; font-size: .85em; }
</style>
</head>
<body>
<h1>$title</h1>
$body
</body>
</html>
""")


def write_page(folder: Path) -> None:
    """Write `folder`/report.html, and curves.png, from what lies in a run's folder, as far as it is there.

    Scores and losses over the steps, spectra (columns "spectrum/<layer>/<what>" of metrics.csv), samples over the run,
    the configuration, and what it was made with.

    Args:
        folder: of a run, with metrics.csv, samples/, config.yaml, summary.json.
    """
    rows = read_rows(folder / "metrics.csv")
    summary = json.loads(_text(folder / "summary.json") or "{}")
    sections = [
        _overview(rows, summary),
        _section("Scores and losses", _curves(rows, folder / "curves.png")),
        _section("Spectra", _spectra(rows)),
        _section("Samples", _samples(folder / "samples")),
        _section("Configuration", _configuration(folder, summary)),
    ]
    page = PAGE.substitute(title=html.escape(folder.resolve().name), body="\n".join(filter(None, sections)))
    with atomic_write(folder / "report.html") as part:
        part.write_text(page, encoding="utf-8")


def _section(title: str, content: str) -> str:
    return f"<h2>{title}</h2>\n{content}" if content else ""


def _overview(rows: list[dict[str, str]], summary: dict[str, Any]) -> str:
    scores = score_rows(rows)
    step = rows[-1]["step"] if rows else "0"
    lines = [
        f'<p class="note" id="progress">G step {step}'
        + (
            f" of {summary['hyperparameters']['optimization']['steps']}, {summary['seconds']:.0f} s, "
            f"commit {_short(summary['commit'])}</p>"
            if summary
            else ", not finished</p>"
        )
    ]
    if not scores:
        return lines[0]
    names = [name for name in TITLES if name in scores[-1]]
    table: list[list[str]] = [["", "G step", *(TITLES[name] for name in names)]]
    for label, row in (
        ("last", scores[-1]),
        (f"best {TITLES.get(summary.get('best_of', ''), '')}", summary.get("best")),
    ):
        if row:
            table.append([label, str(row["g_step"]), *(cell(row, name) for name in names)])
    final = summary.get("final")
    if final:
        table.append(["final", str(summary["g_steps"]), *(cell(final["values"], name) for name in names)])
    lines.append(_table(table, "scores"))
    if summary:
        lines.append(_note(f"last, best: {Scores({}, summary['protocol']).meaning()}"))
    if final:
        lines.append(_note(f"final ({final['protocol']['name']}): {Scores({}, final['protocol']).meaning()}"))
    return "\n".join(lines)


def _curves(rows: list[dict[str, str]], path: Path) -> str:
    panels = {title: {"averaged weights": name, "current weights": f"raw_{name}"} for name, title in TITLES.items()}
    panels["loss"] = {"D": "d_loss", "G": "g_loss"}
    picture = _panels(rows, panels)
    if picture:
        with atomic_write(path) as part:
            part.write_bytes(picture)
    return _figure(picture, "scores and losses over steps")


def _spectra(rows: list[dict[str, str]]) -> str:
    names = [name.split("/") for name in (rows[0] if rows else ()) if name.startswith("spectrum/")]
    panels: dict[str, dict[str, str]] = {}
    for _, *layer, kind in names:
        panels.setdefault(kind.replace("_", " "), {})["/".join(layer)] = "/".join(["spectrum", *layer, kind])
    return _figure(_panels(rows, panels, log=True), "spectra over steps")


def _figure(picture: bytes, title: str) -> str:
    return f'<img class="figure" alt="{title}" src="{_address(picture)}">' if picture else ""


def _panels(rows: list[dict[str, str]], panels: dict[str, dict[str, str]], *, log: bool = False) -> bytes:
    """A PNG with a panel for each title, whose curves are columns by label; those without a value are left out."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    drawn = {
        name: {label: points for label, column in curves.items() if (points := _points(rows, column))}
        for name, curves in panels.items()
    }
    drawn = {name: dict(list(curves.items())[:LAYERS]) for name, curves in drawn.items() if curves}
    if not drawn:
        return b""
    columns = min(3, len(drawn))
    lines = -(-len(drawn) // columns)
    height = 3.4 * lines * (1.2 if log else 1)
    figure = Figure(figsize=(11, height))
    # Placed by hand: a layout engine takes most of the time of a short run's page.
    edges = {"left": 0.05, "right": 0.86 if log else 0.99, "bottom": 0.5 / height, "top": 1 - 0.35 / height}
    grid = figure.subplots(lines, columns, squeeze=False, gridspec_kw=edges | {"hspace": 0.4, "wspace": 0.18}).ravel()
    colours = colormaps["tab20" if log else "tab10"].colors  # type: ignore[attr-defined]
    for axes, (name, curves) in zip(grid, drawn.items(), strict=False):
        for number, (label, points) in enumerate(curves.items()):
            marker = "o" if len(points) < 40 and not log else None
            colour = colours[number % len(colours)]
            axes.plot(*zip(*points, strict=True), label=label, color=colour, marker=marker, markersize=4, linewidth=1.4)
        axes.set(title=name, xlabel="G step")
        if log:
            axes.set_yscale("log")
        axes.grid(alpha=0.3)
        if len(curves) > 1 and not log:
            axes.legend()
    if log:
        figure.legend(*grid[0].get_legend_handles_labels(), loc="upper left", bbox_to_anchor=(0.865, 0.97), fontsize=7)
    for axes in grid[len(drawn) :]:
        axes.remove()
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=130)
    return picture.getvalue()


def _points(rows: list[dict[str, str]], column: str) -> list[tuple[int, float]]:
    return [(int(row["step"]), float(row[column])) for row in rows if row.get(column)]


def _samples(folder: Path) -> str:
    # Others may lie there, and a link may lead out of the folder.
    files = sorted(path for path in folder.glob("step-*.png") if _is_sample(path))
    if len(files) > SAMPLES:
        files = [files[round(i * (len(files) - 1) / (SAMPLES - 1))] for i in range(SAMPLES)]
    figures = []
    for file in files:
        step = int(file.stem.removeprefix("step-"))
        image = f'<img tabindex="0" alt="samples at G step {step}" src="{_address(file.read_bytes())}">'
        figures.append(f"<figure>{image}<figcaption>G step {step}</figcaption></figure>")
    note = _note("The averaged generator on the same noise at every evaluation. A click enlarges.")
    return f'<div class="samples">{"".join(figures)}</div>{note}' if figures else ""


def _is_sample(path: Path) -> bool:
    if not STEP.fullmatch(path.name) or path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(PNG)) == PNG


def _configuration(folder: Path, summary: dict[str, Any]) -> str:
    text = _text(folder / "config.yaml")
    parts = [f'<pre id="config">{html.escape(text)}</pre>'] if text else []
    if summary:
        versions = [f"{name} {number}" for name, number in summary["versions"].items()]
        parts.append(_note(", ".join([f"Python {summary['python']}", *versions])))
    return "\n".join(parts)


def _table(rows: Sequence[Sequence[str]], name: str) -> str:
    head = "".join(f"<th>{html.escape(text)}</th>" for text in rows[0])
    body = "".join(
        "<tr>" + "".join(f'<td class="number">{html.escape(text)}</td>' for text in row) + "</tr>" for row in rows[1:]
    )
    return f'<table id="{name}"><tr>{head}</tr>{body}</table>'


def _note(text: str) -> str:
    return f'<p class="note">{html.escape(text)}</p>'


def _address(picture: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(picture).decode()}"


def _short(commit: str | None) -> str:
    name, *dirty = (commit or "unknown").split("-")
    return "-".join([name[:12], *dirty])


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""
