"""The torchmetrics face of the scores against torch-fidelity's own calculation."""

import copy
import importlib
import re
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from forked_program import FORKED
from torch import nn
from torch_fidelity_scores import assert_same, torch_fidelity_scores

import gan_convnorm
from gan_convnorm.errors import BadInput
from gan_convnorm.fidelity import FidelityMetric, create_extractor
from gan_convnorm.fidelity.classifier import trained_weights
from gan_convnorm.fidelity.feature_scores import score_features
from gan_convnorm.fidelity.real_features import RealFeatures

METRICS = "isc,fid,kid,prc"
NINE = torch.zeros(9, 1, 8, 8, dtype=torch.uint8)
OPTIONS = {"metrics": METRICS, "kid_subset_size": 100, "isc_splits": 5}


@pytest.fixture(scope="module")
def weights(digits):
    return trained_weights(*digits.train_set.tensors)


@pytest.fixture(scope="module")
def expected(digits, weights):
    real, fakes = digits.train_set.tensors[0][:500], digits.test_set.tensors[0]
    options = {"kid_subset_size": 100, "isc_splits": 5}
    return torch_fidelity_scores(fakes, real, "labelled-classifier-2", weights, **options)


def fill(metric, digits, shares=((0, 1),)):
    for images, real in ((digits.train_set.tensors[0][:500], True), (digits.test_set.tensors[0], False)):
        for first, last in shares:
            for batch in images[int(first * len(images)) : int(last * len(images))].split(70):
                metric.update(batch, real=real)


def as_floats(values):
    return {name: value.item() for name, value in values.items()}


@pytest.mark.slow
def test_values_equal_torch_fidelity(digits, extractor, expected):
    metric = FidelityMetric(extractor, **OPTIONS)
    fill(metric, digits)
    assert_same(as_floats(metric.compute()), expected)


@pytest.mark.slow
def test_one_value_by_name(digits, extractor, expected):
    metric = FidelityMetric(extractor, value="fid", **OPTIONS)
    fill(metric, digits)
    assert metric.compute().item() == pytest.approx(expected["fid"], rel=1e-6)


@pytest.mark.slow
def test_floats_in_a_stated_range_are_the_bytes(digits, extractor):
    images = digits.test_set.tensors[0][:100]
    found = []
    for scaled, value_range in ((images, None), (images / 255, (0, 1)), (images / 127.5 - 1, (-1, 1))):
        metric = FidelityMetric(extractor, "fid", value_range=value_range)
        metric.update(images.flip(3), real=True)
        metric.update(scaled, real=False)
        found.append(metric.compute()["fid"].item())
    assert found[0] == found[1] == found[2] > 0
    for bad, value_range, message in (
        (images / 255, None, r"are float32; expected uint8 .* or floating point with value_range=\(0, 1\)"),
        (images / 127.5 - 1, (0, 1), r"the real images go from -1 to 1, beyond value_range \(0, 1\)"),
        (torch.full((3, 1, 16, 16), float("nan")), (0, 1), "hold NaN or infinite values"),
    ):
        with pytest.raises(BadInput, match=message):
            FidelityMetric(extractor, "fid", value_range=value_range).update(bad, real=True)


@pytest.mark.slow
def test_samples_beyond_their_range_are_clamped(digits, extractor):
    images = digits.test_set.tensors[0][:100]
    sign = 2 * torch.arange(images.numel()).view(images.shape).fmod(2) - 1
    overshoot = torch.where((images == 0) & (sign < 0), -0.3, images / 255)
    found = []
    for fakes, value_range in ((images, None), (overshoot, (0, 1))):
        metric = FidelityMetric(extractor, "fid", value_range=value_range)
        metric.update(images.flip(3), real=True)
        metric.update(fakes, real=False)
        found.append(metric.compute()["fid"].item())
    assert found[0] == found[1]
    with pytest.warns(
        UserWarning, match=r"the fakes go from -1 to 1: \d+% of the values lie beyond value_range \(0, 1\)"
    ):
        metric.update(images / 127.5 - 1, real=False)


@pytest.mark.slow
def test_reset_keeps_the_real_images_if_asked(digits, extractor, expected):
    metric = FidelityMetric(extractor, reset_real_features=False, **OPTIONS)
    fill(metric, digits)
    metric.reset()
    with pytest.raises(BadInput, match="there are 0 fakes"):
        metric.compute()
    metric.update(digits.test_set.tensors[0], real=False)
    assert_same(as_floats(metric.compute()), expected)
    forgetful = FidelityMetric(extractor, **OPTIONS)
    fill(forgetful, digits)
    forgetful.reset()
    forgetful.update(digits.test_set.tensors[0], real=False)
    with pytest.raises(BadInput, match="need 2 or more real images, and there are 0"):
        forgetful.compute()


