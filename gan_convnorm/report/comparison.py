"""The comparison page: runs side by side, seeds taken together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from gan_convnorm.errors import BadInput
from gan_convnorm.files.atomic_write import check_replaceable
from gan_convnorm.report.blocks import Block, Cell, Heading, Legend, Paragraph, Picture, Sample, Samples
from gan_convnorm.report.comparison_figures import (
    LAYER_COLUMNS,
    draw_by_layer,
    draw_curves,
    draw_singular_values,
    layers_with,
    layers_with_singular_values,
)
from gan_convnorm.report.comparison_tables import differences, overview
from gan_convnorm.report.drawing import hex_colours
from gan_convnorm.report.page import generator_tag, write_page
from gan_convnorm.report.run_files import read_samples
from gan_convnorm.report.runs import Group, Run, group_runs
from gan_convnorm.score_table import titles

__all__ = ["check_comparison", "write_comparison"]

#: the mark of the pages of this command
GENERATOR = "gan_convnorm.compare"
#: panels of one figure; a page of thousands takes minutes
MOST_LAYERS = 100


def check_comparison(path: Path, *, overwrite: bool = False) -> None:
    """Refuse a place for the page where no file can be, or where another command's file is.

    Args:
        path: file to write.
        overwrite: accept any file there.

    Raises:
        BadInput: the place is refused.

    >>> check_comparison(Path("none/page.html"))
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: --out none/page.html is a folder, or in none that exists; expected a file ...
    """
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise BadInput(f"--out {path} is a folder, or in none that exists; expected a file such as compare.html")
    check_replaceable(path, _is_page, overwrite)


def _is_page(path: Path) -> bool:
    with path.open("rb") as file:
        return generator_tag(GENERATOR).encode() in file.read(1000)


def write_comparison(runs: Sequence[Run], path: Path, *, overwrite: bool = False) -> None:
    """Write the comparison of some runs to a file that needs no other.

    Args:
        runs: at least one; those that differ only in their seed are taken together.
        path: file to write; an older page is replaced.
        overwrite: replace also a file that is no such page.

    Raises:
        BadInput: there is another file, or the page cannot be written.

    >>> import tempfile
    >>> run = Run("a", {}, 0, {"fid": [(10, 4.0)]}, {}, {}, None)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_comparison([run], Path(folder) / "page.html")
    ...     "Comparison of 1 runs" in (Path(folder) / "page.html").read_text()
    True
    """
    check_comparison(path, overwrite=overwrite)
    groups, differing = group_runs(list(runs))
    blocks = [
        *overview(groups),
        Heading("Configuration"),
        *differences(groups, differing),
        Heading("Scores"),
        *_scores(groups),
        Heading("Losses"),
        *_losses(groups),
        Heading("Operator norms and singular values of the discriminator"),
        *_singular_values(groups),
        Heading("Samples"),
        *_samples(groups),
    ]
    try:
        write_page(path, f"Comparison of {len(runs)} runs", blocks, GENERATOR)
    except OSError as error:
        raise BadInput(f"{path} cannot be written ({error.strerror}); choose another file with --out") from error


def _losses(groups: Sequence[Group]) -> list[Block]:
    shown = {"d_loss": "D loss", "g_loss": "G loss"}
    return [_key(groups), _both_widths(lambda columns: draw_curves(groups, shown, **columns), "losses over steps")]


def _both_widths(draw: Callable[[dict[str, int]], bytes], title: str) -> Picture:
    """Return a figure for a wide page, and with one panel below the other for a phone."""
    return Picture(draw({}), title, narrow=draw({"columns": 1}))


def _key(groups: Sequence[Group]) -> Legend:
    colours = hex_colours(len(groups))
    return Legend([Cell(group.label, colour) for group, colour in zip(groups, colours, strict=True)])


def _scores(groups: Sequence[Group]) -> list[Block]:
    shown = titles(*(run.curves for group in groups for run in group.runs))
    if not shown:
        return [_note("No run has been scored.")]
    note = "Bold: the mean over seeds, shaded one standard deviation to either side; thin: each run."
    picture = _both_widths(lambda columns: draw_curves(groups, shown, **columns), "scores over steps")
    return [_key(groups), picture, *([_note(note)] if any(len(group.runs) > 1 for group in groups) else [])]


def _singular_values(groups: Sequence[Group]) -> list[Block]:
    blocks: list[Block] = []
    for kind, title in LAYER_COLUMNS.items():
        if layers := layers_with(groups, kind):
            draw = partial(draw_by_layer, groups, kind, layers[:MOST_LAYERS])
            picture = _both_widths(lambda columns, draw=draw: draw(**columns), title)  # type: ignore[misc]
            blocks += [Heading(title.capitalize(), 3), _key(groups), picture, *_left_out(layers)]
    if layers := layers_with_singular_values(groups):
        draw = partial(draw_singular_values, groups, layers[:MOST_LAYERS])
        picture = _both_widths(lambda columns: draw(**columns), "singular values")
        blocks += [Heading("Singular values against their rank", 3), _key(groups), picture, *_left_out(layers)]
        blocks.append(_note("Of the circular convolution on at most 8x8 pixels; one line a run."))
    return blocks or [_note("No run has measured them (--operator-norms-every).")]


def _left_out(layers: Sequence[str]) -> list[Block]:
    count = len(layers) - MOST_LAYERS
    return [_note(f"{count} more layers are left out.")] if count > 0 else []


def _samples(groups: Sequence[Group]) -> list[Block]:
    pictures: list[Sample] = []
    notes: list[Block] = []
    for group, colour in zip(groups, hex_colours(len(groups)), strict=True):
        for run in group.runs:
            if run.samples is None:
                continue
            try:
                data = read_samples(run.samples)
            except BadInput as problem:
                notes.append(_note(f"Samples are left out: {problem}."))
                continue
            caption = f"{run.name}, G step {int(run.samples.stem.removeprefix('step-'))}"
            pictures.append(Sample(data, f"samples of {run.name}", caption, colour=colour))
    if not pictures and not notes:
        return [_note("No run has written samples.")]
    return [Samples(pictures), *notes]


def _note(text: str) -> Paragraph:
    return Paragraph(text, note=True)
