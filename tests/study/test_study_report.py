"""A study's numbers: differences, their spread, the table and the report."""

import csv
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure
from small_studies import result, written

from gan_convnorm.errors import BadInput
from gan_convnorm.report.blocks import Picture
from gan_convnorm.report.drawing import log_axis
from gan_convnorm.report.markdown import render_markdown
from gan_convnorm.study import figures, read_study, report, report_content
from gan_convnorm.study.comparison import against, holm, spread
from gan_convnorm.study.definition import Grid, StudyDefinition
from gan_convnorm.study.report import write_report
from gan_convnorm.study.report_content import report_blocks
from gan_convnorm.study.table import write_table


def test_differences_are_paired_by_seed_with_the_interval_and_p_of_the_paired_t_test():
    random = np.random.default_rng(1)
    base = random.normal(2, 1, 6)
    shift = random.normal(0.5, 0.2, 6)
    ours = [result("none", seed, (9.0, base[seed] + shift[seed])) for seed in (3, 1, 5, 0, 4)]  # seed 2 is not there
    theirs = [result("spectral", seed, (9.0, base[seed])) for seed in range(6)]
    found = against(ours, theirs, "fid")
    pairs = shift[[3, 1, 5, 0, 4]]
    assert found.n == 5 and found.mean == pytest.approx(pairs.mean(), abs=1e-12)
    error = pairs.std(ddof=1) / math.sqrt(5)
    half = 2.7764451051977987 * error  # Student's t with 4 degrees of freedom, 0.975
    assert (found.low, found.high) == (pytest.approx(pairs.mean() - half), pytest.approx(pairs.mean() + half))
    # Its distribution with 4 degrees of freedom in closed form.
    t = pairs.mean() / error
    x = t / math.sqrt(4 + t * t)
    assert found.p == pytest.approx(1 - x * (3 - x * x) / 2, rel=1e-9)
    assert against(ours[:1], theirs, "fid") is None
    assert against(ours, theirs, "kid") is None


@pytest.mark.parametrize("shift", [0.0, -1.0])
def test_equal_differences_have_no_interval_and_no_p(shift):
    """Without a deviation there is no t: two runs that agree prove nothing."""
    found = against(
        [result("none", s, (3.0 + shift,)) for s in (0, 1)], [result(seed=s, fids=(3.0,)) for s in (0, 1)], "fid"
    )
    assert (found.mean, found.n) == (shift, 2) and all(map(math.isnan, (found.low, found.high, found.p)))


def test_an_interval_holds_the_mean_as_often_as_it_says():
    random = np.random.default_rng(0)
    theirs = [result("spectral", seed, (0.0,)) for seed in range(5)]
    held = 0
    for pairs in random.normal(1.0, 0.5, (400, 5)):
        ours = [result("none", seed, (pair,)) for seed, pair in enumerate(pairs)]
        found = against(ours, theirs, "fid")
        held += found.low < 1 < found.high
    assert 0.92 < held / 400 < 0.98


def test_p_values_are_corrected_as_holm_does():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == [] and holm([0.7, 0.8]) == [1.0, 1.0]


def test_a_spread_leaves_out_what_is_no_number():
    found = spread([1.0, math.nan, 3.0, math.inf])
    assert (found.mean, found.deviation, found.n) == (2.0, pytest.approx(math.sqrt(2)), 2)
    assert spread([math.nan]) is None and math.isnan(spread([1.0]).deviation)


def test_which_runs_have_diverged():
    assert result(fids=(2.0, 3.0)).ended_above(1.5) and not result(fids=(2.0, 2.9)).ended_above(1.5)
    assert result(fids=(0.0, 1.0)).diverged and result(fids=(math.nan, 2.0)).diverged
    assert result(fids=(4.0, math.nan, 4.0)).diverged and result(fids=(math.nan,) * 2).diverged
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
    assert rows[0]["layers/linear/operator_norm"] == "1.5" and rows[1]["layers/linear/operator_norm"] == ""
    assert json.loads(rows[0]["protocol"])["n_fake"] == 40
    assert (rows[0]["versions"], rows[0]["commit"], rows[0]["host"]) == ("torch=9.9", "abc", "one")


