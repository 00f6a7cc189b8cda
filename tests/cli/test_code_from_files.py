"""A file that is loaded chooses no code: only a person's command line, --config or --trust does."""

import json
import re
import shutil
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import gan_convnorm
from gan_convnorm.cli import main
from gan_convnorm.cli.classify import main as classify
from gan_convnorm.cli.demo_images import train_images
from gan_convnorm.cli.export import main as export
from gan_convnorm.cli.score import main as score
from gan_convnorm.data import CIFAR10, Digits
from gan_convnorm.errors import BadInput
from gan_convnorm.files.tensors import load_tensors
from gan_convnorm.gan import GAN
from gan_convnorm.gan.generator_file import TrainedGenerator
from gan_convnorm.run_folder import RunSettings

WORDS = ["--steps", "2", "--width", "0.05", "--batch-size", "8", "--num-fake", "20", "--eval-every", "2"]
CANARY = """
from pathlib import Path
from pytorch_lightning import Callback
from torch import nn
from gan_convnorm.data import Digits

Path("code-ran").touch()

class norm:
    conv = staticmethod(nn.utils.parametrizations.spectral_norm)
    linear = staticmethod(nn.utils.parametrizations.spectral_norm)

class Mine(Digits):
    pass

class Call(Callback):
    pass
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A GAN's and a classifier's run of two steps."""
    folder = tmp_path_factory.mktemp("runs")
    main([*WORDS, "--out", str(folder / "gan")])
    words = ["--epochs", "1", "--width", "0.25", "--evaluation.corruptions", "none", "--attacks", "none"]
    classify([*words, "--out", str(folder / "classifier"), "--trainer.limit_train_batches", "2"])
    return folder


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "canary", raising=False)
    Path("canary.py").write_text(CANARY)
    return tmp_path


def changed(source, change, path="changed.ckpt"):
    checkpoint = torch.load(source, weights_only=True)
    change(checkpoint)
    torch.save(checkpoint, path)
    return path


def refused(capsys, program, *words):
    with pytest.raises(SystemExit) as stop:
        program(list(words))
    assert stop.value.code == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ") and err.count("\n") == 1, err
    assert not Path("code-ran").exists()
    return err


def put(*keys, value):
    def change(checkpoint):
        *parents, last = keys
        place = checkpoint["run"]
        for key in parents:
            place = place[key]
        place[last] = value

    return change


