"""The result of a study's run: read from its folder, and kept in the study's storage."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gan_convnorm.errors import BadInput
from gan_convnorm.report.runs import Run, read_runs
from gan_convnorm.score_table import LARGEST_NUMBER, SCORE_COLUMNS
from gan_convnorm.study.definition import StudyRun

__all__ = ["MEASURED", "Result", "read_result", "stored_result"]

#: first words of the columns of metrics.csv with what `OperatorNormLog` and `DiscriminatorLog` measured
MEASURED = ("layers/", "discriminator/")
#: the last FID is this many times the best of the run, or more
DIVERGED = 2.0


@dataclass(frozen=True)
class Result:
    """A finished run, as plain values.

    Attributes:
        grid: name of its grid.
        norm: name of its norm in the definition.
        seed: of the run.
        n_dis: discriminator steps per generator step.
        learning_rate: Adam's, of the discriminator.
        outcome: finished, or stopped: a loss or weight became NaN or infinite, or the run ended before its last step.
        steps: generator steps done.
        seconds: of the run, evaluations included; None where it was stopped.
        cpu_seconds: CPU time of its process, likewise.
        rows: by evaluation: step, seconds, cpu_seconds, scores, and columns that start with one of `MEASURED`.
        final: scores by the whole protocol, after the last step.
        protocol: how they were taken.
        versions: of packages.
        commit: of the checkout, None for an installed package.
        host: name of the machine.
        reason: why it was stopped.
        configuration: the point's digest; empty where it is not known.

    >>> row = {"step": 10.0, "seconds": 1.0, "fid": 4.0, "layers/linear/operator_norm": 1.5}
    >>> run = Result("main", "none", 0, 1, 0.002, "finished", 10, 1.0, 1.0, [row], {"fid": 4.0}, {}, {}, None, "here")
    >>> run.diverged, Result(**run.to_dict()) == run
    (False, True)
    """

    grid: str
    norm: str
    seed: int
    n_dis: int
    learning_rate: float
    outcome: str
    steps: int
    seconds: float | None
    cpu_seconds: float | None
    rows: list[dict[str, float]]
    final: dict[str, float]
    protocol: dict[str, Any]
    versions: dict[str, str]
    commit: str | None
    host: str
    reason: str = ""
    configuration: str = ""

    @property
    def diverged(self) -> bool:
        """True if it was stopped, or its last FID is `DIVERGED` times its best or more."""
        return self.ended_above(DIVERGED)

    def ended_above(self, times: float) -> bool:
        """Return True if it was stopped, or a FID is NaN, or the last is at least `times` the best."""
        fids = [row["fid"] for row in self.rows if "fid" in row]
        sound = all(math.isfinite(fid) for fid in fids) and (not fids or fids[-1] < times * min(fids))
        return self.outcome != "finished" or not sound

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as a study's storage holds them."""
        return asdict(self)


def read_result(point: StudyRun, folder: Path, host: str, reason: str = "") -> Result:
    """Return the results in a run's folder.

    A folder that is no run's, or a damaged one, raises BadInput, and so does a run with another seed, learning rate or
    n_dis than the study gives it. A run that was stopped may have no metrics.csv yet.

    Args:
        point: of the study.
        folder: the run's.
        host: name of the machine.
        reason: why it was stopped, for one that was.

    >>> read_result(StudyRun("main", "none", 0, 1, None, {}), Path("no such run"), "here")
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: there is no run folder no such run; expected one such as checkpoints/runs/NAME
    """
    run = read_runs([folder], unmeasured=bool(reason))[0]
    summary = run.summary
    times = {time["step"]: time for time in summary.get("times") or []}
    rows: dict[int, dict[str, float]] = {}
    for column, curve in run.curves.items():
        if column in SCORE_COLUMNS or column.startswith(MEASURED):
            for step, value in curve:
                rows.setdefault(step, {"step": step, **times.get(step, {})})[column] = value
    final = summary.get("final") or {}
    _check_levels(point, run)
    done = summary.get("g_steps") or max((s for curve in run.curves.values() for s, _ in curve), default=0)
    planned = run.config.get("model.optimization.steps")
    if not reason and isinstance(planned, int) and done < planned:  # by a limit of time, or because it had collapsed
        reason = f"ended at step {done} of {planned}"
    return Result(
        grid=point.grid,
        norm=point.norm,
        seed=point.seed,
        n_dis=int(_number(run, "model.optimization.n_dis")),
        learning_rate=_number(run, "model.optimization.disc_lr"),
        outcome="stopped" if reason else "finished",
        steps=done,
        seconds=summary.get("seconds"),
        cpu_seconds=summary.get("cpu_seconds"),
        rows=[rows[step] for step in sorted(rows)],
        final=final.get("values") or {},
        protocol=final.get("protocol") or {},
        versions=summary.get("versions") or {},
        commit=summary.get("commit"),
        host=host,
        reason=reason,
        configuration=point.digest,
    )


def _check_levels(point: StudyRun, run: Run) -> None:
    """Raise when a run is another than the table would say, since a flag has set what the study varies."""
    levels = {
        "seed_everything": point.seed,
        "model.optimization.n_dis": point.n_dis,
        "model.optimization.gen_lr": point.learning_rate,
        "model.optimization.disc_lr": point.learning_rate,
    }
    found = run.config | {"seed_everything": run.seed}
    for name, level in levels.items():
        if level is not None and found.get(name) not in (level, None):
            raise BadInput(
                f"the run {run.name} has {name} {found[name]!r:.40}, and the study gives it {level}; leave out of "
                "the arguments after -- what the study varies"
            )


def _number(run: Run, name: str) -> int | float:
    value = run.config.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadInput(f"config.yaml of the run {run.name} has {name} {value!r:.60}; expected a number")
    return value


def stored_result(name: str, stored: object) -> Result:
    """Return a result as a study's storage holds it.

    Args:
        name: of its point.
        stored: the value of `Result.to_dict`.

    Raises:
        BadInput: it has other entries.

    >>> stored_result("main-none-seed0", {"grid": "main"})
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: the storage holds a result of main-none-seed0 that this version does not know; ...
    """
    try:
        result = Result(**(stored if isinstance(stored, dict) else {}))
    except TypeError:
        result = None
    if result is None or not _is_whole(result):
        raise BadInput(
            f"the storage holds a result of {name} that this version does not know; choose another with --out"
        )
    return result


def _is_whole(result: Result) -> bool:
    """Return True if every entry has its type; scores may be NaN."""
    texts = (result.grid, result.norm, result.outcome, result.host, result.reason, result.configuration)
    wholes = (result.seed, result.n_dis, result.steps)
    times = (result.learning_rate, result.seconds or 0.0, result.cpu_seconds or 0.0)
    return (
        all(isinstance(text, str) and text.isprintable() for text in (*texts, result.commit or ""))
        and all(isinstance(whole, int) for whole in wholes)
        and all(isinstance(time, int | float) for time in times)
        and isinstance(result.rows, list)
        and all(_is_numbers(row) and "step" in row for row in result.rows)
        and _is_numbers(result.final)
        and isinstance(result.protocol, dict)
        and isinstance(result.versions, dict)
        and all(isinstance(version, str) for version in result.versions.values())
    )


def _is_numbers(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(number, int | float) and not LARGEST_NUMBER < abs(number) < math.inf for number in value.values()
    )
