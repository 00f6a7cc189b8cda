"""The runs of a study as processes: each is started or resumed, tried once more if it dies, and stopped."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import yaml

from gan_convnorm.errors import NOT_FINITE
from gan_convnorm.files.atomic_write import atomic_write
from gan_convnorm.study.definition import StudyRun
from gan_convnorm.study.results import Result, read_result

__all__ = ["RunProcesses", "Stopping", "WorkerDied"]

ATTEMPTS = 2


class WorkerDied(RuntimeError):  # noqa: N818 - the study goes on
    """A run's process ended by itself, twice.

    >>> str(WorkerDied("Killed"))
    'Killed'
    """


class Stopping(RuntimeError):  # noqa: N818 - the study goes on when started again
    """The study is asked to end.

    >>> issubclass(Stopping, RuntimeError)
    True
    """


class RunProcesses:
    """The processes that train a study's runs on this machine.

    Args:
        out: folder for the runs' folders, configurations and logs.
        threads: CPU threads of each run.
        words: more words for each run's command line.
        tell: takes a line for a person; called from several threads.

    Attributes:
        stopping: set when the study ends; no process is started afterwards.
        bad_input: why a run refused its configuration; None if none did.

    >>> processes = RunProcesses(Path("runs"))
    >>> processes.stop()
    >>> processes.stopping.is_set()
    True
    """

    def __init__(
        self, out: Path, *, threads: int = 1, words: Sequence[str] = (), tell: Callable[[str], None] = print
    ) -> None:
        self.out, self.threads, self.words, self.tell = out, threads, list(words), tell
        self.stopping = threading.Event()
        self.bad_input: str | None = None
        self.processes: set[subprocess.Popen[bytes]] = set()

    def run(self, point: StudyRun) -> Result:
        """Return the result of a point; train it unless its folder has the result already.

        A run whose losses or weights become NaN or infinite has a result too. A run that refuses its configuration ends
        the study, since the others would do the same.

        Raises:
            Stopping: the study ends.
            WorkerDied: the process died twice; the message is the last line of its log.
        """
        folder = self.out / point.name
        host = socket.gethostname()
        for attempt in range(1, ATTEMPTS + 1):
            if (folder / "summary.json").exists():
                return read_result(point, folder, host)
            status = self._train(point, folder)
            if status == 0:
                return read_result(point, folder, host)
            last = _last_line(_beside(folder, ".log"))
            if status == NOT_FINITE:
                return read_result(point, folder, host, last)
            if self.stopping.is_set():
                raise Stopping
            if status == 2:
                self.bad_input = f"{point.label}: {last}"
                self.stop()
                raise Stopping
            how = f"by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"
            again = "once more" if attempt < ATTEMPTS else "given up; the study, started again, tries it again"
            self.tell(f"{point.label}: its worker died {how} ({last[:120]}); {again}")
        raise WorkerDied(last)

    def stop(self) -> None:
        """Ask every process to save its run and end."""
        self.stopping.set()
        for process in list(self.processes):
            process.terminate()

    def command(self, point: StudyRun, folder: Path) -> list[str]:
        """Return the words that start a run, or resume it from its last checkpoint; write its configuration."""
        words = [sys.executable, "-m", "gan_convnorm.cli.study_worker", str(os.getpid()), "fit", "--out", str(folder)]
        if any((folder / name).exists() for name in ("last.ckpt", "previous.ckpt")):
            words += ["--resume", "last"]
        elif folder.exists():  # died before its first checkpoint
            folder.rename(_free_name(folder))
        # A resumed run needs it too: a checkpoint names no code, so norms of the user's own must be named again.
        config = _beside(folder, ".yaml")
        with atomic_write(config) as part:
            part.write_text(yaml.safe_dump(point.config), encoding="utf-8")
        return [*words, "--config", str(config), *self.words]

    def _train(self, point: StudyRun, folder: Path) -> int:
        """Run a point's command to its end and return its exit status, below 0 for a signal."""
        self.out.mkdir(parents=True, exist_ok=True)
        command = self.command(point, folder)
        threads = {name: str(self.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
        path = _beside(folder, ".log")
        if path.is_symlink():  # somebody else's study may send it anywhere
            path.unlink()
        with path.open("ab") as log:
            process = subprocess.Popen(
                command,
                env=os.environ | threads,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that Ctrl-C reaches it through `stop` alone
            )
        self.processes.add(process)
        if self.stopping.is_set():
            process.terminate()
        status = process.wait()
        self.processes.discard(process)
        return status


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1].removeprefix("error: ") if lines else "it said nothing"


def _beside(folder: Path, ending: str) -> Path:
    return folder.with_name(folder.name + ending)


def _free_name(folder: Path) -> Path:
    number = 1
    while (found := folder.with_name(f"{folder.name}.dead{number}")).exists():
        number += 1
    return found
