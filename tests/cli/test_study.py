"""Studies: which runs there are, what is made of their numbers, and that each is run once whatever dies."""

import contextlib
import csv
import json
import math
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import optuna
import pytest
import yaml
from sqlalchemy.exc import OperationalError

from gan_convnorm.cli.study import main
from gan_convnorm.errors import NOT_FINITE, BadInput, RunStopped
from gan_convnorm.study import queue as queue_module
from gan_convnorm.study import read_plan
from gan_convnorm.study.comparison import against, spread
from gan_convnorm.study.floor import main as floor_main
from gan_convnorm.study.queue import AHEAD, Queue
from gan_convnorm.study.report import write_report
from gan_convnorm.study.results import Result, read_result
from gan_convnorm.study.run_process import RunProcesses
from gan_convnorm.study.storage import storage_errors
from gan_convnorm.study.table import write_table

ROOT = Path(__file__).parents[2]
PLAN = {
    "name": "small",
    "norms": {
        "none": {"model": {"architecture": {"disc_norm": "none"}}},
        "spectral": {
            "model": {"architecture": {"disc_norm": "spectral", "disc_norm_options": {"n_power_iterations": 2}}}
        },
    },
    "config": {"model": {"architecture": {"width": 0.05}, "optimization": {"steps": 20}}, "scores": {"num_fake": 40}},
    "grids": {
        "main": {"seed": [0, 1, 2]},
        "rates": {"seed": [0], "norm": ["spectral"], "n_dis": [1, 2], "learning_rate": [0.001, 0.01]},
    },
    "smoke": {"model": {"optimization": {"steps": 2}}, "trainer": {"val_check_interval": 2}},
}


def written(folder, **changes):
    path = folder / "plan.yaml"
    path.write_text(yaml.safe_dump({**PLAN, **changes}))
    return path


def test_points_are_every_combination_with_its_configuration(tmp_path):
    plan = read_plan(written(tmp_path))
    points = plan.points()
    assert [(p.grid, p.norm, p.seed, p.n_dis, p.learning_rate) for p in points] == [
        *[("main", norm, seed, None, None) for seed in range(3) for norm in ("none", "spectral")],
        *[("rates", "spectral", 0, n_dis, rate) for rate in (0.001, 0.01) for n_dis in (1, 2)],
    ]
    assert points[-1].config == {
        "seed_everything": 0,
        "model": {
            "architecture": {"width": 0.05, "disc_norm": "spectral", "disc_norm_options": {"n_power_iterations": 2}},
            "optimization": {"steps": 20, "n_dis": 2, "gen_lr": 0.01, "disc_lr": 0.01},
        },
        "scores": {"num_fake": 40},
    }
    assert len({p.name for p in points}) == len(points)
    changed = read_plan(written(tmp_path, config={"model": {"optimization": {"steps": 21}}})).points()
    assert not {p.name for p in points} & {p.name for p in changed}  # another run


def test_a_norm_s_options_do_not_shine_through(tmp_path):
    grid = {"seed": [0], "config": {"model": {"architecture": {"disc_norm_options": {"eps": 1.0}}}}}
    points = read_plan(written(tmp_path, grids={"main": grid})).points()
    assert points[1].config["model"]["architecture"]["disc_norm_options"] == {"n_power_iterations": 2}