CLASS = {"class_path": "canary.Call"}
CODE = {
    "data": (put("data", value="canary.Mine"), "'canary.Mine', code that is not part of this package"),
    "norm": (put("model", "architecture", "disc_norm", value="canary:norm"), "'canary:norm', code that is not part"),
    "second norm": (put("model", "architecture", "gen_norm", value="convnorm+canary:norm"), "--trust canary"),
    "network": (put("model", "architecture", "network", value="canary:PAIR"), "--trust canary"),
    "callbacks": (put("trainer", "callbacks", value="canary.Call"), "trainer.callbacks"),
    "callback with arguments": (
        put("trainer", "callbacks", value=[{"class_path": "canary.Call"}]),
        "trainer.callbacks",
    ),
    "profiler": (put("trainer", "profiler", value={"class_path": "canary.Call"}), "trainer.profiler"),
    "logger": (put("trainer", "logger", value="canary.Call"), "trainer.logger"),
    "plugins": (put("trainer", "plugins", value="canary.Call"), "trainer.plugins"),
    "strategy": (put("trainer", "strategy", value="canary.Call"), "trainer.strategy"),
    "strategy by name": (put("trainer", "strategy", value="deepspeed"), "trainer.strategy"),
    "accelerator": (put("trainer", "accelerator", value="canary.Call"), "trainer.accelerator"),
    "folder": (put("trainer", "default_root_dir", value="elsewhere"), "trainer.default_root_dir"),
    "weights of the extractor": (put("sections", "scores", "extractor_weights", value="w.pt"), "must not choose"),
    "extractor": (put("sections", "scores", "extractor", value="mine"), "must not choose"),
    "another section": (put("sections", "optimizer", value={"class_path": "canary.Call"}), "optimizer"),
    "an option": (put("options", "config", value="canary.yaml"), "config"),
    "a section for the trainer": (
        put("sections", "trainer", value={"callbacks": "canary.Call"}),
        "the section 'trainer'; expected scores",
    ),
    "a section for the model": (
        put("sections", "model", value={"architecture": {"disc_norm": "canary:norm"}}),
        "the section 'model'; expected scores",
    ),
    "a section for the data": (put("sections", "data", value={"root": "canary"}), "the section 'data'"),
    "an option for the trainer": (
        put("options", "trainer", value={"callbacks": "canary.Call"}),
        "the option 'trainer'; expected operator_norms_every, init_from",
    ),
    "a class among the options of a norm": (
        put("model", "architecture", "disc_norm_options", value={"gain": [CLASS]}),
        "class_path in model.architecture",
    ),
    "a class in a text": (
        put("model", "architecture", "gen_norm_options", value={"eps": "{class_path: canary.Call}"}),
        "class_path in model.architecture",
    ),
    "a class in an escaped text in a text": (
        put("model", "architecture", "plan", value={"start": '["{\\"class\\\\x5fpath\\": canary.Call}"]'}),
        "class_path in model.architecture",
    ),
    "a class in a text that libyaml alone reads": (
        put("model", "architecture", "gen_norm_options", value={"eps": "{\tclass_path: canary.Call}"}),
        "class_path in model.architecture",
    ),
    "a class by a dotted name": (
        put("data_arguments", "fit.class_path", value="canary.Call"),
        "class_path in data_arguments.fit.class_path",
    ),
    "a class in a text with aliases": (
        put("model", "architecture", "plan", value={"start": "[&a class_path, {*a : canary.Call}]"}),
        "class_path in model.architecture",
    ),
    "a class among the data's arguments": (
        put("data_arguments", "fit", value=CLASS),
        "class_path in data_arguments.fit",
    ),
    "a class for a number": (
        put("trainer", "val_check_interval", value=str(CLASS)),
        "class_path in trainer.val_check_interval",
    ),
    "a setting that is unknown": (put("anything", value=1), "'anything', which this version does not know"),
    "another version": (put("version", value=1), "no run settings of version 3"),
    "a program": (put("program", value="classifier"), "is a 'classifier' checkpoint"),
    "a number for a text": (put("model", "architecture", "disc_norm", value=3), "disc_norm 3; expected a text"),
    "a text for a number": (
        put("model", "optimization", "steps", value="many"),
        "steps 'many'; expected a whole number",
    ),
    "NaN": (put("model", "optimization", "gen_lr", value=float("nan")), "expected plain values"),
    "depth": (put("model", "architecture", "plan", value=[[[[[[[[[[1]]]]]]]]]]), "expected plain values"),
}


COMMANDS = ("validate", "test", "predict", "fit")
#: every case with one command in turn, and three with each command, for they share the reading
PAIRS = [(case, COMMANDS[number % 4]) for number, case in enumerate(CODE)]
PAIRS += [(case, command) for case in ("data", "norm", "callbacks") for command in COMMANDS]


@pytest.mark.parametrize(("case", "command"), dict.fromkeys(PAIRS))
def test_no_command_takes_code_from_a_checkpoint(case, command, runs, capsys):
    change, message = CODE[case]
    path = changed(runs / "gan/last.ckpt", change)
    flag = "--resume" if command == "fit" else "--ckpt_path"
    assert message in refused(capsys, main, command, flag, path, "--out", "made")
    assert not Path("made").exists() and not Path("elsewhere").exists()


@pytest.mark.parametrize("case", ["norm", "second norm", "network"])
def test_neither_load_nor_export_nor_scores_import_it(case, runs, capsys):
    path = changed(runs / "gan/last.ckpt", CODE[case][0])
    for load in (gan_convnorm.load, GAN.load_from_checkpoint):
        with pytest.raises(BadInput, match="--trust canary"):
            load(path)
    assert "--trust canary" in refused(capsys, export, path, "exported")
    Path("real").mkdir()
    assert "--trust canary" in refused(capsys, score, path, "real", "--metrics", "isc")
    assert not Path("exported").exists()


def test_lightnings_own_way_to_name_code_is_not_read(runs):
    def change(checkpoint):
        checkpoint["hyper_parameters"] |= {"_instantiator": "canary.norm", "_class_path": "canary.Mine"}

    GAN.load_from_checkpoint(changed(runs / "gan/last.ckpt", change))
    assert not Path("code-ran").exists()


