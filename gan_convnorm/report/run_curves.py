"""Curves of one run, read from the rows of its metrics.csv."""

from __future__ import annotations

from gan_convnorm.report.drawing import colours, encode
from gan_convnorm.score_table import SCORES

__all__ = ["draw_losses_and_scores", "draw_operator_sizes"]

LAYERS = 24  # curves in one panel


def draw_losses_and_scores(rows: list[dict[str, str]]) -> bytes:
    """Return a PNG with a panel for each score and one for the losses; empty without any.

    Args:
        rows: of metrics.csv.

    >>> draw_losses_and_scores([{"step": "1", "fid": ""}])
    b''
    """
    panels = {s.title: {"averaged weights": name, "current weights": f"raw_{name}"} for name, s in SCORES.items()}
    panels["loss"] = {"D": "d_loss", "G": "g_loss"}
    return _draw_panels(rows, panels)


def draw_operator_sizes(rows: list[dict[str, str]]) -> bytes:
    """Return a PNG with a panel for each kind of the columns "spectrum/LAYER/KIND"; empty without any.

    Args:
        rows: of metrics.csv.

    >>> draw_operator_sizes([{"step": "1", "fid": "2"}])
    b''
    """
    names = [name.split("/") for name in (rows[0] if rows else ()) if name.startswith("spectrum/")]
    panels: dict[str, dict[str, str]] = {}
    for _, *layer, kind in names:
        panels.setdefault(kind.replace("_", " "), {})["/".join(layer)] = "/".join(["spectrum", *layer, kind])
    return _draw_panels(rows, panels, log=True)


def _draw_panels(rows: list[dict[str, str]], panels: dict[str, dict[str, str]], *, log: bool = False) -> bytes:
    """Return a PNG with one panel for each title; empty without a value to draw.

    Args:
        rows: of metrics.csv.
        panels: for each title the columns to draw, by label; those without a value are left out.
        log: a logarithmic vertical axis, and one key for all panels, which have the same curves.
    """
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
    palette = colours(LAYERS, "tab20" if log else "tab10")
    for axes, (name, curves) in zip(grid, drawn.items(), strict=False):
        for number, (label, points) in enumerate(curves.items()):
            marker = "o" if len(points) < 40 and not log else None
            colour = palette[number]
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
    return encode(figure, dpi=130)


def _points(rows: list[dict[str, str]], column: str) -> list[tuple[int, float]]:
    return [(int(row["step"]), float(row[column])) for row in rows if row.get(column)]
