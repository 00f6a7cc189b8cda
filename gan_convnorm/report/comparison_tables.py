"""The tables of the comparison page: scores and times of groups of runs, and the flags that set them apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from gan_convnorm.files.names import listed
from gan_convnorm.report.blocks import Block, Cell, Paragraph, Table
from gan_convnorm.report.comparison_figures import mean_and_deviation
from gan_convnorm.report.drawing import hex_colours
from gan_convnorm.report.flag_names import flag_name
from gan_convnorm.report.runs import Group, Run, show
from gan_convnorm.score_table import SCORES, features_in_words, images_in_words, titles

__all__ = ["differences", "overview"]

#: a space at which no line ends: where a table is wider than the window, a cell breaks before its ± only
NBSP = "\N{NO-BREAK SPACE}"


def overview(groups: Sequence[Group]) -> list[Block]:
    """Return a table with one row a group, which is also the key of the colours, and notes on it.

    The columns are seeds, G steps, scores of the last step, the best FID, and seconds.

    >>> from gan_convnorm.report.runs import Run
    >>> run = Run("a", {}, 0, {"fid": [(10, 4.0), (20, 5.0)]}, {"seconds": 3.0, "g_steps": 20}, {}, None)
    >>> table, *_ = overview([Group("a", (run,))])
    >>> table.rows[0][1:5]
    ['0', '20', '5', '4']
    """
    shown = titles(*(run.curves for group in groups for run in group.runs))
    head = ["", "seeds", "G steps", *(f"{title} (last)" for title in shown.values())]
    head += [*(["FID (best)"] if "fid" in shown else []), "seconds of the run", "CPU s per G step"]
    rows: list[list[str | Cell]] = []
    for group, colour in zip(groups, hex_colours(len(groups)), strict=True):
        last = [_spread(_last_values(group.runs, name), len(group.runs)) for name in shown]
        fids = [[value for _, value in run.curves.get("fid", ()) if math.isfinite(value)] for run in group.runs]
        best = [min(values) for values in fids if values]
        steps = sorted({max((s for curve in run.curves.values() for s, _ in curve), default=0) for run in group.runs})
        seconds = [float(run.summary["seconds"]) for run in group.runs if run.summary.get("seconds") is not None]
        times = [t for run in group.runs if (t := run.cpu_seconds_per_step) is not None]
        rows.append(
            [
                Cell(group.label, colour),
                ", ".join(show(run.seed) for run in group.runs),
                " to ".join(str(step) for step in dict.fromkeys([steps[0], steps[-1]])),
                *last,
                *([_spread(best, len(group.runs))] if "fid" in shown else []),
                _time(seconds, ".1f"),
                _time(times, ".3g"),
            ]
        )
    notes = [
        "Mean ± standard deviation over the seeds. Each row is named by the flags that set it apart, or by its run "
        "where these are many, and its colour is the same in every figure. Last: the last evaluation; best: the one "
        "with the lowest FID. Times are of the whole run "
        "with its evaluations: on the clock, and CPU seconds, which other programs on the machine change less."
    ]
    protocols = {_protocol(run) for group in groups for run in group.runs} - {None}
    notes += [f"Scores: {protocol}." for protocol in sorted(str(p) for p in protocols)]
    if open_runs := [run.name for group in groups for run in group.runs if "g_steps" not in run.summary]:
        notes.append(f"Not ended, or stopped: {listed(open_runs)}.")
    commits = {run.summary.get("commit") for group in groups for run in group.runs} - {None}
    if len(commits) > 1:
        notes.append(f"The runs are of {len(commits)} commits: {', '.join(sorted(str(c)[:7] for c in commits))}.")
    if len(protocols) > 1:
        notes.append(
            "The runs were scored in different ways, or by different classifiers: such scores are not comparable."
        )
    return [Table(head, rows, first_number=2), *(Paragraph(note, note=True) for note in notes)]


def differences(groups: Sequence[Group], differing: Sequence[str]) -> list[Block]:
    """Return a table with the flags in which groups differ, and a note.

    Args:
        groups: of runs.
        differing: the keys of config.yaml in which they differ.

    >>> from gan_convnorm.report.runs import Run
    >>> groups = [Group(name, (Run(name, {"lr": rate}, 0, {}, {}, {}, None),)) for name, rate in (("a", 1), ("b", 2))]
    >>> differences(groups, ["lr"])[0].rows
    [['--lr', '1', '2']]
    """
    if not differing:
        seeds = ", seeds apart" if len(groups[0].runs) > 1 else ""
        return [Paragraph(f"The runs have the same configuration{seeds}.", note=True)]
    colours = hex_colours(len(groups))
    names = [" ".join(run.name for run in group.runs) for group in groups]
    head: list[str | Cell] = ["", *(Cell(name, colour) for name, colour in zip(names, colours, strict=True))]
    rows = [[flag_name(key), *(show(group.runs[0].config.get(key, "-")) for group in groups)] for key in differing]
    return [Table(head, rows), Paragraph("The flags in which the runs differ, seeds and folders apart.", note=True)]


def _protocol(run: Run) -> str | None:
    p: dict[str, Any] = run.summary.get("protocol") or {}
    if not p:
        return None
    splits = f", IS over {p['isc_splits']} splits" if "isc_splits" in p else ""
    return f"{images_in_words(p)}, {features_in_words(p)}{splits}"


def _last_values(runs: Sequence[Run], name: str) -> list[float]:
    """Return the last values of a score, of the runs whose last evaluation took it."""
    found = []
    for run in runs:
        last = max((curve[-1][0] for score, curve in run.curves.items() if score in SCORES and curve), default=None)
        curve = run.curves.get(name)
        found += [curve[-1][1]] if curve and curve[-1][0] == last else []
    return found


def _spread(values: Sequence[float], runs: int) -> str:
    """Return mean and deviation, with the number of values where some runs have none."""
    if not values:
        return "-"
    mean, deviation = mean_and_deviation(values)
    found = f"{mean:.4g}" + (f" ±{NBSP}{deviation:.3g}" if len(values) > 1 else "")
    return found if len(values) == runs else f"{found} ({len(values)} of {runs})"


def _time(values: Sequence[float], form: str) -> str:
    if not values:
        return "-"
    mean, deviation = mean_and_deviation(values)
    return f"{mean:{form}}{NBSP}s" + (f" ±{NBSP}{deviation:{form}}{NBSP}s" if len(values) > 1 else "")