@pytest.mark.slow
def test_a_report_says_what_the_numbers_are(tmp_path):
    definition = read_study(written(tmp_path))
    runs = [result("none", seed, (6.0, 3.0 + 1.5 * seed)) for seed in range(3)]
    runs += [result("spectral", seed, (5.0, 2.0 + seed)) for seed in range(3)]
    rates = [
        result("spectral", 0, (4.0, 2.0 if rate < 0.01 else 9.0), grid="rates", n_dis=n, learning_rate=rate)
        for n in (1, 2)
        for rate in (0.001, 0.01)
    ]
    stopped = result("spectral", 1, (4.0,), grid="rates", outcome="stopped", reason="became NaN", final={})
    floor = {"values": {"fid": 0.987}, "n": 30, "split": "train", "reference": "test"}
    paths = write_report(definition, [*runs, *rates, stopped], tmp_path, floor=floor, failed=["main, none, seed 9"])
    text = (tmp_path / "report.md").read_text()
    assert "| none | 3 | 4.50 +- 1.50 | 2.00 +- 0.00 |" in text
    # 1.5 +- 4.303 * 0.5 / sqrt(3), and 1 - t / sqrt(t^2 + 2) with 2 degrees of freedom.
    assert "| none | +1.50 (+0.26 to +2.74, n = 3) | 0.035 | 20 | 3 +- 0 | 4 +- 0 |" in text
    assert "| spectral | 3 | 3.00 +- 1.00 | 2.00 +- 0.00 |" in text
    assert "| spectral | - | - | 20 | 3 +- 0 | 4 +- 0 |" in text
    assert "none 0 of 3, spectral 0 of 3." in text and "spectral 3 of 5." in text
    assert "30 real train images in place of fakes: FID 0.99." in text
    assert "twice: main, none, seed 9." in text and "became NaN" in text
    pictures = {path.name for path in paths if path.suffix == ".png"}
    assert pictures == {
        *(f"main_{kind}.png" for kind in ("steps", "seconds", "cpu_seconds", "operator_norms")),
        *(f"rates_{kind}.png" for kind in ("sensitivity", "operator_norms")),
    }
    assert all(f"]({name})" in text for name in pictures)
    page = (tmp_path / "report.html").read_text()
    # Each is in the page itself, for a wide window and for a phone.
    assert page.count(' src="data:image/png;base64,') == len(pictures) and "4.50 +- 1.50" in page
    assert page.count(' srcset="data:image/png;base64,') == len(pictures)


@pytest.mark.parametrize(("accuracies", "warned"), [((0.7665, 0.7665), False), ((0.7665, 0.771), True)])
def test_a_report_says_when_two_classifiers_scored_its_runs(tmp_path, accuracies, warned):
    """Each machine trains its own, and both are right in 77% of all cases."""
    protocol = {"name": "quick", "n_fake": 40, "fake": "samples", "extractor": "labelled-classifier-2"}
    runs = [
        result("none", seed, protocol=protocol | {"extractor_accuracy": accuracy})
        for seed, accuracy in enumerate(accuracies)
    ]
    text = render_markdown("small", report_blocks(read_study(written(tmp_path)), runs, None, []))
    assert "labelled-classifier-2 features (76.65% right)" in text
    assert ("by different classifiers" in text) == warned


@pytest.mark.slow
def test_a_report_replaces_its_own_files_and_no_others(tmp_path, monkeypatch):
    definition = read_study(written(tmp_path))
    runs = [result("none", 0), result("spectral", 0)]
    paths = write_report(definition, runs, tmp_path, floor=None, failed=[])
    drawn = list(report.report_blocks(definition, runs, None, []))
    monkeypatch.setattr(report, "report_blocks", lambda *_: drawn)  # to draw them takes a second
    assert write_report(definition, runs, tmp_path, floor=None, failed=[]) == paths
    for path in paths:
        kept = path.read_bytes()
        path.write_bytes(b"precious")
        if path.suffix == ".png":
            text = tmp_path / "report.md"
            text.write_text(text.read_text().replace(f"]({path.name})", ""))
        if path.suffix == ".html":
            (tmp_path / "report.md").unlink()
        with pytest.raises(BadInput, match=f"{path.name} exists and was not written by this command"):
            write_report(definition, runs, tmp_path, floor=None, failed=[])
        assert path.read_bytes() == b"precious"
        write_report(definition, runs, tmp_path, floor=None, failed=[], overwrite=True)
        assert path.read_bytes() == kept


