"""Scores against torch-fidelity's own calculation on the same images."""

import warnings

import numpy as np
import pytest
import torch
from torch_fidelity_scores import NAMES, assert_same, torch_fidelity_scores

from gan_convnorm.errors import BadInput
from gan_convnorm.fidelity import Evaluator, create_extractor, evaluate
from gan_convnorm.fidelity.classifier import train_classifier, trained_weights
from gan_convnorm.fidelity.extractor_weights import weights_digest
from gan_convnorm.fidelity.metrics import effective_rank, statistics


@pytest.fixture(scope="module")
def classifier_expected(digits):
    train, test = digits.train_set.tensors[0], digits.test_set.tensors[0]
    weights = trained_weights(*digits.train_set.tensors)
    return torch_fidelity_scores(test, train, "labelled-classifier-2", weights, kid_subset_size=300)


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [64, 100, 1])
def test_classifier_scores_equal_torch_fidelity(digits, extractor, classifier_expected, batch_size):
    scores = Evaluator(
        extractor,
        digits.train_set.tensors[0],
        metrics="isc,fid,kid,prc",
        reference_name="digits train images",
        kid_subset_size=300,
        batch_size=batch_size,
    )(digits.test_set.tensors[0])
    assert_same(scores.values, classifier_expected)
    assert scores.protocol == {
        "extractor": "labelled-classifier-2",
        "extractor_digest": weights_digest(extractor)[:8],
        "extractor_accuracy": extractor.accuracy,
        "extractor_held_out": 143,
        "reference": "digits train images",
        "n_real": 1437,
        "fake": "images",
        "n_fake": 360,
        "isc_splits": 10,
        "kid_subsets": 100,
        "kid_subset_size": 300,
    }
    for word in ("FID", "IS", "KID", "precision", "recall"):
        assert word in scores.line()
    for word in (
        "labelled-classifier-2",
        "360 images",
        "1437 digits train images",
        "10 splits",
        "100 subsets of 300",
    ):
        assert word in scores.meaning()


@pytest.fixture(scope="module")
def clip_weights(tmp_path_factory):
    """A small CLIP with random weights in the form of the published files."""
    from torch_fidelity.feature_extractor_clip import CLIPVisual

    class Network(CLIPVisual):
        def forward(self, images):
            return self.visual(images)

    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Network(16, 32, 2, 64, 8).eval()
    network.text_projection = torch.nn.Parameter(torch.zeros(7, 16))
    path = tmp_path_factory.mktemp("clip") / "clip.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch.jit's deprecation, and CLIP's files are of it
        torch.jit.trace(network, torch.zeros(1, 3, 32, 32), check_trace=False).save(path)
    return path


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:FID of")
@pytest.mark.parametrize(("name", "registered"), [("inception", "inception-v3-compat"), ("clip", "clip-vit-b-32")])
def test_other_extractors_equal_torch_fidelity(digits, inception_weights, clip_weights, name, registered):
    weights = inception_weights if name == "inception" else clip_weights
    train, test = digits.train_set.tensors[0][:10], digits.test_set.tensors[0][:8]
    scores = evaluate(
        test,
        train,
        metrics=("isc", "fid", "kid", "prc"),
        extractor=name,
        extractor_weights=weights,
        isc_splits=2,
        kid_subset_size=6,
        batch_size=4,
        device="cpu",
    )
    colour = (images.expand(-1, 3, -1, -1) for images in (test, train))
    expected = torch_fidelity_scores(*colour, registered, weights, isc_splits=2, kid_subset_size=6, batch_size=4)
    assert expected["fid"] > 1e-3
    assert_same(scores.values, expected)
    assert scores.protocol["extractor"] == registered


@pytest.mark.slow
def test_vgg16_equals_torch_fidelity_and_a_missing_file_is_named(tmp_path, digits, monkeypatch):
    from torch_fidelity.feature_extractor_vgg16 import FeatureExtractorVGG16
    from torchvision.models import vgg16

    monkeypatch.setattr(FeatureExtractorVGG16, "INPUT_IMAGE_SIZE", 32)  # not 224, which takes 50 times as long
    with torch.device("meta"):
        state = vgg16(init_weights=False).state_dict()
    for name, value in state.items():
        scale = (2 / value[0].numel()) ** 0.5 if value.dim() > 1 else 0.0
        if value.numel() < 3e6:
            state[name] = scale * torch.randn(value.shape)
        else:  # a random Hankel matrix, of which the file keeps each number once
            rows, columns = value.shape
            state[name] = (scale * torch.randn(rows + columns)).as_strided((rows, columns), (1, 1))
    torch.save(state, tmp_path / "vgg16.pth")
    for name in ("kaiming_normal_", "kaiming_uniform_", "normal_"):  # seconds, for weights that the file replaces
        monkeypatch.setattr(torch.nn.init, name, lambda tensor, *_, **__: tensor)
    train, test = digits.train_set.tensors[0][:8], digits.test_set.tensors[0][:6]
    # Without FID, which takes minutes on 4096 features.
    options = {"kid_subset_size": 4}
    scores = evaluate(
        test, train, metrics="kid,prc", extractor="vgg16", extractor_weights=tmp_path / "vgg16.pth", **options
    )
    colour = (images.expand(-1, 3, -1, -1) for images in (test, train))
    weights = tmp_path / "vgg16.pth"
    expected = torch_fidelity_scores(*colour, "vgg16", weights, metrics=("kid", "prc"), **options)
    assert expected["kid"] > 1e-3
    for name, value in scores.values.items():
        assert value == pytest.approx(expected[name], rel=1e-6, abs=1e-9)
    with pytest.raises(BadInput, match=r"no weights file .*none\.pth.*torchvision fetches from https"):
        create_extractor("vgg16", weights=tmp_path / "none.pth")


