"""The shipped GANs are what their index and their cards say."""

import re
from pathlib import Path

import pytest
import torch
import yaml

import gan_convnorm
from gan_convnorm import GAN
from gan_convnorm.fidelity import evaluate

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "checkpoints"
INDEX = (ROOT / "docs/zoo.md").read_text()
ROWS = re.findall(
    r"^\| \[`(\w+)`\]\(../checkpoints/\1\) \|.*\| ([\d,]+) \| ([\d.]+) \| ([\d.]+ \+- [\d.]+) \| ([\d.]+) MB \|$",
    INDEX,
    re.MULTILINE,
)


def test_the_index_has_every_gan_and_all_are_small():
    assert sorted(row[0] for row in ROWS) == sorted(path.parent.name for path in FOLDER.glob("*/model.safetensors"))
    sizes = {name: sum(path.stat().st_size for path in (FOLDER / name).iterdir()) / 1e6 for name, *_ in ROWS}
    assert sum(sizes.values()) <= 10
    assert {name: round(size, 1) for name, size in sizes.items()} == {row[0]: float(row[-1]) for row in ROWS}


@pytest.mark.parametrize(("name", "steps", "fid", "isc"), [row[:4] for row in ROWS])
def test_an_entry_loads_and_its_card_says_what_the_index_says(name, steps, fid, isc):
    gan = GAN.from_pretrained(FOLDER / name)
    assert gan.g_step == int(steps.replace(",", ""))
    labels = None if gan.num_classes is None else torch.arange(100) % gan.num_classes
    images = gan.sample(100, labels=labels)
    assert images.float().std() > 30  # no blank images
    # The discriminator came with it: on its generator's samples a trained one is between the hinge loss's margins,
    # where new ones are mostly outside.
    with torch.no_grad():
        assert gan.discriminator(images / 127.5 - 1, labels).abs().median() < 1
    card = (FOLDER / name / "README.md").read_text()
    metadata = yaml.safe_load(card.split("---\n")[1])
    assert metadata["license"] == "mit" and metadata["metrics"][:2] == ["fid", "inception_score"]
    for line in (
        f"| FID | {fid} |",
        f"| IS | {isc} |",
        f'GAN.from_pretrained("checkpoints/{name}")',
        f"{gan.g_step} generator steps",
        f"| resolution | {gan.hparams['resolution']}x{gan.hparams['resolution']}, ",
        "labelled-classifier-2 features (",
        "; IS over 10 splits",
    ):
        assert line in card, line


@pytest.mark.slow
def test_digits_have_the_fid_of_the_index(digits):
    (row,) = (row for row in ROWS if row[0] == "digits_convnorm")
    generator, train = gan_convnorm.load(FOLDER / row[0]), digits.train_set.tensors
    scores = evaluate(generator, train[0], extractor="classifier", labelled=train, num_fake=2000)
    tolerance = float(re.search(r"expects ([\d.]+) \+- ([\d.]+):", INDEX)[2])
    assert scores.values["fid"] == pytest.approx(float(row[2]), abs=tolerance)
    assert scores.values["isc"] == pytest.approx(float(row[3].split()[0]), abs=0.4)
