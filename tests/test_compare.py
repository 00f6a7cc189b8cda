"""The comparison page: what it says of runs whose every number is known, and what it refuses."""

import base64
import io
import json
import re
import statistics
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from PIL import Image

from gan_convnorm.compare.__main__ import main
from gan_convnorm.compare.figures import mean_curve
from gan_convnorm.compare.runs import group_runs, read_runs
from gan_convnorm.run_folder import MetricsFile

LAYERS = ("blocks.0.conv1", "linear")


def write_run(folder, *, seed=0, norm="spectral", fids=(50.0, 20.0), seconds=30.0, finished=True, measured=True):
    """A run folder as a run leaves it."""
    (folder / "samples").mkdir(parents=True)
    config = {
        "seed_everything": seed,
        "trainer": {"default_root_dir": str(folder), "val_check_interval": 10},
        "model": {"disc_norm": norm, "disc_norm_options": None, "steps": 20},
        "data": {"class_path": "gan_convnorm.data.digits.Digits", "init_args": {"batch_size": 32, "seed": seed}},
        "ckpt_path": None,
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    metrics = MetricsFile(folder / "metrics.csv")
    for step in (0, 10, 20):
        if measured:
            columns = {f"spectrum/{name}/operator_norm": 1 + step / 10 for name in LAYERS}
            metrics.log_metrics(columns | {"spectrum/linear/condition_number": 10.0 ** (step / 5)}, step)
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
        summary = {"g_steps": 20, "seconds": seconds, "protocol": protocol}
        (folder / "summary.json").write_text(json.dumps(summary))
    if measured:
        spectra = {name: {"before": [2.0, 1.0, 0.5], "after": [3.0, 1.0, 0.1]} for name in LAYERS}
        (folder / "spectrum.json").write_text(json.dumps({"grid": 8, "layers": spectra}))
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
        if tag not in ("img", "meta"):
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
            self.rows[-1][-1] += data


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


def test_the_page_needs_no_other_file(page):
    assert len(page.addresses) == 5 + 3  # scores, losses, norms, condition numbers, spectra; a sample grid a run
    for address in page.addresses:
        kind, _, data = address.partition(",")
        assert kind == "data:image/png;base64"
        Image.open(io.BytesIO(base64.b64decode(data, validate=True))).verify()
    assert "<b>convnorm, G step 20" in page.text  # the name is text, no element


def test_the_last_samples_are_shown(page):
    for address in page.addresses[-3:]:
        image = Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))
        assert image.getpixel((0, 0)) == 20


def test_the_table_of_groups(page):
    head, spectral, convnorm = page.rows[:3]
    assert head == ["", "seeds", "G steps", "FID (last)", "IS (last)", "FID (best)", "ms per G step"]
    deviation = statistics.stdev([20, 26])
    assert spectral[:4] == ["disc_norm spectral", "0, 1", "20", f"23 ± {deviation:.3g}"]
    assert spectral[5:] == [f"22 ± {statistics.stdev([20, 24]):.3g}", f"2000 ± {statistics.stdev([1500, 2500]):.3g}"]
    assert convnorm == ["disc_norm convnorm", "0", "20", "35.5", "2", "35.5", "-"]
    assert "100 EMA samples against 1437 digits, inception features" in page.text


def test_the_lines_that_differ_and_no_others(page):
    head, *lines = page.rows[3:]
    assert head == ["", "spectral-0 spectral-1", "<b>convnorm"]
    assert lines == [["model.disc_norm", "spectral", "convnorm"]]


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


def damage(name, content):
    def apply(run):
        (run / name).write_bytes(content)

    return apply


BAD = {
    "there is no run folder .*missing; expected one such as checkpoints/runs/NAME": lambda run: run.rename(
        run.with_name("moved")
    ),
    "has no metrics.csv, so it is no folder of a run": lambda run: (run / "metrics.csv").unlink(),
    "has no config.yaml, so it is no folder of a run": lambda run: (run / "config.yaml").unlink(),
    r"config.yaml holds \[1\]; expected what a run has written": damage("config.yaml", b"[1]"),
    "config.yaml cannot be read ": damage("config.yaml", b"a: [\n"),
    "metrics.csv has no column step": damage("metrics.csv", b""),
    r"metrics.csv cannot be read \(.*utf-8": damage("metrics.csv", b"step,fid\n1,\xff\n"),
    "line 3 of .*metrics.csv is no row of numbers": damage("metrics.csv", b"step,fid\n1,2\n2,good\n"),
    "line 2 of .*metrics.csv is no row of numbers;": damage("metrics.csv", b"step,fid\n1,2,3,4\n"),
    "summary.json cannot be read": damage("summary.json", b"{"),
    "spectrum.json holds 3; ": damage("spectrum.json", b"3"),
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


def refused(capsys, message, *words):
    with pytest.raises(SystemExit) as stop:
        main(list(words))
    assert stop.value.code == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ") and captured.err.count("\n") == 1
    assert re.search(message, captured.err), captured.err