def test_statistics_are_those_of_numpy():
    features = torch.randn(5000, 7) * torch.arange(1, 8) + 100
    found = statistics(features)
    assert found["mu"].dtype == torch.float32
    np.testing.assert_allclose(found["sigma"].numpy(), np.cov(features.numpy(), rowvar=False), rtol=1e-12, atol=1e-10)


def test_effective_rank_counts_directions():
    covariance = torch.diag(torch.tensor([2.0, 2.0, 2.0, 0.0], dtype=torch.float64))
    assert effective_rank({"sigma": covariance}) == pytest.approx(3)
    assert effective_rank({"sigma": torch.zeros(4, 4, dtype=torch.float64)}) == 0


@pytest.mark.slow
def test_fid_is_the_frechet_distance_of_gaussians(digits, extractor):
    from gan_convnorm.fidelity import TensorImages
    from gan_convnorm.fidelity.features import extract

    train, test = digits.train_set.tensors[0], digits.test_set.tensors[0]
    a, b = (extract(extractor, TensorImages(x))["features"].double().numpy() for x in (test, train))
    sigma_a, sigma_b = np.cov(a.T), np.cov(b.T)
    eigenvalues, vectors = np.linalg.eigh(sigma_a)
    root = vectors @ np.diag(np.sqrt(eigenvalues.clip(0))) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ sigma_b @ root).clip(0)).sum()
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(sigma_a) + np.trace(sigma_b) - 2 * cross
    assert Evaluator(extractor, train)(test).values["fid"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
def test_noise_scores_worse_than_digits(digits, extractor):
    evaluator = Evaluator(extractor, digits.train_set.tensors[0])
    noise = torch.randint(0, 256, (360, 1, 16, 16), dtype=torch.uint8)
    good, bad = evaluator(digits.test_set.tensors[0]).values, evaluator(noise).values
    assert good["fid"] < 3 < 20 < bad["fid"]
    assert good["isc"] > 7 > bad["isc"]


@pytest.mark.slow
def test_classifier_knows_the_digits(digits):
    images, labels = digits.test_set.tensors
    network = create_extractor("classifier", labelled=digits.train_set.tensors)
    found = network.convert_features_tuple_to_dict(network(images))
    assert found["features"].shape == (360, 64)
    assert (found["logits"].argmax(dim=1) == labels).float().mean() >= 0.97


@pytest.mark.slow
def test_classifier_training_is_deterministic_and_leaves_the_random_state(digits):
    images, labels = (t[:200] for t in digits.train_set.tensors)
    state = torch.get_rng_state()
    one, found = train_classifier(images, labels)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(99)
    two, again = train_classifier(images, labels)
    assert found == again and found["held_out"] == 20
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True))


@pytest.mark.slow
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
    with pytest.warns(UserWarning, match="computed again"):
        assert trained_weights(images, labels) == path
    torch.load(path, weights_only=True)


@pytest.mark.slow
def test_unwritable_cache_is_a_warning(digits, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="cannot be written"):
        path = trained_weights(*(t[:130] for t in digits.train_set.tensors))
    assert path.exists()


