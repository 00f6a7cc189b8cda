"""The versions and the commit that a result was made with."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

__all__ = ["commit", "versions"]


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the version numbers of this package and of other installed ones.

    >>> sorted(versions(["torch"]))
    ['gan_convnorm', 'torch']
    """
    return {name: version(name) for name in ("gan_convnorm", *packages)}


def commit() -> str | None:
    """Return the checkout's commit, with "-dirty" if it was changed; None for an installed package.

    >>> commit() is None or len(commit().removesuffix("-dirty")) == 40
    True
    """
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40"],
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
