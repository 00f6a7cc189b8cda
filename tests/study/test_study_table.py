"""A study's runs.csv is read as it was written, and a study goes on from it."""

import json
import math
from pathlib import Path

import pytest
from small_studies import queue_of, read_study, result, started, written

from gan_convnorm.cli.study import main
from gan_convnorm.errors import BadInput
from gan_convnorm.study.report import write_report
from gan_convnorm.study.table import read_table, write_table

FLOOR = {"values": {"fid": 0.25, "isc": 3.0}, "n": 40, "split": "train", "reference": "test"}
WHOLE = {"versions": {"torch": "2.14.1+cu130", "numpy": "2.4"}, "protocol": {"name": "quick", "n_fake": 40, "a": ["x"]}}


@pytest.mark.parametrize(
    "run",
    [
        result(**WHOLE, configuration="0a1b2c3d"),
        result(commit=None, seconds=None, cpu_seconds=None, outcome="stopped", reason='D loss is "nan", at step 7'),
        result(final={}, learning_rate=1e-5),
        result("a, \"b\"\n'c'", host="one (7)"),
    ],
)
def test_a_run_is_read_as_it_was_written(tmp_path, run):
    write_table([run, result(seed=1)], tmp_path / "runs.csv", FLOOR)
    assert read_table(tmp_path / "runs.csv") == ([run, result(seed=1)], FLOOR)


def test_a_score_that_is_nan_stays_so(tmp_path):
    """A run whose last FID is NaN has diverged, before and after its table is written."""
    run = result(fids=(2.0, math.nan))
    write_table([run], tmp_path / "runs.csv")
    (found,), floor = read_table(tmp_path / "runs.csv")
    assert floor is None and math.isnan(found.rows[1]["fid"]) and math.isnan(found.final["fid"])
    assert run.diverged and found.diverged


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("final", "finale", "line 4 of {} is no row of a study's runs.csv (ValueError(\"kind 'finale'\"))"),
        (",0.002,", ",fast,", "line 4 of {} is no row of a study's runs.csv (ValueError("),
        ('"{""n_fake', '"[""n_fake', "line 4 of {} is no row of a study's runs.csv (JSONDecodeError("),
        ("torch=9.9", "torch", "line 4 of {} is no row of a study's runs.csv (ValueError("),
        (",20,", ",1e999,", "line 4 of {} is no row of a study's runs.csv ("),
        (",2.0,", ",1.7e308,", "line 4 of {} is no row of a study's runs.csv (ValueError('fid 1.7e+308'))"),
        ("grid,norm", "grid,n_rm", "{} has no column norm; expected the runs.csv of a study"),
    ],
)
def test_a_damaged_table_is_one_line(tmp_path, old, new, message):
    path = tmp_path / "runs.csv"
    write_table([result()], path)
    head, *rows = path.read_text().splitlines(keepends=True)
    rows[-1] = rows[-1].replace(old, new)
    path.write_text("".join([head.replace(old, new), *rows]))
    with pytest.raises(BadInput) as error:
        read_table(path)
    assert str(error.value).startswith(message.format(path)) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ([1, 2, 4, 5, 6], "line 4 .*no final row of main, none, 0 above it"),
        ([1, 2, 4, 5, 3, 6], "line 4 .*no final row of main, none, 0 above it"),
        ([1, 2, 3, 4, 5], "line 6 .*no final row of main, spectral, 0 above it"),
        ([1, 2, 3, 1, 2, 3], "line 7 .*a second run of main, none, 0"),
    ],
)
def test_a_table_whose_rows_do_not_belong_together_is_refused(tmp_path, order, message):
    """Rows that were lost, sorted or joined by hand: no run takes another's curve, and none counts twice."""
    path = tmp_path / "runs.csv"
    write_table([result("none"), result("spectral")], path)
    rows = path.read_text().splitlines(keepends=True)
    path.write_text("".join([rows[0], *(rows[number] for number in order)]))
    with pytest.raises(BadInput, match=message):
        read_table(path)


