"""Attacks against models whose worst case is known in closed form."""

import importlib.util
import sys
import types
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gan_convnorm.errors import BadInput
from gan_convnorm.robustness.attacks import (
    ATTACKS,
    AttackSettings,
    ZeroGradient,
    auto_attack,
    fgsm,
    input_gradient,
    margins,
    pgd,
    spsa,
    square,
)
from gan_convnorm.robustness.evaluation import RobustnessEvaluation

EPS = 8 / 255


def make_rng(seed=0):
    return torch.Generator().manual_seed(seed)


class Linear(nn.Module):
    """Two classes: the logits' difference is w . (x - 1/2), so the worst point of the ball is x -+ eps sign(w)."""

    def __init__(self, shape=(1, 4, 4), seed=1):
        super().__init__()
        self.weight = torch.randn(shape, generator=make_rng(seed))
        self.queries = 0

    def forward(self, images):
        self.queries += len(images)
        score = ((images - 0.5) * self.weight).sum(dim=(1, 2, 3))
        return torch.stack([torch.zeros_like(score), score], dim=1)

    def worst(self, images, labels, eps):
        """The point of least margin, cut to [0, 1], and its margin."""
        sign = (1 - 2 * labels.view(-1, 1, 1, 1)).float()
        point = (images + eps * sign * self.weight.sign()).clamp(0, 1)
        return point, margins(self(point), labels)


@pytest.fixture
def linear():
    return Linear()


@pytest.fixture
def batch():
    # Some values are within eps of 0 and 1, where the ball is cut.
    images = torch.rand(16, 1, 4, 4, generator=make_rng(2))
    return images, Linear()(images).argmax(dim=1)  # all are classified right, so all are attacked


def test_fgsm_and_pgd_find_the_worst_point_of_a_linear_model(linear, batch):
    images, labels = batch
    expected, _ = linear.worst(images, labels, EPS)
    assert torch.equal(fgsm(linear, images, labels, eps=EPS), expected)
    found = pgd(linear, images, labels, eps=EPS, step=2 / 255, steps=9, rng=make_rng())
    assert torch.allclose(found, expected, atol=1e-7, rtol=0)
    # Four steps of 2 / 255 from the image reach the ball's end, three do not.
    short = pgd(linear, images, labels, eps=EPS, step=2 / 255, steps=3)
    assert ((short - images).abs().amax(dim=(1, 2, 3)) - 6 / 255).abs().max() < 1e-6
    full = pgd(linear, images, labels, eps=EPS, step=2 / 255, steps=4)
    assert torch.allclose(full, expected, atol=1e-6, rtol=0)


def test_the_robust_accuracy_of_a_linear_model_is_the_closed_forms(linear):
    # Away from 0 and 1 an image is robust exactly where its margin is above eps ||w||_1.
    images = 0.5 + 0.3 * (torch.rand(400, 1, 4, 4, generator=make_rng(3)) - 0.5)
    labels = (linear(images)[:, 1] > 0).long()
    radius = EPS * linear.weight.abs().sum()
    expected = (margins(linear(images), labels) > radius).float().mean().item()
    assert 0.2 < expected < 0.8
    for found in (
        fgsm(linear, images, labels, eps=EPS),
        pgd(linear, images, labels, eps=EPS, step=EPS / 4, steps=10, rng=make_rng()),
    ):
        assert (linear(found).argmax(dim=1) == labels).float().mean().item() == expected


def test_spsa_estimates_the_gradient(linear, batch):
    images, labels = batch
    _, worst = linear.worst(images, labels, EPS)
    before = margins(linear(images), labels)
    linear.queries = 0
    found = spsa(linear, images, labels, eps=EPS, rng=make_rng(), steps=10, samples=64)
    assert linear.queries == 16 * (1 + 10 * 128)
    after = margins(linear(found), labels)
    assert ((found - images).abs() <= EPS + 1e-6).all() and found.min() >= 0 and found.max() <= 1
    # Adam takes every value to the right end but those of the smallest weights.
    assert (after >= worst - 1e-5).all()
    assert ((before - after) / (before - worst)).min() > 0.9