def test_trust_lets_a_checkpoint_name_your_own_code(runs, capsys):
    def change(checkpoint):
        checkpoint["run"]["data"] = "canary.Mine"
        checkpoint["run"]["model"]["architecture"]["disc_norm"] = "canary:norm"

    path = changed(runs / "gan/last.ckpt", change)
    main(["predict", "--ckpt_path", path, "--trust", "canary", "--num", "2", "--out", "made"])
    assert Path("code-ran").exists() and Path("made/grid.png").exists()
    assert gan_convnorm.load(path, trust=("canary",)).sample(1).shape == (1, 1, 16, 16)
    export([path, "exported", "--trust", "canary", "--no-program"])
    with pytest.raises(BadInput, match="expected a sequence of module names"):
        gan_convnorm.load(path, trust="canary")
    # A module is trusted, not each that begins with its name.
    with pytest.raises(BadInput, match="--trust canary"):
        gan_convnorm.load(path, trust=("can",))


def test_your_own_words_need_no_trust(runs, capsys):
    path = changed(runs / "gan/last.ckpt", put("model", "architecture", "disc_norm", value="canary:norm"))
    main(["validate", "--ckpt_path", path, "--disc-norm", "canary:norm"])
    assert Path("code-ran").exists()


@pytest.mark.parametrize("words", [["--out", "canary.Mine"], ["--ckpt_path", "canary.Mine"], ["-ccanary.Mine"]])
def test_the_same_word_in_another_flag_trusts_nothing(words, runs, capsys):
    changed(runs / "gan/last.ckpt", CODE["data"][0], "canary.Mine" if "--ckpt_path" in words else "changed.ckpt")
    if "-ccanary.Mine" in words:
        Path("canary.Mine").write_text("{}")
    if "--ckpt_path" not in words:
        words = [*words, "--ckpt_path", "changed.ckpt"]
    assert "--trust canary" in refused(capsys, main, "validate", *words)


def test_the_packages_own_data_need_no_trust_by_either_of_their_names(runs, capsys):
    path = changed(runs / "gan/last.ckpt", put("data", value="gan_convnorm.data.Digits"))
    main(["validate", "--ckpt_path", path])
    assert "G step 2: FID" in capsys.readouterr().out


def test_a_run_with_your_own_code_says_what_a_checkpoint_does_not_bring_back(capsys):
    config = "trainer: {callbacks: [{class_path: canary.Call}]}\nscores: {extractor: classifier}\n"
    Path("mine.yaml").write_text(config)
    main([*WORDS, "--config", "mine.yaml", "--out", "run", "--data", "canary.Mine"])
    run = torch.load("run/last.ckpt", weights_only=True)["run"]
    assert run["omitted"] == ["trainer.callbacks"] and run["data"] == "canary.Mine"
    Path("code-ran").unlink()
    del sys.modules["canary"]
    assert "--trust canary" in refused(capsys, main, "--resume", "last", "--out", "run", "--steps", "3")
    with pytest.warns(UserWarning, match="does not bring back trainer.callbacks"):
        main(["--resume", "last", "--out", "run", "--steps", "3", "--trust", "canary"])
    assert torch.load("run/last.ckpt", weights_only=True)["g_step"] == 3


def test_an_export_chooses_no_code(runs):
    export([str(runs / "gan/last.ckpt"), "good", "--no-program"])
    described = json.loads(Path("good/generator.json").read_text())
    arguments = described["arguments"]
    for number, (change, message) in enumerate(
        (
            ({"network": "canary:PAIR"}, "--trust canary"),
            ({"arguments": arguments | {"norm": "canary:norm"}}, "--trust canary"),
            ({"arguments": arguments | {"norm": 5}}, "norm 5; expected a text"),
            ({"arguments": arguments | {"width": "wide"}}, "width 'wide'; expected a number"),
            ({"arguments": [1]}, "expected a mapping|dict"),
            ({"seed": "0"}, "seed '0'; expected a whole number"),
            ({"g_step": -1}, "step -1"),
            ({"weights": "best"}, "weights 'best'"),
        )
    ):
        folder = shutil.copytree("good", f"changed-{number}")
        (Path(folder) / "generator.json").write_text(json.dumps(described | change))
        with pytest.raises(BadInput, match=message):
            gan_convnorm.load(folder)
    assert not Path("code-ran").exists()


def test_a_classifiers_checkpoint_chooses_no_code_and_no_file_to_write(runs, capsys):
    source = runs / "classifier/last.ckpt"
    for change, message in (
        (put("model", "norm", value="canary:norm"), "--trust canary"),
        (put("data", value="canary.Mine"), "--trust canary"),
        (put("sections", "evaluation", "json", value="precious.txt"), "must not"),
        (put("trainer", "callbacks", value="canary.Call"), "trainer.callbacks"),
    ):
        for words in (["test", "--ckpt_path"], ["--resume"]):
            assert message in refused(capsys, classify, *words, changed(source, change), "--out", "made")
    assert not Path("precious.txt").exists() and not Path("made").exists()


