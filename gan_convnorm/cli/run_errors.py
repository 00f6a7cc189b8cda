"""The end of a run on one or several processes: one line of the first process, and an exit status."""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
import warnings
from collections.abc import Iterator

from pytorch_lightning.utilities.rank_zero import rank_zero_only

from gan_convnorm.any_text import print_any_text
from gan_convnorm.errors import fail, one_line, status_and_line
from gan_convnorm.run_folder import requeue_in_words, slurm_job
from gan_convnorm.strategies import is_lost_process

__all__ = ["is_first_process", "requeue", "run_errors", "tell"]


def is_first_process() -> bool:
    """Return True in the first of the processes that Lightning, torchrun or SLURM started, and in one alone.

    >>> is_first_process()
    True
    """
    return getattr(rank_zero_only, "rank", 0) == 0


@contextlib.contextmanager
def run_errors() -> Iterator[None]:
    """End the program with one line, as `one_line_errors` does.

    The first process prints it, and so does each process that has lost another.

    Lightning's own messages beside the results are held back.

    Raises:
        SystemExit: the error's status.

    >>> from gan_convnorm.cli.process_state import unchanged_process
    >>> from gan_convnorm.errors import BadInput
    >>> with unchanged_process(), run_errors():
    ...     raise BadInput("width is 0; expected 1 or more")
    Traceback (most recent call last):
    SystemExit: 2
    """
    print_any_text()
    for name in ("pytorch_lightning", "lightning_fabric", "lightning.fabric", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        ".*LeafSpec.* is deprecated",  # between pytorch-lightning 2.6.6 and torch 2.14
        "Checkpoint directory .* exists and is not empty",  # a resumed run's own
        "The dirpath has changed from",  # a resumed run with --out, whose best score counts anew
        "Be aware that when using `ckpt_path`",  # validate and predict need no training callbacks
    ):
        warnings.filterwarnings("ignore", message)
    warnings.formatwarning = lambda message, *_, **__: f"warning: {one_line(str(message))}\n"
    try:
        yield
    except Exception as error:
        found = status_and_line(error)
        if found is None and is_lost_process(error):
            reason = " ".join(str(error).split())[-160:]
            fail(f"another process is gone or does not answer ({reason}); go on with --resume last --out FOLDER", 1)
        if found is None:
            raise
        status, line = found
        if not is_first_process():
            raise SystemExit(status) from error
        fail(line, status)


def requeue(number: signal.Signals) -> str | None:
    """Return SLURM's answer to the request to start the job again, if the signal means that; otherwise None.

    >>> requeue(signal.SIGTERM) is None  # no signal that asks for it
    True
    """
    asked = number.name == "SIGUSR1" and slurm_job() is not None and is_first_process()
    return requeue_in_words()[1] if asked else None


def tell(line: str) -> None:
    """Print an error's line on the first of several processes.

    >>> tell("stopped by SIGTERM")  # on standard error
    """
    if is_first_process():
        with contextlib.suppress(OSError):
            print(f"error: {one_line(line)}", file=sys.stderr, flush=True)
