"""The shipped generators are what their index says."""

import re
from pathlib import Path

import pytest

import gan_convnorm
from gan_convnorm.fidelity import evaluate

FOLDER = Path(__file__).parents[2] / "checkpoints"
INDEX = (FOLDER / "README.md").read_text()
ROWS = re.findall(
    r"^\| `(\w+)` \|.*\| ([\d,]+) \| ([\d.]+) \| ([\d.]+) \+- [\d.]+ \| ([\d.]+) MB \|$", INDEX, re.MULTILINE
)


def test_the_index_has_every_generator_and_its_size():
    assert [row[0] for row in ROWS] == sorted(path.parent.name for path in FOLDER.glob("*/generator.safetensors"))
    for name, steps, _, _, size in ROWS:
        bytes_on_disk = sum(path.stat().st_size for path in (FOLDER / name).iterdir())
        assert bytes_on_disk <= 5e6 and round(bytes_on_disk / 1e6, 1) == float(size)
        assert gan_convnorm.load(FOLDER / name).g_step == int(steps.replace(",", ""))


@pytest.mark.slow
def test_digits_have_the_fid_of_the_index(digits):
    (row,) = (row for row in ROWS if row[0] == "digits_convnorm")
    generator, train = gan_convnorm.load(FOLDER / row[0] / "generator.safetensors"), digits.train_set.tensors
    scores = evaluate(generator, train[0], extractor="classifier", labelled=train, num_fake=2000)
    tolerance = float(re.search(r"expects ([\d.]+) \+- ([\d.]+):", INDEX)[2])
    assert scores.values["fid"] == pytest.approx(float(row[2]), abs=tolerance)
    assert scores.values["isc"] == pytest.approx(float(row[3]), abs=0.4)
