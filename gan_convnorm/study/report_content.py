"""The content of a study's report: tables, sentences and figures of each grid."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from gan_convnorm.report.blocks import Block, Heading, Paragraph, Picture, Table
from gan_convnorm.score_table import SCORES, features_in_words, images_in_words, titles
from gan_convnorm.study.comparison import CONFIDENCE, Difference, Spread, against, by_setting, holm, spread
from gan_convnorm.study.definition import StudyDefinition
from gan_convnorm.study.figures import LAYERS, draw_discriminator, draw_layers, draw_scores, draw_sensitivity
from gan_convnorm.study.results import DIVERGED, Result

__all__ = ["report_blocks"]

#: what a grid varies beside norm and seed, by its name in `Grid` and `Result`
FACTORS = {"n_dis": "n_dis", "learning_rate": "learning rate"}
#: times of a run, by their name in `Result`
CLOCKS = {"seconds": "seconds", "cpu_seconds": "CPU seconds"}
#: a run got worse if its last FID is at least this many times its best
WORSE = 1.5
#: a run whose final FID is this many times the grid's lowest mean is far behind, also if it never was any better
FAR = 2.0


def report_blocks(
    definition: StudyDefinition, results: Sequence[Result], floor: dict[str, Any] | None, failed: Sequence[str]
) -> list[Block]:
    """Return the blocks of a study's report, from top to bottom.

    Args:
        definition: the study.
        results: runs that have ended.
        floor: what real images score, as `floor.floor` gives it; None where it is not known.
        failed: labels of runs whose worker died twice.

    >>> from gan_convnorm.study.definition import Grid
    >>> definition = StudyDefinition("example", {"none": {}}, {"main": Grid(seed=[0])}, baseline="none")
    >>> report_blocks(definition, [], None, ["main, none, seed 0"])[1].text
    'Missing, because the worker died twice: main, none, seed 0.'
    """
    return list(_blocks(definition, results, floor, failed))


def _blocks(
    definition: StudyDefinition, results: Sequence[Result], floor: dict[str, Any] | None, failed: Sequence[str]
) -> Iterator[Block]:
    total = definition.count()
    yield Paragraph(f"{len(results)} of {total} runs. {_made(results)}")
    if failed:
        yield Paragraph(f"Missing, because the worker died twice: {'; '.join(failed)}.")
    for run in (result for result in results if result.outcome == "stopped"):
        yield Paragraph(
            f"Stopped: {run.grid}, {run.norm}, seed {run.seed}, n_dis {run.n_dis}, learning rate "
            f"{run.learning_rate:g}: {run.reason}"
        )
    yield from _protocols(results, floor)
    for name in definition.grids:
        runs = [result for result in results if result.grid == name]
        if runs:
            yield Heading(f"Grid {name}")
            yield from _grid(definition, name, runs)


def _made(results: Sequence[Result]) -> str:
    versions = {f"{k} {v}" for result in results for k, v in result.versions.items()}
    commits = {result.commit for result in results if result.commit}
    hosts = {result.host for result in results}
    parts = [", ".join(sorted(versions)), f"commit {', '.join(sorted(commits))}" if commits else ""]
    return "; ".join([*(part for part in parts if part), f"{len(hosts)} host name{'s' * (len(hosts) != 1)}"]) + "."


def _protocols(results: Sequence[Result], floor: dict[str, Any] | None) -> Iterator[Block]:
    found = {
        f"{p.get('name')}: {images_in_words(p)}, {features_in_words(p)}"
        for p in (result.protocol for result in results)
        if p
    }
    yield Paragraph(f"Final scores: {'; '.join(sorted(found)) or 'none yet'}. Of the last weights, not of the best.")
    if len(found) > 1:
        yield Paragraph(
            "The runs were scored in different ways, or by different classifiers (every machine trains its own): do "
            "not compare their scores. Later runs can share a classifier (--scores.extractor_weights)."
        )
    if floor is not None:
        values = floor["values"]
        scores = ", ".join(f"{title} {values[name]:{SCORES[name].form}}" for name, title in titles(values).items())
        yield Paragraph(
            f"The floor, {floor['n']} real {floor['split']} images in place of fakes: {scores}. FID falls with the "
            "number of images, so for another number of fakes it is only roughly the lowest that can be reached."
        )


def _grid(definition: StudyDefinition, name: str, runs: Sequence[Result]) -> Iterator[Block]:
    varied = [factor for factor in FACTORS if len(getattr(definition.grids[name], factor) or ()) > 1]
    yield from _tables(definition.baseline, runs, varied)
    if varied:
        yield from _best(runs)
    yield from _divergence(runs)
    settings = [replace(run, norm=", ".join([run.norm, *_setting(run, varied)])) for run in runs]
    curves = {
        "steps": ("step", "Scores during training over steps"),
        "seconds": ("seconds", "The same over seconds"),
        "cpu_seconds": ("cpu_seconds", "The same over CPU seconds of the run's process"),
    }
    drawings = [(kind, title, partial(draw_scores, settings, axis)) for kind, (axis, title) in curves.items()]
    if "learning_rate" in varied:  # too many curves
        drawings = [("sensitivity", "Final FID; hollow: a seed diverged", partial(draw_sensitivity, runs))]
    drawings.append(("discriminator", "The discriminator's judgement of images", partial(draw_discriminator, settings)))
    drawings += [(f"{kind}s", title, partial(draw_layers, settings, kind)) for kind, title in LAYERS.items()]
    yield Paragraph(
        "Curves are means over seeds, shaded one standard deviation. Scores during training have fewer fakes than the "
        "final ones where the protocol asks for more than interim_num_fake."
    )
    for kind, title, draw in drawings:
        if (data := draw()) is not None:
            narrow = draw(columns=1) or b""
            yield Picture(data, title, caption=f"{title}:", file=f"{name}_{kind}.png", narrow=narrow)


def _tables(baseline: str, runs: Sequence[Result], varied: Sequence[str]) -> Iterator[Block]:
    """Yield two tables, scores and then differences with times: one table of all is wider than a window."""
    shown = titles(*(run.final for run in runs))
    factors = [factor for factor in FACTORS if len({getattr(run, factor) for run in runs}) > 1]
    groups = list(by_setting(runs).values())
    names = [[group[0].norm, *_setting(group[0], factors)] for group in groups]
    headings = ["norm", *(FACTORS[factor] for factor in factors)]
    scores = [[_count(group), *(_mean(group, score, SCORES[score].form) for score in shown)] for group in groups]
    rows = [[*name, *values] for name, values in zip(names, scores, strict=True)]
    yield Table([*headings, "n", *shown.values()], rows, first_number=1)
    yield Paragraph(
        "Mean +- standard deviation over the n seeds that have scores; 3 of 5 means that two runs were stopped before "
        "they had scores. Means and tests leave these out, which flatters a norm that fails often."
    )
    costs = [
        [", ".join(map(str, sorted({r.steps for r in group}))), *map(partial(_seconds, group), CLOCKS)]
        for group in groups
    ]
    differences = _differences(
        [against(group, _comparable(group[0], runs, baseline, varied), "fid") for group in groups]
    )
    rows = [[*name, *difference, *cost] for name, difference, cost in zip(names, differences, costs, strict=True)]
    compared = [f"FID minus {baseline}'s ({CONFIDENCE:.0%} interval)", "p"]
    yield Table([*headings, *compared, "G steps", *CLOCKS.values()], rows, first_number=1)
    yield Paragraph(
        "Differences are paired by seed, and n counts the pairs; a dash stands for fewer than two. Interval and "
        "two-sided p are of the paired t test; p is corrected for the number of this table's tests (Holm)."
    )


def _setting(run: Result, factors: Sequence[str]) -> list[str]:
    return [f"{getattr(run, factor):g}" for factor in factors]


def _count(runs: Sequence[Result]) -> str:
    scored = sum(bool(run.final) for run in runs)
    return f"{scored} of {len(runs)}" if scored < len(runs) else str(scored)


def _comparable(run: Result, runs: Sequence[Result], baseline: str, varied: Sequence[str]) -> list[Result]:
    """Return the baseline's runs that a run may be compared with: those that share the factors which the grid varies.

    If it varies none, each norm may have a learning rate and n_dis of its own.
    """
    others = [other for other in runs if other.norm == baseline != run.norm]
    return [other for other in others if all(getattr(other, factor) == getattr(run, factor) for factor in varied)]


def _differences(found: Sequence[Difference | None]) -> list[list[str]]:
    tests = iter(holm([difference.p for difference in found if difference and math.isfinite(difference.p)]))
    texts = []
    for difference in found:
        if difference is None:
            texts.append(["-", "-"])
            continue
        if math.isnan(difference.p):
            texts.append([f"{difference.mean:+.2f} (n = {difference.n})", "-"])
            continue
        interval = f"{difference.mean:+.2f} ({difference.low:+.2f} to {difference.high:+.2f}, n = {difference.n})"
        texts.append([interval, f"{next(tests):.2g}"])
    return texts


def _mean(runs: Sequence[Result], score: str, form: str) -> str:
    return _cell(spread([run.final.get(score, math.nan) for run in runs]), form)


def _seconds(runs: Sequence[Result], clock: str) -> str:
    return _cell(spread([getattr(run, clock) or math.nan for run in runs]), ".0f")


def _best(runs: Sequence[Result]) -> Iterator[Block]:
    """Yield the setting at which each norm's mean final FID is lowest."""
    lowest: dict[str, tuple[float, str]] = {}
    for (norm, n_dis, rate), group in by_setting(runs).items():
        if (found := spread([_fid(run) for run in group])) and found.n == len(group):
            setting = (
                found.mean,
                f"{norm} {found.mean:.2f} at learning rate {rate:g} and n_dis {n_dis}, n = {found.n}",
            )
            lowest[norm] = min(lowest.get(norm, setting), setting)
    if lowest:
        yield Paragraph(
            f"Lowest final FID of each norm, of the settings at which every run has one: "
            f"{'; '.join(text for _, text in lowest.values())}. The lowest of several is partly luck: compare norms on "
            "fresh seeds, each at the setting found here."
        )


