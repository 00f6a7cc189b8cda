"""Scores of fakes, with what is needed to compare them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from gan_convnorm.score_table import protocol_in_words, titles, write_score

__all__ = ["Scores"]


@dataclass(frozen=True)
class Scores:
    """Scores of one evaluation by name, and the protocol that they follow.

    >>> scores = Scores({"fid": 21.7}, {"extractor": "inception-v3-compat", "fake": "samples", "n_fake": 5000})
    >>> scores.line(), scores.meaning()
    ('FID 21.70', '5000 samples; inception-v3-compat features')

    Attributes:
        values: "isc" and "isc_std" (mean and deviation over the splits), "fid", "kid" and "kid_std" (over the
            subsets), "precision", "recall"; those that were asked for.
        protocol: extractor, what was compared and how many of each, IS splits, KID subsets.
        ranks: effective rank of the features' covariance, of "fake" and "real"; with FID alone.
    """

    values: dict[str, float]
    protocol: dict[str, Any]
    ranks: dict[str, float] = field(default_factory=dict)

    def line(self) -> str:
        """Return every value, on one line."""
        return "  ".join(f"{title} {write_score(self.values, name)}" for name, title in titles(self.values).items())

    def meaning(self) -> str:
        """Return the protocol, on one line."""
        return protocol_in_words(self.protocol)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return asdict(self)
