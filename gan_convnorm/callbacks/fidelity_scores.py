"""Scores at every evaluation."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from typing_extensions import override

from gan_convnorm.callbacks.progress import StepProgressBar
from gan_convnorm.callbacks.sampled_module import SampledModule, SplitData
from gan_convnorm.callbacks.taken_scores import TakenScores
from gan_convnorm.errors import BadInput
from gan_convnorm.fidelity import (
    Evaluator,
    GeneratedImages,
    Scores,
    check_classes,
    check_num_fake,
    check_numbers,
    check_weights_file,
    create_extractor,
    intra_class_fid,
    parse_metrics,
    protocol_named,
    registered_name,
)
from gan_convnorm.fidelity.features import Progress
from gan_convnorm.score_table import SCORES

__all__ = ["FidelityScores"]

#: features of the fakes vary in fewer than this share of the real images' directions: the generator has collapsed
COLLAPSED = 0.05
WEIGHTS = ("ema", "raw", "both")


class FidelityScores(pl.Callback):
    """Scores the generator: at every evaluation of fit, and in validate and test.

    Logs "fid", "isc" and so on, so that a checkpoint or a stopping rule can follow them, and prints a line. Where the
    protocol asks for more than `interim_num_fake` images, evaluations during training use so many, and the last one
    is followed by the whole protocol, logged as "final_fid" and so on.

    Args:
        extractor: feature extractor: classifier (trained on the data's train split, without labels too), inception,
            dinov2, clip, vgg16, or any name in torch-fidelity's registry.
        extractor_weights: the extractor's weights file; by default it is downloaded, or trained for classifier.
        metrics: of isc, fid, kid and prc (precision and recall), separated by commas.
        protocol: quick (2,000 fakes against the train split), train-50k, test-5k (as in the SNGAN paper).
        num_fake: number of generated images, in place of the protocol's.
        interim_num_fake: the most that are generated at an evaluation during training.
        isc_splits: parts over which the Inception Score's mean and deviation are taken.
        batch_size: images in one forward of the extractor.
        weights: the generator's that are scored: ema (averaged), raw (current), or both, the latter as "raw_fid" and so
            on.
        best: the score that best.ckpt is the best of: fid, isc, kid, precision or recall.
        intra_class: also FID within each class, for a conditional GAN: in validate, test and after the last step;
            "intra_fid" is the mean over classes (Miyato and Koyama, ICLR 2018, arXiv:1802.05637).
        stop_on_collapse: end the training when the fakes have collapsed, which is warned of in any case.

    Attributes:
        taken: the scores so far, for callbacks that report them.
        between_batches: called with the trainer after every batch of images; may raise to end an evaluation.
    """

    def __init__(
        self,
        extractor: str = "classifier",
        extractor_weights: str | None = None,
        metrics: str = "isc,fid",
        protocol: str = "quick",
        num_fake: int | None = None,
        interim_num_fake: int = 2000,
        isc_splits: int = 10,
        batch_size: int = 64,
        weights: str = "ema",
        best: str = "fid",
        intra_class: bool = False,
        stop_on_collapse: bool = False,
    ) -> None:
        # Before a run has a folder.
        registered_name(extractor)
        self.protocol = protocol_named(protocol)
        self.metrics = parse_metrics(metrics)
        self.num_fake = self.protocol.num_fake if num_fake is None else num_fake
        for number in (self.num_fake, interim_num_fake):
            check_num_fake(number, isc_splits, self.metrics)
        if weights not in WEIGHTS:
            raise BadInput(f"weights is {weights!r}; choose one of: {', '.join(WEIGHTS)}")
        if best not in SCORES or SCORES[best].metric not in self.metrics:
            raise BadInput(f"best is {best!r}, which is not among the metrics {', '.join(self.metrics)}")
        self.extractor = extractor
        self.extractor_weights = extractor_weights
        self.interim_num_fake = min(self.num_fake, interim_num_fake)
        self.isc_splits = isc_splits
        self.batch_size = batch_size
        self.weights = weights
        if intra_class and "fid" not in self.metrics:
            raise BadInput(f"intra_class is asked for, and the metrics are {', '.join(self.metrics)}; add fid")
        self.intra_class = intra_class
        self.stop_on_collapse = stop_on_collapse
        self.evaluator: Evaluator | None = None
        self.split = ""
        self.taken = TakenScores(best)
        self.between_batches: Callable[[pl.Trainer], None] | None = None
        self.told: list[dict[str, Any]] = []

    @override
    def state_dict(self) -> dict[str, Any]:
        return {
            name: scores and scores.to_dict()
            for name, scores in (("last", self.taken.last), ("final", self.taken.final))
        }

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        # A run that was killed between its last checkpoint and its summary still has something to sum up.
        self.taken.last, self.taken.final = (
            state_dict[name] and Scores(**state_dict[name]) for name in ("last", "final")
        )

    @override
    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # Not at the first evaluation: missing weights end a run before it starts.
        self._prepare(trainer, self.protocol.split)

    @override
    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._prepare(trainer, self.protocol.split)

    @override
    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._prepare(trainer, "test")

    def check_data(self, data: SplitData, module: SampledModule, split: str) -> None:
        """Raise for all that a score would refuse at an evaluation, when hours of training are behind it.

        Args:
            data: a data module that is set up.
            module: with `num_classes`.
            split: that the scores compare with.

        Raises:
            BadInput: too few images, no labels where they are needed, or RGBA images for an extractor of RGB.
        """
        reference = data.split(split).tensors[0]
        if reference.shape[1] == 4 and self.extractor != "classifier":
            raise BadInput(
                f"the data have 4 channels (RGBA), and the extractor {self.extractor} takes 3; score with --extractor "
                "classifier, or train without the alpha channel (--data.channels 3)"
            )
        if self.intra_class and module.num_classes is None:
            raise BadInput("intra_class is asked for, and this GAN is not conditional (--conditional)")
        for number in (self.interim_num_fake, self.num_fake):
            check_numbers(number, len(reference), self.metrics)
        if self.intra_class:
            check_classes(self._labels(module), data.split(split).tensors[1])
        if self.extractor_weights is not None:
            check_weights_file(registered_name(self.extractor), Path(self.extractor_weights))

    def _prepare(self, trainer: pl.Trainer, split: str) -> None:
        if self.split == split:
            return
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        module: Any = trainer.lightning_module
        self.check_data(data, module, split)
        reference = data.split(split).tensors[0]
        name = f"{data.name} {split} images"
        if trainer.is_global_zero:
            print(f"preparing the scores: {self.extractor} features of {len(reference)} {name}", flush=True)
        extractor = create_extractor(
            self.extractor,
            metrics=self.metrics,
            labelled=data.train_set.tensors,
            weights=self.extractor_weights,
            device=trainer.strategy.root_device,
        )
        self.evaluator = Evaluator(
            extractor,
            reference,
            metrics=self.metrics,
            reference_name=name,
            isc_splits=self.isc_splits,
            batch_size=self.batch_size,
            progress=self._progress(trainer),
        )
        self.split = split

    @override
    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.sanity_checking:
            return
        module: Any = pl_module
        fitting = trainer.state.fn == "fit"
        number = self.interim_num_fake if fitting else self.num_fake
        self._score(trainer, module, number)
        if not fitting:
            self._score_classes(trainer, module)
            return
        taken = self.taken
        assert taken.last is not None
        if module.g_step >= module.steps:
            if number < self.num_fake:
                interim = taken.last
                self._score(trainer, module, self.num_fake, "final_")
                taken.last, taken.final = interim, taken.last
            else:
                taken.final = taken.last
            self._score_classes(trainer, module)
        self._watch(trainer, taken.last)

    @override
    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        module: Any = pl_module
        self._score(trainer, module, self.num_fake)
        self._score_classes(trainer, module)

    def _score(self, trainer: pl.Trainer, module: SampledModule, number: int, prefix: str = "") -> None:
        assert self.evaluator is not None
        kinds = {"ema": ("",), "raw": ("raw_",), "both": ("raw_", "")}[self.weights]
        for kind in kinds:
            ema = kind == ""
            _check_finite(module, ema)
            images = GeneratedImages(_sampler(module, ema), number, "EMA samples" if ema else "samples")
            scores = self.evaluator(images)
            matches = self.split == self.protocol.split and number == self.protocol.num_fake
            scores.protocol["name"] = self.protocol.name if matches else "custom"
            kind = kind if self.weights == "both" else ""
            # As float64 tensors: plain floats would be logged in float32.
            values = {k: torch.tensor(v, dtype=torch.float64) for k, v in scores.values.items()}
            names = {k: f"{prefix}{kind}{k}" for k in values}
            # Every process has the same values; Lightning warns where it is not told so.
            sync = trainer.world_size > 1
            for k, value in values.items():
                module.log(names[k], value, prog_bar=k == self.taken.best and not prefix + kind, sync_dist=sync)
            if trainer.is_global_zero:
                if scores.protocol not in self.told:
                    print(f"scores ({scores.protocol['name']}): {scores.meaning()}")
                    self.told.append(scores.protocol)
                print(f"G step {module.g_step}{kind and ' raw'}: {scores.line()}", flush=True)
            self.taken.last = scores
        # Lightning takes "step" for the logs' axis: generator steps.
        module.log("step", float(module.g_step), sync_dist=trainer.world_size > 1)

    def _score_classes(self, trainer: pl.Trainer, module: SampledModule) -> None:
        if not self.intra_class:
            return
        assert self.evaluator is not None
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        ema, number = self.weights != "raw", self.num_fake
        fids = intra_class_fid(
            self.evaluator.extractor,
            GeneratedImages(_sampler(module, ema), number, "EMA samples" if ema else "samples"),
            self._labels(module),
            *data.split(self.split).tensors,
            batch_size=self.batch_size,
            progress=self._progress(trainer),
        )
        mean = torch.tensor(list(fids.values()), dtype=torch.float64).mean()
        module.log("intra_fid", mean, sync_dist=trainer.world_size > 1)
        if trainer.is_global_zero:
            each = ", ".join(f"{label}: {fid:.2f}" for label, fid in fids.items())
            print(
                f"G step {module.g_step}: intra-class FID {mean:.2f}, mean of {len(fids)} classes with about "
                f"{number // len(fids)} fakes each ({each})",
                flush=True,
            )

    def _progress(self, trainer: pl.Trainer) -> Progress:
        """Return what shows on the progress bar how far an evaluation is, and calls `between_batches`."""

        def tell(done: int, total: int) -> None:
            if self.between_batches is not None:
                self.between_batches(trainer)
            if isinstance(trainer.progress_bar_callback, StepProgressBar):
                trainer.progress_bar_callback.show_scoring(done, total)

        return tell

    def _labels(self, module: SampledModule) -> Tensor:
        """Return the classes of the fakes: those that `sample` takes when it is given none."""
        assert module.num_classes is not None
        return torch.arange(self.num_fake) % module.num_classes

    def _watch(self, trainer: pl.Trainer, scores: Scores) -> None:
        """Every process has the same scores, and decides alike."""
        if not scores.ranks or scores.ranks["fake"] >= COLLAPSED * scores.ranks["real"]:
            return
        fake, real = scores.ranks["fake"], scores.ranks["real"]
        message = (
            f"the samples have collapsed: their features vary in {fake:.1f} directions, the real ones' in {real:.1f}"
        )
        if trainer.is_global_zero:
            warnings.warn(message, stacklevel=2)
        if self.stop_on_collapse:
            trainer.should_stop = True


def _check_finite(module: SampledModule, ema: bool) -> None:
    """Raise for weights that are NaN or infinite: a score of their images is a number all the same."""
    network: Any = module.generator_with(ema=ema) if hasattr(module, "generator_with") else module
    for name, value in network.named_parameters():
        if not value.isfinite().all():
            raise BadInput(
                f"the {'averaged ' if ema else ''}weights {name} are NaN or infinite; their images mean nothing, and "
                "are not scored"
            )


def _sampler(module: SampledModule, ema: bool) -> Callable[[int, int], Tensor]:
    return lambda first, count: module.sample(count, first=first, ema=ema)
