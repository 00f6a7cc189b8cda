"""The outcome of a case."""

from __future__ import annotations

import re
from fnmatch import fnmatch

from bad_input_cases.case import VERBS, Case
from bad_input_cases.sandbox import WRONG_VALUE, Seen

__all__ = ["OUTCOMES", "outcome"]

OUTCOMES = ("clear", "accepted", "unclear", "traceback", "wrongly accepted", "hang", "damaged", "code ran")
#: longest line that a person reads to its end
LONGEST = 300
#: words of the libraries below, which say nothing to a person
FOREIGN = re.compile(
    r"Traceback|weights_only|\bUnion\b|jsonargparse|subtypes|Does not validate|ParserError|class_path given by|"
    r"Namespace\(|object at 0x|site-packages|'NoneType' object|not subscriptable|has no attribute|unexpected keyword|"
    r"PytorchStreamReader|UnpicklingError|KeyError|TypeError:|AttributeError"
)


def outcome(case: Case, seen: Seen) -> tuple[str, str]:
    """Return the outcome, of `OUTCOMES`, and why it is that one."""
    if seen.code_ran and not case.trusted:
        return "code ran", "a file named code, and it was run"
    if seen.status is None:
        return "hang", f"nothing came of it in {seen.seconds:.0f} s"
    if case.hides and re.search(case.hides, seen.out + seen.err):
        return "unclear", f"prints {case.hides}"
    stray = [path for path in seen.changed if not _may_write(case, path)]
    if stray:
        return "damaged", f"changed or removed {', '.join(stray[:3])}"
    if "Traceback (most recent call last)" in seen.err + seen.out:
        return "traceback", (seen.err.strip().splitlines() or [""])[-1][:LONGEST]
    if seen.status == WRONG_VALUE:
        return "wrongly accepted", seen.err.strip()
    made = [path for path in seen.made if not _may_write(case, path)]
    if seen.status == 0:
        return _accepted(case, seen, made)
    if made:
        return "damaged", f"left behind {', '.join(made[:3])}"
    return _refused(case, seen)


def _may_write(case: Case, path: str) -> bool:
    return any(fnmatch(path, pattern) for pattern in case.writes)


def _accepted(case: Case, seen: Seen, made: list[str]) -> tuple[str, str]:
    if "accepted" not in case.expect:
        return "wrongly accepted", "exit status 0"
    if case.prints and not re.search(case.prints, seen.out + seen.err):
        return "wrongly accepted", f"does not print {case.prints!r}"
    if not seen.holds:
        return "wrongly accepted", "what it left is not right"
    if made:
        return "damaged", f"wrote {', '.join(made[:3])}, which nobody asked for"
    return "accepted", ""


def _refused(case: Case, seen: Seen) -> tuple[str, str]:
    """Return the outcome of a refusal: clear if one line names what was found in our words, with the right status."""
    expected = case.status
    if seen.status != expected:
        return "unclear", f"exit status {seen.status}, expected {expected}"
    ours = "" if case.command in VERBS else "error: "  # torch warns of what a function is given
    lines = [line for line in seen.err.splitlines() if line.strip() and not line.startswith("warning: ")]
    lines = [line for line in lines if line.startswith(ours)]
    if len(lines) != 1 or not lines[0].startswith("error: "):
        return "unclear", f"{len(lines)} lines on standard error, expected one that begins with error:"
    (line,) = lines
    if case.command in VERBS and case.status == 2 and (begun := re.search(r"^run .*", seen.out, re.MULTILINE)):
        return "unclear", f"prints {begun.group()[:80]!r} before it refuses"
    if len(line) > LONGEST:
        return "unclear", f"a line of {len(line)} characters"
    if found := FOREIGN.search(line):
        return "unclear", f"says {found.group()!r}"
    if not re.search(case.says, line, re.IGNORECASE):
        return "unclear", f"does not say {case.says!r}"
    return "clear", ""
