"""One HTML page with everything in it."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Any

from gan_convnorm.compare.figures import (
    LAYER_COLUMNS,
    SCORES,
    draw_by_layer,
    draw_curves,
    draw_spectra,
    layers_with,
    layers_with_spectra,
    mean_and_deviation,
)
from gan_convnorm.compare.run_files import read_samples
from gan_convnorm.compare.runs import Group, Run, group_runs, show
from gan_convnorm.errors import BadInput
from gan_convnorm.files.atomic_write import atomic_write, check_replaceable

__all__ = ["check_page", "write_page"]

#: by which a page of this command is known again
GENERATOR = '<meta name="generator" content="gan_convnorm.compare">'
#: panels of one figure; a page of thousands takes minutes
MOST_LAYERS = 100

PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
$generator
<title>$title</title>
<style>
body { font: 15px/1.45 system-ui, sans-serif; color: #222; background: #fff; }
body { max-width: 1200px; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.5em; } h2 { font-size: 1.15em; margin-top: 2.2em; border-bottom: 1px solid #ddd; }
table { border-collapse: collapse; } th, td { padding: .25em .9em .25em 0; text-align: left; vertical-align: top; }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
tr + tr td { border-top: 1px solid #eee; }
img.figure { width: 100%; } .wide { overflow-x: auto; }
.key { display: inline-block; width: .8em; height: .8em; margin-right: .5em; border-radius: 2px; }
.samples { display: grid; grid-template-columns: repeat(auto-fill, minmax(260px, 1fr)); gap: 1em; }
figure { margin: 0; } figure img { width: 100%; image-rendering: pixelated; }
figcaption, p.note { color: #555; font-size: .9em; }
</style>
</head>
<body>
<h1>$title</h1>
$body
</body>
</html>
""")


def check_page(path: Path, *, overwrite: bool = False) -> None:
    """Refuse a place for the page where no file can be, or where another command's file is.

    Raises:
        BadInput: the place is refused.
    """
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise BadInput(f"--out {path} is a folder, or in none that exists; expected a file such as compare.html")
    check_replaceable(path, _is_page, overwrite)


def _is_page(path: Path) -> bool:
    with path.open("rb") as file:
        return GENERATOR.encode() in file.read(1000)


def write_page(runs: Sequence[Run], path: Path, *, overwrite: bool = False) -> None:
    """Write the comparison of some runs to a file that needs no other.

    Args:
        runs: at least one; those that differ only in their seed are taken together.
        path: file to write; an older page is replaced.
        overwrite: replace also a file that is no such page.

    Raises:
        BadInput: there is another file, or the page cannot be written.
    """
    check_page(path, overwrite=overwrite)
    groups, differing = group_runs(list(runs))
    body = "\n".join(
        [
            _overview(groups),
            _section("Configuration", _differences(groups, differing)),
            _section("Scores", _scores(groups)),
            _section("Losses", _losses(groups)),
            _section("Spectra of the discriminator", _spectra(groups)),
            _section("Samples", _samples(groups)),
        ]
    )
    title = html.escape(f"Comparison of {len(runs)} runs")
    text = PAGE.substitute(title=title, generator=GENERATOR, body=body)
    try:
        with atomic_write(path) as part:
            # A name may hold half a character, which UTF-8 cannot write.
            part.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise BadInput(f"{path} cannot be written ({error.strerror}); choose another file with --out") from error


def _section(title: str, content: str) -> str:
    return f"<h2>{html.escape(title)}</h2>\n{content}"


def _overview(groups: Sequence[Group]) -> str:
    """One row a group: seeds, scores of the last step, time; it is also the colours' key."""
    names = [name for name in SCORES if any(run.curves.get(name) for g in groups for run in g.runs)]
    rows = [["", "seeds", "G steps", *(f"{SCORES[name]} (last)" for name in names), "FID (best)", "ms per G step"]]
    if "fid" not in names:
        rows[0].remove("FID (best)")
    for number, group in enumerate(groups):
        last = [_spread([run.curves[name][-1][1] for run in group.runs if run.curves.get(name)]) for name in names]
        best = [min(value for _, value in run.curves["fid"]) for run in group.runs if run.curves.get("fid")]
        steps = sorted({max((s for curve in run.curves.values() for s, _ in curve), default=0) for run in group.runs})
        times = [1e3 * t for run in group.runs if (t := run.seconds_per_step) is not None]
        rows.append(
            [
                _key(number) + html.escape(group.label),
                html.escape(", ".join(show(run.seed) for run in group.runs)),
                " to ".join(str(step) for step in dict.fromkeys([steps[0], steps[-1]])),
                *last,
                *([_spread(best)] if "fid" in names else []),
                _spread(times),
            ]
        )
    notes = ["Mean ± standard deviation over the seeds. Time is of the whole run, evaluations included."]
    protocols = {_protocol(run) for group in groups for run in group.runs} - {None}
    notes += [f"Scores: {protocol}." for protocol in sorted(str(p) for p in protocols)]
    if len(protocols) > 1:
        notes.append("The runs were scored in different ways, and such scores are not comparable.")
    return _table(rows, numbers=range(2, len(rows[0]))) + "".join(_note(note) for note in notes)


