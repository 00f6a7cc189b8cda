"""How scores are named and written in tables and figures."""

from __future__ import annotations

from typing import Any

__all__ = ["TITLES", "cell", "score_rows"]

TITLES = {"fid": "FID", "isc": "IS", "kid": "KID", "precision": "precision", "recall": "recall"}
COLUMNS = (*TITLES, "isc_std", "kid_std")


def cell(row: dict[str, Any], name: str) -> str:
    """A score of a row, with its deviation where it has one."""
    form = ".2e" if name == "kid" else ".3f" if name in ("precision", "recall") else ".2f"
    deviation = f" +- {row[f'{name}_std']:{form}}" if f"{name}_std" in row else ""
    return f"{row[name]:{form}}{deviation}"


def score_rows(rows: list[dict[str, str]]) -> list[dict[str, Any]]:
    """The rows of metrics.csv that have scores: "g_step" and the scores as numbers."""
    return [
        {"g_step": int(row["step"]), **{name: float(row[name]) for name in COLUMNS if row.get(name)}}
        for row in rows
        if any(row.get(name) for name in TITLES)
    ]
