"""The scores of a run, shared by the callback that takes them and the one that reports them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gan_convnorm.errors import BadInput
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

    def to_state(self) -> dict[str, Any]:
        """Return the scores as a checkpoint keeps them.

        >>> TakenScores("fid").to_state()
        {'last': None, 'final': None, 'step': -1}
        """
        found = {"last": self.last, "final": self.final}
        return {name: scores and scores.to_dict() for name, scores in found.items()} | {"step": self.last_step}

    def restore(self, state: dict[str, Any]) -> None:
        """Take the scores that a checkpoint keeps.

        >>> TakenScores("fid").restore({"last": [1]})
        Traceback (most recent call last):
        gan_convnorm.errors.BadInput: the checkpoint has [1] as its last scores; expected values and protocol

        Raises:
            BadInput: they have another form.
        """
        saved, step = {name: state.get(name) for name in ("last", "final")}, state.get("step", -1)
        parts = {"values", "protocol", "ranks"}
        for name, scores in saved.items():
            whole = isinstance(scores, dict) and parts - {"ranks"} <= scores.keys() <= parts
            if scores is not None and not (whole and all(isinstance(part, dict) for part in scores.values())):
                raise BadInput(f"the checkpoint has {scores!r:.40} as its {name} scores; expected values and protocol")
        if not isinstance(step, int):
            raise BadInput(f"the checkpoint's scores have the step {step!r:.40}; expected a whole number")
        self.last, self.final = (scores and Scores(**scores) for scores in saved.values())
        self.last_step = step