def _protocol(run: Run) -> str | None:
    p: dict[str, Any] = run.summary.get("protocol") or {}
    if not p:
        return None
    images = f"{p.get('n_fake')} {p.get('fake')} against {p.get('n_real')} {p.get('reference')}"
    return f"{images}, {p.get('extractor')} features"


def _differences(groups: Sequence[Group], differing: Sequence[str]) -> str:
    if not differing:
        return _note("The runs have the same configuration" + (", seeds apart." if len(groups[0].runs) > 1 else "."))
    rows = [["", *(_key(i) + html.escape(" ".join(run.name for run in g.runs)) for i, g in enumerate(groups))]]
    for key in differing:
        rows.append([html.escape(key), *(html.escape(show(g.runs[0].config.get(key, "-"))) for g in groups)])
    return _table(rows) + _note("The lines of config.yaml in which the runs differ, seeds and folders apart.")


def _scores(groups: Sequence[Group]) -> str:
    columns = {c: t for c, t in SCORES.items() if any(run.curves.get(c) for g in groups for run in g.runs)}
    if not columns:
        return _note("No run has been scored.")
    note = "Bold: the mean over seeds, shaded one standard deviation to either side; thin: each run."
    return _picture(draw_curves(groups, columns), "scores over steps") + (
        _note(note) if any(len(g.runs) > 1 for g in groups) else ""
    )


def _losses(groups: Sequence[Group]) -> str:
    return _picture(draw_curves(groups, {"d_loss": "D loss", "g_loss": "G loss"}), "losses over steps")


def _spectra(groups: Sequence[Group]) -> str:
    parts = []
    for kind, title in LAYER_COLUMNS.items():
        if layers := layers_with(groups, kind):
            picture = _picture(draw_by_layer(groups, kind, layers[:MOST_LAYERS]), title)
            parts += [f"<h3>{html.escape(title.capitalize())}</h3>{picture}", _left_out(layers)]
    if layers := layers_with_spectra(groups):
        picture = _picture(draw_spectra(groups, layers[:MOST_LAYERS]), "spectra")
        parts += [f"<h3>Singular values against their rank</h3>{picture}", _left_out(layers)]
        parts.append(_note("Of the circular convolution on at most 8x8 pixels; one line a run."))
    return "\n".join(parts) or _note("No run has measured them (--spectrum-every).")


def _left_out(layers: Sequence[str]) -> str:
    count = len(layers) - MOST_LAYERS
    return _note(f"{count} more layers are left out.") if count > 0 else ""


def _samples(groups: Sequence[Group]) -> str:
    figures, notes = [], []
    for number, group in enumerate(groups):
        for run in group.runs:
            if run.samples is None:
                continue
            try:
                data = base64.b64encode(read_samples(run.samples)).decode()
            except BadInput as problem:
                notes.append(_note(f"Samples are left out: {problem}."))
                continue
            step = int(run.samples.stem.removeprefix("step-"))
            caption = f"{_key(number)}{html.escape(run.name)}, G step {step}"
            image = f'<img src="data:image/png;base64,{data}" alt="samples of {html.escape(run.name)}">'
            figures.append(f"<figure>{image}<figcaption>{caption}</figcaption></figure>")
    if not figures and not notes:
        return _note("No run has written samples.")
    return f'<div class="samples">{"".join(figures)}</div>{"".join(notes)}'


def _picture(address: str, title: str) -> str:
    return f'<img class="figure" src="{address}" alt="{html.escape(title)}">'


def _note(text: str) -> str:
    return f'<p class="note">{html.escape(text)}</p>'


def _key(number: int) -> str:
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    colours = colormaps["tab10"].colors  # type: ignore[attr-defined]
    return f'<span class="key" style="background:{to_hex(colours[number % len(colours)])}"></span>'


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "-"
    mean, deviation = mean_and_deviation(values)
    return f"{mean:.4g}" + (f" &plusmn; {deviation:.3g}" if len(values) > 1 else "")


def _table(rows: Sequence[Sequence[str]], numbers: Sequence[int] = ()) -> str:
    """Cells are HTML already."""
    head = "".join(f"<th>{cell}</th>" for cell in rows[0])
    lines = [
        "".join(f'<td class="number">{cell}</td>' if i in numbers else f"<td>{cell}</td>" for i, cell in enumerate(row))
        for row in rows[1:]
    ]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'
