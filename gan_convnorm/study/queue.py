"""The runs of a study in Optuna's storage: each is taken by one worker, on this machine or another."""

from __future__ import annotations

import math
import os
import signal
import socket
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import optuna
from optuna.trial import TrialState

from gan_convnorm.errors import BadInput
from gan_convnorm.study.definition import StudyRun
from gan_convnorm.study.results import Result, stored_result
from gan_convnorm.study.run_process import RunProcesses, Stopping, WorkerDied
from gan_convnorm.study.storage import open_study

__all__ = ["Queue"]

#: runs that are queued at a time: to queue one takes 20 ms, and a study may have thousands
AHEAD = 50
OPEN = (TrialState.WAITING, TrialState.RUNNING)
#: states of a run that need not be queued again
HELD = (*OPEN, TrialState.COMPLETE)


class Queue:
    """The points of a study, each run by one worker of one process, on this machine or another.

    Optuna's grid sampler draws points at random, and may draw one that another worker is at. So the points are queued
    trials, in order, and Optuna gives each to one worker.

    Args:
        name: of the study in the storage.
        points: the runs.
        storage: a database as SQLAlchemy addresses it, such as sqlite:///study.db.
        processes: what trains a point.
        workers: runs at a time.
        tell: takes a line for a person; called from several threads.

    Raises:
        BadInput: the storage cannot be opened.

    >>> from pathlib import Path
    >>> Queue("example", [], "nonsense", RunProcesses(Path("runs")))
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: the storage nonsense cannot be used (it is no address such as sqlite:///study.db ...
    """

    def __init__(
        self,
        name: str,
        points: Sequence[StudyRun],
        storage: str,
        processes: RunProcesses,
        *,
        workers: int = 1,
        tell: Callable[[str], None] = print,
    ) -> None:
        self.points = {point.name: point for point in points}
        self.processes, self.workers, self.tell = processes, workers, tell
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
            KeyboardInterrupt: on SIGINT or SIGTERM, after the runs at work have been saved.
        """
        optuna.storages.fail_stale_trials(self.study)
        handlers = {number: signal.signal(number, self._stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            waited = False
            while not self.processes.stopping.is_set():
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
        if self.processes.bad_input:
            raise BadInput(self.processes.bad_input)
        if self.processes.stopping.is_set():
            raise KeyboardInterrupt

    def take_over(self, results: Sequence[Result]) -> int:
        """Count runs as done whose results are known from a study's table.

        Args:
            results: of runs; those of other points, or of another configuration, are passed over.

        Returns:
            How many were not known here.
        """
        held = {trial.user_attrs.get("point") for trial in self._trials((TrialState.COMPLETE,))}
        points = {(p.grid, p.norm, p.digest): name for name, p in self.points.items() if name not in held}
        found = {points.pop((r.grid, r.norm, r.configuration), None): r for r in results}
        found.pop(None, None)
        for name, result in found.items():
            known = {"point": name, "result": result.to_dict()}
            self.study.add_trial(optuna.trial.create_trial(value=_value(result), user_attrs=known))
        return len(found)

    def results(self) -> list[Result]:
        """Return the results of the runs that have ended, of this process and of others, in the points' order."""
        found = {t.user_attrs["point"]: t.user_attrs.get("result") for t in self._trials((TrialState.COMPLETE,))}
        stored = {name: stored_result(name, found[name]) for name in self.points if name in found}
        return [replace(result, configuration=self.points[name].digest) for name, result in stored.items()]

    def failed(self) -> list[str]:
        """Return the labels of the points whose worker died twice."""
        trials = self.study.get_trials(deepcopy=False)
        good = {t.user_attrs.get("point") for t in trials if t.state in HELD}
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
        held = {trial.user_attrs.get("point") for trial in trials if trial.state in HELD}
        waiting = sum(t.state == TrialState.WAITING and t.user_attrs.get("point") in self.points for t in trials)
        left = [name for name in self.points if name not in held and name not in self.queued]
        for name in left[: max(0, max(AHEAD, 2 * self.workers) - waiting)]:
            self._add(name)
            self.queued.add(name)

    def _add(self, name: str) -> None:
        self.study.enqueue_trial({"point": name}, user_attrs={"point": name})

    def _free(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        """Queue again the run of a trial whose process is gone."""
        name = trial.user_attrs.get("point")
        if name in self.points:
            self.tell(f"{self.points[name].label}: its study on {trial.user_attrs.get('host')} is gone; queued again")
        if name is not None:
            study.enqueue_trial({"point": name}, user_attrs={"point": name})

    def _stop_when_empty(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        if not self.processes.stopping.is_set():
            self._fill()  # so that no worker waits for the others at the end of what is queued
        if self.processes.stopping.is_set() or not self._trials((TrialState.WAITING,)):
            study.stop()

    def _stop(self, number: int, frame: object) -> None:
        self.processes.stop()

    def _objective(self, trial: optuna.Trial, finished: Callable[[Result], None]) -> float:
        name = trial.user_attrs.get("point")
        if self.processes.stopping.is_set():
            raise Stopping
        if name is None or self._is_another_s(trial.number, name):
            raise optuna.TrialPruned  # made because the queue was empty, or queued by two processes at once
        if name not in self.points:  # of another version of the definition
            self._add(name)
            raise optuna.TrialPruned
        trial.set_user_attr("host", f"{socket.gethostname()} ({os.getpid()})")
        try:
            result = self.processes.run(self.points[name])
        except WorkerDied as death:
            trial.set_user_attr("died", str(death))
            raise
        trial.set_user_attr("result", result.to_dict())
        finished(result)
        return _value(result)

    def _is_another_s(self, number: int, name: str) -> bool:
        """Tell whether a point is done, or run by an earlier trial than this number."""
        trials = self.study.get_trials(deepcopy=False)
        return any(
            t.user_attrs.get("point") == name
            and (t.state == TrialState.COMPLETE or (t.state == TrialState.RUNNING and t.number < number))
            for t in trials
        )


def _value(result: Result) -> float:
    """Return what Optuna compares."""
    fid = result.final.get("fid", math.inf)
    return fid if math.isfinite(fid) else math.inf
