"""The verb study: a shipped study's runs and its report, a kill in the middle, words that are refused."""

import csv
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from small_studies import ONE, STUDY, fake_command, queue_of, result, written

from gan_convnorm.cli import study
from gan_convnorm.cli.study import main
from gan_convnorm.study import read_study
from gan_convnorm.study.queue import AHEAD
from gan_convnorm.study.run_process import RunProcesses
from gan_convnorm.study.table import read_table, write_table

ROOT = Path(__file__).parents[2]


def test_a_study_of_twenty_thousand_seeds_starts_and_reports_at_once(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    written(tmp_path, grids={"main": {"seed": list(range(20_000)), "norm": ["none"]}})
    begun = time.process_time()
    with pytest.raises(SystemExit) as caught:
        main(["definition.yaml", "--report", "--storage", "sqlite:///study.db", "--out", "out"])
    assert caught.value.code == 0
    assert "0 of 20000 runs are done" in capsys.readouterr().out
    queue = queue_of(tmp_path, definition=read_study(tmp_path / "definition.yaml"))
    assert queue.study.get_trials() == []  # a report queues nothing
    queue._fill()
    assert len(queue.study.get_trials()) == AHEAD
    queue._fill()  # enough wait
    assert len(queue.study.get_trials()) == AHEAD
    assert time.process_time() - begun < 15


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("nothing.yaml", "there is no study nothing.yaml"),
        ("definition.yaml --workers 0", "--workers is 0; expected 1 to 1024"),
        ("definition.yaml --workers 100000", "--workers is 100000; expected 1 to 1024"),
        ("definition.yaml --threads 0", "--threads is 0; expected 1 to 1024"),
        (
            "definition.yaml -- --seed 5",
            "--seed stands after --, and the study varies seed; set it",
        ),
        ("definition.yaml -- --gen_lr=0.1", "--gen-lr stands after --, and the study varies learning_rate"),
        ("definition.yaml --out full", "the folder full has something and no study.db"),
        ("definition.yaml --storage nonsense", "the storage nonsense cannot be used"),
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


@pytest.mark.parametrize(
    "words", ["", "definition.yaml --nonsense", "definition.yaml --workers many", "definition.yaml another.yaml"]
)
def test_wrong_words_are_one_line(capsys, words):
    with pytest.raises(SystemExit) as caught:
        main(words.split())
    assert caught.value.code == 2
    line = capsys.readouterr().err
    assert line.startswith("error: ") and line.count("\n") == 1 and line.endswith(" --help\n")


def test_runs_with_other_words_are_other_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(study, "write_report", lambda *_, **__: [])  # whose figures take seconds
    shutil.copy(ROOT / "docs/results/study_cifar10_own_rates/runs.csv", tmp_path)
    command = [str(ROOT / "configs/studies/cifar10_own_rates.yaml"), "--out", str(tmp_path), "--report", "--"]

    def known(*words):
        with pytest.raises(SystemExit):
            main([*command, *words])
        out = capsys.readouterr().out
        return int(re.search(r"(\d+) of \d+ runs are known", out)[1]), "are not of this study" in out

    all_of_them = known()
    assert all_of_them[0] > 0 and known("--data.path=elsewhere", "--threads", "1") == all_of_them
    assert known("--steps", "9") == (0, True)


def test_runs_of_an_early_table_are_the_study_s_until_it_has_gone_on(tmp_path, capsys):
    """An early table does not say which configuration a run had."""
    definition = read_study(written(tmp_path))
    own = [result(p.norm, p.seed, grid=p.grid, configuration=p.digest) for p in definition.points()[:2]]
    early = [result(run.norm, run.seed, (9.0, 9.0)) for run in own]
    for runs, known in ((early, 2), ([*early, *own], 2)):
        write_table(runs, tmp_path / "runs.csv")
        (tmp_path / "report.md").unlink(missing_ok=True)
        with pytest.raises(SystemExit):
            main([str(tmp_path / "definition.yaml"), "--out", str(tmp_path), "--report", "--overwrite"])
        assert f"{known} of 10 runs are known" in capsys.readouterr().out


def test_against_other_images_the_floor_is_another_and_the_old_runs_stay(tmp_path, monkeypatch, capsys):
    scored = []

    def floor(queue):
        scored.append(next(iter(queue.points.values())).config["scores"])
        return {"values": {"fid": float(len(scored))}, "n": 30, "split": "train", "reference": "test"}

    monkeypatch.setattr(study, "_floor", floor)
    monkeypatch.setattr(RunProcesses, "command", fake_command)
    table = tmp_path / "out/runs.csv"
    for protocol, floors, runs in (("full", 1, 1), ("quick", 2, 2), ("quick", 2, 2)):
        written(tmp_path, grids=ONE, config={**STUDY["config"], "scores": {"protocol": protocol}})
        with pytest.raises(SystemExit) as ended:
            main([str(tmp_path / "definition.yaml"), "--out", str(tmp_path / "out")])
        assert ended.value.code == 0
        assert len(scored) == floors and read_table(table).floor["values"] == {"fid": floors}
        assert len(read_table(table).results) == runs
        assert ("1 runs in" in capsys.readouterr().out) == (protocol == "quick")


def test_a_report_scores_no_images(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(study, "_floor", lambda queue: asked.append(queue))  # which is not known then
    monkeypatch.setattr(RunProcesses, "command", fake_command)
    written(tmp_path, grids=ONE)
    for words in ([], ["--report"]):
        with pytest.raises(SystemExit) as ended:
            main([str(tmp_path / "definition.yaml"), "--out", str(tmp_path / "out"), *words])
        assert ended.value.code == 0 and len(asked) == 1


def test_a_shipped_study_is_killed_goes_on_and_reports(tmp_path, monkeypatch, capsys):
    """The real command with real runs: two norms of a shipped study, one seed."""
    plan = yaml.safe_load((ROOT / "configs/studies/digits_norms.yaml").read_text())
    norms = [plan["baseline"], list(plan["norms"])[-1]]
    plan |= {"norms": {name: plan["norms"][name] for name in norms}, "grids": {"equal_steps": {"seed": [0]}}}
    (tmp_path / "definition.yaml").write_text(yaml.safe_dump(plan))
    command = [sys.executable, "-m", "gan_convnorm", "study", "definition.yaml", "--smoke", "--out", "out", "--workers"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    first = subprocess.Popen([*command, "1"], cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("out/runs/*/last.ckpt")) and time.monotonic() < deadline:
        time.sleep(0.1)
    first.send_signal(signal.SIGKILL)
    first.wait()
    command.append("2")
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "its study on" in done.stdout and "is gone; queued again" in done.stdout
    with (tmp_path / "out/runs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    finals = [row for row in rows if row["kind"] == "final"]
    assert sorted((row["norm"], row["seed"]) for row in finals) == sorted((norm, "0") for norm in norms)
    interim = [(row["norm"], row["step"]) for row in rows if row["kind"] == "interim" and row["fid"]]
    assert sorted(interim) == sorted((norm, step) for norm in norms for step in ("2", "4"))
    assert all(float(row["cpu_seconds"]) > 0 and row["kid"] and row["recall"] for row in finals)
    text = (tmp_path / "out/report.md").read_text()
    assert "2 of 2 runs." in text and "The floor, 1437 real train images in place of fakes: FID 1.8" in text
    assert (tmp_path / "out/report.html").exists()
    assert len(list(tmp_path.glob("out/*_operator_norms.png"))) == 1
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main([*command[4:], "--report"])
    assert ended.value.code == 0 and "2 of 2 runs are done" in capsys.readouterr().out
