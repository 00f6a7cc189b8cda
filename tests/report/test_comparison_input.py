"""Run folders, words and files that the comparison refuses, each in one line."""

import os
import re
from pathlib import Path

import pytest
from written_runs import damage, summary, write_run

from gan_convnorm.cli.compare import main
from gan_convnorm.errors import BadInput
from gan_convnorm.report.comparison import write_comparison
from gan_convnorm.report.runs import read_runs


def refused(capsys, message, *words):
    with pytest.raises(SystemExit) as stop:
        main(list(words))
    assert stop.value.code == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ") and captured.err.count("\n") == 1
    assert re.search(message, captured.err), captured.err


def link(run, name, target):
    (run / name).unlink()
    (run / name).symlink_to(target)


BOMB = "a0: &a0 [x]\n" + "\n".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 40))

BAD = {
    "there is no run folder .*missing; expected one such as checkpoints/runs/NAME": lambda run: run.rename(
        run.with_name("moved")
    ),
    "has no metrics.csv, so it is no folder of a run": lambda run: (run / "metrics.csv").unlink(),
    "has no config.yaml, so it is no folder of a run": lambda run: (run / "config.yaml").unlink(),
    "config.yaml holds a list; expected the configuration of a run": damage("config.yaml", b"[1]"),
    "config.yaml is not YAML: line 2: ": damage("config.yaml", b"a: [\n"),
    "metrics.csv has no column step": damage("metrics.csv", b""),
    r"metrics.csv is not text in UTF-8 \(byte 11\); expected the metrics.csv of a run": damage(
        "metrics.csv", b"step,fid\n1,\xff\n"
    ),
    "line 3 of .*metrics.csv is no row of numbers": damage("metrics.csv", b"step,fid\n1,2\n2,good\n"),
    "line 2 of .*metrics.csv is no row of numbers;": damage("metrics.csv", b"step,fid\n1,2,3,4\n"),
    "summary.json is not JSON: line 1": damage("summary.json", b"{"),
    "singular_values.json holds 3; ": damage("singular_values.json", b"3"),
    "config.yaml repeats 1000000000 values by aliases": damage("config.yaml", BOMB.encode()),
    "config.yaml has the key 1, which is no text": damage("config.yaml", b"model: {1: 2}"),
    "config.yaml has more than 1 MiB": damage("config.yaml", b"#" * (2**20 + 1)),
    "line 2 of .*metrics.csv is no row": damage("metrics.csv", b"step,fid\n-1,2\n"),
    "line 3 of .*metrics.csv is no row": damage("metrics.csv", b"step,fid\n1,2\n" + b"9" * 400 + b",2\n"),
    "metrics.csv cannot be read .*field larger": damage("metrics.csv", b"step,fid\n1," + b"2" * 200_000 + b"\n"),
    "summary.json is nested too deeply": damage("summary.json", b"[" * 100_000),
    "summary.json holds a list": damage("summary.json", b"[]"),
    "summary.json: seconds is 'fast'; expected a number": summary(seconds="fast"),
    "summary.json: seconds is nan;": summary(seconds=float("nan")),
    "summary.json: seconds is True;": summary(seconds=True),
    "summary.json: g_steps is a list;": summary(g_steps=[1]),
    "summary.json: g_steps is -5;": summary(g_steps=-5),
    "summary.json: g_steps is 1000000": summary(g_steps=10**400),
    "summary.json: g_steps is 1.5; expected a whole number": summary(g_steps=1.5),
    "summary.json: protocol is 'mine'; expected a mapping": summary(protocol="mine"),
    "summary.json: protocol.n_fake is a list;": summary(protocol={"n_fake": [1]}),
    "summary.json: final is a list; expected a mapping": summary(final=[1]),
    "summary.json: final.values.fid is 'low'; expected a number": summary(final={"values": {"fid": "low"}}),
    "summary.json: times is a mapping; expected numbers": summary(times=[{"step": "1"}]),
    "summary.json: commit is 5; expected text": summary(commit=5),
    "singular_values.json: layers is a list": damage("singular_values.json", b'{"layers": []}'),
    "singular_values.json: layers.a is 3": damage("singular_values.json", b'{"layers": {"a": 3}}'),
    "singular_values.json: layers.a.after is a list;": damage(
        "singular_values.json", b'{"layers": {"a": {"after": ["x", 1]}}}'
    ),
    "summary.json is a link out of the run folder": lambda run: link(run, "summary.json", "/etc/hostname"),
    "config.yaml is a link out of the run folder": lambda run: link(run, "config.yaml", "/etc/hostname"),
    "summary.json is a link out of the run folder; put": lambda run: link(run, "summary.json", "nowhere/../../x"),
    "summary.json is no regular file": lambda run: ((run / "summary.json").unlink(), os.mkfifo(run / "summary.json")),
    "has no metrics.csv, so": lambda run: ((run / "metrics.csv").unlink(), os.mkfifo(run / "metrics.csv")),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_input_is_one_line(message, tmp_path, capsys):
    run = write_run(tmp_path / "missing")
    BAD[message](run)
    refused(capsys, message, str(run), "--out", str(tmp_path / "page.html"))
    assert not (tmp_path / "page.html").exists()


def test_an_impossible_page_and_a_run_twice(tmp_path, capsys, monkeypatch):
    run = write_run(tmp_path / "run", measured=False)
    refused(capsys, "given twice", str(run), str(run / ".." / "run"), "--out", str(tmp_path / "page.html"))
    monkeypatch.chdir(tmp_path)
    for out in ("no/page.html", ".", "run"):
        refused(capsys, f"--out {out} is a folder, or in none that exists", str(run), "--out", out)
    main([str(run)])
    assert Path("compare.html").stat().st_size > 10_000


@pytest.mark.parametrize("words", [[], ["run", "--nonsense"]])
def test_wrong_words_are_one_line(capsys, words):
    refused(capsys, "see .* --help", *words)


@pytest.mark.slow
@pytest.mark.parametrize("content", [b"PK\x03\x04 a checkpoint", b"<!DOCTYPE html><title>mine</title>", b""])
def test_no_file_of_another_kind_is_replaced(content, tmp_path, capsys):
    run = write_run(tmp_path / "run", measured=False)
    out = tmp_path / "best.ckpt"
    out.write_bytes(content)
    refused(capsys, "exists and was not written by this command; give another name", str(run), "--out", str(out))
    assert out.read_bytes() == content
    with pytest.raises(BadInput, match="was not written by this command"):
        write_comparison(read_runs([run]), out)
    main([str(run), "--out", str(out), "--overwrite"])
    page = out.read_bytes()
    capsys.readouterr()
    main([str(run), "--out", str(out)])  # its own it knows again
    head, row, printed = capsys.readouterr().out.splitlines()
    assert head.split()[-5:] == ["CPU", "s", "per", "G", "step"] and row.endswith("1.5\N{NO-BREAK SPACE}s")
    assert printed == str(out)
    assert out.read_bytes() == page
