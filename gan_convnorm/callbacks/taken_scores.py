"""The scores of a run, shared by the callback that takes them and the one that reports them."""

from __future__ import annotations

from dataclasses import dataclass

from gan_convnorm.fidelity import Scores

__all__ = ["TakenScores"]


@dataclass
class TakenScores:
    """A run's scores so far.

    Attributes:
        best: name of the score by which the best checkpoint is chosen.
        last: of the last evaluation; None before the first.
        last_step: that it was taken at.
        final: by the whole protocol, after the last step; None before it.

    >>> TakenScores("fid")
    TakenScores(best='fid', last=None, last_step=-1, final=None)
    """

    best: str
    last: Scores | None = None
    last_step: int = -1
    final: Scores | None = None