@pytest.mark.parametrize("name", ["optimizer_states", "lr_schedulers", "callbacks", "loops", "epoch", "global_step"])
def test_a_run_needs_everything_to_go_on(name, runs, capsys):
    path = changed(runs / "gan/last.ckpt", lambda checkpoint: checkpoint.pop(name))
    message = refused(capsys, main, "--resume", path, "--steps", "4", "--out", "made")
    assert f"has no {name!r}, without which a run cannot go on exactly" in message
    path = changed(runs / "gan/last.ckpt", lambda checkpoint: checkpoint.update({name: "text"}))
    assert f"holds str 'text' as its {name!r}" in refused(
        capsys, main, "--resume", path, "--steps", "4", "--out", "made"
    )
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
def test_a_run_goes_on_from_whole_states_alone(case, runs, capsys):
    """Fused Adam read beyond moments of another shape; schedules and moments that lacked began anew without a word."""
    change, message = STATES[case]
    path = changed(runs / "gan/last.ckpt", change)
    assert message in refused(capsys, main, "--resume", path, "--steps", "4")


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


class Augmentation:
    def __init__(self, p: float = 0.5):
        self.p = p


class Augmented(Digits):
    """The digits with three more arguments: an object, a text and a path. All others are the digits' own."""

    def __init__(
        self, augmentation: Augmentation | None = None, pattern: str = "", folder: Path | None = None, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.augmentation, self.pattern, self.folder = augmentation, pattern, folder


OWN = f"{__name__}.Augmented"


def test_a_run_with_objects_among_its_data_s_arguments_goes_on_when_they_are_given_again(capsys):
    objects = ["--data.augmentation", f"{__name__}.Augmentation", "--data.augmentation.p", "0.25"]
    main([*WORDS, "--out", "run", "--data", OWN, *objects, "--data.pattern", "*train: a", "--data.folder", "a.b/c.d"])
    assert "class_path" not in repr(torch.load("run/last.ckpt", weights_only=True)["run"])
    with pytest.warns(UserWarning, match=r"does not bring back data\.augmentation"):
        main(["--resume", "last", "--out", "run", "--steps", "4", "--trust", __name__])
    assert torch.load("run/last.ckpt", weights_only=True)["g_step"] == 4


def test_a_trusted_data_set_takes_no_code_from_a_text(runs, capsys):
    def change(checkpoint):
        checkpoint["run"] |= {"data": OWN, "data_arguments": {"augmentation": "canary.Call"}}

    path = changed(runs / "gan/last.ckpt", change)
    words = ["validate", "--ckpt_path", path, "--trust", __name__]
    assert "data.augmentation 'canary.Call', an object that a checkpoint must" in refused(capsys, main, *words)
    assert "canary" not in sys.modules


def test_lists_that_hold_themselves_are_read_once(runs):
    """A small pickle can stand for 2^45 lists, or for one that holds itself."""

    def change(checkpoint):
        shared = [0]
        for _ in range(45):
            shared = [shared, shared]
        shared[0].append(shared)
        checkpoint["more"] = shared

    assert gan_convnorm.load(changed(runs / "gan/last.ckpt", change)).g_step == 2


def test_buffers_of_one_s_own_norms_are_plain():
    module = nn.Module()
    module.register_buffer("filter", torch.ones(2, dtype=torch.complex64))
    module.register_buffer("repeated", torch.ones(1).expand(64))
    torch.save(module.state_dict(), "own.pt")
    assert set(load_tensors(Path("own.pt"))) == {"filter", "repeated"}


@pytest.mark.parametrize("case", TENSORS)
def test_an_odd_tensor_is_one_line(case, runs, capsys):
    change, message = TENSORS[case]
    path = changed(runs / "gan/last.ckpt", change)
    assert message in refused(capsys, main, "predict", "--ckpt_path", path, "--num", "2", "--out", "made")
    with pytest.raises(BadInput, match=re.escape(message)):
        gan_convnorm.load(path)


def test_a_compressed_checkpoint_is_refused_unread(runs, capsys):
    """Two megabytes could become gigabytes."""
    with (
        zipfile.ZipFile(runs / "gan/last.ckpt") as whole,
        zipfile.ZipFile("small.ckpt", "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for entry in whole.namelist():
            new.writestr(entry, whole.read(entry))
    assert "has the compressed entry" in refused(capsys, main, "predict", "--ckpt_path", "small.ckpt", "--out", "made")


def test_a_name_that_is_too_long_is_one_line(capsys):
    assert "there is no checkpoint" in refused(capsys, main, "predict", "--ckpt_path", "a" * 300, "--out", "made")


@pytest.mark.parametrize("best", ["local://{}/mine", "{}/run/../mine/best.ckpt", "{}/mine"])
def test_a_resumed_run_removes_no_other_file(best, runs, tmp_path):
    """The name of the best checkpoint so far, which the next one replaces, is in the file."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/best.ckpt").write_text("mine")
    shutil.copytree(runs / "gan", "run")
    changed("run/last.ckpt", _callback("ModelCheckpoint", best_model_path=best.format(tmp_path)), "run/last.ckpt")
    main(["--resume", "run/last.ckpt", "--steps", "4"])
    assert (tmp_path / "mine/best.ckpt").read_text() == "mine"


@pytest.mark.parametrize("name", ["state_dict", "g_step", "run"])
@pytest.mark.parametrize("value", [None, "text", 3.5, [1]])
def test_an_entry_of_another_type_is_one_line(name, value, runs, capsys):
    def change(checkpoint):
        if value is None:
            del checkpoint[name]
        else:
            checkpoint[name] = value

    path = changed(runs / "gan/last.ckpt", change)
    with pytest.raises(BadInput, match=re.escape(name if name != "run" else "run settings")):
        gan_convnorm.load(path)
    refused(capsys, main, "validate", "--ckpt_path", path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_neither_loaded_nor_scored(value, runs, capsys):
    def change(checkpoint):
        checkpoint["state_dict"]["generator_ema.blocks.0.conv1.weight"][0, 0, 0, 0] = value

    path = changed(runs / "gan/last.ckpt", change)
    message = "'generator_ema.blocks.0.conv1.weight' holds NaN or infinite values"
    with pytest.raises(BadInput, match=message):
        gan_convnorm.load(path)
    for words in (["validate", "--ckpt_path"], ["predict", "--out", "made", "--ckpt_path"], ["--resume"]):
        assert message in refused(capsys, main, *words, path)


def test_a_pickle_that_would_run_code_is_refused_in_our_words(capsys):
    class Code:
        def __reduce__(self):
            return (Path.touch, (Path("code-ran"),))

    torch.save({"run": {}, "state_dict": Code()}, "code.ckpt")
    message = refused(capsys, main, "validate", "--ckpt_path", "code.ckpt")
    assert "could run code" in message and "weights_only" not in message


def test_a_gan_trained_without_our_command_line_can_be_loaded_sampled_and_scored(capsys):
    """The GAN writes its own part of the record."""
    from short_training import fit

    gan, trainer = fit(steps=2, disc_norm="convnorm")
    trainer.save_checkpoint("own.ckpt")
    loaded = gan_convnorm.load("own.ckpt")
    assert loaded.g_step == 2 and not loaded.training
    assert all(torch.equal(value, gan.state_dict()[name]) for name, value in loaded.state_dict().items())
    main(["predict", "--ckpt_path", "own.ckpt", "--num", "2", "--out", "made"])
    assert Path("made/grid.png").exists()
    assert "does not name the data it was trained on; give them with --data" in refused(
        capsys, main, "validate", "--ckpt_path", "own.ckpt"
    )
    main(["validate", "--ckpt_path", "own.ckpt", "--data", "digits", "--num-fake", "20"])
    assert "G step 2: FID" in capsys.readouterr().out


def test_a_checkpoint_has_nothing_fetched(monkeypatch):
    """It says where the data lie; only a person has them fetched, and written there."""
    data = {"data": "gan_convnorm.data.CIFAR10", "data_arguments": {"root": "theirs", "download": True}}
    config = RunSettings("gan", {}, **data).to_config(())
    assert config["data"]["init_args"] == {"root": "theirs"}
    sampler = object.__new__(TrainedGenerator)
    sampler.__dict__["description"] = {"run": data}
    seen = []
    monkeypatch.setattr(CIFAR10, "prepare_data", lambda self: seen.append((str(self.root), self.download)))
    assert train_images(sampler, Path("export"), None) is None
    assert seen == [("theirs", False)]


@pytest.mark.parametrize("device", ["bogus", "cuda:99"])
def test_a_device_that_is_not_there_is_one_line(working_folder, capsys, device):
    zoo = Path(__file__).parents[2] / "checkpoints/digits_convnorm"
    with pytest.raises(SystemExit) as ended:
        score([str(zoo / "model.safetensors"), "none", "--device", device])
    assert ended.value.code == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and device in err
