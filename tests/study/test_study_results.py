"""Reading the runs of a study: their folders, their stored results, and the real images for the lowest FID."""

import optuna
import pytest
import yaml
from small_studies import one_point, queue_of, result

from gan_convnorm.errors import BadInput
from gan_convnorm.study.floor import main as floor_main
from gan_convnorm.study.results import read_result, stored_result


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
    # NaN at the first steps: a result, though no row of metrics.csv has been written.
    (run / "metrics.csv").unlink()
    (run / "summary.json").unlink()
    with pytest.raises(BadInput, match=r"has no metrics.csv"):
        read_result(point, run, "one")
    (run / "metrics.csv").write_text("step,fid\n10,4.0\n")
    (run / "summary.json").write_text('{"g_steps": 10}')
    options = {"n_dis": 1, "disc_lr": 0.1, "steps": 20}
    (run / "config.yaml").write_text(yaml.safe_dump({"seed_everything": 0, "model": {"optimization": options}}))
    ended = read_result(point, run, "one")  # by a limit of time, or after a collapse
    assert (ended.outcome, ended.reason, ended.diverged) == ("stopped", "ended at step 10 of 20", True)
    (run / "config.yaml").write_text(yaml.safe_dump({"seed_everything": 5, "model": {"optimization": options}}))
    with pytest.raises(BadInput, match="the run run has seed_everything 5, and the study gives it 0"):
        read_result(point, run, "one")
    (run / "config.yaml").write_text(yaml.safe_dump({"seed_everything": 0, "model": {"optimization": options}}))
    (run / "metrics.csv").unlink()
    (run / "summary.json").unlink()
    stopped = read_result(point, run, "one", "a weight became NaN")
    assert (stopped.outcome, stopped.steps, stopped.rows, stopped.diverged) == ("stopped", 0, [], True)


@pytest.mark.parametrize(
    "change",
    [
        {"rows": 5},
        {"rows": [{"fid": 2.0}]},
        {"final": {"fid": "low"}},
        {"host": "\ud800"},
        {"seed": "0"},
        {"versions": {"torch": 2}},
        {"protocol": []},
    ],
)
def test_a_stored_result_of_other_types_is_one_line(change):
    assert stored_result("run", result().to_dict()) == result()
    with pytest.raises(BadInput, match="the storage holds a result of run that this version does not know"):
        stored_result("run", result().to_dict() | change)


def test_a_stored_result_of_another_version_is_one_line(tmp_path):
    queue = queue_of(tmp_path, definition=one_point(tmp_path))
    (name,) = queue.points
    state = optuna.trial.TrialState.COMPLETE
    for stored in ({"grid": "main"}, [1], None):
        attributes = {"point": name, "result": stored}
        queue.study.add_trial(optuna.trial.create_trial(state=state, value=1.0, user_attrs=attributes))
        with pytest.raises(BadInput, match="the storage holds a result of main-none-seed0"):
            queue.results()


def write_config(folder, given=(), **data):
    folder.mkdir()
    scores = {"metrics": "fid", "protocol": "quick", "extractor": "classifier"}
    scores |= {"extractor_weights": None, "isc_splits": 10, **dict(given)}
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


@pytest.mark.parametrize("given", [{"extractor": "theirs"}, {"extractor_weights": "weights.pt"}])
def test_the_floor_loads_no_weights_that_a_run_names(tmp_path, capsys, given):
    write_config(tmp_path / "run", given, class_path="gan_convnorm.data.Digits")
    with pytest.raises(SystemExit) as caught:
        floor_main([str(tmp_path / "run"), "another.pt"])
    assert caught.value.code == 2
    (value,) = given.values()
    assert f"the run's scores need {value!r}, which the study does not name" in capsys.readouterr().err
    with pytest.raises(SystemExit):  # what the study names is looked for
        floor_main([str(tmp_path / "run"), value])
    assert "does not name" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"nonsense": 1}, "error: the arguments of the run's data"),
        ({"resolution": "large"}, "error: resolution is 'large'; expected the side"),
        ([1], "error: the arguments of the run's data"),
    ],
)
def test_the_floor_of_damaged_arguments_is_one_line(tmp_path, capsys, arguments, line):
    write_config(tmp_path / "run", class_path="gan_convnorm.data.Digits", init_args=arguments)
    with pytest.raises(SystemExit) as caught:
        floor_main([str(tmp_path / "run")])
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith(line)