@pytest.mark.parametrize("eps", [8 / 255, 64 / 255])
def test_the_evaluations_attacks_reach_the_edge_of_any_ball(linear, eps):
    """On a linear model the worst point is a corner, and an attack whose steps are too short stops on its way."""
    images = 0.5 + 0.2 * (torch.rand(8, 1, 4, 4, generator=make_rng(3)) - 0.5)
    before, labels = linear(images).sort(dim=1)[0].diff()[:, 0], linear(images).argmax(dim=1)
    settings = RobustnessEvaluation("none", attacks="pgd", attack_eps=255 * eps).measurement.settings
    for name in ("fgsm", "pgd", "spsa"):
        found = ATTACKS[name](linear, images, labels, replace(settings, queries=1280), make_rng())
        reached = (before - margins(linear(found), labels)) / (before - linear.worst(images, labels, eps)[1])
        assert reached.min() > 0.9 and reached.max() < 1 + 1e-5, name


def test_square_finds_the_worst_corner_within_its_queries(batch):
    images, labels = batch[0][:, :, :, :] * 0.5 + 0.25, batch[1]
    model = Linear()
    # Never misclassified, so no image stops early.
    confident = lambda x: model(x) + 100 * F.one_hot(labels[: len(x)], 2)  # noqa: E731
    _, worst = model.worst(images, labels, EPS)
    before = margins(model(images), labels)
    model.queries = 0
    found = square(confident, images, labels, eps=EPS, queries=400, rng=make_rng())
    assert model.queries == 16 * (1 + 400)
    after = margins(model(found), labels)
    assert ((found - images).abs() <= EPS + 1e-6).all()
    assert (after >= worst - 1e-5).all()
    assert ((before - after) / (before - worst)).min() > 0.9


SETTINGS = AttackSettings(EPS, 2 / 255, 3, 40)


@pytest.fixture
def autoattack(monkeypatch):
    """The authors' package, as far as it is called: its attack inverts all that it is given."""

    class AutoAttack:
        def __init__(self, model, **options):
            pass

        def run_standard_evaluation(self, x, y, bs=250):
            return 1 - x

    monkeypatch.setitem(sys.modules, "autoattack", types.SimpleNamespace(AutoAttack=AutoAttack))


