"""Configurations that are printed without torch equal those that the parser prints, byte for byte."""

import contextlib
import io
import random
from importlib.metadata import version

import pytest
import yaml

from gan_convnorm.cli.gan import main as train
from gan_convnorm.cli.gan_flags import GAN_FLAGS
from gan_convnorm.cli.plain_config import KINDS, STORED, plain_config
from gan_convnorm.cli.run_command import RunCommand
from gan_convnorm.cli.typed_words import nested_words
from gan_convnorm.data import DATA

pytestmark = [pytest.mark.usefixtures("folder"), pytest.mark.quick]

STORED_BEGINS = (
    "# The configuration that fit has without flags, and the data section of each data set. plain_config.py reads it.\n"
    "# tests/cli/test_plain_config.py compares it with the parser's.\n"
)
#: values of each kind, at the ends of what is printed without the parser
VALUES = {
    bool: ["true", "false"],
    int: ["1", "7", "999999999"],
    float: ["0.5", "0.0", "0.000001", "123456.25"],
    str: ["none", "convnorm+batch", "fid,prc", "r1"],
}


@pytest.fixture(scope="module")
def printed():
    """Return a function that prints a configuration with the parser, which is built once."""
    parsers = {}
    build = RunCommand.setup_parser

    def build_once(self, *args):
        if not parsers:
            build(self, *args)
            names = ("parser", "_subcommand_parsers", "_subcommand_method_arguments")
            parsers.update({name: getattr(self, name) for name in names})
        vars(self).update(parsers)

    def by_parser(words):
        with contextlib.redirect_stdout(io.StringIO()) as text, pytest.raises(SystemExit) as stop:
            train(words)
        assert stop.value.code in (None, 0)
        return text.getvalue()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunCommand, "setup_parser", build_once)
        yield by_parser


def stored():
    return yaml.safe_load(STORED.read_text())


def scalars(section, path=()):
    """Yield the keys of a configuration's single settings, with their defaults."""
    for name, value in section.items():
        if isinstance(value, dict):
            yield from scalars(value, (*path, name))
        else:
            yield ".".join((*path, name)), value


def test_the_stored_configuration_is_the_parsers(printed, tmp_path):
    def data_of(name):
        return yaml.safe_load(printed(["--data", name, "--print_config"]))["data"]

    content = {
        "versions": {
            "jsonargparse": version("jsonargparse").partition(".")[0],
            "pytorch-lightning": version("pytorch-lightning").rpartition(".")[0],
        },
        "config": yaml.safe_load(printed(["--print_config"])) | {"data": None},
        "data": {name: data_of(name) for name in DATA},
    }
    (tmp_path / STORED.name).write_text(STORED_BEGINS + yaml.safe_dump(content, sort_keys=False))
    assert STORED.read_text() == (tmp_path / STORED.name).read_text(), f"copy {tmp_path / STORED.name} to {STORED}"


def command_lines():
    """Return command lines that together give every plain setting every value of its kind."""
    rng = random.Random(0)
    lines = [["--print-config", "--compile", "--n_dis", "5", "--penalty", "r1", "--n-dis=2", "--width=0.5"]]
    kinds = {key: type(value) for key, value in scalars(stored()["config"])} | KINDS
    keys = [key for key, kind in kinds.items() if kind in VALUES]
    for number, name in enumerate(DATA):
        words = []
        for key in rng.sample(keys, len(keys)):
            value = VALUES[kinds[key]][number % len(VALUES[kinds[key]])]
            words += rng.choice([[f"--{key}", value], [f"--{key}={value}"]])
        lines.append(["fit", "--data", name, *words, "--print_config"])
    return lines


@pytest.mark.parametrize("words", command_lines(), ids=lambda words: " ".join(words)[:40])
def test_it_equals_the_parsers(words, printed):
    assert plain_config(nested_words(words, GAN_FLAGS)) == printed(words)


@pytest.mark.parametrize(
    "words",
    [
        "--steps 5",
        "validate --print_config",
        "--print_config=skip_default",
        "--print_config --steps abc",
        "--print_config --steps 0",
        "--print_config --steps",
        "--steps --print_config",
        "--print_config --width -1",
        "--print_config --disc-norm on",
        "--print_config --disc-norm mine:Norm",
        "--print_config --data mine.Photos",
        "--print_config --data nothing",
        "--print_config --data cifar10 --data svhn",
        "--print_config --batch-size 7 --data cifar10",
        "--print_config --data folder --data.init_args.channels 5",
        "--print_config --devices 2",
        "--print_config --config c.yaml",
        "--print_config -c c.yaml",
        "--print_config --model m.yaml",
        "--print_config --model.optimization {}",
        "--print_config --model.nothing 1",
        "--print_config --model.optimization.steps.more 1",
        "--print_config --resume last",
        "--print_config --out run",
        "--print_config word",
        "--print_config -- --steps 5",
    ],
)
def test_the_parser_is_asked_where_it_alone_can_say(words):
    assert plain_config(nested_words(words.split(), GAN_FLAGS)) is None


def test_the_parser_is_asked_in_other_circumstances(monkeypatch):
    words = ["fit", "--print_config"]
    assert plain_config(words) is not None
    for name in ("SLURM_RESTART_COUNT", "JSONARGPARSE_DEFAULT_ENV"):
        with monkeypatch.context() as patch:
            patch.setenv(name, "1")
            assert plain_config(words) is None
    monkeypatch.setattr("gan_convnorm.cli.plain_config.version", lambda name: "0.1")
    assert plain_config(words) is None
