"""A run that was killed, failed or was damaged is resumed with the same bits as one that was not stopped."""

import json
import shutil
import signal
import threading
import time
from pathlib import Path

import pytest
import torch
from forked_program import ForkedProgram
from killed_run import killed_run
from whole_runs import WORDS, assert_same_run

from gan_convnorm.cli import main
from gan_convnorm.errors import BadInput
from gan_convnorm.fidelity import Evaluator
from gan_convnorm.report.comparison_tables import _last_values
from gan_convnorm.report.runs import read_runs
from gan_convnorm.run_folder import (
    CheckpointFiles,
    RunRecord,
    RunSettings,
    last_checkpoint,
    read_checkpoint,
)

SHORT = ["--width", "0.05", "--batch-size", "4", "--num-fake", "20", "--eval-every", "2", "--metrics", "fid"]
pytestmark = pytest.mark.usefixtures("working_folder")


@pytest.mark.slow
def test_killed_in_a_step_a_write_and_an_evaluation(whole):
    run = Path("run")
    first = [*WORDS, "--out", "run"]
    again = ["--resume", "last", "--out", "run"]
    for moment, step, words, saved in (
        ("step", 7, first, 4),
        ("write", 8, again, 4),
        ("evaluation", 8, again, 8),
        ("evaluation", 12, again, 12),
    ):
        killed = ForkedProgram(killed_run, moment, step, words)
        assert killed.end() == -signal.SIGKILL, killed.printed
        assert read_checkpoint(run / "last.ckpt")["g_step"] == saved
    main(again)
    assert_same_run(whole, run)


@pytest.mark.slow
@pytest.mark.parametrize("behind", ["folder", "link"])
def test_a_run_folder_that_was_moved_keeps_its_best_checkpoint(whole, behind):
    shutil.copytree(whole, "real" if behind == "link" else "moved")
    if behind == "link":
        Path("moved").symlink_to("real")
    checkpoint = torch.load("moved/last.ckpt", weights_only=True)
    for name, state in checkpoint["callbacks"].items():
        if name.startswith("ModelCheckpoint"):  # a score that no later step reaches
            state["best_model_score"] = torch.tensor(-1.0)
            state["best_k_models"] = dict.fromkeys(state["best_k_models"], torch.tensor(-1.0))
    torch.save(checkpoint, "moved/last.ckpt")
    best = Path("moved/best.ckpt").read_bytes()
    main(["--resume", "moved/last.ckpt", "--steps", "16"])
    assert read_checkpoint(Path("moved/last.ckpt"))["g_step"] == 16
    assert Path("moved/best.ckpt").read_bytes() == best


@pytest.mark.slow
def test_a_run_of_the_authors_layer_goes_on_and_is_sampled(working_folder):
    """Its running average has the size of the images."""
    words = ["--disc-norm", "convnorm_2021", *SHORT]
    main([*words, "--steps", "2", "--out", "run"])
    main(["--resume", "run/last.ckpt", "--steps", "4"])
    main(["predict", "--ckpt_path", "run/last.ckpt", "--num", "2", "--out", "made"])
    assert Path("made/grid.png").exists()


@pytest.mark.slow
def test_a_score_that_fails_after_the_last_step_loses_nothing(whole, monkeypatch, capsys):
    score = Evaluator.__call__
    evaluations = []

    def failing(self, *args):
        evaluations.append(args)
        if len(evaluations) == 3:  # at steps 4, 8 and 12
            raise BadInput("no score")
        return score(self, *args)

    with monkeypatch.context() as patch, pytest.raises(SystemExit) as stop:
        patch.setattr(Evaluator, "__call__", failing)
        main([*WORDS, "--out", "run"])
    assert stop.value.code == 2 and "no score" in capsys.readouterr().err
    assert read_checkpoint(Path("run/last.ckpt"))["g_step"] == 12
    main(["--resume", "last", "--out", "run"])
    assert_same_run(whole, Path("run"))


def test_seconds_are_those_of_all_sittings(tmp_path):
    record = RunRecord(tmp_path, "seed_everything: 0", RunSettings("gan", {}))
    record.load_state_dict({"seconds": 1e6, "cpu_seconds": 2e6})
    state = record.state_dict()
    assert 1e6 <= state["seconds"] < 1.1e6 and 2e6 <= state["cpu_seconds"] < 2.1e6


@pytest.mark.slow
def test_a_finished_run_has_nothing_left_to_do(whole, capsys):
    run = Path("run")
    shutil.copytree(whole, run)
    for name in ("summary.json", "curves.png"):  # as if killed before they were written
        (run / name).unlink()
    before = (run / "last.ckpt").read_bytes()
    main(["--resume", "last", "--out", "run"])
    assert (run / "last.ckpt").read_bytes() == before
    assert (whole / "metrics.csv").read_text() == (run / "metrics.csv").read_text()
    one, two = (json.loads((folder / "summary.json").read_text()) for folder in (whole, run))
    for name in ("last", "best", "final", "protocol", "g_steps"):
        assert one[name] == two[name]
    assert "12 G steps" in capsys.readouterr().out
    assert (run / "curves.png").exists()


