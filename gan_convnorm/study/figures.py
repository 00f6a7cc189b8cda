"""Figures of a study: scores over steps and over seconds, norms of layers, sensitivity."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from gan_convnorm.report.drawing import Colour, colours, encode, log_axis, show_names
from gan_convnorm.score_table import SCORES, titles
from gan_convnorm.study.comparison import by_setting
from gan_convnorm.study.results import Result

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["LAYERS", "draw_discriminator", "draw_layers", "draw_scores", "draw_sensitivity"]

#: measures of a layer, as `OperatorNormLog` names them
LAYERS = {
    "operator_norm": "Operator norms of the discriminator's layers",
    "condition_number": "Condition numbers of the discriminator's layers",
}
#: columns of `DiscriminatorLog`
DISCRIMINATOR = {
    "discriminator/held_out_accuracy": "share of held-out images with D > 0",
    "discriminator/overfitting": "overfitting r_v",
    "discriminator/image_gradient": "norm of dD/d(pixels), generated",
}
AXES = {"step": "G step", "cpu_seconds": "CPU seconds", "seconds": "seconds"}


def draw_scores(results: Sequence[Result], axis: str, *, columns: int = 3) -> bytes | None:
    """Draw mean scores against `axis`, shaded one standard deviation over seeds.

    Args:
        results: of one grid.
        axis: step, cpu_seconds or seconds; for the two times, the mean over seeds.
        columns: panels beside each other.

    Returns:
        PNG; None if there is nothing to draw.

    >>> draw_scores([], "step") is None
    True
    """
    return _curves(results, titles(*(row for result in results for row in result.rows)), axis, columns=columns)


def draw_layers(results: Sequence[Result], kind: str, *, columns: int = 4) -> bytes | None:
    """Draw a measure of the discriminator's layers against the step, a panel for each layer.

    Args:
        results: of one grid.
        kind: one of `LAYERS`.
        columns: panels beside each other.

    Returns:
        PNG; None if no run measured it.

    >>> draw_layers([], "operator_norm") is None
    True
    """
    found = (key for result in results for row in result.rows for key in row)
    ends = f"/{kind}"
    layers = {k: k.removeprefix("layers/").removesuffix(ends) for k in dict.fromkeys(found) if k.endswith(ends)}
    return _curves(results, layers, "step", columns=columns, height=2.0)


def draw_discriminator(results: Sequence[Result], *, columns: int = 3) -> bytes | None:
    """Return a PNG of how the discriminator judges images, against the step; None if no run measured it.

    >>> draw_discriminator([]) is None
    True
    """
    found = {key for result in results for row in result.rows for key in row}
    shown = {key: title for key, title in DISCRIMINATOR.items() if key in found}
    return _curves(results, shown, "step", columns=columns)


def draw_sensitivity(results: Sequence[Result], *, columns: int = 3) -> bytes | None:
    """Return final FID against the learning rate, a panel for each n_dis, hollow where runs diverged: PNG or None.

    None for one learning rate, and where no run has a FID.

    >>> draw_sensitivity([]) is None
    True
    """
    groups = by_setting(results)
    steps = sorted({n_dis for _, n_dis, _ in groups})
    if len({rate for _, _, rate in groups}) < 2 or not any(
        math.isfinite(result.final.get("fid", math.nan)) for result in results
    ):
        return None
    figure, panels = _panels(len(steps), columns=columns, height=3.2)
    colour_of = _colours(results)
    limits: list[float] = []
    for axes, n_dis in zip(panels, steps, strict=True):
        for norm, colour in colour_of.items():
            points = sorted((rate, runs) for (name, n, rate), runs in groups.items() if (name, n) == (norm, n_dis))
            drawn = [
                (rate, [fid for r in runs if math.isfinite(fid := r.final.get("fid", math.nan))], runs)
                for rate, runs in points
            ]
            means = [(rate, statistics.mean(fids), any(r.diverged for r in runs)) for rate, fids, runs in drawn if fids]
            axes.plot([m[0] for m in means], [m[1] for m in means], color=colour, linewidth=1.5, label=norm)
            for rate, fid, diverged in means:
                axes.plot(rate, fid, "o", color=colour, markerfacecolor="white" if diverged else colour, markersize=6)
        axes.set(title=f"n_dis {n_dis}", xlabel="learning rate", ylabel="final FID")
        log_axis(axes.xaxis)
        log_axis(axes.yaxis)
        if axes.dataLim.height >= 0:  # an empty panel's limits are no FIDs
            limits += axes.get_ylim()
    for axes in panels:
        axes.set_ylim(min(limits), max(limits))
    _key(figure, panels)
    return encode(figure, dpi=110)


def _curves(
    results: Sequence[Result], columns_of: dict[str, str], axis: str, *, columns: int, height: float = 2.8
) -> bytes | None:
    if not columns_of or not any(axis in row for result in results for row in result.rows):
        return None
    figure, panels = _panels(len(columns_of), columns=columns, height=height)
    colour_of = _colours(results)
    for axes, (column, title) in zip(panels, columns_of.items(), strict=True):
        for norm, colour in colour_of.items():
            runs = [result for result in results if result.norm == norm]
            x, means, deviations = _mean_curve(runs, column, axis)
            if not x:
                continue
            axes.plot(x, means, color=colour, linewidth=1.6, marker="o", markersize=3, label=norm)
            low, high = ([m + sign * d for m, d in zip(means, deviations, strict=True)] for sign in (-1, 1))
            axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
        axes.set(title=title, xlabel=AXES[axis])
        axes.locator_params(axis="x", integer=axis == "step")
        if column not in SCORES or SCORES[column].better == "min":
            _log_where_wide(axes)
    _key(figure, panels)
    return encode(figure, dpi=110)


def _mean_curve(runs: Sequence[Result], column: str, axis: str) -> tuple[list[float], list[float], list[float]]:
    """Return the mean of `axis`, and mean and deviation of the column, at every step until a run has ended early.

    After it the mean would be of the runs that did not fail. A run that ended before its first evaluation is left out.
    """
    steps = sorted({row["step"] for run in runs for row in run.rows if column in row and axis in row})
    x, means, deviations = [], [], []
    for step in steps:
        if any(run.outcome != "finished" and run.rows and run.rows[-1]["step"] < step for run in runs):
            break
        rows = [row for run in runs for row in run.rows if row["step"] == step and column in row and axis in row]
        values = [row[column] for row in rows if math.isfinite(row[column])]
        if values:
            x.append(statistics.mean(row[axis] for row in rows))
            means.append(statistics.mean(values))
            deviations.append(statistics.stdev(values) if len(values) > 1 else 0.0)
    return x, means, deviations


def _log_where_wide(axes: Axes) -> None:
    values = [float(y) for line in axes.get_lines() for y in np.asarray(line.get_ydata())]
    if values and min(values) > 0 and max(values) > 10 * min(values):
        log_axis(axes.yaxis)


def _colours(results: Sequence[Result]) -> dict[str, Colour]:
    norms = list(dict.fromkeys(result.norm for result in results))
    return dict(zip(norms, colours(len(norms)), strict=True))


def _panels(count: int, *, columns: int, height: float) -> tuple[Figure, list[Axes]]:
    from matplotlib.figure import Figure

    columns = min(columns, count)
    rows = math.ceil(count / columns)
    figure = Figure(figsize=(4.2 * columns, height * rows + 0.5), layout="constrained")
    panels = [figure.add_subplot(rows, columns, i + 1) for i in range(count)]
    for axes in panels:
        axes.grid(alpha=0.3)
        axes.tick_params(labelsize=8)
    return figure, panels


def _key(figure: Figure, panels: Sequence[Axes]) -> None:
    handles: dict[str, Artist] = {}
    for axes in panels:
        handles |= {label: handle for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    legend = figure.legend(
        handles.values(),
        handles.keys(),
        loc="outside lower center",
        ncols=4 if figure.get_figwidth() > 5 else 2,
        frameon=False,
    )
    show_names(legend)
