"""Scores against torch-fidelity's own calculation on the same images."""

import numpy as np
import pytest
import torch
import torch_fidelity
from torch.utils.data import Dataset

from gan_convnorm.errors import BadInput
from gan_convnorm.fidelity import Evaluator, create_extractor
from gan_convnorm.fidelity.classifier import train_classifier, trained_weights


class Images(Dataset):
    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.images[index]


@pytest.fixture(scope="module")
def extractor(digits):
    return create_extractor("classifier", labelled=digits.train_set.tensors)


def test_scores_equal_torch_fidelity(digits, extractor):
    train, test = digits.train_set.tensors[0], digits.test_set.tensors[0]
    scores = Evaluator(extractor, train, "digits train images", batch_size=100)(test)
    expected = torch_fidelity.calculate_metrics(
        input1=Images(test),
        input2=Images(train),
        cuda=False,
        isc=True,
        fid=True,
        cache=False,
        verbose=False,
        save_cpu_ram=True,
        feature_extractor="labelled-classifier",
        feature_extractor_weights_path=str(trained_weights(*digits.train_set.tensors)),
    )
    assert scores.values["fid"] == pytest.approx(expected["frechet_inception_distance"], rel=1e-5)
    assert scores.values["isc"] == pytest.approx(expected["inception_score_mean"], rel=1e-6)
    assert scores.values["isc_std"] == pytest.approx(expected["inception_score_std"], rel=1e-4)
    assert scores.protocol == {
        "extractor": "labelled-classifier",
        "reference": "digits train images",
        "n_real": 1437,
        "fake": "images",
        "n_fake": 360,
        "isc_splits": 10,
    }
    for word in ("FID", "labelled-classifier", "360 images", "1437 digits train images", "10 splits"):
        assert word in scores.line()


def test_inception_scores_equal_torch_fidelity(digits, inception_weights):
    train, test = digits.train_set.tensors[0][:12], digits.test_set.tensors[0][:10]
    extractor = create_extractor("inception", weights=str(inception_weights))
    scores = Evaluator(extractor, train, "digits train images", isc_splits=2, batch_size=8)(test)
    expected = torch_fidelity.calculate_metrics(
        input1=Images(test.expand(-1, 3, -1, -1)),
        input2=Images(train.expand(-1, 3, -1, -1)),
        cuda=False,
        isc=True,
        isc_splits=2,
        fid=True,
        cache=False,
        verbose=False,
        save_cpu_ram=True,
        batch_size=8,
        feature_extractor_weights_path=str(inception_weights),
    )
    assert expected["frechet_inception_distance"] > 1
    assert scores.values["fid"] == pytest.approx(expected["frechet_inception_distance"], rel=1e-6)
    assert scores.values["isc"] == pytest.approx(expected["inception_score_mean"], rel=1e-6)
    assert scores.protocol["extractor"] == "inception-v3-compat"


def test_fid_is_the_frechet_distance_of_gaussians(digits, extractor):
    from gan_convnorm.fidelity.evaluate import extract

    train, test = digits.train_set.tensors[0], digits.test_set.tensors[0]
    a, b = (extract(extractor, x)["features"].double().numpy() for x in (test, train))
    sigma_a, sigma_b = np.cov(a.T), np.cov(b.T)
    eigenvalues, vectors = np.linalg.eigh(sigma_a)
    root = vectors @ np.diag(np.sqrt(eigenvalues.clip(0))) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ sigma_b @ root).clip(0)).sum()
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(sigma_a) + np.trace(sigma_b) - 2 * cross
    assert Evaluator(extractor, train, "")(test).values["fid"] == pytest.approx(expected, rel=1e-4)


def test_noise_scores_worse_than_digits(digits, extractor):
    evaluator = Evaluator(extractor, digits.train_set.tensors[0], "")
    noise = torch.randint(0, 256, (360, 1, 16, 16), dtype=torch.uint8)
    good, bad = evaluator(digits.test_set.tensors[0]).values, evaluator(noise).values
    assert good["fid"] < 3 < 20 < bad["fid"]
    assert good["isc"] > 7 > bad["isc"]


def test_classifier_knows_the_digits(digits):
    images, labels = digits.test_set.tensors
    network = create_extractor("classifier", labelled=digits.train_set.tensors)
    found = network.convert_features_tuple_to_dict(network(images))
    assert found["features"].shape == (360, 64)
    assert (found["logits"].argmax(dim=1) == labels).float().mean() >= 0.97


def test_classifier_training_is_deterministic_and_leaves_the_random_state(digits):
    images, labels = (t[:200] for t in digits.train_set.tensors)
    state = torch.get_rng_state()
    one = train_classifier(images, labels)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(99)
    two = train_classifier(images, labels)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))


def test_weights_are_cached_by_content(digits, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    images, labels = (t[:130] for t in digits.train_set.tensors)
    path = trained_weights(images, labels)
    stamp = path.stat().st_mtime_ns
    assert trained_weights(images, labels) == path and path.stat().st_mtime_ns == stamp
    changed = images.clone()
    changed[0, 0, 0, 0] += 1
    assert trained_weights(changed, labels) != path
    path.write_bytes(b"damaged")
    with pytest.warns(UserWarning, match="training the classifier again"):
        assert trained_weights(images, labels) == path
    torch.load(path, weights_only=True)


def test_unwritable_cache_is_a_warning(digits, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="cannot be written"):
        path = trained_weights(*(t[:130] for t in digits.train_set.tensors))
    assert path.exists()


def test_bad_input_is_named(digits, extractor, monkeypatch):
    train = digits.train_set.tensors[0]
    evaluator = Evaluator(extractor, train, "")
    with pytest.raises(BadInput, match="classifier, inception"):
        create_extractor("incpetion")
    with pytest.raises(BadInput, match="needs labelled images"):
        create_extractor("classifier")
    with pytest.raises(BadInput, match="there are 1"):
        Evaluator(extractor, train[:1], "")
    with pytest.raises(BadInput, match="num_fake is 9"):
        evaluator(train[:9])
    with pytest.raises(BadInput, match=r"torch\.float32"):
        evaluator(train.float())

    def offline(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr("torch_fidelity.feature_extractor_inceptionv3.load_state_dict_from_url", offline)
    with pytest.raises(BadInput, match=r"no network.*hub.*--extractor classifier"):
        create_extractor("inception")
