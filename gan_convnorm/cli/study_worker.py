"""One run in a process of its own: python -m gan_convnorm.cli.study_worker PARENT WORD ...

It is the command line with one addition: when the study that started it is gone, the run saves itself and ends, so that
the study, started again, does not find its folder written by two.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

from gan_convnorm.cli import main as train

__all__ = ["main"]

LOOK_EVERY = 1.0  # seconds


def main(words: list[str] | None = None) -> None:
    """Train, as `gan_convnorm.cli.main` does, for as long as the parent lives."""
    parent, *rest = sys.argv[1:] if words is None else words
    threading.Thread(target=_watch, args=(int(parent),), daemon=True).start()
    train(rest)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_EVERY)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
