"""JSON from a file is read, or refused in one line at once."""

import json
import time

import pytest

from gan_convnorm.errors import BadInput
from gan_convnorm.files.plain_json import read_json

REFUSED = {
    "nothing": ("", "a.json is not JSON: line 1: Expecting value"),
    "half": ('{"a":\n[1, 2', "a.json is not JSON: line 2: "),
    "deep": ("[" * 100_000, "nested too deeply"),
    "deeper than 50": ("[" * 60 + "]" * 60, "nested too deeply; expected at most 50 levels"),
    "deep mappings": ('{"a":' * 60 + "1" + "}" * 60, "nested too deeply"),
    "a long number": ("1" * 5000, "a.json is not JSON: Exceeds the limit"),
}


@pytest.mark.parametrize("text, message", REFUSED.values(), ids=REFUSED)
def test_refused_in_one_line_at_once(text, message):
    started = time.monotonic()
    with pytest.raises(BadInput) as found:
        read_json(text, "a.json")
    assert time.monotonic() - started < 1
    assert message in str(found.value)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("content", [None, 1, "a", [], {}, [[1.5], {"a": [True, None]}], {"a": {"b": {"c": [1]}}}])
def test_the_rest_is_as_python_has_it(content):
    assert read_json(json.dumps(content), "a.json") == content


def test_numbers_of_a_diverged_run():
    found = read_json("[NaN, Infinity]", "a.json")
    assert found[0] != found[0] and found[1] == float("inf")
