"""A run's operator norms and singular values in one figure."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from gan_convnorm.files.atomic_write import atomic_write
from gan_convnorm.report.drawing import colours, log_axis

__all__ = ["draw_operator_norms"]

COLUMNS = 4


def draw_operator_norms(
    history: dict[str, list[tuple[int, float, float | None]]], singular_values: dict[str, dict[str, Any]], path: Path
) -> None:
    """Draw operator norm and condition number against the step, and every layer's singular values before and after.

    >>> import tempfile
    >>> history = {"conv": [(0, 2.0, 4.0), (100, 1.5, 3.0)]}
    >>> singular_values = {"conv": {"before": [2.0, 1.0, 0.5], "after": [1.5, 1.0, 0.5]}}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     draw_operator_norms(history, singular_values, Path(folder, "operator_norms.png"))
    ...     Path(folder, "operator_norms.png").is_file()
    True

    Args:
        history: (step, operator norm, condition number) of every layer.
        singular_values: "before" and "after" of every layer, falling.
        path: file to write.
    """
    from matplotlib.figure import Figure

    singular_values = {name: sides for name, sides in singular_values.items() if len(sides["after"]) > 1}
    rows = max(1, math.ceil(len(singular_values) / COLUMNS))
    # Placed by hand, in inches: matplotlib's layout engines take seconds for this many axes.
    height = 4.2 + 2.2 * rows
    figure = Figure(figsize=(12, height))
    edges = {"left": 0.05, "right": 0.98, "hspace": 0.45, "wspace": 0.2}
    above = figure.add_gridspec(1, 2, bottom=1 - 3.7 / height, top=1 - 0.35 / height, **(edges | {"right": 0.85}))
    below = figure.add_gridspec(rows, COLUMNS, bottom=0.3 / height, top=1 - 4.9 / height, **edges)
    norm, condition = figure.add_subplot(above[0]), figure.add_subplot(above[1])
    for colour, (name, points) in zip(colours(len(history), "tab20"), history.items(), strict=True):
        steps = [step for step, _, _ in points]
        norm.plot(steps, [value for _, value, _ in points], color=colour, label=name, linewidth=1.2)
        if any(value is not None for _, _, value in points):
            values = [math.nan if value is None else value for _, _, value in points]
            condition.plot(steps, values, color=colour, linewidth=1.2)
    norm.set(title="operator norm", xlabel="G step")
    condition.set(title="condition number (circular)", xlabel="G step")
    for axes in (norm, condition):
        log_axis(axes.yaxis)
        axes.grid(alpha=0.3)
    figure.legend(*norm.get_legend_handles_labels(), loc="upper left", bbox_to_anchor=(0.86, 1), fontsize=8)
    title = "singular values (circular) against their rank: before, dashed, and after"
    figure.text(0.5, 1 - 4.5 / height, title, ha="center")
    for number, (name, sides) in enumerate(singular_values.items()):
        axes = figure.add_subplot(below[number // COLUMNS, number % COLUMNS])
        for side, style in (("before", "--"), ("after", "-")):
            if values := sides[side]:
                ranks = [i / max(1, len(values) - 1) for i in range(len(values))]
                axes.plot(ranks, values, style, color="0.5" if side == "before" else "tab:blue", linewidth=1.2)
        axes.set_title(name, fontsize=9, parse_math=False)
        axes.tick_params(labelsize=8)
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
    with atomic_write(path) as part:
        figure.savefig(part, dpi=100, format="png")