@pytest.mark.slow
def test_the_page_of_an_earlier_version_is_replaced(tmp_path):
    definition, runs = read_study(written(tmp_path)), [result()]
    write_report(definition, runs, tmp_path, floor=None, failed=[])
    (tmp_path / "report.html").write_text("<!DOCTYPE html>\n<html>of an earlier version</html>")
    write_report(definition, runs, tmp_path, floor=None, failed=[])
    assert "earlier version" not in (tmp_path / "report.html").read_text()


def test_a_grid_without_a_factor_compares_norms_with_settings_of_their_own():
    definition = StudyDefinition("own", {"spectral": {}, "none": {}}, {"main": Grid(seed=[0, 1])})
    runs = [result("none", seed, (4.0, 2.0 + seed), learning_rate=0.004) for seed in range(2)]
    runs += [result("spectral", seed, (5.0, 4.0), learning_rate=0.001) for seed in range(2)]
    text = "\n".join(map(repr, report_blocks(definition, runs, None, [])))
    assert "'none', '0.004', '-1.50 (-7.85 to +4.85, n = 2)'" in text
    assert "Lowest" not in text


def test_a_grid_with_a_factor_compares_equal_settings_and_names_the_best_of_each_norm():
    definition = StudyDefinition(
        "rates", {"spectral": {}, "none": {}}, {"main": Grid(seed=[0, 1], learning_rate=[0.001, 0.004])}
    )
    runs = [
        result(norm, seed, (9.0, fid + seed), learning_rate=rate)
        for (norm, rate), fid in {("none", 0.001): 3, ("none", 0.004): 2, ("spectral", 0.001): 2.5}.items()
        for seed in range(2)
    ]
    text = "\n".join(map(repr, report_blocks(definition, runs, None, [])))
    assert "'none', '0.001', '+0.50 (" in text and "'none', '0.004', '-'" in text
    assert "has one: none 2.50 at learning rate 0.004 and n_dis 1, n = 2; spectral 3.00 at learning rate 0.001" in text


def test_the_best_setting_is_one_at_which_no_run_failed():
    definition = StudyDefinition(
        "rates", {"none": {}}, {"main": Grid(seed=[0, 1], learning_rate=[0.001, 0.002])}, "none"
    )
    runs = [result("none", seed, (9.0, 3.0), learning_rate=0.001) for seed in range(2)]
    runs += [result("none", 0, (9.0, 2.0)), result("none", 1, (9.0,), outcome="stopped", final={})]
    text = "\n".join(map(repr, report_blocks(definition, runs, None, [])))
    assert "has one: none 3.00 at learning rate 0.001" in text


def test_a_curve_of_means_ends_where_a_run_ended(monkeypatch):
    """Behind it the mean would be of the runs that did not fail."""
    runs = [result("none", 0, (5.0, 2.0)), result("none", 1, (30.0,), outcome="stopped", final={})]
    seen = []
    monkeypatch.setattr(figures, "encode", lambda figure, dpi: seen.append(figure) or b"")
    figures.draw_scores(runs, "step")
    (line,) = seen[0].axes[0].get_lines()
    assert line.get_xydata().tolist() == [[10.0, 17.5]]


def test_scores_that_are_all_nan_are_not_drawn():
    runs = [result("none", fids=(4.0, math.nan), learning_rate=rate) for rate in (0.001, 0.004)]
    assert figures.draw_sensitivity(runs) is None


def test_a_report_draws_what_the_callbacks_measured():
    definition = StudyDefinition("measured", {"none": {}}, {"main": Grid(seed=[0])}, baseline="none")
    run = result("none")
    for row in run.rows:
        row |= {"discriminator/overfitting": 0.1, "layers/linear/condition_number": 30.0}
    pictures = {block.file for block in report_blocks(definition, [run], None, []) if isinstance(block, Picture)}
    assert {f"main_{kind}.png" for kind in ("discriminator", "operator_norms", "condition_numbers")} <= pictures


def test_a_report_says_how_many_runs_have_no_scores():
    definition = StudyDefinition("stopped", {"none": {}, "spectral": {}}, {"main": Grid(seed=[0, 1, 2, 3])})
    runs = [result("none", seed, (9.0, 2.0 + seed / 10)) for seed in range(2)]
    runs += [result("none", seed, outcome="stopped", reason="became NaN", final={}) for seed in (2, 3)]
    runs += [result("spectral", seed, (9.0, 4.0)) for seed in range(4)]
    text = "\n".join(map(repr, report_blocks(definition, runs, None, [])))
    assert "'none', '2 of 4', '2.05 +- 0.07'" in text and "'spectral', '4', '4.00 +- 0.00'" in text
    assert "-1.95 (-2.59 to -1.31, n = 2)" in text


