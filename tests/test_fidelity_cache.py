"""Reference features are kept under what they depend on."""

import os
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from gan_convnorm.fidelity import Evaluator, TensorImages, create_extractor, features


@pytest.fixture
def extractor(digits):
    return create_extractor("classifier", labelled=digits.train_set.tensors)


@pytest.fixture
def work(extractor, tmp_path, monkeypatch):
    """Counts the images whose features are extracted, in an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    counted = [0]
    forward = type(extractor).forward

    def counting(self, images):
        counted[0] += len(images)
        return forward(self, images)

    monkeypatch.setattr(type(extractor), "forward", counting)

    def count(action):
        counted[0] = 0
        action()
        return counted[0]

    return count


def test_images_are_measured_once(digits, extractor, work):
    real = digits.train_set.tensors[0][:100]
    assert work(lambda: Evaluator(extractor, real)) == 100
    assert work(lambda: Evaluator(extractor, real.clone())) == 0
    changed = real.clone()
    changed[3, 0, 5, 5] += 1
    assert work(lambda: Evaluator(extractor, changed)) == 100
    assert work(lambda: Evaluator(extractor, real, metrics="kid")) == 100  # needs all features, FID their statistics
    assert work(lambda: Evaluator(extractor, real, metrics="isc")) == 0


def test_other_weights_are_another_extractor(digits, extractor, work):
    real, fakes = digits.train_set.tensors[0][:100], digits.test_set.tensors[0][:100]
    before = Evaluator(extractor, real)(fakes)
    with torch.no_grad():
        next(extractor.parameters()).mul_(1.1)
    assert work(lambda: Evaluator(extractor, real)) == 100
    assert Evaluator(extractor, real)(fakes).values["fid"] != before.values["fid"]


def test_cached_scores_are_the_same(digits, extractor, work):
    real, fakes = digits.train_set.tensors[0][:200], digits.test_set.tensors[0][:100]
    metrics = "isc,fid,kid,prc"
    fresh, cached = (Evaluator(extractor, real, metrics=metrics)(fakes) for _ in range(2))
    assert fresh == cached


def test_damaged_files_are_computed_again(digits, extractor, work, tmp_path):
    real = digits.train_set.tensors[0][:100]
    work(lambda: Evaluator(extractor, real))
    (file,) = (tmp_path / "cache" / "gan_convnorm").glob("statistics-*.pt")
    file.write_bytes(file.read_bytes()[:200])
    with pytest.warns(UserWarning, match="cannot be read .* computed again"):
        assert work(lambda: Evaluator(extractor, real)) == 100
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert work(lambda: Evaluator(extractor, real)) == 0
    assert [path.suffix for path in file.parent.iterdir()] == [".pt"]  # nothing half-written is left


def test_a_folder_whose_files_change_is_measured_again(extractor, work, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(5):
        Image.fromarray(np.full((16, 16), number, dtype=np.uint8)).save(folder / f"{number}.png")
    assert work(lambda: Evaluator(extractor, folder)) == 5
    assert work(lambda: Evaluator(extractor, folder)) == 0
    os.utime(folder / "3.png", ns=(1, 1))
    assert work(lambda: Evaluator(extractor, folder)) == 5
    (folder / "4.png").unlink()
    assert work(lambda: Evaluator(extractor, folder)) == 4


def test_extraction_is_the_same_under_autocast(digits, extractor):
    images = TensorImages(digits.test_set.tensors[0][:10])
    plain = features.extract(extractor, images)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = features.extract(extractor, images)
    assert all(torch.equal(plain[name], mixed[name]) for name in plain)
