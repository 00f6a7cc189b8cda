"""Curves of one run, read from the rows of its metrics.csv."""

from __future__ import annotations

import itertools
from typing import Any

from gan_convnorm.report.drawing import colours, encode, log_axis, show_names
from gan_convnorm.score_table import SCORES

__all__ = ["draw_losses_and_scores", "draw_operator_sizes", "smooth"]

#: title of the panel of losses
LOSSES = "losses, smoothed"
LAYERS = 24  # curves in one panel


def draw_losses_and_scores(rows: list[dict[str, str]], *, columns: int = 3) -> bytes:
    """Return a PNG with a panel for each score and one for the losses; empty without any.

    Args:
        rows: of metrics.csv.
        columns: panels beside each other.

    >>> draw_losses_and_scores([{"step": "1", "fid": ""}])
    b''
    """
    panels = {s.title: {"averaged weights": name, "current weights": f"raw_{name}"} for name, s in SCORES.items()}
    panels[LOSSES] = {"D": "d_loss", "G": "g_loss"}
    return _draw_panels(rows, panels, columns)


def draw_operator_sizes(rows: list[dict[str, str]], *, columns: int = 3) -> bytes:
    """Return a PNG with a panel for each kind of the columns "layers/LAYER/KIND"; empty without any.

    Args:
        rows: of metrics.csv.
        columns: panels beside each other.

    >>> draw_operator_sizes([{"step": "1", "fid": "2"}])
    b''
    """
    names = [name.split("/") for name in (rows[0] if rows else ()) if name.startswith("layers/")]
    panels: dict[str, dict[str, str]] = {}
    for _, *layer, kind in names:
        panels.setdefault(kind.replace("_", " "), {})["/".join(layer)] = "/".join(["layers", *layer, kind])
    return _draw_panels(rows, panels, columns, log=True)


def smooth(points: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """Return points whose values are means over the last tenth of the curve, at most 20 points.

    >>> smooth([(step, float(step % 2)) for step in range(20)])[-1]
    (19, 0.5)
    """
    width = max(1, min(20, len(points) // 10))
    windows = [points[max(0, end - width) : end] for end in range(1, len(points) + 1)]
    return [(window[-1][0], sum(value for _, value in window) / len(window)) for window in windows]


def _draw_panels(
    rows: list[dict[str, str]], panels: dict[str, dict[str, str]], most: int, *, log: bool = False
) -> bytes:
    """Return a PNG with one panel for each title; empty without a value to draw.

    Args:
        rows: of metrics.csv.
        most: panels beside each other.
        panels: for each title the columns to draw, by label; those without a value are left out.
        log: a logarithmic vertical axis, and one key for all panels.
    """
    from matplotlib.figure import Figure

    drawn = {
        name: {label: points for label, column in curves.items() if (points := _points(rows, column))}
        for name, curves in panels.items()
    }
    drawn = {name: dict(list(curves.items())[:LAYERS]) for name, curves in drawn.items() if curves}
    if not drawn:
        return b""
    columns = min(most, len(drawn))
    narrow = most == 1
    lines = -(-len(drawn) // columns)
    height = 3.4 * lines * (1.2 if log else 1)
    below = 0.2 * min(LAYERS, max(map(len, drawn.values()))) if log and narrow else 0.0  # the key's height
    height += below
    figure = Figure(figsize=(4.2 if narrow else 11, height))
    # Placed by hand: a layout engine takes most of the time of a short run's page.
    left, right = (0.17, 0.97) if narrow else (0.06, 0.86 if log else 0.99)
    edges = {"left": left, "right": right, "bottom": (0.5 + below) / height, "top": 1 - 0.35 / height}
    grid = figure.subplots(lines, columns, squeeze=False, gridspec_kw=edges | {"hspace": 0.4, "wspace": 0.25}).ravel()
    labels = list(dict.fromkeys(label for curves in drawn.values() for label in curves))
    palette = dict(zip(labels, itertools.cycle(colours(LAYERS, "tab20" if log else "tab10")), strict=False))
    for axes, (name, curves) in zip(grid, drawn.items(), strict=False):
        for label, points in curves.items():
            marker = "o" if len(points) < 40 and not log else None
            colour = palette[label]
            if name == LOSSES:
                axes.plot(*zip(*points, strict=True), color=colour, linewidth=0.6, alpha=0.35)
                points = smooth(points)
            axes.plot(*zip(*points, strict=True), label=label, color=colour, marker=marker, markersize=4, linewidth=1.4)
        axes.set_title(name, parse_math=False)
        axes.set_xlabel("G step")
        axes.set_ylabel("loss" if name == LOSSES else name, parse_math=False)
        if log:
            log_axis(axes.yaxis)
        axes.grid(alpha=0.3)
        if len(curves) > 1 and not log:
            show_names(axes.legend())
    if log:
        place: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (0.865, 0.97)}
        place = {"loc": "lower left"} if narrow else place
        handles: dict[str, Any] = {}
        for axes in grid[: len(drawn)]:
            handles |= dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
        show_names(figure.legend(handles.values(), handles.keys(), fontsize=7, **place))
    for axes in grid[len(drawn) :]:
        axes.remove()
    return encode(figure, dpi=130)


def _points(rows: list[dict[str, str]], column: str) -> list[tuple[int, float]]:
    return [(int(row["step"]), float(row[column])) for row in rows if row.get(column)]
