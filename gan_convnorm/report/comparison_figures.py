"""Curves and singular values of groups of runs, as PNG."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gan_convnorm.report.drawing import colours, encode
from gan_convnorm.report.runs import Group

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "LAYER_COLUMNS",
    "draw_by_layer",
    "draw_curves",
    "draw_singular_values",
    "layers_with",
    "layers_with_singular_values",
    "mean_and_deviation",
    "mean_curve",
]

LAYER_COLUMNS = {"operator_norm": "operator norm", "condition_number": "condition number (circular)"}
COLUMNS = 3


def mean_curve(curves: Sequence[list[tuple[int, float]]]) -> tuple[list[int], list[float], list[float]]:
    """Return steps that all curves have, means, and standard deviations, which for one curve are 0.

    >>> mean_curve([[(1, 2.0), (2, 5.0)], [(1, 4.0)]])
    ([1], [3.0], [1.4142135623730951])
    """
    values = [dict(curve) for curve in curves]
    steps = sorted(set.intersection(*(set(value) for value in values))) if values else []
    pairs = [mean_and_deviation([value[step] for value in values]) for step in steps]
    return steps, [mean for mean, _ in pairs], [deviation for _, deviation in pairs]


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float]:
    """Return mean and sample standard deviation: 0 for one value, NaN for a diverged run's.

    >>> mean_and_deviation([2.0, 4.0])
    (3.0, 1.4142135623730951)
    """
    mean = sum(values) / len(values)
    if not math.isfinite(mean):
        return mean, math.nan
    return mean, statistics.stdev(values) if len(values) > 1 else 0.0


def draw_curves(groups: Sequence[Group], shown: dict[str, str], *, columns: int = COLUMNS) -> bytes:
    """Draw a panel for each column: each group's mean over its seeds, shaded one deviation, and each run, thin.

    Args:
        groups: of runs; a group has one colour.
        shown: titles by column of metrics.csv.
        columns: panels beside each other.

    Returns:
        PNG.

    >>> draw_curves([], {"fid": "FID"})[1:4]
    b'PNG'
    """
    axes_of = _Panels(len(shown), groups, columns=columns)
    for axes, (column, title) in zip(axes_of.panels, shown.items(), strict=True):
        _curves(axes, groups, column)
        axes.set(title=title, xlabel="G step", ylabel=title)
    return axes_of.encode()


def layers_with(groups: Sequence[Group], kind: str) -> list[str]:
    """Return names of the layers with a column of the operator norm log in some run, in the network's order if known.

    >>> from gan_convnorm.report.runs import Run
    >>> curves = {"layers/linear/operator_norm": [(0, 1.0), (10, 1.2)]}
    >>> run = Run("a", {}, 0, curves, {}, {"linear": {"before": [1.0, 0.5], "after": [1.2, 0.4]}}, None)
    >>> layers_with([Group("a", (run,))], "operator_norm")
    ['linear']
    """
    runs = [run for group in groups for run in group.runs]
    found = {
        column.removeprefix("layers/").removesuffix(f"/{kind}"): None
        for run in runs
        for column in run.curves
        if column.startswith("layers/") and column.endswith(f"/{kind}")
    }
    known = [name for run in runs for name in run.singular_values if name in found]
    return list(dict.fromkeys([*known, *found]))


def layers_with_singular_values(groups: Sequence[Group]) -> list[str]:
    """Return the names of the layers with singular values after the training in some run, in the network's order.

    >>> from gan_convnorm.report.runs import Run
    >>> curves = {"layers/linear/operator_norm": [(0, 1.0), (10, 1.2)]}
    >>> run = Run("a", {}, 0, curves, {}, {"linear": {"before": [1.0, 0.5], "after": [1.2, 0.4]}}, None)
    >>> layers_with_singular_values([Group("a", (run,))])
    ['linear']
    """
    runs = [run for group in groups for run in group.runs]
    return list(
        dict.fromkeys(name for run in runs for name, s in run.singular_values.items() if len(s.get("after") or []) > 1)
    )


def draw_by_layer(groups: Sequence[Group], kind: str, layers: Sequence[str], *, columns: int = COLUMNS) -> bytes:
    """Return a PNG with a panel for each layer: a column of the operator norm log against the step.

    >>> draw_by_layer([], "operator_norm", [])[1:4]
    b'PNG'
    """
    axes_of = _Panels(len(layers), groups, height=1.9, columns=columns)
    for axes, name in zip(axes_of.panels, layers, strict=True):
        _curves(axes, groups, f"layers/{name}/{kind}")
        axes.set(xlabel="G step", ylabel=kind.replace("_", " "))
        _title(axes, name)
        runs = [run for group in groups for run in group.runs]
        values = [y for run in runs for _, y in run.curves.get(f"layers/{name}/{kind}", []) if 0 < y < math.inf]
        if values and max(values) > 30 * min(values):
            axes.set_yscale("log")
        elif values and max(values) < 1.05 * min(values):
            # Keeps differences that are rounding from filling the panel.
            axes.set_ylim(0.95 * min(values), 1.05 * max(values))
    return axes_of.encode()


def draw_singular_values(groups: Sequence[Group], layers: Sequence[str], *, columns: int = 4) -> bytes:
    """Return a PNG of singular values against their rank, before and after the training.

    Each layer has two panels with common axes.

    >>> draw_singular_values([], [])[1:4]
    b'PNG'
    """
    axes_of = _Panels(2 * len(layers), groups, height=1.9, columns=columns)
    for number, name in enumerate(layers):
        pair = axes_of.panels[2 * number : 2 * number + 2]
        for axes, side in zip(pair, ("before", "after"), strict=True):
            for colour, group in zip(axes_of.colours, groups, strict=True):
                for run in group.runs:
                    values = run.singular_values.get(name, {}).get(side) or []
                    ranks = [i / max(1, len(values) - 1) for i in range(len(values))]
                    axes.plot(ranks, values, color=colour, linewidth=1.3, alpha=0.8)
            axes.set(xlabel="rank, from the largest (0) to the smallest (1)", ylabel="singular value")
            axes.xaxis.label.set_fontsize(8)
            _title(axes, f"{name}, {side}")
        top = max(axes.get_ylim()[1] for axes in pair)
        for axes in pair:
            axes.set_ylim(0, top)
    return axes_of.encode()


def _title(axes: Axes, text: str) -> None:
    """Write a name from a file above a panel: as it is, no formula, and cut where it is longer than the panel."""
    plain = "".join(c if c.isprintable() else "?" for c in text)
    axes.set_title(plain if len(plain) <= 60 else f"{plain[:57]}...", fontsize=10, parse_math=False)


def _curves(axes: Axes, groups: Sequence[Group], column: str) -> None:
    for colour, group in zip(colours(len(groups)), groups, strict=True):
        curves = [run.curves[column] for run in group.runs if run.curves.get(column)]
        if not curves:
            continue
        steps, means, deviations = mean_curve(curves)
        marker = "o" if len(steps) <= 30 else None
        axes.plot(steps, means, color=colour, linewidth=1.8, marker=marker, markersize=3)
        if len(curves) > 1:
            low, high = ([m + sign * d for m, d in zip(means, deviations, strict=True)] for sign in (-1, 1))
            axes.fill_between(steps, low, high, color=colour, alpha=0.2, linewidth=0)
            for curve in curves:
                axes.plot(*zip(*curve, strict=True), color=colour, linewidth=0.6, alpha=0.7)


class _Panels:
    """A grid of panels, placed by hand in inches: matplotlib's layout engines take seconds for many panels."""

    def __init__(self, count: int, groups: Sequence[Group], *, height: float = 2.6, columns: int = COLUMNS) -> None:
        from matplotlib.figure import Figure

        self.colours = colours(len(groups))
        narrow = columns == 1
        columns = min(columns, max(1, count))
        rows = max(1, math.ceil(count / columns))
        total = rows * (height + 0.7) + 0.1
        self.figure = Figure(figsize=(4.2 if narrow else 13, total))
        grid = self.figure.add_gridspec(
            rows,
            columns,
            left=0.17 if narrow else 0.05,
            right=0.97 if narrow else 0.99,
            wspace=0.25,
            bottom=0.45 / total,
            top=1 - 0.35 / total,
            hspace=0.7 / height,
        )
        self.panels = [self.figure.add_subplot(grid[i // columns, i % columns]) for i in range(count)]
        for axes in self.panels:
            axes.grid(alpha=0.3)

    def encode(self) -> bytes:
        """Return the picture as PNG."""
        return encode(self.figure, dpi=100)
