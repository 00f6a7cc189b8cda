"""FID within each class."""

import csv
import re

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from gan_convnorm.cli import main
from gan_convnorm.errors import BadInput
from gan_convnorm.fidelity import create_extractor, intra_class_fid
from gan_convnorm.gan.loading import load


def distance(a, b):
    """The definition, float64."""
    a, b = (x.double().numpy() for x in (a, b))
    first, second = np.cov(a.T), np.cov(b.T)
    return ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(first + second - 2 * sqrtm(first @ second).real)


@pytest.fixture(scope="module")
def extractor(cache_folder, digits):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gan_convnorm.fidelity.classifier.EPOCHS", 1)
        return create_extractor("classifier", metrics=("fid",), labelled=digits.train_set.tensors)


@pytest.mark.slow
def test_values_are_those_of_each_class_alone(extractor, digits):
    images, labels = digits.train_set.tensors
    fakes, fake_labels = (t[:700] for t in (images.flip(3), labels))
    found = intra_class_fid(extractor, fakes, fake_labels, images, labels)
    assert list(found) == list(range(10))
    layer = extractor.get_default_feature_layer_for_metric("fid")
    for label in (0, 7):
        features = [
            extractor.convert_features_tuple_to_dict(extractor(x))[layer].detach()
            for x in (fakes[fake_labels == label], images[labels == label])
        ]
        assert found[label] == pytest.approx(distance(*features), rel=1e-3, abs=1e-3)
    other = intra_class_fid(extractor, images, (labels + 1) % 10, images, labels)
    assert min(other.values()) > 2 * max(intra_class_fid(extractor, images, labels, images, labels).values()) + 1


def test_a_class_without_images_is_named(extractor, digits):
    images, labels = digits.train_set.tensors
    for fakes, reals, message in (
        (torch.arange(11) % 10, labels, "class 1 has 1 fakes and 1"),
        (torch.zeros(11).long(), labels.where(labels != 0, 1), "class 0 has 11 fakes and 0 real images"),
    ):
        with pytest.raises(BadInput, match=message):
            intra_class_fid(extractor, images[:11], fakes, images, reals)
    with pytest.raises(BadInput, match="there are 11 fakes and 12 labels"):
        intra_class_fid(extractor, images[:11], labels[:12], images, labels)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:FID of")
def test_a_conditional_run_ends_with_it(tmp_path, monkeypatch, capsys, extractor, digits):
    monkeypatch.setattr("gan_convnorm.fidelity.classifier.EPOCHS", 1)
    run = tmp_path / "run"
    flags = ["--width", "0.05", "--batch-size", "8", "--num-fake", "60", "--eval-every", "2", "--steps", "4"]
    main([*flags, "--conditional", "--scores.intra_class", "true", "--out", str(run)])
    with (run / "metrics.csv").open() as file:
        values = [row["intra_fid"] for row in csv.DictReader(file)]
    assert values[:-1] == [""] * (len(values) - 1)
    module = load(run / "last.ckpt")
    expected = intra_class_fid(extractor, module.sample(60), torch.arange(60) % 10, *digits.train_set.tensors)
    assert float(values[-1]) == pytest.approx(sum(expected.values()) / 10, rel=1e-5)
    capsys.readouterr()
    main(["validate", "--ckpt_path", str(run / "last.ckpt")])
    out = capsys.readouterr().out
    assert float(re.search(r"intra-class FID ([\d.]+), mean of 10 classes", out)[1]) == pytest.approx(
        float(values[-1]), abs=0.006
    )
    for wrong, message in (
        ([], "not conditional"),
        (["--conditional", "--metrics", "isc", "--scores.best", "isc"], "add fid"),
    ):
        with pytest.raises(SystemExit):
            main([*flags, *wrong, "--scores.intra_class", "true", "--out", str(tmp_path / "wrong")])
        assert message in capsys.readouterr().err
