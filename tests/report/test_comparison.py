"""The comparison page: what it says of runs whose every number is known."""

import base64
import io
import json
import math
import os
import statistics
import struct
import zlib
from html.parser import HTMLParser

import pytest
import yaml
from PIL import Image
from written_runs import damage, summary, write_run

from gan_convnorm.cli.compare import main
from gan_convnorm.report import comparison
from gan_convnorm.report.comparison_figures import mean_curve
from gan_convnorm.report.comparison_tables import overview
from gan_convnorm.report.runs import Group, Run, group_runs, read_runs


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


@pytest.mark.parametrize("curve", [[(10, math.nan), (20, 2.0), (30, 3.0)], [(10, 3.0), (20, 2.0), (30, math.nan)]])
def test_the_best_score_is_the_least_number_wherever_a_nan_stands(curve):
    run = Run("a", {}, 0, {"fid": curve}, {"g_steps": 30}, {}, None)
    table, *_ = overview([Group("a", (run,))])
    assert table.rows[0][table.head.index("FID (best)")] == "2"
