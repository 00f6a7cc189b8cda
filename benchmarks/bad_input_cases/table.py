"""The outcomes as a table, for the terminal and for docs/results/bad_inputs.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from bad_input_cases.case import VERBS, Case
from bad_input_cases.verdict import OUTCOMES

__all__ = ["table"]


def table(results: Sequence[tuple[Case, str]]) -> str:
    """Return a Markdown table: a row for each command, a column for each outcome and for those not as expected."""
    counts: dict[str, Counter[str]] = {}
    for case, outcome in results:
        row = counts.setdefault(case.command if case.command in VERBS else "public functions", Counter())
        row["cases"] += 1
        row[outcome] += 1
        row["not as expected"] += outcome not in case.expect
    total = Counter[str]()
    for row in counts.values():
        total.update(row)
    columns = ("cases", *OUTCOMES, "not as expected")
    order = [name for name in (*VERBS, "public functions") if name in counts]
    lines = ["| command | " + " | ".join(columns) + " |", "|---|" + "--:|" * len(columns)]
    for name, row in [*((name, counts[name]) for name in order), ("all", total)]:
        lines.append(f"| {name} | " + " | ".join(str(row[column]) for column in columns) + " |")
    return "\n".join(lines)
