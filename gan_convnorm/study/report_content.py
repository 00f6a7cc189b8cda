"""The content of a study's report: tables, sentences and figures of each grid."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from gan_convnorm.report.blocks import Block, Heading, Paragraph, Picture, Table
from gan_convnorm.score_table import SCORES, titles
from gan_convnorm.study.comparison import CONFIDENCE, Cell, Spread, against, cells, spread
from gan_convnorm.study.figures import draw_layer_norms, draw_scores, draw_sensitivity, layers
from gan_convnorm.study.plan import Plan
from gan_convnorm.study.results import DIVERGED, Result

__all__ = ["report_blocks"]


def report_blocks(
    plan: Plan, results: Sequence[Result], floor: dict[str, Any] | None, failed: Sequence[str]
) -> list[Block]:
    """Return the blocks of a study's report, from top to bottom.

    Args:
        plan: the study.
        results: runs that have ended.
        floor: what real images score, as `floor.floor` gives it; None where it is not known.
        failed: labels of runs whose worker died twice.

    >>> from gan_convnorm.study.plan import Grid
    >>> plan = Plan("example", {"none": {}}, {"main": Grid(seed=[0])}, baseline="none")
    >>> report_blocks(plan, [], None, ["main, none, seed 0"])[1].text
    'Missing, because the worker died twice: main, none, seed 0.'
    """
    return list(_blocks(plan, results, floor, failed))


def _blocks(
    plan: Plan, results: Sequence[Result], floor: dict[str, Any] | None, failed: Sequence[str]
) -> Iterator[Block]:
    total = plan.count()
    yield Paragraph(f"{len(results)} of {total} runs. {_made(results)}")
    if failed:
        yield Paragraph(f"Missing, because the worker died twice: {'; '.join(failed)}.")
    for run in (result for result in results if result.outcome == "stopped"):
        yield Paragraph(
            f"Stopped: {run.grid}, {run.norm}, seed {run.seed}, n_dis {run.n_dis}, learning rate "
            f"{run.learning_rate:g}: {run.reason}"
        )
    yield from _protocols(results, floor)
    for name in plan.grids:
        runs = [result for result in results if result.grid == name]
        if runs:
            yield Heading(f"Grid {name}")
            yield from _grid(plan, name, runs)


def _made(results: Sequence[Result]) -> str:
    versions = {f"{k} {v}" for result in results for k, v in result.versions.items()}
    commits = {result.commit for result in results if result.commit}
    hosts = {result.host for result in results}
    parts = [", ".join(sorted(versions)), f"commit {', '.join(sorted(commits))}" if commits else ""]
    return "; ".join([*(part for part in parts if part), f"{len(hosts)} machine{'s' * (len(hosts) != 1)}"]) + "."


def _protocols(results: Sequence[Result], floor: dict[str, Any] | None) -> Iterator[Block]:
    found = {
        f"{p.get('name')}: {p.get('n_fake')} {p.get('fake')} against {p.get('n_real')} {p.get('reference')}, "
        f"{p.get('extractor')} features"
        for p in (result.protocol for result in results)
        if p
    }
    yield Paragraph(f"Final scores: {'; '.join(sorted(found)) or 'none yet'}. Of the last weights, not of the best.")
    if floor is not None:
        values = floor["values"]
        scores = ", ".join(f"{title} {values[name]:{SCORES[name].form}}" for name, title in titles(values).items())
        yield Paragraph(f"The floor, {floor['n']} real {floor['split']} images in place of fakes: {scores}.")


def _grid(plan: Plan, name: str, runs: Sequence[Result]) -> Iterator[Block]:
    varied = len({(run.n_dis, run.learning_rate) for run in runs}) > 1
    yield from _tables(plan.baseline, cells(runs), varied=varied)
    yield from _divergence(runs)
    drawings = [
        ("steps", "Scores during training over steps", partial(draw_scores, runs, "step")),
        ("seconds", "The same over seconds", partial(draw_scores, runs, "seconds")),
        ("cpu_seconds", "The same over CPU seconds of the run's process", partial(draw_scores, runs, "cpu_seconds")),
    ]
    if varied:
        drawings = [("sensitivity", "Final FID; hollow: a seed diverged", partial(draw_sensitivity, runs))]
    if layers(runs):
        title = "Operator norms of the discriminator's layers"
        drawings.append(("layer_norms", title, partial(draw_layer_norms, runs)))
    for kind, title, draw in drawings:
        if (data := draw()) is not None:
            narrow = draw(columns=1) or b""
            yield Picture(data, title, caption=f"{title}:", file=f"{name}_{kind}.png", narrow=narrow)


def _tables(baseline: str, groups: dict[Cell, list[Result]], *, varied: bool) -> Iterator[Block]:
    """Yield two tables, scores and then differences with times: one table of all is wider than a window."""
    shown = titles(*(run.final for runs in groups.values() for run in runs))
    factors = ["norm", *(["n_dis", "learning rate"] if varied else [])]
    scores, costs = [], []
    for (norm, n_dis, rate), runs in groups.items():
        names = [norm, *([str(n_dis), f"{rate:g}"] if varied else [])]
        means = [_cell(spread([run.final.get(score, math.nan) for run in runs]), SCORES[score].form) for score in shown]
        scores.append([*names, str(len(runs)), *means])
        other = groups.get((baseline, n_dis, rate), []) if norm != baseline else []
        steps = ", ".join(map(str, sorted({run.steps for run in runs})))
        seconds, cpu_seconds = (
            _cell(spread([getattr(run, clock) or math.nan for run in runs]), ".0f")
            for clock in ("seconds", "cpu_seconds")
        )
        difference = [_difference(runs, other)] if "fid" in shown else []
        costs.append([*names, *difference, steps, seconds, cpu_seconds])
    yield Table([*factors, "n", *shown.values()], scores, first_number=1)
    yield Paragraph("Mean +- standard deviation over the n seeds that have a score.")
    compared = [f"FID minus {baseline}'s ({CONFIDENCE:.0%} interval)"] if "fid" in shown else []
    yield Table([*factors, *compared, "G steps", "seconds", "CPU seconds"], costs, first_number=1)
    if compared:
        yield Paragraph(
            "Differences are paired by seed, and n counts the pairs; a dash stands for fewer than two. The interval is "
            "a percentile bootstrap over the pairs. With 5 pairs such an interval is too short: it holds the mean in "
            "about 83% of cases."
        )


def _difference(runs: Sequence[Result], baseline: Sequence[Result]) -> str:
    found = against(runs, baseline, "fid")
    return "-" if found is None else f"{found.mean:+.2f} ({found.low:+.2f} to {found.high:+.2f}, n = {found.n})"


def _divergence(runs: Sequence[Result]) -> Iterator[Block]:
    by_norm: dict[str, list[bool]] = {}
    for run in runs:
        by_norm.setdefault(run.norm, []).append(run.diverged)
    shares = ", ".join(f"{norm} {sum(found)} of {len(found)}" for norm, found in by_norm.items())
    yield Paragraph(
        "Diverged (losses or weights that become NaN or infinite, or a last FID at least "
        f"{DIVERGED:g} times the run's best): {shares}."
    )


def _cell(found: Spread | None, form: str) -> str:
    if found is None:
        return "-"
    return f"{found.mean:{form}}" + ("" if math.isnan(found.deviation) else f" +- {found.deviation:{form}}")
