"""A study's report: tables and figures, as Markdown with pictures beside it and as one HTML file."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from gan_convnorm.errors import BadInput
from gan_convnorm.files.atomic_write import atomic_write, check_replaceable
from gan_convnorm.report.blocks import Block, Heading, Paragraph, Picture, Table
from gan_convnorm.report.page import generator_tag, render_page
from gan_convnorm.score_table import SCORES, titles
from gan_convnorm.study.comparison import CONFIDENCE, Spread, against, cells, spread
from gan_convnorm.study.figures import draw_layer_norms, draw_scores, draw_sensitivity, layers
from gan_convnorm.study.plan import Plan
from gan_convnorm.study.results import DIVERGED, FIRST_COLUMNS, Result, write_table

__all__ = ["check_report", "write_report"]

TABLE, REPORT, PAGE = "runs.csv", "report.md", "report.html"
#: by which a page of a study is known again
GENERATOR = "gan_convnorm.study"


def write_report(
    plan: Plan,
    results: Sequence[Result],
    folder: Path,
    *,
    floor: dict[str, Any] | None,
    failed: Sequence[str],
    overwrite: bool = False,
) -> list[Path]:
    """Write runs.csv, report.md with its pictures, and report.html.

    Args:
        plan: the study.
        results: runs that have ended.
        folder: to write to; it exists.
        floor: what real images score, as `floor.floor` gives it; None where it is not known.
        failed: labels of runs whose worker died twice.
        overwrite: replace also files that are no report of a study.

    Returns:
        The files.

    Raises:
        BadInput: one cannot be written, or is another command's.
    """
    blocks = list(_blocks(plan, results, floor, failed))
    title = f"Study {plan.name}"
    text, page = _markdown(title, blocks), render_page(title, blocks, GENERATOR)
    files = {folder / REPORT: text.encode("utf-8", "backslashreplace")}  # first: it names the pictures
    files[folder / PAGE] = page.encode("utf-8", "backslashreplace")
    files |= {folder / block.file: block.data for block in blocks if isinstance(block, Picture)}
    check_report(folder, overwrite=overwrite)
    for path in files:
        check_replaceable(path, _is_report, overwrite)
    write_table(results, folder / TABLE)
    for path, data in files.items():
        try:
            with atomic_write(path) as part:
                part.write_bytes(data)
        except OSError as error:
            raise BadInput(f"{path} cannot be written ({error.strerror}); choose another folder with --out") from error
    return [folder / TABLE, *files]


def check_report(folder: Path, *, overwrite: bool = False) -> None:
    """Raise BadInput for a folder in which a file with a report's name is no report's."""
    for name in (TABLE, REPORT, PAGE):
        check_replaceable(folder / name, _is_report, overwrite)


def _is_report(path: Path) -> bool:
    """Tell whether a study has written a file; a page or picture is known by the report beside it, which is first."""
    report = path.with_name(REPORT)
    if path.name == TABLE:
        return _start(path).startswith(",".join(FIRST_COLUMNS))
    if path == report:
        return _start(path).startswith("# Study ")
    if path.name == PAGE:
        return generator_tag(GENERATOR) in _start(path) or _is_report(report)
    return _is_report(report) and f"]({path.name})" in report.read_text(encoding="utf-8")


def _start(path: Path) -> str:
    with path.open(encoding="utf-8") as file:
        return file.read(1000)


def _blocks(
    plan: Plan, results: Sequence[Result], floor: dict[str, Any] | None, failed: Sequence[str]
) -> Iterator[Block]:
    total = plan.count()
    yield Paragraph(f"{len(results)} of {total} runs. {_made(results)}")
    if failed:
        yield Paragraph(f"Not there, because the worker died twice: {'; '.join(failed)}.")
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
    groups = cells(runs)
    shown = titles(*(run.final for run in runs))
    varied = len({(n_dis, rate) for _, n_dis, rate in groups}) > 1
    head = ["norm", *(["n_dis", "learning rate"] if varied else []), "n", "G steps", "seconds", "CPU seconds"]
    head += shown.values()
    head += [f"FID minus {plan.baseline}'s ({CONFIDENCE:.0%} interval)"] if "fid" in shown else []
    rows = []
    for (norm, n_dis, rate), found in groups.items():
        row = [norm, *([str(n_dis), f"{rate:g}"] if varied else []), str(len(found))]
        row += [", ".join(map(str, sorted({run.steps for run in found})))]
        row += [
            _cell(spread([getattr(run, clock) or math.nan for run in found]), ".0f")
            for clock in ("seconds", "cpu_seconds")
        ]
        row += [_cell(spread([run.final.get(score, math.nan) for run in found]), SCORES[score].form) for score in shown]
        if "fid" in shown:
            other = groups.get((plan.baseline, n_dis, rate), [])
            difference = None if norm == plan.baseline else against(found, other, "fid")
            row.append(
                f"{difference.mean:+.2f} ({difference.low:+.2f} to {difference.high:+.2f}, n = {difference.n})"
                if difference
                else "-"
            )
        rows.append(row)
    yield Table(head, rows, first_number=1)
    yield Paragraph(
        "Mean +- standard deviation over the seeds that have a score. The interval is a percentile bootstrap over the "
        "seeds, paired; of 5 seeds such an interval is too short (it holds the mean in about 83% of cases)."
    )
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


def _markdown(title: str, blocks: Sequence[Block]) -> str:
    parts = [f"# {title}"]
    for block in blocks:
        if isinstance(block, Heading):
            parts.append(f"{'#' * block.level} {block.text}")
        elif isinstance(block, Table):
            lines = [block.head, ["---"] * len(block.head), *block.rows]
            parts.append("\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines))
        elif isinstance(block, Picture):
            parts.append(f"{block.caption}\n\n![{block.title}]({block.file})")
        elif isinstance(block, Paragraph):
            parts.append(block.text)
    return "\n\n".join(parts) + "\n"
