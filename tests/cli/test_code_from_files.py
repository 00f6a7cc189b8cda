"""A file that is loaded chooses no code: only a person's command line, --config or --trust does."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import program_runs
import pytest
import torch
from program_runs import TWO_STEPS, changed

import gan_convnorm
from gan_convnorm.cli import main
from gan_convnorm.cli.classify import main as classify
from gan_convnorm.cli.demo_images import train_images
from gan_convnorm.cli.export import main as export
from gan_convnorm.cli.score import main as score
from gan_convnorm.data import CIFAR10, Digits
from gan_convnorm.errors import BadInput
from gan_convnorm.gan import GAN
from gan_convnorm.gan.generator_file import TrainedGenerator
from gan_convnorm.run_folder import RunSettings

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


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "canary", raising=False)
    Path("canary.py").write_text(CANARY)
    return tmp_path


def refused(capsys, program, *words):
    line = program_runs.refused(capsys, *words, program=program)
    assert not Path("code-ran").exists()
    return line


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
def test_no_command_takes_code_from_a_checkpoint(case, command, short_runs, capsys):
    change, message = CODE[case]
    path = changed(short_runs / "gan/last.ckpt", change)
    flag = "--resume" if command == "fit" else "--ckpt_path"
    assert message in refused(capsys, main, command, flag, path, "--out", "made")
    assert not Path("made").exists() and not Path("elsewhere").exists()


@pytest.mark.parametrize("case", ["norm", "second norm", "network"])
def test_neither_load_nor_export_nor_scores_import_it(case, short_runs, capsys):
    path = changed(short_runs / "gan/last.ckpt", CODE[case][0])
    for load in (gan_convnorm.load, GAN.load_from_checkpoint):
        with pytest.raises(BadInput, match="--trust canary"):
            load(path)
    assert "--trust canary" in refused(capsys, export, path, "exported")
    Path("real").mkdir()
    assert "--trust canary" in refused(capsys, score, path, "real", "--metrics", "isc")
    assert not Path("exported").exists()


def test_lightnings_own_way_to_name_code_is_not_read(short_runs):
    def change(checkpoint):
        checkpoint["hyper_parameters"] |= {"_instantiator": "canary.norm", "_class_path": "canary.Mine"}

    GAN.load_from_checkpoint(changed(short_runs / "gan/last.ckpt", change))
    assert not Path("code-ran").exists()


def test_trust_lets_a_checkpoint_name_your_own_code(short_runs, capsys):
    def change(checkpoint):
        checkpoint["run"]["data"] = "canary.Mine"
        checkpoint["run"]["model"]["architecture"]["disc_norm"] = "canary:norm"

    path = changed(short_runs / "gan/last.ckpt", change)
    main(["predict", "--ckpt_path", path, "--trust", "canary", "--num", "2", "--out", "made"])
    assert Path("code-ran").exists() and Path("made/grid.png").exists()
    assert gan_convnorm.load(path, trust=("canary",)).sample(1).shape == (1, 1, 16, 16)
    export([path, "exported", "--trust", "canary", "--no-program"])
    with pytest.raises(BadInput, match="expected a sequence of module names"):
        gan_convnorm.load(path, trust="canary")
    # A module is trusted, not each that begins with its name.
    with pytest.raises(BadInput, match="--trust canary"):
        gan_convnorm.load(path, trust=("can",))


def test_your_own_words_need_no_trust(short_runs, capsys):
    path = changed(short_runs / "gan/last.ckpt", put("model", "architecture", "disc_norm", value="canary:norm"))
    main(["validate", "--ckpt_path", path, "--disc-norm", "canary:norm"])
    assert Path("code-ran").exists()


@pytest.mark.parametrize("words", [["--out", "canary.Mine"], ["--ckpt_path", "canary.Mine"], ["-ccanary.Mine"]])
def test_the_same_word_in_another_flag_trusts_nothing(words, short_runs, capsys):
    changed(short_runs / "gan/last.ckpt", CODE["data"][0], "canary.Mine" if "--ckpt_path" in words else "changed.ckpt")
    if "-ccanary.Mine" in words:
        Path("canary.Mine").write_text("{}")
    if "--ckpt_path" not in words:
        words = [*words, "--ckpt_path", "changed.ckpt"]
    assert "--trust canary" in refused(capsys, main, "validate", *words)


def test_the_packages_own_data_need_no_trust_by_either_of_their_names(short_runs, capsys):
    path = changed(short_runs / "gan/last.ckpt", put("data", value="gan_convnorm.data.Digits"))
    main(["validate", "--ckpt_path", path])
    assert "G step 2: FID" in capsys.readouterr().out


def test_a_run_with_your_own_code_says_what_a_checkpoint_does_not_bring_back(capsys):
    config = "trainer: {callbacks: [{class_path: canary.Call}]}\nscores: {extractor: classifier}\n"
    Path("mine.yaml").write_text(config)
    main([*TWO_STEPS, "--config", "mine.yaml", "--out", "run", "--data", "canary.Mine"])
    run = torch.load("run/last.ckpt", weights_only=True)["run"]
    assert run["omitted"] == ["trainer.callbacks"] and run["data"] == "canary.Mine"
    Path("code-ran").unlink()
    del sys.modules["canary"]
    assert "--trust canary" in refused(capsys, main, "--resume", "last", "--out", "run", "--steps", "3")
    with pytest.warns(UserWarning, match="does not bring back trainer.callbacks"):
        main(["--resume", "last", "--out", "run", "--steps", "3", "--trust", "canary"])
    assert torch.load("run/last.ckpt", weights_only=True)["g_step"] == 3


def test_an_export_chooses_no_code(short_runs):
    export([str(short_runs / "gan/last.ckpt"), "good", "--no-program"])
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


def test_a_classifiers_checkpoint_chooses_no_code_and_no_file_to_write(short_runs, capsys):
    source = short_runs / "classifier/last.ckpt"
    for change, message in (
        (put("model", "norm", value="canary:norm"), "--trust canary"),
        (put("data", value="canary.Mine"), "--trust canary"),
        (put("sections", "evaluation", "json", value="precious.txt"), "must not"),
        (put("trainer", "callbacks", value="canary.Call"), "trainer.callbacks"),
    ):
        for words in (["test", "--ckpt_path"], ["--resume"]):
            assert message in refused(capsys, classify, *words, changed(source, change), "--out", "made")
    assert not Path("precious.txt").exists() and not Path("made").exists()


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
    main(
        [*TWO_STEPS, "--out", "run", "--data", OWN, *objects, "--data.pattern", "*train: a", "--data.folder", "a.b/c.d"]
    )
    assert "class_path" not in repr(torch.load("run/last.ckpt", weights_only=True)["run"])
    with pytest.warns(UserWarning, match=r"does not bring back data\.augmentation"):
        main(["--resume", "last", "--out", "run", "--steps", "4", "--trust", __name__])
    assert torch.load("run/last.ckpt", weights_only=True)["g_step"] == 4


def test_a_trusted_data_set_takes_no_code_from_a_text(short_runs, capsys):
    def change(checkpoint):
        checkpoint["run"] |= {"data": OWN, "data_arguments": {"augmentation": "canary.Call"}}

    path = changed(short_runs / "gan/last.ckpt", change)
    words = ["validate", "--ckpt_path", path, "--trust", __name__]
    assert "data.augmentation 'canary.Call', an object that a checkpoint must" in refused(capsys, main, *words)
    assert "canary" not in sys.modules


def test_a_pickle_that_would_run_code_is_refused_in_our_words(capsys):
    class Code:
        def __reduce__(self):
            return (Path.touch, (Path("code-ran"),))

    torch.save({"run": {}, "state_dict": Code()}, "code.ckpt")
    message = refused(capsys, main, "validate", "--ckpt_path", "code.ckpt")
    assert "could run code" in message and "weights_only" not in message


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
