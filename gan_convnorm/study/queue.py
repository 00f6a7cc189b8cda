"""The runs of a study in Optuna's storage: each is taken by one worker, on this machine or another."""

from __future__ import annotations

import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import optuna
import yaml
from optuna.trial import TrialState

from gan_convnorm.errors import NOT_FINITE, BadInput
from gan_convnorm.study.plan import Point
from gan_convnorm.study.results import Result, read_result, stored_result
from gan_convnorm.study.storage import open_study

__all__ = ["Queue"]

ATTEMPTS = 2
#: runs that are queued at a time: to queue one takes 20 ms, and a study may have thousands
AHEAD = 50
OPEN = (TrialState.WAITING, TrialState.RUNNING)


class WorkerDied(RuntimeError):  # noqa: N818 - the study goes on
    """A run's process ended by itself, twice."""


class Stopping(RuntimeError):  # noqa: N818 - the study goes on when started again
    """The study is asked to end."""


class Queue:
    """Runs the points of a study that no other process has run or runs.

    Optuna's grid sampler draws points at random, and draws those again that other workers are at when none is left; so
    the points are queued trials, in order, of which Optuna gives each to one worker.

    Args:
        name: of the study in the storage.
        points: the runs.
        storage: a database as SQLAlchemy addresses it, such as sqlite:///study.db.
        out: folder for the runs' folders and logs.
        workers: runs at a time.
        threads: of each run.
        words: more words for each run's command line.
        tell: takes a line for a person; called from several threads.

    Raises:
        BadInput: the storage cannot be opened.
    """

    def __init__(
        self,
        name: str,
        points: Sequence[Point],
        storage: str,
        out: Path,
        *,
        workers: int = 1,
        threads: int = 1,
        words: Sequence[str] = (),
        tell: Callable[[str], None] = print,
    ) -> None:
        self.points = {point.name: point for point in points}
        self.out, self.workers, self.threads, self.words, self.tell = out, workers, threads, list(words), tell
        self.stopping = threading.Event()
        self.bad_input: str | None = None
        self.processes: set[subprocess.Popen[bytes]] = set()
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)  # the heartbeat
        self.study = open_study(name, storage, self._free)
        self.queued: set[str] = set()  # by this process; each once, whatever becomes of it
        self.filling = threading.Lock()

    def run(self, finished: Callable[[Result], None]) -> None:
        """Run the points that are left, and wait for those that other processes run.

        Args:
            finished: called with each result of this process.

        Raises:
            BadInput: a run refused its configuration.
            KeyboardInterrupt: SIGINT or SIGTERM came; the runs have been saved.
        """
        optuna.storages.fail_stale_trials(self.study)
        handlers = {number: signal.signal(number, self._stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            waited = False
            while not self.stopping.is_set():
                self._fill()
                left = self._trials(OPEN)
                if not left:
                    break
                if any(trial.state == TrialState.WAITING for trial in left):
                    self.study.optimize(
                        lambda trial: self._objective(trial, finished),
                        n_jobs=self.workers,
                        catch=(WorkerDied, Stopping),
                        callbacks=[self._stop_when_empty],
                    )
                    continue
                if not waited:
                    where = ", ".join(sorted({str(trial.user_attrs.get("host", "?")) for trial in left}))
                    self.tell(f"waiting for {len(left)} runs of another process ({where})")
                    waited = True
                time.sleep(1)
                optuna.storages.fail_stale_trials(self.study)
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        if self.bad_input:
            raise BadInput(self.bad_input)
        if self.stopping.is_set():
            raise KeyboardInterrupt

    def results(self) -> list[Result]:
        """Return those of all runs that have ended, of this process and of others, in the points' order."""
        found = {t.user_attrs["point"]: t.user_attrs.get("result") for t in self._trials((TrialState.COMPLETE,))}
        return [stored_result(name, found[name]) for name in self.points if name in found]

    def failed(self) -> list[str]:
        """Return the labels of the points whose worker died twice."""
        trials = self.study.get_trials(deepcopy=False)
        good = {t.user_attrs.get("point") for t in trials if t.state in _HOLDING}
        bad = {t.user_attrs.get("point") for t in trials if t.user_attrs.get("died")}
        return [point.label for name, point in self.points.items() if name in bad - good]

    def _trials(self, states: Sequence[TrialState]) -> list[Any]:
        found = self.study.get_trials(deepcopy=False, states=tuple(states))
        return [trial for trial in found if trial.user_attrs.get("point") in self.points]

    def _fill(self) -> None:
        """Queue the next points where few wait."""
        with self.filling:
            self._queue_next()

    def _queue_next(self) -> None:
        trials = self.study.get_trials(deepcopy=False)
        held = {trial.user_attrs.get("point") for trial in trials if trial.state in _HOLDING}
        waiting = sum(t.state == TrialState.WAITING and t.user_attrs.get("point") in self.points for t in trials)
        left = [name for name in self.points if name not in held and name not in self.queued]
        for name in left[: max(0, max(AHEAD, 2 * self.workers) - waiting)]:
            self._add(name)
            self.queued.add(name)

    def _add(self, name: str) -> None:
        self.study.enqueue_trial({"point": name}, user_attrs={"point": name})

    def _free(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        """For a trial whose process is gone."""
        name = trial.user_attrs.get("point")
        if name in self.points:
            self.tell(f"{self.points[name].label}: its study on {trial.user_attrs.get('host')} is gone; queued again")
        if name is not None:
            study.enqueue_trial({"point": name}, user_attrs={"point": name})

    def _stop_when_empty(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        if not self.stopping.is_set():
            self._fill()  # so that no worker waits for the others at the end of what is queued
        if self.stopping.is_set() or not self._trials((TrialState.WAITING,)):
            study.stop()

    def _stop(self, number: int, frame: object) -> None:
        self.stopping.set()
        for process in list(self.processes):
            process.terminate()

    def _objective(self, trial: optuna.Trial, finished: Callable[[Result], None]) -> float:
        name = trial.user_attrs.get("point")
        if self.stopping.is_set():
            raise Stopping
        if name is None or self._is_another_s(trial.number, name):
            raise optuna.TrialPruned  # made because the queue was empty, or queued by two processes at once
        if name not in self.points:  # of another version of the plan
            self._add(name)
            raise optuna.TrialPruned
        trial.set_user_attr("host", f"{socket.gethostname()} ({os.getpid()})")
        result = self._run(self.points[name], trial)
        trial.set_user_attr("result", result.to_dict())
        finished(result)
        fid = result.final.get("fid", math.inf)
        return fid if math.isfinite(fid) else math.inf

    def _is_another_s(self, number: int, name: str) -> bool:
        trials = self.study.get_trials(deepcopy=False)
        return any(
            t.user_attrs.get("point") == name
            and (t.state == TrialState.COMPLETE or (t.state == TrialState.RUNNING and t.number < number))
            for t in trials
        )

    def _run(self, point: Point, trial: optuna.Trial) -> Result:
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
                self._stop(signal.SIGTERM, None)
                raise Stopping
            how = f"by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"
            again = "once more" if attempt < ATTEMPTS else "given up; the study, started again, tries it again"
            self.tell(f"{point.label}: its worker died {how} ({last[:120]}); {again}")
        trial.set_user_attr("died", last)
        raise WorkerDied(point.label)

    def _train(self, point: Point, folder: Path) -> int:
        self.out.mkdir(parents=True, exist_ok=True)
        command = self._command(point, folder)
        threads = {name: str(self.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
        with _beside(folder, ".log").open("ab") as log:
            process = subprocess.Popen(
                command,
                env=os.environ | threads,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches it from here alone
            )
        self.processes.add(process)
        if self.stopping.is_set():
            process.terminate()
        status = process.wait()
        self.processes.discard(process)
        return status

    def _command(self, point: Point, folder: Path) -> list[str]:
        command = [sys.executable, "-m", "gan_convnorm.cli.study_worker", str(os.getpid()), "fit", "--out", str(folder)]
        if any((folder / name).exists() for name in ("last.ckpt", "previous.ckpt")):
            command += ["--resume", "last"]
        elif folder.exists():  # died before its first checkpoint
            folder.rename(_free_name(folder))
        # Also beside a checkpoint, which names no code: the study's own norms are a person's word.
        config = _beside(folder, ".yaml")
        config.write_text(yaml.safe_dump(point.config), encoding="utf-8")
        return [*command, "--config", str(config), *self.words]


_HOLDING = (*OPEN, TrialState.COMPLETE)


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
