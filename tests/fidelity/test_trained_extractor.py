"""The extractor that is trained on the data: its ranking of damaged images, its accuracy, data without labels."""

import json
import warnings

import pytest
import torch
from PIL import Image
from scipy.stats import spearmanr

from gan_convnorm.cli.score import main
from gan_convnorm.fidelity import Evaluator, classifier, create_extractor, evaluate
from gan_convnorm.fidelity.small_network import FEATURES


@pytest.fixture(scope="module")
def unlabelled(digits):
    return create_extractor("classifier", metrics=("fid",), labelled=digits.train_set.tensors[:1])


@pytest.mark.slow
@pytest.mark.parametrize("labels", [True, False])
def test_fid_rises_with_the_share_of_damaged_images(digits, extractor, unlabelled, labels):
    evaluator = Evaluator(extractor if labels else unlabelled, digits.train_set.tensors[0], metrics="fid")
    images = digits.test_set.tensors[0]
    noise = torch.randint(0, 120, images.shape, dtype=torch.int64)
    damages = {
        "noise": (images + noise).clamp(0, 255).byte(),
        "pale": (images // 2 + 40),
        "half zeros": digits.test_set.tensors[0][digits.test_set.tensors[1] < 3].repeat(4, 1, 1, 1)[: len(images)],
        "one image": images.float().mean(dim=0, keepdim=True).byte().expand_as(images),
        "tiles": images[:, :, 4:8, 4:8].repeat(1, 1, 4, 4),
    }
    order = torch.randperm(len(images))
    worst = {}
    for name, damaged in damages.items():
        values = []
        for tenths in range(11):
            rows = order[: len(images) * tenths // 10]
            mixture = images.clone()
            mixture[rows] = damaged[: len(images)][rows]
            values.append(evaluator(mixture).values["fid"])
        assert spearmanr(range(11), values).statistic >= 0.95, (name, values)
        worst[name] = values[-1]
    # One image for all is worse than images of fewer classes, and no copies of one image score below 64.
    assert worst["one image"] > FEATURES > worst["half zeros"]


@pytest.mark.slow
def test_features_have_mean_0_and_variance_1_on_the_train_images(digits, extractor):
    features = extractor.network(digits.train_set.tensors[0])[0].double()
    torch.testing.assert_close(features.mean(dim=0), torch.zeros(FEATURES).double(), atol=1e-3, rtol=0)
    torch.testing.assert_close(features.var(dim=0, correction=0), torch.ones(FEATURES).double(), atol=1e-3, rtol=0)


@pytest.mark.slow
def test_the_accuracy_stands_beside_the_scores_and_a_poor_one_is_a_warning(digits, extractor, own_cache, monkeypatch):
    images, labels = digits.train_set.tensors
    test, test_labels = digits.test_set.tensors
    right = (extractor.network(test)[1].argmax(dim=1) == test_labels).float().mean().item()
    assert extractor.accuracy == pytest.approx(right, abs=0.03) and extractor.held_out == 143
    scores = Evaluator(extractor, images[:100])(test)
    assert f"({extractor.accuracy:.0%} right on 143 held-out images)" in scores.meaning()
    monkeypatch.setattr(classifier, "EPOCHS", 1)
    shuffled = labels[torch.randperm(len(labels))]
    with pytest.warns(UserWarning, match=r"knows the class of \d+% of 143 held-out images only"):
        poor = create_extractor("classifier", labelled=(images, shuffled))
    assert poor.accuracy < 0.3


@pytest.mark.slow
def test_data_without_labels_are_named_so(digits, unlabelled):
    scores = evaluate(
        digits.test_set.tensors[0], digits.train_set.tensors[0], metrics="fid", extractor=unlabelled, device="cpu"
    )
    assert scores.protocol["extractor"] == "rotation-classifier-2" and scores.values["fid"] < 5
    with pytest.warns(UserWarning, match="Inception Score of rotation-classifier-2 is about 1 and says nothing"):
        create_extractor("classifier", labelled=digits.train_set.tensors[:1])


@pytest.mark.slow
@pytest.mark.parametrize("classes", [True, False])
def test_the_command_trains_on_the_real_folder(digits, tmp_path, own_cache, capsys, monkeypatch, classes):
    monkeypatch.setattr(classifier, "EPOCHS", 2)
    for name, split in (("fakes", digits.test_set), ("real", digits.train_set)):
        for number, (image, label) in enumerate(zip(*(t[:100] for t in split.tensors), strict=True)):
            folder = tmp_path / name / (str(int(label > 4)) if classes else "")
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image[0].numpy()).save(folder / f"{number}.png")
    words = [str(tmp_path / "fakes"), str(tmp_path / "real"), "--extractor", "classifier", "--device", "cpu"]
    with warnings.catch_warnings(record=True):
        main([*words, "--metrics", "fid", "--json", "-"])
    protocol = json.loads(capsys.readouterr().out)["protocol"]
    assert protocol["extractor"] == ("labelled-classifier-2" if classes else "rotation-classifier-2")
    assert protocol["extractor_held_out"] == 10
    assert len(list(own_cache.glob(f"{protocol['extractor']}-16px-100-images-*.pt"))) == 1