def test_the_table_keeps_runs_that_are_not_of_the_study(tmp_path, capsys):
    """An edited study is another study: its report has its own runs, and nobody's training is lost."""
    definition, out = read_study(written(tmp_path)), tmp_path / "out"
    out.mkdir()
    point = definition.points()[0]
    own = result(point.norm, point.seed, grid=point.grid, configuration=point.digest)
    foreign = result("none", 7, grid=point.grid, configuration="00000000")
    write_report(definition, [own, foreign], out, floor=FLOOR, failed=[])
    with pytest.raises(SystemExit) as end:
        main([str(tmp_path / "definition.yaml"), "--out", str(out), "--report"])
    assert end.value.code == 0 and "1 of 10 runs are known" in capsys.readouterr().out
    assert "1 of 10 runs." in (out / "report.md").read_text()
    assert read_table(out / "runs.csv").results == [own, foreign]
    queue = queue_of(tmp_path, definition=definition)
    assert queue.take_over([own, foreign]) == 1


@pytest.mark.slow
def test_a_study_goes_on_from_the_table_of_another_machine(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    queue = queue_of(first)
    queue.run(lambda result: None)
    known = queue.results()
    write_table(known[:3], tmp_path / "runs.csv")
    rows = read_table(tmp_path / "runs.csv").results
    again = queue_of(second)
    changed = [type(run)(**{**run.to_dict(), "configuration": "00000000"}) for run in known[3:]]
    assert again.take_over([*rows, *changed]) == 3
    assert again.take_over(rows) == 0
    again.run(lambda result: None)
    assert started(second) == sorted(list(queue.points)[3:])
    assert again.results()[:3] == rows and len(again.results()) == len(queue.points)


def test_a_report_comes_again_from_the_table_alone(tmp_path, capsys):
    runs = [result(norm, seed) for norm in ("none", "spectral") for seed in range(3)]
    definition, out = written(tmp_path), tmp_path / "out"
    out.mkdir()
    files = write_report(read_study(definition), runs, out, floor=FLOOR, failed=[])
    before = {path: path.read_bytes() for path in files}
    for path in files[1:]:
        path.unlink()
    with pytest.raises(SystemExit) as end:
        main([str(definition), "--out", str(out), "--report"])
    assert end.value.code == 0 and "6 of 10 runs are known" in capsys.readouterr().out
    assert {path.name for path in out.iterdir()} == {path.name for path in files}
    assert (out / "report.md").read_bytes() == before[out / "report.md"]
    assert read_table(out / "runs.csv") == (runs, FLOOR)


def test_a_table_of_another_program_is_replaced_where_overwrite_asks_for_it(tmp_path, capsys):
    words = [str(written(tmp_path)), "--out", str(tmp_path / "out"), "--report"]
    with pytest.raises(SystemExit):
        main(words)  # makes study.db
    (tmp_path / "out/runs.csv").write_text("my,own\n1,2\n")
    for more, status in ([], 2), (["--overwrite"], 0):
        with pytest.raises(SystemExit) as end:
            main([*words, *more])
        assert end.value.code == status, capsys.readouterr()


def test_bytes_that_are_no_text_are_another_program_s(tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/runs.csv").write_bytes(bytes(range(256)))
    (tmp_path / "out/report.md").write_bytes(bytes(range(256)))
    with pytest.raises(SystemExit) as end:
        main([str(written(tmp_path)), "--out", str(tmp_path / "out"), "--report"])
    assert end.value.code == 2 and "runs.csv" in capsys.readouterr().err


def test_a_floor_without_its_number_of_images_is_one_line(tmp_path):
    write_table([result()], tmp_path / "runs.csv", {"values": {"fid": 0.25}, "split": "train"})
    with pytest.raises(BadInput, match=r"line 5 of .* \(ValueError\(\"the floor's protocol has no n and split\"\)\)"):
        read_table(tmp_path / "runs.csv")


def test_names_from_a_table_are_no_html_and_no_formula(tmp_path):
    definition, runs = read_study(written(tmp_path)), [result(r"<script>alert(1)</script> a|b $\frac$")]
    write_report(definition, runs, tmp_path, floor=None, failed=[], others=[], overwrite=False)
    report = (tmp_path / "report.md").read_text()
    assert "<script" not in report and "&lt;script>" in report and r"a\|b" in report


PUBLISHED = sorted(Path(__file__).parents[2].glob("docs/results/study_*/runs.csv"))


@pytest.mark.parametrize("path", PUBLISHED, ids=[path.parent.name for path in PUBLISHED])
def test_the_published_tables_are_read(path):
    found = read_table(path)
    assert found.results and all(run.rows and json.dumps(run.protocol) for run in found.results)
