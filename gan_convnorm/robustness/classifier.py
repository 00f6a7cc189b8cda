"""The classifier as a LightningModule: SGD in steps, also against adversarial images."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import MeanMetric
from typing_extensions import override

from gan_convnorm.data import ImageData
from gan_convnorm.errors import BadInput
from gan_convnorm.layers import norm_penalty
from gan_convnorm.random_streams import random_for
from gan_convnorm.robustness.adversarial_training import FreePerturbation, pgd_images
from gan_convnorm.robustness.augmentation import crop_and_flip
from gan_convnorm.robustness.networks import build_network
from gan_convnorm.run_folder import FromCheckpoint

__all__ = ["Classifier"]


class Classifier(FromCheckpoint):
    """Cross entropy by SGD; the learning rate is divided by ten at the milestones.

    The defaults are those of the digits run of a minute; the published settings are in configs/robustness/. Automatic
    optimization: Lightning's precision, gradient and strategy flags work, and so does plain ddp.

    Args:
        channels: channels of the images; the data module's.
        num_classes: number of classes; the data module's, whose data need labels of two classes or more.
        arch: resnet8, resnet20, resnet56, plain20, plain56, resnet18, resnet34, resnet50 or torchvision.NAME.
        norm: normalization: none, batch, spectral, convnorm, ... or a+b, such as spectral+batch.
        norm_options: its options, such as {"affine": null} for convnorm.
        width: factor on the network's channels.
        lr: SGD's learning rate.
        momentum: SGD's momentum.
        weight_decay: SGD's weight decay.
        milestones: epochs at which the learning rate is divided by ten; a third and two thirds of all when not given.
        crop: images are shifted at random by up to so many pixels.
        flip: half of the images are mirrored.
        adversarial: what is trained on: none, clean images; pgd, their adversarial images; free, images whose
            perturbation and the weights share each gradient.
        eps: radius of the L-infinity ball of adversarial training, in 255ths.
        attack_step: length of PGD's step in training, in 255ths; a quarter of the radius when not given.
        attack_steps: number of PGD's steps in training.
        replays: how often free training uses a batch in a row.
        seed: seeds weights, augmentation and attacks; the run's seed.

    >>> Classifier(channels=1, num_classes=10, width=0.25)(torch.zeros(2, 1, 8, 8)).shape
    torch.Size([2, 10])
    """

    optimizer_count = 1
    program = "classifier"
    code_arguments = ("norm",)
    weight_arguments = ("arch", "channels", "num_classes", "norm", "norm_options", "width")

    def __init__(
        self,
        channels: int = 1,
        num_classes: int | None = 10,
        arch: str = "resnet8",
        norm: str = "batch",
        norm_options: dict[str, Any] | None = None,
        width: float = 1.0,
        lr: float = 0.1,
        momentum: float = 0.9,
        weight_decay: float = 1e-4,
        milestones: list[int] | None = None,
        crop: int = 1,
        flip: bool = False,
        adversarial: Literal["none", "pgd", "free"] = "none",
        eps: float = 8,
        attack_step: float | None = None,
        attack_steps: int = 7,
        replays: int = 4,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if num_classes is None:
            raise BadInput("the data have no labels, which a classifier learns; choose labelled data")
        if num_classes < 2:
            raise BadInput("the data have labels of a single class; expected two classes or more to tell apart")
        for name, value, least in (
            ("attack_steps", attack_steps, 1),
            ("replays", replays, 1),
            ("crop", crop, 0),
            ("eps", eps, 0),
            ("weight_decay", weight_decay, 0),
            *(("milestones", milestone, 0) for milestone in milestones or ()),
        ):
            if not least <= value < math.inf:
                raise BadInput(f"{name} is {value}, and must be {least} or more")
        for name, length in (("lr", lr), ("attack_step", attack_step)):
            if length is not None and not 0 < length < math.inf:
                raise BadInput(f"{name} is {length}, and must be above zero")
        if not 0 <= momentum < 1:
            raise BadInput(f"momentum is {momentum}; expected 0 or more, below 1")
        if adversarial not in ("none", "pgd", "free"):
            raise BadInput(f"adversarial training {adversarial!r} is not known; choose one of: none, pgd, free")
        self.save_hyperparameters()
        self.network = build_network(arch, channels, num_classes, norm, norm_options, width)
        if (
            channels > 1
        ):  # Channels innermost are faster, on a CPU by a fifth; of one channel torch confuses the formats.
            self.network.to(memory_format=torch.channels_last)
        self.adversarial = adversarial
        self.replays = replays if adversarial == "free" else 1
        self.free = FreePerturbation(eps / 255) if adversarial == "free" else None
        self.val_loss, self.val_accuracy = MeanMetric(), MeanMetric()

    def check_data(self, data: ImageData) -> None:
        """Raise when images of this size cannot be shifted so far.

        Raises:
            BadInput: the crop is as large as the images.
        """
        crop = self.hparams.crop  # type: ignore[attr-defined]
        if crop >= min(data.size):
            raise BadInput(f"crop is {crop}, and the images have {min(data.size)} pixels; expected less")

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, K) of images (B, C, H, W) in [0, 1]."""
        logits: Tensor = self.network(images)
        return logits

    @override
    def configure_optimizers(self) -> torch.optim.Optimizer:
        h: Any = self.hparams
        return torch.optim.SGD(self.network.parameters(), h.lr, h.momentum, weight_decay=h.weight_decay)

    @override
    def on_fit_start(self) -> None:
        self.network.set_statistics(self.trainer.datamodule.train_set.tensors[0])  # type: ignore[attr-defined]

    @override
    def on_train_epoch_start(self) -> None:
        # A function of the epoch alone; a scheduler of Lightning's is behind by one in the checkpoint of an epoch.
        rate = self._learning_rate(self.current_epoch)
        optimizer: Any = self.optimizers()
        for group in optimizer.param_groups:
            # Lightning has restored those that a resumed run had; the user may have given others.
            group |= {**optimizer.optimizer.defaults, "lr": rate}
        if self.free is not None:
            self.free.restart()

    def _learning_rate(self, epoch: int) -> float:
        epochs = self.trainer.max_epochs or 0
        milestones = self.hparams.milestones  # type: ignore[attr-defined]
        if milestones is None:
            # As 40 and 80 of 120.
            milestones = [epochs / 3, 2 * epochs / 3]
        first: float = self.hparams.lr  # type: ignore[attr-defined]
        return float(first * 0.1 ** sum(epoch >= milestone for milestone in milestones))

    @override
    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        images, labels = batch
        h: Any = self.hparams
        rng = random_for("classifier", h.seed, self.global_rank, self.current_epoch, batch_idx // self.replays)
        images = crop_and_flip(bytes_to_unit(images), h.crop, h.flip, rng)
        if self.adversarial == "pgd":
            eps, step = h.eps / 255, (h.eps / 4 if h.attack_step is None else h.attack_step) / 255
            images = pgd_images(self.network, images, labels, rng, eps=eps, step=step, steps=h.attack_steps)
        elif self.free is not None:
            images = self.free.added_to(images)
        logits = self.network(images)
        loss = F.cross_entropy(logits, labels)
        accuracy = (logits.detach().argmax(dim=1) == labels).float().mean()
        self.log_dict({"train_loss": loss.detach(), "train_accuracy": accuracy}, prog_bar=True)
        return loss + norm_penalty(self.network)

    @override
    def on_after_backward(self) -> None:
        if self.free is not None:
            self.free.follow_gradient()

    @override
    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        images, labels = batch
        if not len(images):  # a process whose part of the last batch is empty
            return
        logits = self.network(bytes_to_unit(images)).float()
        self.val_loss.update(F.cross_entropy(logits, labels, reduction="none"))
        self.val_accuracy.update((logits.argmax(dim=1) == labels).float())

    @override
    def on_validation_epoch_end(self) -> None:
        values = {"val_loss": self.val_loss.compute(), "val_accuracy": self.val_accuracy.compute()}
        self.log_dict(values, prog_bar=True, sync_dist=True)  # they are those of all processes already
        self.val_loss.reset()
        self.val_accuracy.reset()

    def test_step(self, batch: object, batch_idx: int) -> None:
        """Do nothing: the evaluation is a callback's work."""


def bytes_to_unit(images: Tensor) -> Tensor:
    """Return uint8 images as float32 in [0, 1].

    >>> bytes_to_unit(torch.tensor([0, 255], dtype=torch.uint8))
    tensor([0., 1.])
    """
    return images.float() / 255
