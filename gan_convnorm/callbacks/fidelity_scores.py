"""Scores of any LightningModule's samples, during and after training."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
from torch import Tensor
from typing_extensions import override

from gan_convnorm.callbacks.class_scores import check_intra_class, intra_class_scores
from gan_convnorm.callbacks.collapse import collapse_in_words
from gan_convnorm.callbacks.comparison import Comparison
from gan_convnorm.callbacks.generated_samples import (
    SampleFunction,
    check_range,
    check_weights,
    has_two_weights,
    sampler,
)
from gan_convnorm.callbacks.progress import StepProgressBar
from gan_convnorm.callbacks.reference_images import ReferenceImages
from gan_convnorm.callbacks.score_log import ScoreLog
from gan_convnorm.callbacks.step_count import is_over, step_of
from gan_convnorm.callbacks.taken_scores import TakenScores
from gan_convnorm.errors import BadInput
from gan_convnorm.fidelity import (
    GeneratedImages,
    Scores,
    check_num_fake,
    parse_metrics,
    protocol_named,
    registered_name,
)
from gan_convnorm.fidelity.features import Progress
from gan_convnorm.fidelity.value_range import ValueRange
from gan_convnorm.score_table import SCORES

__all__ = ["FidelityScores"]

WEIGHTS = ("ema", "raw", "both")


class FidelityScores(pl.Callback):
    """FID, IS, KID, precision and recall of a module's samples, equal to torch-fidelity's, on any number of processes.

    It works in any LightningModule that makes images: a GAN, VAE, flow or diffusion model. In fit it scores at every
    validation (after every epoch where there is no validation loop), or every so many steps; also in validate and test.
    It logs "fid", "isc" and so on by the module's `log`, which ModelCheckpoint(monitor="fid") and EarlyStopping follow,
    and prints a line. The sanity check is skipped.

    Where the protocol asks for more than `interim_num_fake` images, evaluations during training use that many, and the
    last one is followed by the whole protocol, logged as "final_fid" and so on.

    >>> from gan_convnorm.callbacks import FidelityScores
    >>> scores = FidelityScores(sample=lambda module, n: module.decode_prior(n), value_range=(0, 1), metrics="fid,kid")
    >>> scores.num_fake, scores.metrics
    (2000, ('fid', 'kid'))

    Args:
        reference: real images: a uint8 tensor (N, C, H, W), a pair of images and labels, a Dataset, a DataLoader, a
            folder, or a file of images or statistics. By default the data module's split, or else the images of the
            trainer's validation or train loader.
        sample: a function of (module, n) or (module, first, n) that returns n images; by default the module's own
            `sample(n)`, which may also take `first`, the number of the first image, and `ema`.
        value_range: (0, 1) or (-1, 1): the values that are black and white in floating-point images, of samples and
            reference; None accepts uint8 images alone. Small overshoots are clamped. Images in another range are
            refused.
        every: steps between two evaluations in fit, in place of those at validations.
        prefix: of the logged names, such as "ema_".
        extractor: feature extractor: classifier (trained on the reference, or on a data module's train split),
            inception, dinov2, clip, vgg16, or any name in torch-fidelity's registry.
        extractor_weights: the extractor's weights file; by default it is downloaded, or trained for classifier.
        metrics: of isc, fid, kid and prc (precision and recall), separated by commas.
        protocol: quick (2,000 fakes against the train split), train-50k, test-5k (as in the SNGAN paper).
        num_fake: number of generated images, in place of the protocol's.
        interim_num_fake: the most that are generated at an evaluation during training.
        isc_splits: parts over which the Inception Score's mean and deviation are taken.
        batch_size: images in one forward of the extractor.
        weights: the generator's that are scored, where `sample` takes `ema`: ema (averaged), raw (current), or both,
            the latter as "raw_fid" and so on.
        best: the score that best.ckpt is the best of: fid, isc, kid, precision or recall.
        intra_class: also FID within each class, for a conditional GAN: in validate, test and after the last step;
            "intra_fid" is the mean over classes (Miyato and Koyama, ICLR 2018, arXiv:1802.05637).
        stop_on_collapse: end the training when the fakes have collapsed, which is warned of in any case.

    Attributes:
        taken: the scores so far, for callbacks that report them.
        between_batches: called with the trainer after every batch of images; may raise to end an evaluation.

    Raises:
        BadInput: an unknown name, a number out of its range; in a run: a module without samples, images that cannot be
            used.
    """

    def __init__(
        self,
        reference: object = None,
        sample: SampleFunction | None = None,
        *,
        value_range: ValueRange | None = None,
        every: int | None = None,
        prefix: str = "",
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
        if every is not None and every < 1:
            raise BadInput(f"every is {every}; expected 1 step or more, or None for every validation")
        if intra_class and "fid" not in self.metrics:
            raise BadInput(f"intra_class is asked for, and the metrics are {', '.join(self.metrics)}; add fid")
        check_range(value_range)
        self.sample = sample
        self.value_range = value_range
        self.every = every
        self.prefix = prefix
        self.interim_num_fake = min(self.num_fake, interim_num_fake)
        self.weights = weights
        self.intra_class = intra_class
        self.stop_on_collapse = stop_on_collapse
        numbers = (self.interim_num_fake, self.num_fake)
        self.comparison = Comparison(
            reference, value_range, extractor, extractor_weights, self.metrics, numbers, isc_splits, batch_size
        )
        self.scored_step = -1
        self.taken = TakenScores(best)
        self.between_batches: Callable[[pl.Trainer], None] | None = None
        self.score_log = ScoreLog(prefix, best, own_steps=every is not None)

    @property
    @override
    def state_key(self) -> str:
        # Two of them in one trainer have prefixes of their own.
        return self._generate_state_key(prefix=self.prefix) if self.prefix else super().state_key

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
        self._prepare(trainer, pl_module, self.protocol.split)

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # The loaders are there only now.
        self._prepare(trainer, pl_module, self.protocol.split)

    @override
    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.sanity_checking:
            self._prepare(trainer, pl_module, self.protocol.split)

    @override
    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._prepare(trainer, pl_module, "test")

    @override
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        step = step_of(trainer, pl_module)
        if self.every is not None and step % self.every == 0 and step not in (0, self.scored_step):
            self._evaluate(trainer, pl_module)

    @override
    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.sanity_checking or (trainer.state.fn == "fit" and self.every is not None):
            return
        self._evaluate(trainer, pl_module)

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.every is None and not trainer.enable_validation:
            self._evaluate(trainer, pl_module)

    @override
    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._evaluate(trainer, pl_module)

    def check_data(self, real: ReferenceImages, module: pl.LightningModule) -> None:
        """Raise for all that a score would refuse at an evaluation, when hours of training are behind it.

        Args:
            real: the images to compare with.
            module: that is to be scored.

        Raises:
            BadInput: too few images, no labels or classes where they are needed, no way to sample, or RGBA images for
                an extractor of RGB.
        """
        sampler(module, self.sample, self.value_range)
        self.comparison.check(real)
        if self.intra_class:
            check_intra_class(module, real, self.num_fake)

    def _prepare(self, trainer: pl.Trainer, module: pl.LightningModule, split: str) -> None:
        if self.comparison.is_ready(split):
            return
        real = self.comparison.find(trainer, split)
        if real is None:
            return
        self.check_data(real, module)
        self.comparison.prepare(trainer, real, split, self._progress(trainer))

    def _evaluate(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Take the scores of one evaluation; after the last step of fit, also those of the whole protocol."""
        self._prepare(trainer, module, "test" if trainer.state.fn == "test" else self.protocol.split)
        fitting = trainer.state.fn == "fit"
        number = self.interim_num_fake if fitting else self.num_fake
        scores = self._score(trainer, module, number)
        self.scored_step = step_of(trainer, module)
        self.taken.last = scores
        if not fitting:
            self._score_classes(trainer, module)
            return
        if is_over(trainer, module):
            self.taken.final = scores
            if number < self.num_fake:
                self.taken.final = self._score(trainer, module, self.num_fake, "final_")
            self._score_classes(trainer, module)
        # Every process has the same scores, and decides alike.
        line = collapse_in_words(scores)
        if line is not None and trainer.is_global_zero:
            warnings.warn(line, stacklevel=2)
        if line is not None and self.stop_on_collapse:
            trainer.should_stop = True

    def _score(self, trainer: pl.Trainer, module: pl.LightningModule, number: int, prefix: str = "") -> Scores:
        """Return the scores of `number` samples, logged and printed; of several weights, the averaged ones'."""
        comparison, protocol = self.comparison, self.protocol
        if comparison.evaluator is None:
            raise BadInput("there are no images to score against; give FidelityScores a reference")
        two = has_two_weights(module, self.sample)
        for ema in {"ema": (True,), "raw": (False,), "both": (False, True)}[self.weights if two else "ema"]:
            name = "EMA samples" if two and ema else "samples"
            check_weights(module, ema)
            scores = comparison.evaluator(GeneratedImages(self._sampler(module, ema), number, name))
            by_protocol = comparison.split == protocol.split and number == protocol.num_fake
            is_named = by_protocol and comparison.reference is None
            scores.protocol["name"] = protocol.name if is_named else "custom"
            kind = "raw_" if self.weights == "both" and two and not ema else ""
            self.score_log.tell(trainer, module, scores, prefix, kind)
        return scores

    def _score_classes(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if not self.intra_class:
            return
        comparison, ema = self.comparison, self.weights != "raw"
        assert comparison.evaluator is not None and comparison.real is not None
        images = GeneratedImages(self._sampler(module, ema), self.num_fake, "EMA samples" if ema else "samples")
        self.score_log.tell_classes(
            trainer, module, *intra_class_scores(comparison.evaluator, images, module, comparison.real)
        )

    def _sampler(self, module: pl.LightningModule, ema: bool) -> Callable[[int, int], Tensor]:
        return sampler(module, self.sample, self.value_range, ema=ema)

    def _progress(self, trainer: pl.Trainer) -> Progress:
        """Return what shows on the progress bar how far an evaluation is, and calls `between_batches`."""

        def tell(done: int, total: int) -> None:
            if self.between_batches is not None:
                self.between_batches(trainer)
            if isinstance(trainer.progress_bar_callback, StepProgressBar):
                trainer.progress_bar_callback.show_scoring(done, total)

        return tell