@pytest.mark.slow
def test_bad_input_is_named(digits, extractor, monkeypatch):
    train = digits.train_set.tensors[0]
    evaluator = Evaluator(extractor, train)
    with pytest.raises(BadInput, match="classifier, inception, dinov2"):
        create_extractor("incpetion")
    with pytest.raises(BadInput, match="is trained on real images, and there are none"):
        create_extractor("classifier")
    with pytest.raises(BadInput, match="there are 1"):
        Evaluator(extractor, train[:1])
    with pytest.raises(BadInput, match="there are 9 fakes; IS over 10 splits needs 20"):
        evaluator(train[:9])
    with pytest.raises(BadInput, match=r"float32.*from 0 to 255; expected uint8"):
        evaluator(train.float())

    def offline(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr("torch_fidelity.feature_extractor_inceptionv3.load_state_dict_from_url", offline)
    with pytest.raises(BadInput, match=r"no network.*hub.*--extractor classifier"):
        create_extractor("inception")


@pytest.mark.slow
@pytest.mark.parametrize("size", [0, 1, -5])
def test_kid_subsets_that_have_no_pairs_are_refused_before_any_work(digits, extractor, monkeypatch, size):
    train = digits.train_set.tensors[0][:20]
    monkeypatch.setattr(type(extractor), "forward", None)
    for score in (
        lambda: Evaluator(extractor, train, metrics="kid", kid_subset_size=size),
        lambda: evaluate(train, train, metrics="kid", extractor=extractor, kid_subset_size=size),
    ):
        with pytest.raises(BadInput, match=rf"kid_subset_size is {size}, and must be 2 or more \(--kid-subset-size\)"):
            score()


@pytest.mark.slow
def test_a_deviation_of_kid_over_equal_subsets_is_said(digits, extractor):
    train, test = digits.train_set.tensors[0][:50], digits.test_set.tensors[0]
    with pytest.warns(UserWarning, match="KID's deviation says nothing: each of its 100 subsets is all 50 images"):
        scores = Evaluator(extractor, train, metrics="kid")(test[:50])
    assert scores.values["kid_std"] < 1e-6
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Evaluator(extractor, train, metrics="kid")(test[:60])
        Evaluator(extractor, train, metrics="kid", kid_subset_size=40)(test[:50])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:FID of")
def test_a_set_against_itself_has_no_negative_fid(extractor, digits):
    # Fewer images than features: eigenvalues 0 are found as 1e-16, and their roots add up.
    images = digits.test_set.tensors[0][:40]
    scores = Evaluator(extractor, images)(images)
    assert 0 <= scores.values["fid"] < 1e-9 and "FID 0.00" in scores.line()


@pytest.mark.parametrize("count", [30, 600])
@pytest.mark.parametrize("scale", [1e-3, 1, 1e3])
def test_fid_is_clipped_within_its_error_alone(count, scale):
    from torch_fidelity.metric_fid import fid_statistics_to_metric

    from gan_convnorm.fidelity.metrics import frechet_distance

    features = torch.randn(count, 200).relu() * scale
    found = statistics(features)
    # Rounding may leave a positive number, never a negative one.
    assert 0 <= frechet_distance(found, found)["fid"] <= 1e-12 * scale**2
    other = statistics(features + 1e-3 * scale)  # 200 * (1e-3)^2 away
    expected = fid_statistics_to_metric(
        *({name: value.numpy() for name, value in one.items()} for one in (found, other)), verbose=False
    )[NAMES["fid"]]
    assert frechet_distance(found, other)["fid"] == expected == pytest.approx(2e-4 * scale**2, rel=0.05)


def test_fid_that_no_rounding_explains_stays_negative(monkeypatch):
    from gan_convnorm.fidelity import metrics

    monkeypatch.setattr(metrics, "fid_statistics_to_metric", lambda *args, **options: {NAMES["fid"]: -0.5})
    found = statistics(torch.randn(50, 4))
    assert metrics.frechet_distance(found, found) == {"fid": -0.5}


@pytest.mark.slow
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_features_that_are_no_numbers_are_refused(digits, bad):
    train = digits.train_set.tensors[0][:60]
    damaged = create_extractor("classifier", labelled=digits.train_set.tensors)
    with torch.no_grad():
        damaged.network.linear.weight[3, 5] = bad
        damaged.network.stages[0][1].weight[0, 0, 1, 1] = bad
    for score in (
        lambda: Evaluator(damaged, train),
        lambda: Evaluator(damaged, metrics="isc")(train),
        lambda: evaluate(train, train, metrics="prc", extractor=damaged),
    ):
        with pytest.raises(BadInput, match="labelled-classifier-2 gives features of images that are NaN or infinite"):
            score()


@pytest.mark.filterwarnings("ignore:the classifier whose features")
@pytest.mark.parametrize("labelled", [True, False])
def test_images_that_are_not_square_have_a_classifier(labelled):
    images = torch.randint(0, 100, (60, 1, 8, 12), dtype=torch.uint8)
    images[:, :, :2] += 100  # without labels: the bright rows say how a square part was turned
    images[::2, :, :, :6] += 50
    labels = (torch.arange(60) + 1) % 2 if labelled else None
    weights = trained_weights(images, labels)
    extractor = create_extractor("classifier", weights=str(weights))
    assert extractor.network.shape == {"resolution": "8x12", "channels": 1, "num_classes": 2 if labelled else 4}
    score = Evaluator(extractor, images[:30])
    assert score(images[30:]).values["fid"] < score(images[30:].flip(2)).values["fid"]
    with pytest.raises(BadInput, match=r"are 12x8 pixels \(height x width\), and .* on 8x12; .*--resize 8x12"):
        score(images[30:].mT.contiguous())
