"""The comparison page: what it says of runs whose every number is known, and what it refuses."""

import base64
import io
import json
import math
import os
import re
import statistics
import struct
import zlib
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from PIL import Image

from gan_convnorm.cli.compare import main
from gan_convnorm.errors import BadInput
from gan_convnorm.report import comparison
from gan_convnorm.report.comparison import write_comparison
from gan_convnorm.report.comparison_figures import mean_curve
from gan_convnorm.report.comparison_tables import overview
from gan_convnorm.report.runs import Group, Run, group_runs, read_runs
from gan_convnorm.run_folder import MetricsFile

LAYERS = ("blocks.0.conv1", "linear")


def write_run(folder, *, seed=0, norm="spectral", fids=(50.0, 20.0), seconds=30.0, finished=True, measured=True):
    """A run folder as a run leaves it."""
    (folder / "samples").mkdir(parents=True)
    config = {
        "seed_everything": seed,
        "trainer": {"default_root_dir": str(folder), "val_check_interval": 10},
        "model": {"architecture": {"disc_norm": norm, "disc_norm_options": None}, "optimization": {"steps": 20}},
        "data": {"class_path": "gan_convnorm.data.digits.Digits", "init_args": {"batch_size": 32, "seed": seed}},
        "ckpt_path": None,
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    metrics = MetricsFile(folder / "metrics.csv")
    for step in (0, 10, 20):
        if measured:
            columns = {f"layers/{name}/operator_norm": 1 + step / 10 for name in LAYERS}
            metrics.log_metrics(columns | {"layers/linear/condition_number": 10.0 ** (step / 5)}, step)
        if step:
            metrics.log_metrics({"d_loss": 1.0, "g_loss": 0.5, "fid": fids[step // 10 - 1], "isc": 2.0}, step)
    metrics.save()
    for step in (10, 20):
        Image.new("L", (8, 8), step).save(folder / f"samples/step-{step:06d}.png")
    if finished:
        protocol = {
            "n_fake": 100,
            "fake": "EMA samples",
            "n_real": 1437,
            "reference": "digits",
            "extractor": "inception",
        }
        summary = {"g_steps": 20, "seconds": seconds, "cpu_seconds": seconds, "protocol": protocol}
        (folder / "summary.json").write_text(json.dumps(summary))
    if measured:
        singular_values = {name: {"before": [2.0, 1.0, 0.5], "after": [3.0, 1.0, 0.1]} for name in LAYERS}
        (folder / "singular_values.json").write_text(json.dumps({"grid": 8, "layers": singular_values}))
    return folder


class Page(HTMLParser):
    """Cells of the tables row by row, addresses, and whether every element is closed."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.addresses, self.open, self.text = [], [], [], ""
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.addresses += [value for name, value in attributes if name in ("src", "href")]
        if tag not in ("img", "meta", "source"):
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data.replace("\N{NO-BREAK SPACE}", " ")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Two seeds of one norm beside another norm, which has not ended and was not measured."""
    folder = tmp_path_factory.mktemp("compare")
    runs = [
        write_run(folder / "spectral-0", seed=0, fids=(50.0, 20.0), seconds=30),
        write_run(folder / "spectral-1", seed=1, fids=(24.0, 26.0), seconds=50),
        write_run(folder / "<b>convnorm", norm="convnorm", fids=(40.0, 35.5), finished=False, measured=False),
    ]
    main([*map(str, runs), "--out", str(folder / "page.html")])
    return Page((folder / "page.html").read_text())


@pytest.mark.slow
def test_the_page_needs_no_other_file(page):
    assert len(page.addresses) == 5 + 3  # scores, losses, operator and condition numbers, singular values; a grid a run
    for address in page.addresses:
        kind, _, data = address.partition(",")
        assert kind == "data:image/png;base64"
        Image.open(io.BytesIO(base64.b64decode(data, validate=True))).verify()
    assert "<b>convnorm, G step 20" in page.text  # the name is text, no element


@pytest.mark.slow
def test_the_last_samples_are_shown(page):
    for address in page.addresses[-3:]:
        image = Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))
        assert image.getpixel((0, 0)) == 20


def test_the_table_of_groups(page):
    head, spectral, convnorm = page.rows[:3]
    assert head == [
        "",
        "seeds",
        "G steps",
        "FID (last)",
        "IS (last)",
        "FID (best)",
        "seconds of the run",
        "CPU s per G step",
    ]
    deviation = statistics.stdev([20, 26])
    assert spectral[:4] == ["--disc-norm spectral", "0, 1", "20", f"23 ± {deviation:.3g}"]
    assert spectral[5:] == [
        f"22 ± {statistics.stdev([20, 24]):.3g}",
        f"40.0 s ± {statistics.stdev([30, 50]):.1f} s",
        "2 s ± 0.707 s",
    ]
    assert convnorm == ["--disc-norm convnorm", "0", "20", "35.5", "2", "35.5", "-", "-"]
    assert "100 EMA samples against 1437 digits, inception features" in page.text


def test_the_lines_that_differ_and_no_others(page):
    head, *lines = page.rows[3:]
    assert head == ["", "spectral-0 spectral-1", "<b>convnorm"]
    assert lines == [["--disc-norm", "spectral", "convnorm"]]


def test_mean_curve_is_over_the_steps_that_all_have():
    steps, means, deviations = mean_curve([[(1, 1.0), (2, 2.0), (3, 9.0)], [(1, 3.0), (2, 2.0)]])
    assert (steps, means) == ([1, 2], [2.0, 2.0])
    assert deviations == pytest.approx([2**0.5, 0])
    assert mean_curve([[(5, 4.0)]]) == ([5], [4.0], [0.0])


def test_runs_of_one_name_are_told_apart(tmp_path):
    folders = [write_run(tmp_path / parent / "run", seed=seed) for seed, parent in enumerate("ab")]
    runs = read_runs(folders)
    assert [run.name for run in runs] == [str(folder) for folder in folders]
    groups, differing = group_runs(runs)
    assert len(groups) == 1 and len(groups[0].runs) == 2 and differing == []


@pytest.mark.slow
def test_diverged_and_differently_scored_runs_are_shown_as_they_are(tmp_path):
    folders = [write_run(tmp_path / str(seed), seed=seed, fids=(50.0, fid)) for seed, fid in enumerate([20.0, "nan"])]
    metrics = folders[0] / "metrics.csv"
    metrics.write_text(metrics.read_text().replace("10000.0", "inf"))
    summary = json.loads((folders[1] / "summary.json").read_text())
    summary["protocol"]["n_fake"] = 200
    (folders[1] / "summary.json").write_text(json.dumps(summary))
    main([*map(str, folders), "--out", str(tmp_path / "page.html")])
    text = (tmp_path / "page.html").read_text()
    assert Page(text).rows[1][3] == "nan ± nan"
    assert "such scores are not comparable" in text


def test_runs_that_have_not_ended_and_runs_of_other_commits_are_named(tmp_path):
    folders = [write_run(tmp_path / str(seed), seed=seed, finished=seed != 2) for seed in range(3)]
    (folders[2] / "metrics.csv").write_text("step,d_loss\n10,1.0\n")
    for folder, commit in zip(folders[:2], ("a" * 40, "b" * 40), strict=True):
        summary = json.loads((folder / "summary.json").read_text())
        (folder / "summary.json").write_text(json.dumps(summary | {"commit": commit}))
    (table, *notes) = overview(group_runs(read_runs(folders))[0])
    text = " ".join(str(note.text) for note in notes)
    assert table.rows[0][3] == "20 ±\N{NO-BREAK SPACE}0 (2 of 3)"
    assert "Not ended, or stopped: 2." in text and "The runs are of 2 commits: aaaaaaa, bbbbbbb." in text


def damage(name, content):
    def apply(run):
        (run / name).write_bytes(content)

    return apply


def summary(**changed):
    def apply(run):
        content = json.loads((run / "summary.json").read_text())
        (run / "summary.json").write_text(json.dumps(content | changed))

    return apply


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


HOSTILE = "<script>alert('x')</script>\"&$x^{"


@pytest.mark.slow
def test_text_from_files_is_text(tmp_path):
    """Names of folders and layers, values of the configuration and of the protocol."""
    first, second = write_run(tmp_path / HOSTILE.replace("/", "")), write_run(tmp_path / "other", norm=HOSTILE)
    config = yaml.safe_load((first / "config.yaml").read_text())
    config["seed_everything"] = HOSTILE
    config[HOSTILE] = [HOSTILE]
    (first / "config.yaml").write_text(yaml.safe_dump(config))
    for run in (first, second):
        summary(protocol={"extractor": HOSTILE, "fake": HOSTILE})(run)
        for name in ("metrics.csv", "singular_values.json"):
            hostile = HOSTILE.replace('"', "" if name == "metrics.csv" else r"\"")
            text = (run / name).read_text().replace("blocks.0.conv1", hostile + "\\ud800" * (name != "metrics.csv"))
            (run / name).write_text(text)
    main([str(first), str(second), "--out", str(tmp_path / "page.html")])
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<script" not in text
    page = Page(text)
    assert page.text.count(HOSTILE) >= 6
    assert page.text.count(HOSTILE.replace("/", "")) >= 2
    assert all(address.startswith("data:image/png;base64,") for address in page.addresses)


def outside(run):
    secret = run.parent / "secret.png"
    Image.new("L", (8, 8), 99).save(secret)
    (run / "samples/step-000030.png").symlink_to(secret)


PICTURES = {
    "a link out of the run folder": (outside, "is a link out of the run folder"),
    "text": (damage("samples/step-000030.png", b"<svg onload='alert(1)'>"), "is no PNG picture"),
    "half a picture": (
        lambda run: (run / "samples/step-000030.png").write_bytes((run / "samples/step-000020.png").read_bytes()[:50]),
        "is no PNG picture",
    ),
    "a JPEG": (lambda run: Image.new("L", (8, 8)).save(run / "samples/step-000030.png", "JPEG"), "is no PNG picture"),
    "a pipe": (lambda run: os.mkfifo(run / "samples/step-000030.png"), "is no regular file"),
    "a folder": (lambda run: (run / "samples/step-000030.png").mkdir(), "is no regular file"),
    "a link to itself": (lambda run: (run / "samples/step-000030.png").symlink_to("step-000030.png"), "is a link"),
    "large": (lambda run: os.truncate(open_new(run / "samples/step-000030.png"), 2**33), "has more than 32 MiB"),
    "many pixels": (lambda run: (run / "samples/step-000030.png").write_bytes(png_of(60_000)), "is no PNG picture"),
}


def open_new(path):
    path.touch()
    return path


def png_of(side):
    """The head of a picture of so many pixels, in a few bytes."""
    picture = io.BytesIO()
    Image.new("L", (8, 8)).save(picture, "PNG")
    head = b"IHDR" + struct.pack(">2I", side, side) + picture.getvalue()[24:29]
    return picture.getvalue()[:12] + head + struct.pack(">I", zlib.crc32(head)) + picture.getvalue()[33:]


@pytest.mark.slow
def test_a_picture_that_is_none_is_left_out_with_a_word(tmp_path):
    runs = {kind: write_run(tmp_path / kind, measured=False) for kind in PICTURES}
    for kind, (damage_picture, _) in PICTURES.items():
        damage_picture(runs[kind])
    main([*map(str, runs.values()), "--out", str(tmp_path / "page.html")])
    page = Page((tmp_path / "page.html").read_text(encoding="utf-8"))
    for kind, (_, message) in PICTURES.items():
        picture = runs[kind] / "samples/step-000030.png"
        assert f"Samples are left out: {picture} {message}" in page.text, kind
    assert len(page.addresses) == 2  # scores and losses


def test_other_files_among_the_samples_are_not_its_own(tmp_path):
    run = write_run(tmp_path / "run", measured=False)
    for name in ("step-last.png", "step-000099.png.png", "step-.png", f"step-{'9' * 100}.png"):
        (run / "samples" / name).write_bytes(b"")
    (read,) = read_runs([run])
    assert read.samples == run / "samples/step-000020.png"


@pytest.mark.slow
def test_thousands_of_layers_are_not_drawn(tmp_path, monkeypatch):
    run = write_run(tmp_path / "run")
    layers = {f"layer{number}": {"before": None, "after": [2.0, 1.0]} for number in range(5000)}
    (run / "singular_values.json").write_text(json.dumps({"layers": layers}))
    columns = ",".join(f"layers/{name}/operator_norm" for name in layers)
    (run / "metrics.csv").write_text(f"step,{columns}\n1,{','.join('1' * len(layers))}\n")
    monkeypatch.setattr(comparison, "MOST_LAYERS", 3)
    main([str(run), "--out", str(tmp_path / "page.html")])
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert text.count("4997 more layers are left out.") == 2


def refused(capsys, message, *words):
    with pytest.raises(SystemExit) as stop:
        main(list(words))
    assert stop.value.code == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ") and captured.err.count("\n") == 1
    assert re.search(message, captured.err), captured.err


@pytest.mark.parametrize("curve", [[(10, math.nan), (20, 2.0), (30, 3.0)], [(10, 3.0), (20, 2.0), (30, math.nan)]])
def test_the_best_score_is_the_least_number_wherever_a_nan_stands(curve):
    run = Run("a", {}, 0, {"fid": curve}, {"g_steps": 30}, {}, None)
    table, *_ = overview([Group("a", (run,))])
    assert table.rows[0][table.head.index("FID (best)")] == "2"
