"""about.json: flags that differ from the defaults, and the commands of a resumed run."""

import json

import pytest
import yaml

from gan_convnorm.callbacks.run_report import RunReport
from gan_convnorm.callbacks.taken_scores import TakenScores
from gan_convnorm.cli.gan_flags import GAN_FLAGS
from gan_convnorm.errors import BadInput
from gan_convnorm.report.animation import animate
from gan_convnorm.report.flag_names import flag_name
from gan_convnorm.report.run_about import argument_defaults, changed_flags, continue_about, read_about
from gan_convnorm.report.run_page import write_run_page
from gan_convnorm.run_folder import RunSettings

FIRST = {"command": "train_gan.py --steps 5", "started": "Monday", "data": "digits", "changed": {"--steps": "5"}}
#: keys that no config.yaml of a run holds, or that say nothing of it
NOT_SHOWN = ("ckpt_path", "config", "print_config", "trust")


@pytest.mark.parametrize("flag", [f for f in GAN_FLAGS.of_verb("fit") if f.key not in NOT_SHOWN], ids=lambda f: f.name)
def test_a_setting_is_named_as_the_command_line_names_it(flag):
    assert flag_name(flag.key) == flag.name


@pytest.mark.parametrize("key", ["model.optimization.beta2", "data.init_args.path", "trainer.max_time", "seed.width"])
def test_a_setting_without_a_short_flag_keeps_its_key(key):
    assert flag_name(key) == f"--{key}"


def test_changed_flags_are_those_with_other_values():
    defaults = {"data": {"class_path": "Digits", "init_args": {"resolution": 16, "seed": 0}}, "a": {"b": [1], "c": {}}}
    given = {"data": {"class_path": "Mine", "init_args": {"resolution": 16, "seed": 7}}, "a": {"b": [2], "c": None}}
    found = changed_flags(yaml.safe_dump(given), yaml.safe_dump(defaults))
    assert found == {"--data": "Mine", "--a.b": "[2]", "--a.c": "null"}
    assert changed_flags(yaml.safe_dump(given), yaml.safe_dump(given)) == {}


def test_an_argument_without_a_default_has_none():
    class Photos:
        def __init__(self, path, *, resolution=64, flip=None):
            self.arguments = path, resolution, flip

    assert argument_defaults(Photos) == {"resolution": 64, "flip": None}


def test_a_resumed_run_keeps_its_first_command(tmp_path):
    second = {"command": "train_gan.py --resume last", "started": "Tuesday", "data": "digits", "changed": {}}
    third = {**second, "started": "Friday"}
    assert continue_about({}, FIRST) == FIRST
    about = continue_about(FIRST, second)
    (tmp_path / "about.json").write_text(json.dumps(about))
    about = continue_about(read_about(tmp_path), third)
    assert (about["command"], about["started"], about["changed"]) == (FIRST["command"], "Monday", {})
    assert [each["started"] for each in about["resumed"]] == ["Tuesday", "Friday"]
    (tmp_path / "about.json").write_text(json.dumps(about))
    write_run_page(tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.index("Started Monday") < page.index("Resumed Tuesday") < page.index("Resumed Friday")
    assert page.count(second["command"]) == 2 and FIRST["command"] in page


def test_another_content_is_left_out(tmp_path):
    (tmp_path / "about.json").write_text(json.dumps({**FIRST, "data": ["x"], "resumed": [7, {"started": 1, "x": 2}]}))
    assert read_about(tmp_path) == {
        "command": FIRST["command"],
        "started": "Monday",
        "changed": {"--steps": "5"},
        "resumed": [{"started": "1"}],
    }
    (tmp_path / "about.json").write_text("{")
    with pytest.raises(BadInput, match=r"about\.json"):
        read_about(tmp_path)


def test_files_that_are_damaged_meanwhile_cost_the_page_and_not_the_run(tmp_path):
    """A damaged about.json is one line, a damaged sample grid is left out, and the run goes on without its page."""
    (tmp_path / "about.json").write_bytes(b"\xff")
    with pytest.raises(BadInput, match=r"about\.json"):
        read_about(tmp_path)
    assert animate([b"\x89PNG\r\n\x1a\n and no more", b"no picture"]) == b""
    settings = RunSettings("gan", {})
    report = RunReport(tmp_path, "", settings, TakenScores("fid"))
    with pytest.warns(UserWarning, match=r"report\.html is not written: .*about\.json"):
        report._page()
