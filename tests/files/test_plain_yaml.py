"""YAML from a file is small, plain and unambiguous, or refused in one line at once."""

import time
from pathlib import Path

import pytest
import yaml

from gan_convnorm.errors import BadInput
from gan_convnorm.files import plain_yaml
from gan_convnorm.files.plain_yaml import read_yaml

CONFIGS = sorted((Path(__file__).parents[2] / "configs").rglob("*.yaml"))


@pytest.fixture(params=["libyaml", "python"], autouse=True)
def loader(request, monkeypatch):
    if request.param == "python":
        monkeypatch.setattr(plain_yaml, "_Loader", yaml.SafeLoader)


def bomb(item, levels=9):
    lines = [f"a0: &a0 {item}"]
    for level in range(1, levels):
        lines.append(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]")
    return "\n".join(lines)


def repeated(levels=9):
    """Nodes of `bomb` with its aliases written out, less those that are written."""
    sizes = [2]
    while len(sizes) < levels:
        sizes.append(1 + 9 * sizes[-1])
    return sum(sizes) - (2 + levels - 1)


MERGE_BOMB = "\n".join(
    ["a0: &a0 {k: 1}", *(f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}" for i in range(1, 9))]
)

REFUSED = {
    "aliases": (bomb("[lol]"), f"study.yaml repeats {repeated()} values by aliases; expected at most 10000"),
    "more aliases": (bomb("[lol]", 40), "study.yaml repeats 1000000000 values by aliases"),
    "merged aliases": (MERGE_BOMB, "values by aliases"),
    "an alias of itself": ("a:\n  &a [1, *a]", "line 2 of study.yaml holds an alias of itself"),
    "a key twice": (
        "model:\n  width: 1\ndata: 2\nmodel: 3",
        "line 4 of study.yaml has the key 'model' again, which line 1",
    ),
    "an inner key twice": ("model:\n  width: 1\n  width: 2", "line 3 of study.yaml has the key 'width' again"),
    "deep lists": ("[" * 100_000, "study.yaml"),
    "deeper than 50": ("[" * 60 + "]" * 60, "nested too deeply; expected at most 50"),
    "a long text": ("x" * 1_000_001, "has 1000001 characters; expected a configuration of at most 1000000"),
    "a long number": ("seed: 1" + "0" * 5000, "line 1 of study.yaml holds a number of 5001 characters"),
    "a sexagesimal number": ("1" + ":59" * 300_000, "holds a number of"),
    "two documents": ("a: 1\n---\nb: 2", "study.yaml is not YAML: line 2:"),
    "an open bracket": ("a: 1\nb: [1, 2\nc: 3", "study.yaml is not YAML: line 3:"),
    "a type of Python's": ("a: 1\nb: !!python/object/apply:os.system [ls]", "study.yaml is not YAML: line 2:"),
    "a date that is none": ("a: 2001-13-45", "study.yaml is not YAML: month"),
    "a bool that is none": ("a: !!bool perhaps", "study.yaml is not YAML"),
    "a timestamp that is none": ("a: !!timestamp perhaps", "study.yaml is not YAML"),
    "a list as key": ("? [1]\n: 2", "study.yaml is not YAML: line 1:"),
    "a control character": ("a: \x00", "study.yaml is not YAML"),
}


@pytest.mark.slow
@pytest.mark.parametrize("text, message", REFUSED.values(), ids=REFUSED)
def test_refused_in_one_line_at_once(text, message):
    started = time.process_time()
    with pytest.raises(BadInput) as found:
        read_yaml(text, "study.yaml")
    assert time.process_time() - started < 5  # CPU seconds: read without the check, they take minutes
    assert message in str(found.value)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("text", ["", "a: 1", "[1, 2.5, null, yes, 'x']", "a: {b: [{c: 1}]}", "1: a\n'1': b"])
def test_the_rest_is_as_pyyaml_has_it(text):
    assert read_yaml(text, "a.yaml") == yaml.safe_load(text)


def test_a_few_aliases_as_pyyaml_writes_them():
    shared = [1, 2]
    text = yaml.safe_dump({"a": shared, "b": shared})
    assert "*id001" in text
    assert read_yaml(text, "a.yaml") == {"a": shared, "b": shared}


@pytest.mark.parametrize("path", CONFIGS, ids=str)
def test_shipped_configs(path):
    text = path.read_text(encoding="utf-8")
    assert read_yaml(text, str(path)) == yaml.safe_load(text)