@pytest.mark.parametrize("name", ATTACKS)
def test_a_misclassified_image_comes_back_as_it_was(name, autoattack):
    """Also with few queries, where an attack can make it right by chance; the others are attacked as if alone."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 4))
    images = torch.rand(60, 1, 8, 8)
    labels = network(images).argmax(dim=1)
    labels[::2] = (labels[::2] + 1) % 4
    for queries in (1, 2, 40):
        found = ATTACKS[name](network, images, labels, replace(SETTINGS, queries=queries), make_rng())
        assert torch.equal(found[::2], images[::2])
        assert ((found - images)[1::2] != 0).flatten(1).any(dim=1).all()
        assert not ((network(found).argmax(dim=1) == labels)[::2]).any()
    all_wrong = (network(images).argmax(dim=1) + 1) % 4
    assert torch.equal(ATTACKS[name](network, images, all_wrong, SETTINGS, make_rng()), images)


@pytest.mark.parametrize("name", ["pgd", "spsa", "square"])
def test_an_attack_on_an_image_does_not_depend_on_which_others_are_right(name):
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 4)).double()
    images = torch.rand(10, 1, 8, 8).double()
    right = network(images).argmax(dim=1)
    labels = right.clone()
    labels[:5] = (right[:5] + 1) % 4
    alone = ATTACKS[name](network, images, labels, SETTINGS, make_rng())
    together = ATTACKS[name](network, images, right, SETTINGS, make_rng())
    assert (alone - together)[5:].abs().max() < 1e-12


NORMALIZED = (torch.rand(4, 1, 4, 4) - 0.5) / 0.2
FITTING = torch.rand(4, 1, 4, 4)
LABELS = torch.tensor([0, 1, 0, 1])
BAD = {
    "normalized images": (NORMALIZED, LABELS, SETTINGS, "expected 0 to 1, since the ball is cut there"),
    "bytes as floats": (FITTING * 255, LABELS, SETTINGS, "expected 0 to 1"),
    "NaN": (FITTING * torch.nan, LABELS, SETTINGS, "images are from nan to nan"),
    "bytes": ((FITTING * 255).byte(), LABELS, SETTINGS, "found torch.uint8 images"),
    "one image": (FITTING[0], LABELS, SETTINGS, "expected floating point of shape"),
    "labels of another number": (FITTING, LABELS[:3], SETTINGS, "found torch.int64 labels of shape"),
    "labels as floats": (FITTING, LABELS.float(), SETTINGS, "found torch.float32 labels"),
    "labels from one": (FITTING, LABELS + 1, SETTINGS, "labels are from 1 to 2; expected 0 to 1"),
    "negative labels": (FITTING, LABELS - 1, SETTINGS, "labels are from -1 to 0; expected 0 to 1"),
    "a negative radius": (FITTING, LABELS, replace(SETTINGS, eps=-0.1), "eps is -0.1"),
    "a radius that is NaN": (FITTING, LABELS, replace(SETTINGS, eps=float("nan")), "eps is nan"),
    "an infinite radius": (FITTING, LABELS, replace(SETTINGS, eps=float("inf")), "eps is inf"),
}


@pytest.mark.parametrize("images, labels, settings, message", BAD.values(), ids=BAD)
@pytest.mark.parametrize("name", ATTACKS)
def test_no_attack_on_nonsense(name, images, labels, settings, message, autoattack, linear):
    with pytest.raises(BadInput, match=f"^{name}: ") as found:
        ATTACKS[name](linear, images, labels, settings, make_rng())
    assert message in str(found.value)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(
    "attack, options, message",
    [
        (pgd, {"step": 0.1, "steps": 0}, "pgd: steps is 0; expected 1 or more"),
        (pgd, {"step": 0.0, "steps": 1}, "pgd: step is 0.0; expected a number above 0"),
        (pgd, {"step": float("nan"), "steps": 1}, "pgd: step is nan"),
        (spsa, {"rng": make_rng(), "steps": 0}, "spsa: steps is 0"),
        (spsa, {"rng": make_rng(), "samples": -1}, "spsa: samples is -1"),
        (spsa, {"rng": make_rng(), "delta": 0.0}, "spsa: delta is 0.0"),
        (spsa, {"rng": make_rng(), "learning_rate": float("inf")}, "spsa: learning_rate is inf"),
        (square, {"rng": make_rng(), "queries": 0}, "square: queries is 0; expected 1 or more"),
        (square, {"rng": make_rng(), "queries": 1, "share": 0.0}, "square: share is 0.0"),
    ],
)
def test_no_attack_of_no_steps(attack, options, message, linear, batch):
    with pytest.raises(BadInput) as found:
        attack(linear, *batch, eps=EPS, **options)
    assert str(found.value).startswith(message)


@pytest.mark.parametrize("name", ATTACKS)
def test_an_empty_batch_comes_back_empty(name, linear, autoattack):
    found = ATTACKS[name](linear, FITTING[:0], LABELS[:0], SETTINGS, make_rng())
    assert found.shape == (0, 1, 4, 4)


class Hiding(nn.Module):
    """All images are of class 1; where the first pixel is above one half the gradient is zero, or NaN."""

    def __init__(self, hidden):
        super().__init__()
        self.hidden = hidden

    def forward(self, images):
        scores = [self.hidden(image) if image[0, 0, 0] > 0.5 else image.sum() for image in images]
        return torch.stack([-torch.stack(scores), torch.full((len(images),), 5.0)], dim=1)


def zero(image):
    return image.sum() * 0


def root_of_zero(image):
    return zero(image).sqrt()  # whose derivative is 0 / 0


@pytest.mark.parametrize(
    "name, hidden", [("fgsm", zero), ("pgd", zero), ("spsa", zero), ("fgsm", root_of_zero), ("pgd", root_of_zero)]
)
def test_a_gradient_of_zeros_or_nan_is_said_and_moves_nothing(name, hidden):
    images = torch.full((6, 1, 4, 4), 0.25)
    images[:2, 0, 0, 0] = 0.9
    with pytest.warns(ZeroGradient) as found:
        attacked = ATTACKS[name](Hiding(hidden), images, torch.ones(6).long(), SETTINGS, make_rng())
    assert [(w.message.attack, w.message.count, w.message.total) for w in found] == [(name, 2, 6)]
    assert str(found[0].message).startswith(f"{name}: the first gradient is zero or NaN at 2 of 6 images")
    assert attacked.isfinite().all()
    assert (attacked[2:] != images[2:]).flatten(1).any(dim=1).all()
    if name != "pgd":  # which starts elsewhere
        assert torch.equal(attacked[:2], images[:2])


def test_a_tie_is_queried_on(linear):
    """Two equal logits whose first is the true class: the prediction is right, so the search goes on."""
    images = torch.full((1, 1, 4, 4), 0.5)
    flat = lambda x: torch.where(linear(x).abs() > 0.9 * linear.weight.abs().sum() * EPS, linear(x), 0.0)  # noqa: E731
    found = square(flat, images, torch.zeros(1).long(), eps=EPS, queries=200, rng=make_rng())
    assert linear.queries > 100
    assert found.shape == images.shape


def test_margins():
    logits = torch.tensor([[3.0, 1.0, 2.0], [0.0, 5.0, -1.0]])
    assert margins(logits, torch.tensor([0, 2])).tolist() == [1.0, -6.0]


def test_attacks_are_pure():
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3)).eval()
    images = torch.rand(4, 1, 6, 6)
    labels = network(images).argmax(dim=1)
    state = {k: v.clone() for k, v in network.state_dict().items()}
    kept, global_state = images.clone(), torch.random.get_rng_state()
    settings = AttackSettings(EPS, 2 / 255, 3, 40)
    for name in ("fgsm", "pgd", "spsa", "square"):
        one, two = (ATTACKS[name](network, images, labels, settings, make_rng(7)) for _ in range(2))
        assert torch.equal(one, two), name
        assert (one - images).abs().max() <= EPS + 1e-6
        assert not one.requires_grad
        with torch.no_grad():  # as in an evaluation
            assert torch.equal(ATTACKS[name](network, images, labels, settings, make_rng(7)), one)
    assert torch.equal(images, kept) and torch.equal(torch.random.get_rng_state(), global_state)
    assert all(torch.equal(state[k], v) for k, v in network.state_dict().items())
    assert all(p.grad is None for p in network.parameters())


def test_query_budgets_hold():
    settings = AttackSettings(EPS, 2 / 255, 3, 100)
    for name in ("spsa", "square"):
        model = Linear()
        images, labels = torch.rand(3, 1, 4, 4), torch.tensor([0, 1, 0])
        ATTACKS[name](lambda x: model(x) * 0, images, labels, settings, make_rng())  # noqa: B023
        # One more for the image as it is; of two equal logits the first is the prediction.
        assert 0 < model.queries <= 3 + 2 * 100, name
    with pytest.raises(BadInput, match="queries is 0"):
        square(Linear(), torch.rand(1, 1, 4, 4), torch.zeros(1).long(), eps=EPS, queries=0, rng=make_rng())


def test_input_gradient_is_the_closed_form(linear, batch):
    images, labels = batch
    probability = torch.softmax(linear(images), dim=1)[:, 1]
    expected = (probability - labels).view(-1, 1, 1, 1) * linear.weight
    assert torch.allclose(input_gradient(linear, images, labels), expected, atol=1e-6, rtol=0)


def test_autoattack_is_called_as_its_authors_do(monkeypatch, batch):
    calls = {}

    class AutoAttack:
        def __init__(self, model, norm="Linf", eps=0.3, seed=None, verbose=True, version="standard", device="cuda"):
            calls.update(norm=norm, eps=eps, seed=seed, version=version, device=device)

        def run_standard_evaluation(self, x, y, bs=250):
            print("robust accuracy")
            return x + 0.5

    monkeypatch.setitem(sys.modules, "autoattack", types.SimpleNamespace(AutoAttack=AutoAttack))
    images, labels = batch
    assert torch.equal(auto_attack(Linear(), images, labels, eps=EPS, seed=3), images + 0.5)
    assert calls == {"norm": "Linf", "eps": EPS, "seed": 3, "version": "standard", "device": images.device}


def test_autoattack_is_asked_for_where_it_is_missing(monkeypatch, batch):
    monkeypatch.setitem(sys.modules, "autoattack", None)
    with pytest.raises(BadInput, match="needs the package autoattack"):
        auto_attack(Linear(), *batch, eps=EPS)


@pytest.mark.skipif(importlib.util.find_spec("foolbox") is None, reason="foolbox is not installed")
def test_against_foolbox():
    import foolbox

    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 5)).eval()
    images = torch.rand(32, 3, 8, 8)
    labels = network(images).argmax(dim=1)
    model = foolbox.PyTorchModel(network, bounds=(0, 1), device="cpu")
    theirs, _, _ = foolbox.attacks.FGSM(random_start=False)(model, images, labels, epsilons=EPS)
    assert torch.equal(fgsm(network, images, labels, eps=EPS), theirs)
    attack = foolbox.attacks.LinfPGD(abs_stepsize=2 / 255, steps=10, random_start=False)
    theirs, _, _ = attack(model, images, labels, epsilons=EPS)
    found = pgd(network, images, labels, eps=EPS, step=2 / 255, steps=10)
    assert (found - theirs).abs().max() < 1e-6


@pytest.mark.skipif(importlib.util.find_spec("torchattacks") is None, reason="torchattacks is not installed")
def test_black_box_attacks_succeed_as_often_as_torchattacks(digits):
    import torchattacks

    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = nn.Sequential(
            *(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(512, 10))
        )
        optimizer = torch.optim.Adam(network.parameters(), 1e-2)
        images, labels = digits.train_set.tensors[0].float() / 255, digits.train_set.tensors[1]
        for _ in range(5):
            for chosen in torch.randperm(len(images)).split(64):
                optimizer.zero_grad()
                F.cross_entropy(network(images[chosen]), labels[chosen]).backward()
                optimizer.step()
        images, labels = digits.test_set.tensors[0].float() / 255, digits.test_set.tensors[1]
        theirs = {
            "square": torchattacks.Square(network, eps=3 * EPS, n_queries=127)(images, labels),
            "spsa": torchattacks.SPSA(network, eps=3 * EPS, nb_iter=2, nb_sample=32, max_batch_size=32)(images, labels),
        }
    settings = AttackSettings(3 * EPS, EPS, 1, 128)
    for name, their_images in theirs.items():
        found = ATTACKS[name](network, images, labels, settings, make_rng())
        assert (found - images).abs().max() <= 3 * EPS + 1e-6 and found.min() >= 0 and found.max() <= 1
        ours, other = (
            (network(x).argmax(dim=1) == labels).float().mean().item() for x in (found, their_images.detach())
        )
        # Three standard deviations of a share of 360 images.
        assert abs(ours - other) < 3 * (other * (1 - other) / 360) ** 0.5, name