def test_a_smoke_run_has_first_and_last_levels_and_few_steps(tmp_path):
    long = {"model": {"architecture": {"disc_norm": "spectral"}, "optimization": {"steps": 30}}}
    plan = read_plan(written(tmp_path, norms={**PLAN["norms"], "spectral": long})).for_smoke()
    assert plan.name == "small-smoke"
    assert [(grid.seed, grid.norm) for grid in plan.grids.values()] == [
        ([0, 2], ["none", "spectral"]),
        ([0], ["spectral"]),
    ]
    assert {p.config["model"]["optimization"]["steps"] for p in plan.points()} == {2}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"baseline": "spectrum"}, "the baseline is 'spectrum'; the norms are: none, spectral"),
        ({"grids": {}}, "there is no grid"),
        ({"grids": {"main": {"seed": [0], "norm": ["nome"]}}}, "grid main has norm 'nome', which is none of the norms"),
        ({"grids": {"main": {"seed": [0], "norm": "none"}}}, "grid main has norm 'none'; expected a list, such as"),
        ({"grids": {"main": {"seed": [0], "norm": [["none"]]}}}, r"grid main has norm \['none'\], which is none of"),
        ({"grids": {"main": {"seed": 5}}}, r"grid main has seed 5; expected a list, such as \[5\]"),
        ({"grids": {"main": {"seeds": 5}}}, "grid main has the key 'seeds'; the keys are: config, learning_rate, "),
        ({"grids": {"main": {"seed": None}}}, "grid main has no seed"),
        ({"grids": {"main": {"seed": [-1]}}}, "grid main has seed -1; expected whole numbers from 0 to 4294967295"),
        ({"grids": {"main": {"seed": [2**32]}}}, "grid main has seed 4294967296; expected"),
        ({"grids": {"main": {"seed": [True]}}}, "grid main has seed True; expected"),
        ({"grids": {"main": {"seed": [0.5]}}}, "grid main has seed 0.5; expected"),
        ({"grids": {"main": {"seed": [0], "n_dis": [0]}}}, "grid main has n_dis 0; expected whole numbers of 1"),
        ({"grids": {"main": {"seed": [0], "learning_rate": [math.nan]}}}, "grid main has learning_rate nan; expected"),
        ({"grids": {"main": {"seed": [0], "learning_rate": [math.inf]}}}, "grid main has learning_rate inf; expected"),
        ({"grids": {"main": {"seed": [0], "learning_rate": [-1e-3]}}}, "grid main has learning_rate -0.001; expected"),
        ({"grids": {"main": {"seed": [0], "learning_rate": ["fast"]}}}, "grid main has learning_rate 'fast'; expected"),
        ({"grids": {"main": {"seed": [0], "learning_rate": [0.1, "1e-1"]}}}, "expected values, each once"),
        ({"grids": {"main": [0]}}, r"grid main is \[0\]; expected a mapping"),
        ({"grids": {"../x": {"seed": [0]}}}, r"a grid's name is '\.\./x'; expected letters"),
        ({"grids": {"main": {"seed": list(range(300)), "n_dis": list(range(1, 300))}}}, "the grids have 179400 runs"),
        ({"name": ".."}, r"the name is '\.\.'"),
        ({"name": "../x"}, r"the name is '\.\./x'"),
        ({"name": "a\nb"}, "the name is"),
        ({"name": "-x"}, "the name is '-x'"),
        ({"name": 5}, "the name is 5"),
        ({"name": "é" * 31}, "the name is"),
        ({"nam": "x"}, "the study has the key 'nam'; the keys are: baseline, config, grids, name, norms, smoke"),
        ({"norms": {}}, "there is no norm"),
        ({"norms": {"a|b": {}}}, r"a norm's name is 'a\|b'"),
        ({"norms": {1.4: {}}}, "a norm's name is 1.4"),
        ({"norms": {"spectral": 5}}, "the norm 'spectral' is 5; expected a mapping"),
        ({"config": [1]}, r"config is \[1\]; expected a mapping"),
        (
            {"config": {"model": {"optimization": {"steps": date(2020, 1, 1)}}}},
            "it holds more than numbers, text, lists",
        ),
        ({"grids": {"main": {"seed": []}}}, r"grid main has seed \[\]"),
        ({"grids": {"main": {"seed": [1, 1]}}}, r"grid main has seed \[1, 1\]; expected values, each once"),
        ({"grids": {"main": {"seed": ["x"]}}}, "seed"),
        ({"grids": {"main": {"seeds": [1]}}}, "seeds"),
        ({"norm": {"none": {"model": {"architecture": {"disc_norm": "none"}}}}}, "norm"),
        ({"name": "a/b"}, "the name is 'a/b'"),
    ],
)
def test_a_bad_plan_is_one_line(tmp_path, changes, message):
    with pytest.raises(BadInput, match=message) as caught:
        read_plan(written(tmp_path, **changes))
    assert "\n" not in str(caught.value) and "plan.yaml" in str(caught.value)