@pytest.mark.slow
def test_a_damaged_last_checkpoint_is_passed_over(whole, recwarn):
    run = Path("run")
    main([*WORDS, "--steps", "12", "--out", "run"])
    content = bytearray((run / "last.ckpt").read_bytes())
    (run / "last.ckpt").write_bytes(content[: len(content) // 3])
    with pytest.warns(UserWarning, match=r"last\.ckpt is damaged .*; the run goes on from run/previous\.ckpt"):
        assert last_checkpoint(run) == run / "previous.ckpt"
    content[len(content) // 2] ^= 1  # one bit within the weights
    (run / "last.ckpt").write_bytes(content)
    with pytest.warns(UserWarning, match=r"last\.ckpt is damaged"):
        main(["--resume", "last", "--out", "run"])
    assert_same_run(whole, run)
    (run / "previous.ckpt").unlink()
    (run / "last.ckpt").write_bytes(content)
    with pytest.raises(BadInput, match=r"last\.ckpt is damaged"):
        last_checkpoint(run)


@pytest.mark.slow
def test_a_checkpoint_is_whole_at_every_moment(tmp_path):
    """A reader beside a writer never sees anything but one of the two."""
    path, files = tmp_path / "last.ckpt", CheckpointFiles()
    contents = [{"config": "", "weights": torch.full((200_000,), float(i))} for i in range(2)]
    files.save_checkpoint(contents[0], path)
    stop = threading.Event()

    def write():
        while not stop.is_set():
            for content in contents:
                files.save_checkpoint(content, path)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        until = time.monotonic() + 1
        while time.monotonic() < until:
            weights = torch.load(path, weights_only=True)["weights"]
            assert (weights == weights[0]).all()
    finally:
        stop.set()
        writer.join()
    assert {p.name for p in tmp_path.iterdir()} == {"last.ckpt", "previous.ckpt"}
    assert not torch.equal(*(torch.load(p, weights_only=True)["weights"] for p in tmp_path.iterdir()))


@pytest.mark.slow
def test_a_checkpoint_of_another_shape_or_version_names_the_key(whole):
    import gan_convnorm

    saved = torch.load(whole / "last.ckpt", weights_only=True)
    name = "generator.blocks.0.conv1.weight"
    for change, message in (
        (lambda state: state.update({name: state[name][:1]}), rf"'{name}' has the shape \(1, .*is expected"),
        (lambda state: state.pop(name), f"has no '{name}'; it was saved by another version"),
        (lambda state: state.update({"generator.extra": state[name]}), r"has 'generator\.extra', which is not known"),
    ):
        state = dict(saved["state_dict"])
        change(state)
        torch.save({**saved, "state_dict": state}, "other.ckpt")
        with pytest.raises(BadInput, match=message):
            gan_convnorm.load("other.ckpt")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:FID of")
def test_a_resumed_run_may_take_other_scores_and_says_so(working_folder, capsys):
    words = ["--steps", "2", "--width", "0.05", "--batch-size", "4", "--eval-every", "2", "--num-fake", "20"]
    main([*words, "--metrics", "fid", "--out", "run"])
    again = ["--resume", "last", "--out", "run", "--eval-every", "2"]
    other = ["--metrics", "fid,isc", "--scores.isc_splits", "2", "--scores.best", "isc"]
    main([*again, "--steps", "2", *other])  # nothing is left to train, so no row has the new score
    assert "nothing is left to train" in capsys.readouterr().out
    with pytest.warns(UserWarning, match="before and after this step are taken in different ways"):
        main([*again, "--steps", "4", *other])
    assert "scores.metrics fid -> fid,isc" in capsys.readouterr().out
    summary = json.loads(Path("run/summary.json").read_text())
    assert summary["best"]["g_step"] == 4 and "isc" in summary["last"]  # the first row has no IS to be the best by
    # A score that is dropped is not shown as the last one's.
    with pytest.warns(UserWarning, match="taken in different ways"):
        main([*again, "--steps", "6", "--metrics", "fid", "--scores.best", "fid"])
    (run,) = read_runs([Path("run")])
    assert _last_values([run], "isc") == [] and len(_last_values([run], "fid")) == 1
    with pytest.raises(SystemExit):
        main(["predict", "--ckpt-path", "run/last.ckpt", "--num", "1", "--resolution", "32", "--out", "images"])
    assert "--resolution is 32, and the generator makes images of 16" in capsys.readouterr().err
