"""Scores of fakes, with what is needed to compare them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Scores"]


@dataclass(frozen=True)
class Scores:
    """Scores and the protocol that they were taken by.

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
        v = self.values
        parts = []
        if "fid" in v:
            parts.append(f"FID {v['fid']:.2f}")
        if "isc" in v:
            parts.append(f"IS {v['isc']:.2f} +- {v['isc_std']:.2f}")
        if "kid" in v:
            parts.append(f"KID {v['kid']:.2e} +- {v['kid_std']:.0e}")
        if "precision" in v:
            parts.append(f"precision {v['precision']:.3f}  recall {v['recall']:.3f}")
        return "  ".join(parts)

    def meaning(self) -> str:
        """Return the protocol, on one line."""
        p = self.protocol
        parts = [f"{p['n_fake']} {p['fake']}"]
        parts[0] += f" against {p['n_real']} {p['reference']}" if "reference" in p else ""
        parts.append(f"{p['extractor']} features")
        if "isc_splits" in p:
            parts.append(f"IS over {p['isc_splits']} splits")
        if "kid_subsets" in p:
            parts.append(f"KID over {p['kid_subsets']} subsets of {p['kid_subset_size']}")
        return "; ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return asdict(self)
