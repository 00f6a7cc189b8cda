"""The words that say how a command can go on after an error."""

from __future__ import annotations

import shlex
from pathlib import Path

__all__ = ["repeat_advice", "resume_advice"]


def repeat_advice(folder: Path) -> str:
    """Return the words that say how to go on where nothing is trained.

    >>> repeat_advice(Path("made"))
    'remove the cause, delete made, then run the command again'
    """
    return f"remove the cause, delete {folder}, then run the command again"


def resume_advice(folder: Path) -> str:
    """Return the words that name a run's checkpoints and say how to go on.

    >>> resume_advice(Path("empty"))
    'no checkpoint has been saved in empty; remove the cause, then start the run again'
    """
    try:
        found = sorted(path.name for path in folder.glob("*.ckpt"))
    except OSError:
        found = []
    if not found:
        return f"no checkpoint has been saved in {folder}; remove the cause, then start the run again"
    newest = next((name for name in ("last.ckpt", "previous.ckpt") if name in found), found[0])
    whole = f"{' and '.join(found)} in {folder} {'is' if len(found) == 1 else 'are'} whole"
    return f"{whole}; go on with --resume {shlex.quote(str(folder / newest))}"