@pytest.mark.slow
def test_nothing_of_it_is_in_a_checkpoint(digits, extractor):
    class Module(nn.Module):
        def __init__(self):
            super().__init__()
            self.fid = FidelityMetric(extractor, "fid")

    module = Module()
    fill(module.fid, digits)
    assert module.state_dict() == {} and list(module.parameters()) == []
    assert copy.deepcopy(module).fid.compute() == module.fid.compute()


def test_names_that_are_not_known_are_refused(extractor):
    with pytest.raises(BadInput, match="value is 'fdi'; expected one of: isc, isc_std, fid"):
        FidelityMetric(extractor, value="fdi")
    with pytest.raises(BadInput, match="the value of black, then that of white"):
        FidelityMetric(extractor, value_range=(1, 0))


@pytest.mark.slow
def test_the_loop_in_the_documentation_runs(own_cache, monkeypatch):
    monkeypatch.setattr("gan_convnorm.fidelity.classifier.EPOCHS", 1)
    page = (Path(__file__).parents[2] / "docs/scores.md").read_text()
    (snippet,) = (part for part in re.findall(r"^```python\n(.*?)^```", page, re.M | re.S) if "FidelityMetric" in part)
    names = {}
    exec(snippet, names)
    assert set(names["scores"]) == {"fid", "kid", "kid_std"}
    assert names["scores"]["fid"] > 0 and all(score.isfinite() for score in names["scores"].values())


def share_process(rank, rendezvous, weights, batches, results):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=2)
    try:
        metric = FidelityMetric(create_extractor("classifier", weights=weights), **OPTIONS)
        for images, real in batches[rank]:
            metric.update(images, real=real)
        values = {name: value.item() for name, value in metric.compute().items()}
        metric.reset()
        try:
            metric.compute()
        except BadInput as error:
            results.put((rank, values, str(error)))
    finally:
        dist.destroy_process_group()


@pytest.mark.slow
def test_two_processes_of_unequal_shares_have_the_values_of_one(digits, weights, expected, tmp_path):
    real, fakes = digits.train_set.tensors[0][:500].clone(), digits.test_set.tensors[0].clone()
    # The second process has all real images but 30, and no fakes.
    batches = [[(real[:30], True), (fakes[:200], False), (fakes[200:], False)], [(real[30:], True)]]
    results = FORKED.Queue()
    arguments = (tmp_path / "rendezvous", weights, batches, results)
    workers = [FORKED.Process(target=share_process, args=(rank, *arguments)) for rank in range(2)]
    for worker in workers:
        worker.start()
    try:
        found = [results.get(timeout=120) for _ in workers]
    finally:
        for worker in workers:
            worker.join(10)
            worker.kill()
    for _, values, message in found:
        assert_same(values, expected)
        assert "there are 0 fakes" in message


def test_scores_are_imported_without_torchmetrics(monkeypatch):
    monkeypatch.setattr(gan_convnorm, "fidelity", sys.modules["gan_convnorm.fidelity"])  # is set by every import
    monkeypatch.delitem(sys.modules, "gan_convnorm.fidelity")
    monkeypatch.delitem(sys.modules, "gan_convnorm.fidelity.metric")
    monkeypatch.setitem(sys.modules, "torchmetrics", None)  # raises where it is imported
    room = importlib.import_module("gan_convnorm.fidelity")
    assert callable(room.evaluate)
    with pytest.raises(ImportError, match="torchmetrics"):
        _ = room.FidelityMetric


@pytest.mark.parametrize(
    ("labelled", "message"),
    [
        ((torch.zeros(9, 1, 8, 8),), "are float32 of shape"),
        (NINE, "must be a tuple"),
        (
            (NINE, torch.zeros(8, dtype=torch.int64)),
            "are 8; expected one for each",
        ),
        ((NINE, torch.full((9,), -1)), "whole numbers from 0"),
    ],
)
def test_images_that_the_classifier_cannot_be_trained_on_are_refused(labelled, message):
    with pytest.raises(BadInput, match=message):
        create_extractor("classifier", labelled=labelled)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("metric", ["isc", "fid", "kid", "prc"])
def test_features_that_are_not_finite_have_no_scores(metric, value):
    good = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
    bad = good.clone()
    bad[3, 2] = value
    with pytest.raises(BadInput, match="NaN or infinite"):
        score_features({"x": bad}, RealFeatures(60, {"x": good}), {metric: "x"})


def test_features_of_half_precision_are_scored_as_those_of_single_precision():
    rng = torch.Generator().manual_seed(0)
    real, fakes = (1e4 * torch.randn(60, 4, generator=rng).half() for _ in range(2))
    layer = {"fid": "x", "prc": "x"}
    halves = score_features({"x": fakes.requires_grad_()}, RealFeatures(60, {"x": real}), layer)
    singles = score_features({"x": fakes.float()}, RealFeatures(60, {"x": real.float()}), layer)
    assert halves.values == singles.values
    with pytest.raises(BadInput, match="a fake has 3 x and a real image 4"):
        score_features({"x": fakes[:, :3]}, RealFeatures(60, {"x": real}), layer)
