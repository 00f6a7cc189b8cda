"""The classifiers' training: learning rates, adversarial images, precision, several processes."""

import json
import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch
from forked_program import ForkedProgram
from torch import nn
from torch.nn import functional as F
from two_processes import train_on_two_processes

from gan_convnorm.data import Digits
from gan_convnorm.layers import norm_penalty
from gan_convnorm.robustness.attacks import ZeroGradient
from gan_convnorm.robustness.classifier import Classifier
from gan_convnorm.robustness.evaluation import RobustnessEvaluation
from gan_convnorm.robustness.training_data import LabelledData, TrainingSplit


def module_and_data(**options):
    return Classifier(width=0.5, **options), LabelledData(
        Digits(resolution=8, batch_size=32), TrainingSplit(fraction=0.1)
    )


def trainer(**options):
    quiet = dict(logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False)
    return pl.Trainer(accelerator="cpu", devices=1, num_sanity_val_steps=0, **(quiet | options))


def test_sgd_and_the_learning_rates_are_the_published():
    found = []

    class Watch(pl.Callback):
        def on_train_batch_start(self, trainer, module, *args):
            (group,) = trainer.optimizers[0].param_groups
            found.append((trainer.current_epoch, group["lr"], group["momentum"], group["weight_decay"]))

    for milestones, drops in ((None, (2, 4)), ([1, 5], (1, 5))):
        found.clear()
        module, data = module_and_data(milestones=milestones)
        trainer(max_epochs=6, limit_train_batches=1, limit_val_batches=0, callbacks=[Watch()]).fit(module, data)
        for epoch, (number, lr, momentum, decay) in enumerate(found):
            assert (number, momentum, decay) == (epoch, 0.9, 1e-4)
            assert lr == pytest.approx(0.1 * 0.1 ** sum(epoch >= d for d in drops), rel=1e-9)


def test_colour_images_are_computed_channels_last():
    for channels, norm in ((3, "batch"), (3, "convnorm+batch"), (1, "batch")):
        module = Classifier(width=0.5, channels=channels, norm=norm).eval()
        seen = []
        for layer in module.network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.register_forward_hook(lambda layer, given, output, seen=seen: seen.append(output))
        images = torch.rand(2, channels, 8, 8)
        found = module(images)
        assert seen and all(each.is_contiguous(memory_format=torch.channels_last) == (channels > 1) for each in seen)
        module.network.to(memory_format=torch.contiguous_format)
        assert torch.allclose(found, module(images), atol=1e-5)


def test_a_resumed_run_has_the_momentum_and_decay_that_it_is_given(tmp_path):
    module, data = module_and_data()
    first = trainer(max_epochs=1, limit_train_batches=1, limit_val_batches=0)
    first.fit(module, data)
    first.save_checkpoint(tmp_path / "one.ckpt")
    module, data = module_and_data(momentum=0.5, weight_decay=0.25)
    second = trainer(max_epochs=2, limit_train_batches=1, limit_val_batches=0)
    second.fit(module, data, ckpt_path=tmp_path / "one.ckpt")
    (group,) = second.optimizers[0].param_groups
    assert (group["momentum"], group["weight_decay"]) == (0.5, 0.25)


def test_free_training_moves_perturbation_and_weights_by_one_gradient():
    module, data = module_and_data(adversarial="free", replays=3, crop=0, norm="none")
    seen = []

    class Watch(pl.Callback):
        def on_train_batch_start(self, trainer, module, batch, number):
            start = (
                torch.zeros(len(batch[0]), 1, 8, 8) if module.free.perturbation is None else module.free.perturbation
            )
            images = (batch[0] / 255 + start).clamp(0, 1).requires_grad_()
            loss = F.cross_entropy(module.network(images), batch[1])
            gradient = torch.autograd.grad(loss, images)[0]
            eps = 8 / 255
            self.expected = (start + eps * gradient.sign()).clamp(-eps, eps)
            seen.append(batch[1].tolist())

        def on_train_batch_end(self, trainer, module, *args):
            assert torch.allclose(module.free.perturbation, self.expected, atol=1e-7, rtol=0)

    trainer(max_epochs=1, limit_val_batches=0, callbacks=[Watch()]).fit(module, data)
    assert len(seen) == 12 and seen[0] == seen[1] == seen[2] != seen[3] == seen[5]
    assert module.free.perturbation.abs().max() <= 8 / 255 + 1e-7


