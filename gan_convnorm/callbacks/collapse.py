"""Collapse of a generator, seen in the features of its samples."""

from __future__ import annotations

from gan_convnorm.fidelity import Scores

__all__ = ["collapse_in_words"]

#: features of the fakes vary in fewer than this share of the real images' directions
COLLAPSED = 0.05


def collapse_in_words(scores: Scores) -> str | None:
    """Return a line if the samples have collapsed, else None.

    They have if the effective rank of their features is below 5% of the real images'.

    >>> collapse_in_words(Scores({}, {}, {"fake": 1.0, "real": 40.0}))
    "the samples have collapsed: their features vary in 1.0 directions, the real ones' in 40.0"
    """
    if not scores.ranks or scores.ranks["fake"] >= COLLAPSED * scores.ranks["real"]:
        return None
    fake, real = scores.ranks["fake"], scores.ranks["real"]
    return f"the samples have collapsed: their features vary in {fake:.1f} directions, the real ones' in {real:.1f}"