def test_a_report_counts_runs_that_never_were_good():
    definition = StudyDefinition("far", {"none": {}, "spectral": {}}, {"main": Grid(seed=[0, 1])})
    runs = [result("none", seed, (99.0, fid)) for seed, fid in enumerate((2.5, 6.0))]
    runs += [result("spectral", 0, (9.0, 3.0)), result("spectral", 1, outcome="stopped", final={})]
    text = "\n".join(map(repr, report_blocks(definition, runs, None, [])))
    assert "Diverged" in text and "times the run's best): none 0 of 2, spectral 1 of 2." in text
    assert "at least 2 times the grid's lowest mean, 3.00): none 1 of 2, spectral 1 of 2." in text


def test_a_grid_with_a_factor_draws_a_curve_for_each_setting(monkeypatch):
    definition = StudyDefinition(
        "rates", {"none": {}}, {"main": Grid(seed=[0], learning_rate=[0.001, 0.004])}, baseline="none"
    )
    drawn = []
    monkeypatch.setattr(report_content, "draw_layers", lambda runs, kind: drawn.append([run.norm for run in runs]))
    list(report_blocks(definition, [result("none", learning_rate=rate) for rate in (0.001, 0.004)], None, []))
    assert drawn[0] == ["none, 0.001", "none, 0.004"]


def test_a_grid_of_several_n_dis_draws_scores_for_each():
    definition = StudyDefinition("n_dis", {"none": {}}, {"my grid": Grid(seed=[0], n_dis=[1, 5])}, baseline="none")
    blocks = list(report_blocks(definition, [result("none", n_dis=n, grid="my grid") for n in (1, 5)], None, []))
    pictures = [block.file for block in blocks if isinstance(block, Picture)]
    assert "my grid_steps.png" in pictures and "my grid_sensitivity.png" not in pictures
    assert "](<my grid_steps.png>)" in render_markdown("study", blocks)


def test_a_panel_without_scores_does_not_set_the_limits(monkeypatch):
    runs = [result("none", fids=(fid, fid), learning_rate=rate) for rate, fid in ((0.001, 30.0), (0.004, 40.0))]
    runs += [replace(run, n_dis=5, final={}) for run in runs]
    seen = []
    monkeypatch.setattr(figures, "encode", lambda figure, dpi: seen.append(figure) or b"")
    assert figures.draw_sensitivity(runs) == b""
    low, high = seen[0].axes[0].get_ylim()
    assert 20 < low < 30 and 40 < high < 50


def test_a_report_counts_runs_that_got_worse_than_their_best_by_half():
    definition = StudyDefinition("worse", {"none": {}}, {"main": Grid(seed=[0, 1, 2])}, baseline="none")
    runs = [result("none", seed, (2.0, last)) for seed, last in enumerate((2.9, 3.0, 4.0))]
    text = "\n".join(map(repr, report_blocks(definition, runs, None, [])))
    assert "none 1 of 3. Got worse (at least 1.5 times): none 2 of 3." in text


@pytest.mark.parametrize("decades", [0.01, 0.1, 0.4, 0.6, 1, 3, 5, 9])
def test_a_logarithmic_axis_has_ticks(decades):
    axes = Figure().add_subplot()
    axes.plot([0, 1], [3, 3 * 10**decades])
    log_axis(axes.yaxis)
    low, high = axes.get_ylim()
    assert sum(low <= tick <= high for tick in axes.get_yticks()) >= 3


def test_a_study_without_real_images_names_none():
    """A study of IS alone compares with no real images, and has no FID to draw."""
    protocol = {"name": "custom", "n_fake": 40, "fake": "samples", "extractor": "inception"}
    runs = [
        replace(result(seed=seed), final={"isc": 2.0}, learning_rate=rate, protocol=protocol)
        for seed in (0, 1)
        for rate in (0.1, 0.2)
    ]
    definition = StudyDefinition("example", {"spectral": {}}, {"main": Grid(seed=[0, 1], learning_rate=[0.1, 0.2])})
    words = " ".join(getattr(block, "text", "") for block in report_blocks(definition, runs, None, []))
    assert "custom: 40 samples, inception features." in words and "None" not in words
    assert figures.draw_sensitivity(runs) is None
