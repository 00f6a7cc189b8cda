"""The words that say from which checkpoint a run can go on."""

from __future__ import annotations

import shlex
from pathlib import Path

__all__ = ["what_is_left"]


def what_is_left(folder: Path) -> str:
    """Return the words that name a run's checkpoints and say how to go on.

    >>> what_is_left(Path("empty"))
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