def test_pgd_training_leaves_a_frozen_part_in_evaluation():
    module, data = module_and_data(adversarial="pgd", attack_steps=1, crop=0)
    frozen = next(module.network.children())

    class Freeze(pl.Callback):
        def on_train_batch_start(self, *arguments):
            frozen.eval()

        def on_train_batch_end(self, *arguments):
            assert not frozen.training and module.network.training

    trainer(max_steps=1, limit_val_batches=0, callbacks=[Freeze()]).fit(module, data)
    assert module.global_step == 1


def test_pgd_training_sees_images_of_the_ball_and_the_attack_leaves_no_trace():
    module, data = module_and_data(adversarial="pgd", attack_steps=3, crop=0, norm="spectral+batch")
    inputs = []
    hook = module.network.register_forward_hook(
        lambda network, args, output: inputs.append((network.training, args[0].detach().clone()))
    )
    counts = [m for m in module.modules() if hasattr(m, "num_batches_tracked")]

    class Watch(pl.Callback):
        def on_train_batch_start(self, trainer, module, batch, number):
            inputs.clear()
            self.images = batch[0] / 255

        def on_train_batch_end(self, trainer, module, *args):
            assert [training for training, _ in inputs] == [False] * 3 + [True]
            change = (inputs[-1][1] - self.images).abs()
            assert 0.5 * 8 / 255 < change.max() <= 8 / 255 + 1e-6
            assert inputs[-1][1].min() >= 0 and inputs[-1][1].max() <= 1

    fitting = trainer(max_epochs=1, limit_val_batches=0, callbacks=[Watch()])
    fitting.fit(module, data)
    hook.remove()
    # Statistics advanced once a step, not in attacks.
    assert {int(m.num_batches_tracked) for m in counts} == {fitting.global_step}


def test_mixed_precision_trains_and_measures():
    module, data = module_and_data(norm="convnorm+batch")
    evaluation = RobustnessEvaluation("fog", attacks="pgd", attack_steps=2, num_images=8)
    trainer(max_epochs=1, precision="bf16-mixed", callbacks=[evaluation]).fit(module, data)
    assert 0 <= evaluation.last.attacks["pgd"] <= 1
    assert all(p.dtype == torch.float32 and p.isfinite().all() for p in module.parameters())


