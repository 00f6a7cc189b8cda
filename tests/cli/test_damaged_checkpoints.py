"""A damaged or altered checkpoint is refused in one line, before anything is made, lost or overwritten."""

import re
import shutil
import zipfile
from pathlib import Path

import pytest
import torch
from program_runs import changed, refused, same, weights
from torch import nn

import gan_convnorm
from gan_convnorm.cli import main
from gan_convnorm.errors import BadInput
from gan_convnorm.files.tensors import load_tensors


@pytest.fixture(autouse=True)
def in_folder(working_folder):
    pass


@pytest.mark.parametrize("name", ["optimizer_states", "lr_schedulers", "callbacks", "loops", "epoch", "global_step"])
def test_a_run_needs_everything_to_go_on(name, short_runs, capsys):
    path = changed(short_runs / "gan/last.ckpt", lambda checkpoint: checkpoint.pop(name))
    message = refused(capsys, "--resume", path, "--steps", "4", "--out", "made")
    assert f"has no {name!r}, without which a run cannot go on exactly" in message
    path = changed(short_runs / "gan/last.ckpt", lambda checkpoint: checkpoint.update({name: "text"}))
    assert f"holds str 'text' as its {name!r}" in refused(capsys, "--resume", path, "--steps", "4", "--out", "made")
    gan_convnorm.load(path)  # the generator is whole


def _moments(**changes):
    def change(checkpoint):
        for optimizer in checkpoint["optimizer_states"]:
            for state in optimizer["state"].values():
                state |= changes

    return change


def _callback(name, **changes):
    def change(checkpoint):
        for key, state in checkpoint["callbacks"].items():
            if key.startswith(name):
                state |= changes

    return change


STATES = {
    "moments of another shape": (_moments(exp_avg=torch.zeros(1)), "optimizer 1 has exp_avg of shape (1,) for"),
    "moments of another type": (_moments(exp_avg_sq=torch.zeros(1, dtype=torch.int64)), "exp_avg_sq of torch.int64"),
    "moments that are no tensors": (_moments(exp_avg=[0.0]), "exp_avg [0.0] for parameter 0; expected a tensor"),
    "steps of another shape": (_moments(step=torch.ones(9)), "step of shape (9,)"),
    "steps that are NaN": (_moments(step=torch.tensor(float("nan"))), "NaN or infinite values in step"),
    "no moments": (lambda c: c["optimizer_states"][1].update(state={}), "optimizer 2 has no moments"),
    "moments of another parameter": (lambda c: c["optimizer_states"][0]["state"].update({99: {}}), "does not have"),
    "fewer parameters": (lambda c: c["optimizer_states"][0]["param_groups"][0]["params"].pop(), "other parameters"),
    "no schedules": (lambda c: c["lr_schedulers"].clear(), "schedules []; expected 2"),
    "a schedule without a step": (lambda c: c["lr_schedulers"][1].update(last_epoch="x"), "schedules [2, 'x']"),
    "times": (_callback("RunReport", times=5), "RunReport has times 5"),
    "seconds": (_callback("RunReport", seconds="long"), "seconds 'long'; expected a number"),
    "scores": (_callback("FidelityScores", last=[1]), "[1] as its last scores"),
    "step of the scores": (_callback("FidelityScores", step="x"), "scores have the step 'x'"),
}


@pytest.mark.parametrize("case", STATES)
def test_a_run_goes_on_from_whole_states_alone(case, short_runs, capsys):
    """Fused Adam read beyond moments of another shape; schedules and moments that lacked began anew without a word."""
    change, message = STATES[case]
    path = changed(short_runs / "gan/last.ckpt", change)
    assert message in refused(capsys, "--resume", path, "--steps", "4")


def _weight(make):
    def change(checkpoint):
        checkpoint["state_dict"]["generator.conv.bias"] = make()

    return change


TENSORS = {
    "on no device": (_weight(lambda: torch.zeros(1, device="meta")), "on meta"),
    "sparse": (_weight(lambda: torch.zeros(1).to_sparse()), "torch.sparse_coo"),
    "of a rare type": (_weight(lambda: torch.zeros(1).to(torch.float8_e4m3fn)), "torch.float8_e4m3fn"),
    "of few numbers": (_weight(lambda: torch.zeros(1).expand(2**22, 2**22)), "(4194304, 4194304) with 1 numbers"),
    "infinite in its type": (_weight(lambda: torch.full((1,), 1e300, dtype=torch.float64)), "NaN or infinite values"),
}


def test_lists_that_hold_themselves_are_read_once(short_runs):
    """A small pickle can stand for 2^45 lists, or for one that holds itself."""

    def change(checkpoint):
        shared = [0]
        for _ in range(45):
            shared = [shared, shared]
        shared[0].append(shared)
        checkpoint["more"] = shared

    assert gan_convnorm.load(changed(short_runs / "gan/last.ckpt", change)).g_step == 2


