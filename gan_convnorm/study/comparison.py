"""Means over seeds, and differences from a baseline with the same seeds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gan_convnorm.study.results import Result

__all__ = ["Difference", "Spread", "against", "by_setting", "holm", "spread"]

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation (NaN of one value) over n runs.

    >>> Spread(2.0, 0.5, 3).mean
    2.0
    """

    mean: float
    deviation: float
    n: int


@dataclass(frozen=True)
class Difference:
    """Mean of paired differences, its 95% interval and two-sided p by Student's t (the paired t test).

    Interval and p are NaN where all differences are equal, since the test has no deviation to compare with.

    >>> Difference(-0.5, -0.9, -0.1, 0.02, 5).high < 0  # lower than the baseline's, with an interval below 0
    True
    """

    mean: float
    low: float
    high: float
    p: float
    n: int


Setting = tuple[str, int, float]


def by_setting(results: Iterable[Result]) -> dict[Setting, list[Result]]:
    """Return runs that differ only in their seed, by norm, n_dis and learning rate.

    >>> runs = [
    ...     Result("main", norm, seed, 1, 0.002, "finished", 10, 1.0, 1.0, [], {"fid": fid}, {}, {}, None, "here")
    ...     for norm, seed, fid in (("none", 0, 4.0), ("none", 1, 5.0), ("spectral", 0, 3.0), ("spectral", 1, 3.5))
    ... ]
    >>> {cell: len(found) for cell, found in by_setting(runs).items()}
    {('none', 1, 0.002): 2, ('spectral', 1, 0.002): 2}
    """
    found: dict[Setting, list[Result]] = {}
    for result in results:
        found.setdefault((result.norm, result.n_dis, result.learning_rate), []).append(result)
    return found


def spread(values: Sequence[float]) -> Spread | None:
    """Return the `Spread` of the finite values; None without any.

    >>> spread([2.0, 4.0, math.nan])
    Spread(mean=3.0, deviation=1.4142135623730951, n=2)
    """
    numbers = [value for value in values if math.isfinite(value)]
    if not numbers:
        return None
    deviation = statistics.stdev(numbers) if len(numbers) > 1 else math.nan
    return Spread(statistics.mean(numbers), deviation, len(numbers))


def against(runs: Sequence[Result], baseline: Sequence[Result], score: str) -> Difference | None:
    """Return the difference of final scores, paired by seed.

    Args:
        runs: of one setting.
        baseline: of the other.
        score: its name, such as fid.

    Returns:
        Mean and interval of `runs` minus `baseline`; None if fewer than two seeds have both.

    >>> runs = [
    ...     Result("main", norm, seed, 1, 0.002, "finished", 10, 1.0, 1.0, [], {"fid": fid}, {}, {}, None, "here")
    ...     for norm, seed, fid in (("none", 0, 4.0), ("none", 1, 5.0), ("spectral", 0, 3.0), ("spectral", 1, 3.5))
    ... ]
    >>> found = against(runs[2:], runs[:2], "fid")
    >>> found.mean, found.n
    (-1.25, 2)
    """
    theirs = {run.seed: run.final[score] for run in baseline if score in run.final}
    pairs = [run.final[score] - theirs[run.seed] for run in runs if score in run.final and run.seed in theirs]
    pairs = [pair for pair in pairs if math.isfinite(pair)]
    if len(pairs) < 2:
        return None
    if len(set(pairs)) == 1:
        return Difference(pairs[0], math.nan, math.nan, math.nan, len(pairs))
    from scipy.stats import ttest_1samp

    test = ttest_1samp(pairs, 0)
    found = test.confidence_interval(CONFIDENCE)
    return Difference(statistics.mean(pairs), float(found.low), float(found.high), float(test.pvalue), len(pairs))


def holm(p: Sequence[float]) -> list[float]:
    """Return p values corrected for their number (Holm 1979).

    Among the values below alpha, the chance of one or more false findings is at most alpha.

    >>> [round(value, 3) for value in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    corrected, largest = [0.0] * len(p), 0.0
    for rank, place in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        largest = max(largest, min(1.0, p[place] * (len(p) - rank)))
        corrected[place] = largest
    return corrected