class Luck(torch.nn.Module):
    """Every prediction but the first of a batch is the other class, and no gradient is found."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, images):
        self.calls += 1
        logits = torch.zeros(len(images), 10)
        logits[:, self.calls % 10] = 1
        return logits + 0 * images.sum()


def test_accuracy_under_attack_counts_no_image_that_the_clean_accuracy_does_not():
    """A network that says another class at every call is right now and then; rounding can do the same to a few."""
    module, data = module_and_data()
    module.network = Luck()
    evaluation = RobustnessEvaluation("none", attacks="fgsm", num_images=300)
    with pytest.warns(ZeroGradient, match="^fgsm: the first gradient is zero or NaN at .* of 300 images") as found:
        trainer(callbacks=[evaluation]).test(module, data, verbose=False)
    assert len([w for w in found if isinstance(w.message, ZeroGradient)]) == 1  # for all blocks
    assert evaluation.last.attacks["fgsm"] == 0  # no image has two classes


class Remembering(nn.Module):
    """Classifies by the first pixel, and keeps the images that it saw."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, images):
        self.seen.append((255 * images[:, 0, 0, 0]).round().long())
        return F.one_hot(self.seen[-1] // 100, 3).float() + 0 * images.sum()


def measured(network, labels, **settings):
    """Measure on 250 images of a hundred a class, in the order of classes as a folder's are."""
    images = torch.arange(0, 250, 1).view(-1, 1, 1, 1).expand(-1, 1, 8, 8).to(torch.uint8)
    settings = {"corruptions": "none", "attacks": "fgsm", **settings}
    return RobustnessEvaluation(**settings).measurement(network, images, labels, torch.device("cpu"), trainer())


def test_some_test_images_are_of_all_classes_and_have_a_clean_accuracy_of_their_own(capsys):
    labels = torch.arange(250) // 100
    labels[::2] = (labels[::2] + 1) % 3  # half are wrong
    network = Remembering()
    with pytest.warns(ZeroGradient):
        found = measured(network, labels, num_images=40, seed=1)
    right = round(40 * found.protocol["clean_of_attacked"])  # the others need no attack
    assert found.protocol["not_attacked"] == {"fgsm": right} and right > 0
    clean, attacked = torch.cat(network.seen[:2]), torch.cat(network.seen[2:3])
    assert torch.equal(clean, torch.arange(250))
    assert len(attacked) == 40 and len(set(attacked.tolist())) == 40 and set((attacked // 100).tolist()) == {0, 1, 2}
    share = (attacked % 2 == 1).float().mean().item()
    assert found.clean == 0.5 and found.protocol["clean_of_attacked"] == found.attacks["fgsm"] == pytest.approx(share)
    found.print_table()
    printed = capsys.readouterr().out
    assert f"clean: accuracy 50.00% of 250 test images; {100 * share:.2f}% of the 40 that were drawn" in printed


def test_logits_that_are_nan_are_right_of_nothing():
    class Broken(nn.Module):
        def forward(self, images):
            return torch.full((len(images), 3), math.nan) + 0 * images.sum()

    found = measured(Broken(), torch.zeros(250, dtype=torch.int64))
    assert found.clean == 0 and found.attacks == {"fgsm": 0.0}


def test_a_name_given_twice_counts_once():
    evaluation = RobustnessEvaluation("fog,snow,fog", attacks="pgd,pgd")
    assert (evaluation.measurement.corruptions, evaluation.measurement.attacks) == (["fog", "snow"], ["pgd"])


@pytest.mark.slow
def test_two_processes_train_and_measure_as_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # Apart, since a process that has run a backward cannot fork.
    program = ForkedProgram(train_on_two_processes)
    assert program.end() == 0, program.printed
    pl.seed_everything(5)
    module = Classifier(width=0.5, norm="none", crop=0)
    data = LabelledData(Digits(resolution=8, batch_size=32), TrainingSplit(fraction=0.1))
    trainer(max_epochs=1, limit_val_batches=0).fit(module, data)
    weights = torch.load("two.pt", weights_only=True)
    for name, value in module.state_dict().items():
        assert torch.allclose(value, weights[name], atol=1e-5, rtol=1e-4), name
    module.load_state_dict(weights)
    evaluation = RobustnessEvaluation("fog", attacks="pgd", attack_steps=2, num_images=200)
    trainer(callbacks=[evaluation]).test(module, data, verbose=False)
    assert json.loads(Path("two.json").read_text()) == evaluation.last.to_dict()


@pytest.mark.slow
def test_learning_beats_chance_by_far():
    module, data = module_and_data()
    data.split = TrainingSplit()
    evaluation = RobustnessEvaluation("none", attacks="none")
    trainer(max_epochs=3, callbacks=[evaluation]).fit(module, data)
    assert evaluation.last.clean > 0.7


def test_a_norm_by_penalty_is_trained_by_it():
    gradients, losses = [], []
    images, labels = torch.randint(0, 256, (8, 1, 8, 8), dtype=torch.uint8), torch.arange(8)
    for norm in ("none", "ocnn"):
        pl.seed_everything(0, verbose=False)
        module = Classifier(width=0.5, norm=norm, crop=0)
        module.log_dict = lambda values, **options: losses.append(values["train_loss"].item())
        module._trainer = SimpleNamespace(current_epoch=0, global_rank=0)
        loss = module.training_step([images, labels], 0)
        loss.backward()
        gradients.append(next(p for p in module.network.parameters() if p.grad is not None and p.dim() == 4).grad)
        assert loss.item() == pytest.approx(losses[-1] + norm_penalty(module.network).item())
    assert losses[0] == losses[1] and not torch.allclose(*gradients)