def _divergence(runs: Sequence[Result]) -> Iterator[Block]:
    by_norm: dict[str, list[Result]] = {}
    for run in runs:
        by_norm.setdefault(run.norm, []).append(run)

    def shares(times: float) -> str:
        return ", ".join(f"{n} {sum(r.ended_above(times) for r in own)} of {len(own)}" for n, own in by_norm.items())

    yield Paragraph(
        "Diverged (stopped early, as after a NaN or a collapse, or the last FID during training is at least "
        f"{DIVERGED:g} times the run's best): {shares(DIVERGED)}. "
        f"Got worse (at least {WORSE:g} times): {shares(WORSE)}."
    )
    means = [found.mean for group in by_setting(runs).values() if (found := spread([_fid(run) for run in group]))]
    if means:
        far = ", ".join(
            f"{norm} {sum(not _fid(run) < FAR * min(means) for run in own)} of {len(own)}"
            for norm, own in by_norm.items()
        )
        yield Paragraph(
            f"Far behind (no final FID, or at least {FAR:g} times the grid's lowest mean, {min(means):.2f}): {far}."
        )


def _fid(run: Result) -> float:
    return run.final.get("fid", math.nan)


def _cell(found: Spread | None, form: str) -> str:
    if found is None:
        return "-"
    return f"{found.mean:{form}}" + ("" if math.isnan(found.deviation) else f" +- {found.deviation:{form}}")
