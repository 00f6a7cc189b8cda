"""Reference features are kept under what they depend on."""

import copy
import os
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from gan_convnorm.errors import BadInput
from gan_convnorm.fidelity import Evaluator, TensorImages, classifier, create_extractor, features


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


@pytest.mark.slow
def test_images_are_measured_once(digits, extractor, work):
    real = digits.train_set.tensors[0][:100]
    assert work(lambda: Evaluator(extractor, real)) == 100
    assert work(lambda: Evaluator(extractor, real.clone())) == 0
    changed = real.clone()
    changed[3, 0, 5, 5] += 1
    assert work(lambda: Evaluator(extractor, changed)) == 100
    assert work(lambda: Evaluator(extractor, real, metrics="kid")) == 100  # needs all features, FID their statistics
    assert work(lambda: Evaluator(extractor, real, metrics="isc")) == 0


@pytest.mark.slow
def test_other_weights_are_another_extractor(digits, extractor, work):
    real, fakes = digits.train_set.tensors[0][:100], digits.test_set.tensors[0][:100]
    before = Evaluator(extractor, real)(fakes)
    extractor = copy.deepcopy(extractor)
    with torch.no_grad():
        next(extractor.parameters()).mul_(1.1)
    assert work(lambda: Evaluator(extractor, real)) == 100
    assert Evaluator(extractor, real)(fakes).values["fid"] != before.values["fid"]


@pytest.mark.slow
def test_cached_scores_are_the_same(digits, extractor, work):
    real, fakes = digits.train_set.tensors[0][:200], digits.test_set.tensors[0][:100]
    metrics = "isc,fid,kid,prc"
    fresh, cached = (Evaluator(extractor, real, metrics=metrics)(fakes) for _ in range(2))
    assert fresh == cached


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_extraction_is_the_same_under_autocast(digits, extractor):
    images = TensorImages(digits.test_set.tensors[0][:10])
    plain = features.extract(extractor, images)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = features.extract(extractor, images)
    assert all(torch.equal(plain[name], mixed[name]) for name in plain)


def other_contents(file):
    """Ways in which another file may lie in the place of a cached one."""
    whole = torch.load(file, weights_only=True)
    layer = next(name for name, value in whole.items() if isinstance(value, dict))
    changed = {**whole, layer: {name: value.clone() for name, value in whole[layer].items()}}
    changed[layer]["sigma"][0, 0] += 1
    return {
        "another object": [1, 2, 3],
        "a tensor": torch.zeros(3),
        "another dictionary": {"count": 100},
        "wrong shapes": {**whole, layer: {"mu": torch.zeros(3), "sigma": torch.zeros(3, 3)}},
        "wrong types": {**whole, layer: "statistics"},
        "another count": {**whole, "count": 7},
        "another value": changed,
    }


CONTENTS = ["another object", "a tensor", "another dictionary", "wrong shapes", "wrong types", "another count"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*CONTENTS, "another value", "of other images", "a pipe", "a folder", "JSON"])
def test_a_file_of_other_content_gives_neither_a_traceback_nor_a_wrong_score(digits, extractor, work, tmp_path, kind):
    real, fakes = digits.train_set.tensors[0][:100], digits.test_set.tensors[0][:40]
    expected = []
    work(lambda: expected.append(Evaluator(extractor, real)(fakes)))
    cache = tmp_path / "cache" / "gan_convnorm"
    (file,) = cache.glob("statistics-*.pt")
    if kind == "of other images":
        Evaluator(extractor, real + 1)
        (other,) = set(cache.glob("statistics-*.pt")) - {file}
        other.replace(file)
    elif kind == "JSON":
        file.write_text("{}")
    elif kind in ("a pipe", "a folder"):
        file.unlink()
        os.mkfifo(file) if kind == "a pipe" else file.mkdir()
    else:
        torch.save(other_contents(file)[kind], file)
    found = []
    with pytest.warns(UserWarning, match=r"statistics-.*\.pt cannot be read \(.*\); it is computed again"):
        assert work(lambda: found.append(Evaluator(extractor, real)(fakes))) == 140
    assert found == expected


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["another dictionary", "weights of other images", "a pipe", "a folder"])
def test_a_classifier_in_the_place_of_another_is_trained_again(digits, tmp_path, monkeypatch, kind):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(classifier, "EPOCHS", 1)
    images, labels = (t[:64] for t in digits.train_set.tensors)
    path = classifier.trained_weights(images, labels)
    expected = torch.load(path, weights_only=True)["state_dict"]
    if kind == "weights of other images":
        classifier.trained_weights(255 - images, labels).replace(path)
    elif kind == "another dictionary":
        torch.save({"shape": {"resolution": 16, "channels": 1, "num_classes": 10}, "state_dict": {}}, path)
    else:
        path.unlink()
        os.mkfifo(path) if kind == "a pipe" else path.mkdir()
    with pytest.warns(UserWarning, match="computed again"):
        extractor = create_extractor("classifier", labelled=(images, labels))
    for name, value in extractor.network.state_dict().items():
        assert torch.equal(value, expected[name])


@pytest.mark.parametrize(
    "shape",
    [
        {"resolution": float("nan"), "channels": 1, "num_classes": 10},  # halved for ever
        {"resolution": 10**12, "channels": 1, "num_classes": 10},
        {"resolution": 16, "channels": 1},
        [16, 1, 10],
        None,
    ],
)
def test_weights_of_no_classifier_are_refused(tmp_path, shape):
    torch.save({"shape": shape, "state_dict": {}}, tmp_path / "weights.pt")
    with pytest.raises(BadInput, match=r"weights\.pt does not hold a trained classifier"):
        create_extractor("classifier", weights=tmp_path / "weights.pt")


def test_weights_of_another_version_are_refused(tmp_path):
    shape = {"resolution": 16, "channels": 1, "num_classes": 10}
    torch.save({"shape": shape, "state_dict": {}}, tmp_path / "weights.pt")
    with pytest.raises(BadInput, match="another version; expected labelled-classifier-2 or rotation-classifier-2"):
        create_extractor("classifier", weights=tmp_path / "weights.pt")


def test_weights_that_would_run_code_are_refused_in_our_words(tmp_path):
    torch.save({"shape": slice}, tmp_path / "weights.pt")
    for name in ("classifier", "inception", "vgg16"):
        with pytest.raises(BadInput, match=r"holds Python objects \(slice\), which could run code") as error:
            create_extractor(name, weights=tmp_path / "weights.pt")
        assert "weights_only" not in str(error.value) and "\n" not in str(error.value)
    (tmp_path / "weights.pt").write_text("<html></html>")
    with pytest.raises(BadInput, match=r"weights\.pt cannot be read: it looks like an HTML page"):
        create_extractor("inception", weights=tmp_path / "weights.pt")