def test_buffers_of_one_s_own_norms_are_plain():
    module = nn.Module()
    module.register_buffer("filter", torch.ones(2, dtype=torch.complex64))
    module.register_buffer("repeated", torch.ones(1).expand(64))
    torch.save(module.state_dict(), "own.pt")
    assert set(load_tensors(Path("own.pt"))) == {"filter", "repeated"}


@pytest.mark.parametrize("case", TENSORS)
def test_an_odd_tensor_is_one_line(case, short_runs, capsys):
    change, message = TENSORS[case]
    path = changed(short_runs / "gan/last.ckpt", change)
    assert message in refused(capsys, "predict", "--ckpt_path", path, "--num", "2", "--out", "made")
    with pytest.raises(BadInput, match=re.escape(message)):
        gan_convnorm.load(path)


def test_a_compressed_checkpoint_is_refused_unread(short_runs, capsys):
    """Two megabytes could become gigabytes."""
    with (
        zipfile.ZipFile(short_runs / "gan/last.ckpt") as whole,
        zipfile.ZipFile("small.ckpt", "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for entry in whole.namelist():
            new.writestr(entry, whole.read(entry))
    assert "has the compressed entry" in refused(capsys, "predict", "--ckpt_path", "small.ckpt", "--out", "made")


def test_a_name_that_is_too_long_is_one_line(capsys):
    assert "there is no checkpoint" in refused(capsys, "predict", "--ckpt_path", "a" * 300, "--out", "made")


def test_an_optimizer_s_options_are_not_the_file_s(short_runs):
    def change(checkpoint):
        for optimizer in checkpoint["optimizer_states"]:
            (group,) = optimizer["param_groups"]
            group |= {"maximize": True, "weight_decay": 5.0, "lr": "fast", "initial_lr": "fast"}
            del group["eps"]

    for words in ("same", "changed"):
        shutil.copytree(short_runs / "gan", words)
    changed("changed/last.ckpt", change, "changed/last.ckpt")
    for words in ("same", "changed"):
        main(["--resume", f"{words}/last.ckpt", "--steps", "4"])
    assert same(weights("same/last.ckpt"), weights("changed/last.ckpt"))


def test_a_later_state_is_not_replaced_by_going_on_from_an_earlier_one(short_runs, capsys):
    shutil.copytree(short_runs / "gan", "run")
    main(["--resume", "run/last.ckpt", "--steps", "4"])
    shutil.copy(short_runs / "gan/last.ckpt", "run/early.ckpt")
    before = Path("run/last.ckpt").read_bytes()
    line = refused(capsys, "--resume", "run/early.ckpt", "--steps", "4")
    assert "run/last.ckpt is of a later step than early.ckpt, and would be lost; go on from early.ckpt in" in line
    assert Path("run/last.ckpt").read_bytes() == before
    main(["--resume", "run/early.ckpt", "--steps", "4", "--out", "other"])


@pytest.mark.parametrize("best", ["local://{}/mine", "{}/run/../mine/best.ckpt", "{}/mine"])
def test_a_resumed_run_removes_no_other_file(best, short_runs, tmp_path):
    """The name of the best checkpoint so far, which the next one replaces, is in the file."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/best.ckpt").write_text("mine")
    shutil.copytree(short_runs / "gan", "run")
    changed("run/last.ckpt", _callback("ModelCheckpoint", best_model_path=best.format(tmp_path)), "run/last.ckpt")
    main(["--resume", "run/last.ckpt", "--steps", "4"])
    assert (tmp_path / "mine/best.ckpt").read_text() == "mine"


@pytest.mark.parametrize("name", ["state_dict", "g_step", "run"])
@pytest.mark.parametrize("value", [None, "text", 3.5, [1]])
def test_an_entry_of_another_type_is_one_line(name, value, short_runs, capsys):
    def change(checkpoint):
        if value is None:
            del checkpoint[name]
        else:
            checkpoint[name] = value

    path = changed(short_runs / "gan/last.ckpt", change)
    with pytest.raises(BadInput, match=re.escape(name if name != "run" else "run settings")):
        gan_convnorm.load(path)
    refused(capsys, "validate", "--ckpt_path", path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_neither_loaded_nor_scored(value, short_runs, capsys):
    def change(checkpoint):
        checkpoint["state_dict"]["generator_ema.blocks.0.conv1.weight"][0, 0, 0, 0] = value

    path = changed(short_runs / "gan/last.ckpt", change)
    message = "'generator_ema.blocks.0.conv1.weight' holds NaN or infinite values"
    with pytest.raises(BadInput, match=message):
        gan_convnorm.load(path)
    for words in (["validate", "--ckpt_path"], ["predict", "--out", "made", "--ckpt_path"], ["--resume"]):
        assert message in refused(capsys, *words, path)
