"""Each run of a study is run once, whatever dies."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest
import yaml
from forked_program import ForkedProgram
from small_studies import one_point, queue_of, started, written

from gan_convnorm.cli import study_worker
from gan_convnorm.cli.study_display import Display
from gan_convnorm.errors import NOT_FINITE, BadInput
from gan_convnorm.study import queue as queue_module
from gan_convnorm.study import read_study
from gan_convnorm.study.results import Result
from gan_convnorm.study.run_process import RunProcesses

pytestmark = pytest.mark.slow


def test_every_point_is_run_once_and_started_again_none(tmp_path):
    queue = queue_of(tmp_path)
    finished = []
    queue.run(finished.append)
    names = sorted(queue.points)
    assert started(tmp_path) == names and len(finished) == len(names)
    found = queue.results()
    assert [(r.grid, r.norm, r.seed) for r in found] == [(p.grid, p.norm, p.seed) for p in queue.points.values()]
    assert found[0].rows == [
        {"step": 10, "fid": 4.0},
        {"step": 20, "seconds": 1.0, "cpu_seconds": 2.0, "fid": 3.0},
    ]
    again = queue_of(tmp_path)
    again.run(finished.append)
    assert started(tmp_path) == names and len(finished) == len(names) and again.results() == found


def test_two_studies_at_one_storage_share_the_runs(tmp_path):
    queues = [queue_of(tmp_path, "time.sleep(0.2)", workers=2) for _ in range(2)]
    for queue in queues:
        queue._fill()
    assert len(queues[0].study.get_trials()) == len(queues[0].points)
    other = ForkedProgram(second_study, tmp_path)
    queues[0].run(lambda _: None)
    assert other.end() == 0, other.printed
    assert started(tmp_path) == sorted(queues[0].points)
    assert len(queues[0].results()) == len(queues[0].points)


def second_study(folder):
    queue_of(folder, "time.sleep(0.2)").run(lambda _: None)


def test_points_queued_by_two_at_once_are_run_once(tmp_path):
    queue = queue_of(tmp_path)
    for name in queue.points:
        queue._add(name)
    queue.run(lambda _: None)
    assert started(tmp_path) == sorted(queue.points)


def test_a_dead_worker_is_named_and_tried_once_more(tmp_path):
    told = []
    dies_once = "(folder / 'was').exists() or ((folder / 'was').touch(), os.kill(os.getpid(), 9))"
    queue = queue_of(tmp_path, dies_once, definition=one_point(tmp_path), told=told)
    queue.run(lambda _: None)
    assert len(started(tmp_path)) == 2 and len(queue.results()) == 1 and queue.failed() == []
    (line,) = told
    assert line.startswith("main, none, seed 0: its worker died by SIGKILL") and line.endswith("once more")


def test_a_worker_that_dies_twice_is_reported_and_tried_when_started_again(tmp_path):
    told = []
    queue = queue_of(tmp_path, "sys.exit('out of memory')", definition=one_point(tmp_path), told=told)
    queue.run(lambda _: None)
    assert len(started(tmp_path)) == 2 and queue.results() == [] and queue.failed() == ["main, none, seed 0"]
    assert "with status 1 (out of memory)" in told[-1] and "given up" in told[-1]
    again = queue_of(tmp_path, definition=one_point(tmp_path))
    again.run(lambda _: None)
    assert len(again.results()) == 1 and again.failed() == []


def test_a_run_that_diverges_is_a_result(tmp_path):
    behave = f"print('error: at G step 7 d_loss became NaN', file=sys.stderr), sys.exit({NOT_FINITE})"
    queue = queue_of(tmp_path, behave, definition=one_point(tmp_path))
    queue.run(lambda _: None)
    (found,) = queue.results()
    assert found.outcome == "stopped" and found.reason == "at G step 7 d_loss became NaN" and found.diverged
    assert len(started(tmp_path)) == 1


def test_a_refused_configuration_ends_the_study(tmp_path):
    queue = queue_of(tmp_path, "print('error: steps is -1', file=sys.stderr), sys.exit(2)", workers=1)
    with pytest.raises(BadInput, match="main, none, seed 0: steps is -1"):
        queue.run(lambda _: None)
    assert len(started(tmp_path)) == 1


def test_a_signal_ends_the_runs_and_the_study_goes_on_later(tmp_path):
    queue = queue_of(tmp_path, "time.sleep(60)")
    threading.Timer(2, os.kill, (os.getpid(), signal.SIGTERM)).start()
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        queue.run(lambda _: None)
    assert time.monotonic() - start < 30 and queue.results() == [] and queue.failed() == []
    queue_of(tmp_path).run(lambda _: None)
    assert len(queue.results()) == len(queue.points)


def test_studies_that_start_at_once_all_make_the_storage(tmp_path):
    definition, together, errors = read_study(written(tmp_path)), threading.Barrier(3), []

    def start(folder):
        together.wait()
        try:
            queue_of(folder, definition=definition)
        except BaseException as error:
            errors.append(error)

    for number in range(3):
        folder = tmp_path / str(number)
        folder.mkdir()
        threads = [threading.Thread(target=start, args=(folder,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        together.reset()
    assert errors == []


def test_all_points_are_run_where_few_are_queued_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(queue_module, "AHEAD", 1)
    grids = {"main": {"seed": list(range(6)), "norm": ["none"]}}
    queue = queue_of(tmp_path, definition=read_study(written(tmp_path, grids=grids)), workers=1)
    queue.run(lambda _: None)
    assert started(tmp_path) == sorted(queue.points) and len(queue.results()) == 6


def test_a_changed_plan_keeps_what_is_done(tmp_path):
    queue_of(tmp_path, definition=one_point(tmp_path)).run(lambda _: None)
    more = {"main": {"seed": [0, 1], "norm": ["none"]}}
    queue = queue_of(tmp_path, definition=read_study(written(tmp_path, grids=more)))
    queue.run(lambda _: None)
    assert len(started(tmp_path)) == 2 and len(queue.results()) == 2


def test_a_run_ends_when_its_study_is_gone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    started_by = "1"  # which is not this process
    worker = ForkedProgram(study_worker.main, [started_by, "fit", "--steps", "100000"])
    assert worker.end(60) in (-signal.SIGTERM, 128 + signal.SIGTERM), worker.printed


def test_a_run_that_goes_on_keeps_the_norm_that_the_study_names(tmp_path):
    """A checkpoint chooses no code of your own, so the study says it again."""
    definition = read_study(
        written(
            tmp_path,
            norms={"mine": {"model": {"architecture": {"disc_norm": "mine:Norm"}}}},
            baseline="mine",
            grids={"main": {"seed": [0]}},
        )
    )
    point = definition.points()[0]
    folder = tmp_path / "runs" / point.name
    folder.mkdir(parents=True)
    (folder / "last.ckpt").touch()
    words = RunProcesses(tmp_path / "runs").command(point, folder)
    assert words[words.index("--resume") + 1] == "last"
    given = yaml.safe_load(Path(words[words.index("--config") + 1]).read_text())
    assert given["model"]["architecture"]["disc_norm"] == "mine:Norm"


def test_files_of_somebody_elses_study_lead_nowhere(tmp_path):
    queue = queue_of(tmp_path, definition=one_point(tmp_path))
    (point,) = queue.points.values()
    (tmp_path / "runs").mkdir()
    for ending in (".yaml", ".log"):
        (tmp_path / f"precious{ending}").write_text("precious")
        (tmp_path / "runs" / f"{point.name}{ending}").symlink_to(f"../precious{ending}")
    RunProcesses(tmp_path / "runs").command(point, tmp_path / "runs" / point.name)
    assert queue.processes.run(point).final["fid"] == 3.0
    assert [(tmp_path / f"precious{ending}").read_text() for ending in (".yaml", ".log")] == ["precious"] * 2


@pytest.mark.parametrize(
    ("final", "outcome", "words"),
    [
        ({"fid": 3.0, "isc": 2.0}, "finished", "FID 3.00, 1 s"),
        ({"isc": 2.0, "isc_std": 0.25}, "finished", "IS 2.00 +- 0.25, 1 s"),
        ({}, "stopped", "stopped, the weights became NaN, 1 s"),
    ],
)
def test_the_line_of_a_run_has_its_first_score(capsys, final, outcome, words):
    reason = "the weights became NaN" if outcome == "stopped" else ""
    Display(3).finished(Result("g", "none", 0, 1, 0.1, outcome, 9, 1.0, 1.0, [], final, {}, {}, None, "here", reason))
    assert capsys.readouterr().out.strip().endswith(f"learning rate 0.1: {words}")