def test_a_file_that_is_no_plan_is_one_line(tmp_path):
    with pytest.raises(BadInput, match="there is no study"):
        read_plan(tmp_path / "plan.yaml")
    bomb = "a: &a0 [1]\n" + "\n".join(f"b{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 40))
    for text, message in (
        ("- a", "expected a mapping"),
        ("a: [", "is not YAML"),
        (bomb, "repeats 1000000000 values by aliases"),
        ("name: a\nname: b", "line 2 of .*plan.yaml has the key 'name' again"),
    ):
        (tmp_path / "plan.yaml").write_text(text)
        with pytest.raises(BadInput, match=message):
            read_plan(tmp_path / "plan.yaml")


def test_a_pipe_is_no_study(tmp_path):
    os.mkfifo(tmp_path / "plan.yaml")
    with pytest.raises(BadInput, match=r"plan\.yaml is no regular file"):
        read_plan(tmp_path / "plan.yaml")


def test_learning_rates_as_a_person_writes_them(tmp_path):
    (tmp_path / "plan.yaml").write_text(
        "name: a\nbaseline: n\nnorms: {n: {}}\ngrids: {g: {seed: [0], learning_rate: [1e-3, 1, 0.5]}}"
    )
    assert [p.learning_rate for p in read_plan(tmp_path / "plan.yaml").points()] == [0.001, 1.0, 0.5]


def result(norm="spectral", seed=0, fids=(5.0, 2.0), **changes):
    rows = [{"step": 10.0 * (i + 1), "seconds": i + 1.0, "cpu_seconds": i + 2.0, "fid": f} for i, f in enumerate(fids)]
    rows[0]["spectrum/linear/operator_norm"] = 1.5
    values = {
        "grid": "main",
        "norm": norm,
        "seed": seed,
        "n_dis": 1,
        "learning_rate": 0.002,
        "outcome": "finished",
        "steps": 20,
        "seconds": 3.0,
        "cpu_seconds": 4.0,
        "rows": rows,
        "final": {"fid": fids[-1], "isc": 2.0},
        "protocol": {"name": "quick", "n_fake": 40},
        "versions": {"torch": "9.9"},
        "commit": "abc",
        "host": "one",
    }
    return Result(**{**values, **changes})


def test_differences_are_paired_by_seed_and_their_interval_is_the_bootstrap_s():
    random = np.random.default_rng(1)
    base = random.normal(2, 1, 6)
    shift = random.normal(0.5, 0.2, 6)
    ours = [result("none", seed, (9.0, base[seed] + shift[seed])) for seed in (3, 1, 5, 0, 4)]  # seed 2 is not there
    theirs = [result("spectral", seed, (9.0, base[seed])) for seed in range(6)]
    found = against(ours, theirs, "fid")
    pairs = shift[[3, 1, 5, 0, 4]]
    assert found.n == 5 and found.mean == pytest.approx(pairs.mean(), abs=1e-12)
    # All 5^5 resamples, in place of some drawn by chance.
    every = np.stack(np.meshgrid(*[pairs] * 5), axis=-1).reshape(-1, 5).mean(axis=1)
    low, high = np.quantile(every, [0.025, 0.975])
    assert (found.low, found.high) == (pytest.approx(low, abs=0.01), pytest.approx(high, abs=0.01))
    assert against(ours[:1], theirs, "fid") is None
    assert against(ours, theirs, "kid") is None


def test_a_spread_leaves_out_what_is_no_number():
    found = spread([1.0, math.nan, 3.0, math.inf])
    assert (found.mean, found.deviation, found.n) == (2.0, pytest.approx(math.sqrt(2)), 2)
    assert spread([math.nan]) is None and math.isnan(spread([1.0]).deviation)


def test_which_runs_have_diverged():
    assert not result(fids=(5.0, 2.0)).diverged
    assert not result(fids=(2.0, 3.9)).diverged
    assert result(fids=(2.0, 4.0)).diverged
    assert result(fids=(2.0, math.nan)).diverged
    assert result(outcome="stopped").diverged


def test_the_table_has_a_row_for_each_evaluation(tmp_path):
    write_table([result(), result("none", 1, (7.0,), outcome="stopped", seconds=None)], tmp_path / "runs.csv")
    with (tmp_path / "runs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["norm"], r["kind"], r["step"], r["fid"]) for r in rows] == [
        ("spectral", "interim", "10.0", "5.0"),
        ("spectral", "interim", "20.0", "2.0"),
        ("spectral", "final", "20", "2.0"),
        ("none", "interim", "10.0", "7.0"),
        ("none", "final", "20", "7.0"),
    ]
    assert [r["seconds"] for r in rows] == ["1.0", "2.0", "3.0", "1.0", ""]
    assert rows[0]["spectrum/linear/operator_norm"] == "1.5" and rows[1]["spectrum/linear/operator_norm"] == ""
    assert json.loads(rows[0]["protocol"])["n_fake"] == 40
    assert (rows[0]["versions"], rows[0]["commit"], rows[0]["host"]) == ("torch=9.9", "abc", "one")


def test_a_report_says_what_the_numbers_are(tmp_path):
    plan = read_plan(written(tmp_path))
    runs = [result("none", seed, (6.0, 3.0 + seed)) for seed in range(3)]
    runs += [result("spectral", seed, (5.0, 2.0 + seed)) for seed in range(3)]
    rates = [
        result("spectral", 0, (4.0, 2.0 if rate < 0.01 else 9.0), grid="rates", n_dis=n, learning_rate=rate)
        for n in (1, 2)
        for rate in (0.001, 0.01)
    ]
    stopped = result("spectral", 1, (4.0,), grid="rates", outcome="stopped", reason="became NaN", final={})
    floor = {"values": {"fid": 0.987}, "n": 30, "split": "train", "reference": "test"}
    paths = write_report(plan, [*runs, *rates, stopped], tmp_path, floor=floor, failed=["main, none, seed 9"])
    text = (tmp_path / "report.md").read_text()
    assert "| none | 3 | 4.00 +- 1.00 | 2.00 +- 0.00 |" in text
    assert "| none | +1.00 (+1.00 to +1.00, n = 3) | 20 | 3 +- 0 | 4 +- 0 |" in text
    assert "| spectral | 3 | 3.00 +- 1.00 | 2.00 +- 0.00 |" in text
    assert "| spectral | - | 20 | 3 +- 0 | 4 +- 0 |" in text
    assert "none 0 of 3, spectral 0 of 3." in text and "spectral 3 of 5." in text
    assert "30 real train images in place of fakes: FID 0.99." in text
    assert "twice: main, none, seed 9." in text and "became NaN" in text
    pictures = {path.name for path in paths if path.suffix == ".png"}
    assert pictures == {
        *(f"main_{kind}.png" for kind in ("steps", "seconds", "cpu_seconds", "layer_norms")),
        *(f"rates_{kind}.png" for kind in ("sensitivity", "layer_norms")),
    }
    assert all(f"]({name})" in text for name in pictures)
    page = (tmp_path / "report.html").read_text()
    # Each is in the page itself, for a wide window and for a phone.
    assert page.count(' src="data:image/png;base64,') == len(pictures) and "4.00 +- 1.00" in page
    assert page.count(' srcset="data:image/png;base64,') == len(pictures)


def test_a_report_replaces_its_own_files_and_no_others(tmp_path):
    plan = read_plan(written(tmp_path))
    runs = [result("none", 0), result("spectral", 0)]
    paths = write_report(plan, runs, tmp_path, floor=None, failed=[])
    assert write_report(plan, runs, tmp_path, floor=None, failed=[]) == paths
    for path in paths:
        kept = path.read_bytes()
        path.write_bytes(b"precious")
        if path.suffix == ".png":
            report = tmp_path / "report.md"
            report.write_text(report.read_text().replace(f"]({path.name})", ""))
        if path.suffix == ".html":
            (tmp_path / "report.md").unlink()
        with pytest.raises(BadInput, match=f"{path.name} exists and was not written by this command"):
            write_report(plan, runs, tmp_path, floor=None, failed=[])
        assert path.read_bytes() == b"precious"
        write_report(plan, runs, tmp_path, floor=None, failed=[], overwrite=True)
        assert path.read_bytes() == kept


def test_the_page_of_an_earlier_version_is_replaced(tmp_path):
    plan, runs = read_plan(written(tmp_path)), [result()]
    write_report(plan, runs, tmp_path, floor=None, failed=[])
    (tmp_path / "report.html").write_text("<!DOCTYPE html>\n<html>of an earlier version</html>")
    write_report(plan, runs, tmp_path, floor=None, failed=[])
    assert "earlier version" not in (tmp_path / "report.html").read_text()


# --- each run once


FAKE_RUN = """
import json, os, sys, time
from pathlib import Path
folder, config = Path(sys.argv[1]), json.loads(sys.argv[2])
folder.mkdir(parents=True, exist_ok=True)
with (folder.parent / "started.txt").open("a") as file:
    print(folder.name, file=file)
model = {"optimization": {"n_dis": 1, "disc_lr": 0.002, **config["model"].get("optimization", {})}}
(folder / "config.yaml").write_text(json.dumps({"seed_everything": 0, "model": model}))
(folder / "metrics.csv").write_text("step,fid\\n10,4.0\\n20,3.0\\n")
behave(folder)
times = [{"step": 20, "seconds": 1.0, "cpu_seconds": 2.0}]
final = {"values": {"fid": 3.0}, "protocol": {"name": "quick"}}
(folder / "summary.json").write_text(json.dumps({"g_steps": 20, "seconds": 1.0, "times": times, "final": final}))
"""


def queue_of(tmp_path, behave="", *, plan=None, workers=2, told=None):
    """A queue whose runs are a script in place of a training."""
    points = (plan or read_plan(written(tmp_path))).points()

    class Scripted(RunProcesses):
        def command(self, point, folder):
            script = f"def behave(folder):\n    import os, signal, sys, time\n    {behave or 'pass'}\n{FAKE_RUN}"
            return [sys.executable, "-c", script, str(folder), json.dumps(point.config)]

    tell = (lambda line: None) if told is None else told.append
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    return Queue("small", points, storage, Scripted(tmp_path / "runs", tell=tell), workers=workers, tell=tell)


def started(tmp_path):
    return sorted((tmp_path / "runs/started.txt").read_text().split())


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
    other = subprocess.Popen([sys.executable, "-c", SECOND_STUDY, str(tmp_path), str(Path(__file__))])
    queues[0].run(lambda _: None)
    assert other.wait(timeout=60) == 0
    assert started(tmp_path) == sorted(queues[0].points)
    assert len(queues[0].results()) == len(queues[0].points)


SECOND_STUDY = """
import importlib.util, sys
from pathlib import Path
spec = importlib.util.spec_from_file_location("test_study", sys.argv[2])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
module.queue_of(Path(sys.argv[1]), "time.sleep(0.2)").run(lambda _: None)
"""


def test_points_queued_by_two_at_once_are_run_once(tmp_path):
    queue = queue_of(tmp_path)
    for name in queue.points:
        queue._add(name)
    queue.run(lambda _: None)
    assert started(tmp_path) == sorted(queue.points)


ONE = {"main": {"seed": [0], "norm": ["none"]}}


def one_point(tmp_path):
    return read_plan(written(tmp_path, grids=ONE))


def test_a_dead_worker_is_named_and_tried_once_more(tmp_path):
    told = []
    dies_once = "(folder / 'was').exists() or ((folder / 'was').touch(), os.kill(os.getpid(), 9))"
    queue = queue_of(tmp_path, dies_once, plan=one_point(tmp_path), told=told)
    queue.run(lambda _: None)
    assert len(started(tmp_path)) == 2 and len(queue.results()) == 1 and queue.failed() == []
    (line,) = told
    assert line.startswith("main, none, seed 0: its worker died by SIGKILL") and line.endswith("once more")


def test_a_worker_that_dies_twice_is_reported_and_tried_when_started_again(tmp_path):
    told = []
    queue = queue_of(tmp_path, "sys.exit('out of memory')", plan=one_point(tmp_path), told=told)
    queue.run(lambda _: None)
    assert len(started(tmp_path)) == 2 and queue.results() == [] and queue.failed() == ["main, none, seed 0"]
    assert "with status 1 (out of memory)" in told[-1] and "given up" in told[-1]
    again = queue_of(tmp_path, plan=one_point(tmp_path))
    again.run(lambda _: None)
    assert len(again.results()) == 1 and again.failed() == []


def test_a_run_that_diverges_is_a_result(tmp_path):
    behave = f"print('error: at G step 7 d_loss became NaN', file=sys.stderr), sys.exit({NOT_FINITE})"
    queue = queue_of(tmp_path, behave, plan=one_point(tmp_path))
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
    plan, together, errors = read_plan(written(tmp_path)), threading.Barrier(3), []

    def start(folder):
        together.wait()
        try:
            queue_of(folder, plan=plan)
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


SECRET = "s3cr#t"


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://zoe:{}@db.example.org:5432/studies",
        "postgresql+nonsense://zoe:{}@db.example.org/studies",
        "mysql+pymysql://zoe:{}@db.example.org/studies?ssl_key=x",
        "postgresql://db.example.org/studies?user=zoe&password={}",
        "postgresql://zoe:{}@db.example.org:port/studies",
        "nonsense//zoe:{}@db.example.org/studies",
        "sqlite:///{}@db.example.org/no/such/folder/study.db?password={}",
    ],
)
@pytest.mark.parametrize("secret", [SECRET, "s3cr%23t", "s3@cr:t"])
def test_a_storage_is_named_without_its_password(tmp_path, capsys, address, secret, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written(tmp_path)
    with pytest.raises(SystemExit) as caught:
        main(["plan.yaml", "--storage", address.replace("{}", secret, 1).replace("{}", secret)])
    assert caught.value.code == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: the storage ") and captured.err.count("\n") == 1, captured.err
    shown = (captured.err + captured.out).replace("user:password@host", "")
    if address.startswith("sqlite"):  # whose path is no secret
        assert "password" not in shown
        return
    for part in (secret, "s3", "cr#t", "zoe", "password"):
        assert part not in shown, shown
    assert "db.example.org" in shown or "***" in shown


def test_an_error_that_repeats_the_password_is_named_by_its_type():
    storage = "postgresql://zoe:s3cret@host/studies"
    with pytest.raises(RunStopped) as caught, storage_errors(storage):
        raise OperationalError("select 1", {}, Exception("no user zoe with password s3cret"))
    assert "s3cret" not in str(caught.value) and caught.value.__cause__ is None
    assert "the storage postgresql://host/studies cannot be used any more (OperationalError)" in str(caught.value)


def test_a_storage_that_ends_in_the_middle_ends_the_study_in_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    written(tmp_path)

    def gone(self, finished):
        raise OperationalError("select 1", {}, Exception("the server closed the connection"))

    monkeypatch.setattr(Queue, "run", gone)
    with pytest.raises(SystemExit) as caught:
        main(["plan.yaml", "--out", "out"])
    assert caught.value.code == 1
    assert "cannot be used any more" in capsys.readouterr().err


def test_a_study_of_twenty_thousand_seeds_starts_and_reports_at_once(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    written(tmp_path, grids={"main": {"seed": list(range(20_000)), "norm": ["none"]}})
    begun = time.monotonic()
    with pytest.raises(SystemExit) as caught:
        main(["plan.yaml", "--report", "--storage", "sqlite:///study.db", "--out", "out"])
    assert caught.value.code == 0
    assert "0 of 20000 runs are done" in capsys.readouterr().out
    queue = queue_of(tmp_path, plan=read_plan(tmp_path / "plan.yaml"))
    assert queue.study.get_trials() == []  # a report queues nothing
    queue._fill()
    assert len(queue.study.get_trials()) == AHEAD
    queue._fill()  # enough wait
    assert len(queue.study.get_trials()) == AHEAD
    assert time.monotonic() - begun < 15


def test_all_points_are_run_where_few_are_queued_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(queue_module, "AHEAD", 1)
    grids = {"main": {"seed": list(range(6)), "norm": ["none"]}}
    queue = queue_of(tmp_path, plan=read_plan(written(tmp_path, grids=grids)), workers=1)
    queue.run(lambda _: None)
    assert started(tmp_path) == sorted(queue.points) and len(queue.results()) == 6


def test_a_storage_that_cannot_be_opened_is_one_line(tmp_path):
    with pytest.raises(BadInput, match="the storage nonsense cannot be used"):
        Queue("small", [], "nonsense", RunProcesses(tmp_path))


def test_a_changed_plan_keeps_what_is_done(tmp_path):
    queue_of(tmp_path, plan=one_point(tmp_path)).run(lambda _: None)
    more = {"main": {"seed": [0, 1], "norm": ["none"]}}
    queue = queue_of(tmp_path, plan=read_plan(written(tmp_path, grids=more)))
    queue.run(lambda _: None)
    assert len(started(tmp_path)) == 2 and len(queue.results()) == 2


# --- the whole command


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("nothing.yaml", "there is no study nothing.yaml"),
        ("plan.yaml --workers 0", "--workers is 0; expected 1 to 1024"),
        ("plan.yaml --workers 100000", "--workers is 100000; expected 1 to 1024"),
        ("plan.yaml --threads 0", "--threads is 0; expected 1 to 1024"),
        ("plan.yaml --out full", "the folder full has something and no study.db"),
        ("plan.yaml --storage nonsense", "the storage nonsense cannot be used"),
    ],
)
def test_bad_input_is_one_line(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    written(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/something").touch()
    with pytest.raises(SystemExit) as caught:
        main(words.split())
    assert caught.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith(f"error: {message}")


@pytest.mark.parametrize("words", ["", "plan.yaml --nonsense", "plan.yaml --workers many", "plan.yaml another.yaml"])
def test_wrong_words_are_one_line(capsys, words):
    with pytest.raises(SystemExit) as caught:
        main(words.split())
    assert caught.value.code == 2
    line = capsys.readouterr().err
    assert line.startswith("error: ") and line.count("\n") == 1 and line.endswith(" --help\n")


@pytest.mark.parametrize(
    "storage", ["nonsense", "postgresql://ann:secret@127.0.0.1:1/base", "sqlite:////proc/none/a.db"]
)
def test_a_refused_storage_leaves_no_folder(tmp_path, monkeypatch, storage):
    monkeypatch.chdir(tmp_path)
    written(tmp_path)
    with pytest.raises(SystemExit):
        main(["plan.yaml", "--storage", storage])
    assert [path.name for path in tmp_path.iterdir()] == ["plan.yaml"]


def test_another_program_s_database_is_left_as_it_is(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    written(tmp_path)
    (tmp_path / "out").mkdir()
    with contextlib.closing(sqlite3.connect("out/study.db")) as connection:
        connection.execute("create table letters (id integer primary key autoincrement)")
        connection.commit()
    before = (tmp_path / "out/study.db").read_bytes()
    for words in (["--out", "out"], ["--storage", "sqlite:///out/study.db"]):
        with pytest.raises(SystemExit) as caught:
            main(["plan.yaml", "--report", *words])
        assert caught.value.code == 2
        assert "out/study.db holds the table 'letters' and no study" in capsys.readouterr().err
    assert (tmp_path / "out/study.db").read_bytes() == before


def test_the_shipped_study_is_killed_goes_on_and_reports(tmp_path, monkeypatch, capsys):
    """The real command with real runs."""
    file = str(ROOT / "configs/studies/digits_norms.yaml")
    command = [sys.executable, "-m", "gan_convnorm", "study", file, "--smoke", "--out", "out", "--workers", "2"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    first = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("out/runs/*/last.ckpt")) and time.monotonic() < deadline:
        time.sleep(0.1)
    first.send_signal(signal.SIGKILL)
    first.wait()
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "its study on" in done.stdout and "is gone; queued again" in done.stdout
    with (tmp_path / "out/runs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    plan = read_plan(ROOT / "configs/studies/digits_norms.yaml")
    norms = {next(iter(plan.norms)), list(plan.norms)[-1], plan.baseline}
    runs = sorted((norm, seed) for seed in ("0", "4") for norm in norms)
    finals = [row for row in rows if row["kind"] == "final"]
    assert sorted((row["norm"], row["seed"]) for row in finals) == runs
    interim = [(row["norm"], row["seed"], row["step"]) for row in rows if row["kind"] == "interim" and row["fid"]]
    assert sorted(interim) == [(*run, step) for run in runs for step in ("2", "4")]
    assert all(float(row["cpu_seconds"]) > 0 and row["kid"] and row["recall"] for row in finals)
    text = (tmp_path / "out/report.md").read_text()
    assert "6 of 6 runs." in text and "The floor, 1437 real train images in place of fakes: FID 1.8" in text
    assert (tmp_path / "out/report.html").exists()
    assert len(list(tmp_path.glob("out/*_layer_norms.png"))) == 1
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main([*command[4:], "--report"])
    assert ended.value.code == 0 and "6 of 6 runs are done" in capsys.readouterr().out


def test_a_run_ends_when_its_study_is_gone(tmp_path):
    started_by = "1"  # which is not this process
    command = [sys.executable, "-m", "gan_convnorm.cli.study_worker", started_by, "fit", "--steps", "100000"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, timeout=60)
    assert done.returncode in (-signal.SIGTERM, 128 + signal.SIGTERM)


def test_reading_a_run_that_is_none_is_one_line(tmp_path):
    point = one_point(tmp_path).points()[0]
    with pytest.raises(BadInput, match="there is no run folder"):
        read_result(point, tmp_path / "nothing", "one")
    run = tmp_path / "run"
    run.mkdir()
    (run / "metrics.csv").write_text("step,fid\n10,4.0\n")
    for model, message in (({}, "n_dis None"), ({"n_dis": 1, "disc_lr": "fast"}, "disc_lr 'fast'")):
        config = {"seed_everything": 0, "model": {"optimization": model}}
        (run / "config.yaml").write_text(yaml.safe_dump(config))
        with pytest.raises(BadInput, match=f"model.optimization.{message}; expected a number"):
            read_result(point, run, "one")
    (run / "config.yaml").write_text(yaml.safe_dump({"model": {"optimization": {"n_dis": 1, "disc_lr": 0.1}}}))
    (run / "summary.json").write_text('{"g_steps": null, "times": null, "final": null, "versions": null}')
    assert read_result(point, run, "one").steps == 10


def test_a_stored_result_of_another_version_is_one_line(tmp_path):
    queue = queue_of(tmp_path, plan=one_point(tmp_path))
    (name,) = queue.points
    state = optuna.trial.TrialState.COMPLETE
    for stored in ({"grid": "main"}, [1], None):
        attributes = {"point": name, "result": stored}
        queue.study.add_trial(optuna.trial.create_trial(state=state, value=1.0, user_attrs=attributes))
        with pytest.raises(BadInput, match="the storage holds a result of main-none-seed0"):
            queue.results()


def write_config(folder, **data):
    folder.mkdir()
    scores = {"metrics": "fid", "protocol": "quick", "extractor": "classifier"}
    scores |= {"extractor_weights": None, "isc_splits": 10}
    (folder / "config.yaml").write_text(yaml.safe_dump({"data": data, "scores": scores}))


@pytest.mark.parametrize("path", ["evil.Data", "os.system", "gan_convnorm.data.folder.Path", "gan_convnorm.data.x", ""])
def test_the_floor_imports_no_code_that_a_run_names(tmp_path, monkeypatch, capsys, path):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "evil.py").write_text("open('evil.txt', 'w')\nraise RuntimeError")
    monkeypatch.chdir(tmp_path)
    write_config(tmp_path / "run", class_path=path)
    with pytest.raises(SystemExit) as caught:
        floor_main(["run", "another.Class"])
    assert caught.value.code == 2
    assert "code that neither this package has nor the study names" in capsys.readouterr().err
    assert not (tmp_path / "evil.txt").exists()
    if path == "evil.Data":  # what the study names is imported
        with pytest.raises(RuntimeError):
            floor_main(["run", "evil.Data"])


@pytest.mark.parametrize("arguments", [{"nonsense": 1}, {"resolution": "large"}, [1]])
def test_the_floor_of_damaged_arguments_is_one_line(tmp_path, capsys, arguments):
    write_config(tmp_path / "run", class_path="gan_convnorm.data.Digits", init_args=arguments)
    with pytest.raises(SystemExit) as caught:
        floor_main([str(tmp_path / "run")])
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("error: the arguments of the run's data")


def test_the_shipped_studies_are_plans():
    for path in (ROOT / "configs/studies").glob("*.yaml"):
        plan = read_plan(path)
        points = [*plan.points(), *plan.for_smoke().points()]
        assert all(yaml.safe_load(yaml.safe_dump(point.config)) == point.config for point in points)
        assert len({point.name for point in points}) == len(points)
        assert replace(plan) == plan


def test_a_run_that_goes_on_keeps_the_norm_that_the_study_names(tmp_path):
    """A checkpoint chooses no code of your own, so the study says it again."""
    plan = read_plan(
        written(
            tmp_path,
            norms={"mine": {"model": {"architecture": {"disc_norm": "mine:Norm"}}}},
            baseline="mine",
            grids={"main": {"seed": [0]}},
        )
    )
    point = plan.points()[0]
    folder = tmp_path / "runs" / point.name
    folder.mkdir(parents=True)
    (folder / "last.ckpt").touch()
    words = RunProcesses(tmp_path / "runs").command(point, folder)
    assert words[words.index("--resume") + 1] == "last"
    given = yaml.safe_load(Path(words[words.index("--config") + 1]).read_text())
    assert given["model"]["architecture"]["disc_norm"] == "mine:Norm"
