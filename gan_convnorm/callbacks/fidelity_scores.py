"""Scores of any LightningModule's samples, during and after training."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from typing_extensions import override

from gan_convnorm.callbacks.class_scores import intra_class_scores
from gan_convnorm.callbacks.collapse import collapse_in_words
from gan_convnorm.callbacks.evaluations import Evaluations
from gan_convnorm.callbacks.generated_samples import (
    SampleFunction,
    check_range,
    has_two_weights,
    sampler,
    takes_first,
)
from gan_convnorm.callbacks.network_ema import averages_in_place
from gan_convnorm.callbacks.progress import StepProgressBar
from gan_convnorm.callbacks.reference_images import (
    ReferenceImages,
    given_images,
    origin_of_images,
    trainer_images,
)
from gan_convnorm.callbacks.scorable import check_finite_weights, check_reference
from gan_convnorm.callbacks.score_log import ScoreLog
from gan_convnorm.callbacks.step_count import counts_steps, is_over, step_of
from gan_convnorm.callbacks.taken_scores import TakenScores
from gan_convnorm.errors import BadInput
from gan_convnorm.fidelity import (
    EXTRACTORS,
    Evaluator,
    GeneratedImages,
    Processes,
    Scores,
    check_num_fake,
    check_sizes,
    create_extractor,
    parse_metrics,
    protocol_named,
    registered_name,
)
from gan_convnorm.fidelity.features import Progress
from gan_convnorm.fidelity.reference_statistics import ReferenceStatistics
from gan_convnorm.images.value_range import ValueRange
from gan_convnorm.score_table import SCORES

__all__ = ["FidelityScores"]

WEIGHTS = ("ema", "raw", "both")
#: scores that the best checkpoint may be chosen by, the most telling first
BEST = ("fid", "kid", "isc", "recall", "precision")


class FidelityScores(Evaluations):
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
            reference; None accepts uint8 images alone.
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
        weights: the generator's that are scored, where `sample` takes `ema`: ema (averaged), raw (current), or both;
            then the current weights' scores are logged as "raw_fid" and so on.
        best: the score that best.ckpt is the best of: fid, kid, isc, recall or precision; None takes the first of these
            that is computed.
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
        best: str | None = None,
        intra_class: bool = False,
        stop_on_collapse: bool = False,
    ) -> None:
        # Before a run has a folder.
        registered_name(extractor)
        self.protocol = protocol_named(protocol)
        super().__init__(every, self.protocol.split)
        self.metrics = parse_metrics(metrics)
        self.num_fake = self.protocol.num_fake if num_fake is None else num_fake
        for number in (self.num_fake, interim_num_fake):
            check_num_fake(number, isc_splits, self.metrics)
        check_sizes(batch_size, None)
        if weights not in WEIGHTS:
            raise BadInput(f"weights is {weights!r}; choose one of: {', '.join(WEIGHTS)}")
        if best is None:
            best = next(name for name in BEST if SCORES[name].metric in self.metrics)
        if best not in BEST or SCORES[best].metric not in self.metrics:
            computed = [name for name in BEST if SCORES[name].metric in self.metrics]
            raise BadInput(f"best is {best!r}; with these metrics choose one of: {', '.join(computed)}")
        if every is not None and every < 1:
            raise BadInput(f"every is {every}; expected 1 step or more, or None for every validation")
        if intra_class and "fid" not in self.metrics:
            raise BadInput(f"intra_class is asked for, and the metrics are {', '.join(self.metrics)}; add fid")
        check_range(value_range)
        self.reference = reference
        self.sample = sample
        self.value_range = value_range
        self.prefix = prefix
        self.extractor = extractor
        self.extractor_weights = extractor_weights
        self.interim_num_fake = min(self.num_fake, interim_num_fake)
        self.isc_splits = isc_splits
        self.batch_size = batch_size
        self.weights = weights
        self.intra_class = intra_class
        self.stop_on_collapse = stop_on_collapse
        self.evaluator: Evaluator | None = None
        self.real: ReferenceImages | None = None
        self.split = ""
        #: where `real` comes from; another fit or validate may have other images
        self.origin: object = None
        self.taken = TakenScores(best)
        self.between_batches: Callable[[pl.Trainer], None] | None = None
        self.score_log = ScoreLog(prefix, best, mid_epoch=every is not None)

    @property
    @override
    def state_key(self) -> str:
        # Two of them in one trainer have prefixes of their own.
        return self._generate_state_key(prefix=self.prefix) if self.prefix else super().state_key

    @override
    def state_dict(self) -> dict[str, Any]:
        return self.taken.to_state()

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        # A run that was killed between its last checkpoint and its summary still has something to sum up.
        self.taken.restore(state_dict)

    @override
    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if stage == "fit":
            self.taken.final = None  # of an earlier fit; a resumed run's is read after this

    @override
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        self.taken.final = None  # of the weights before, in a finished run that goes on
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)

    @override
    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # An evaluation may not know that it is the last: training may stop early, or between two of them. A module that
        # counts its steps to the last one is only interrupted, and has its final scores when it goes on.
        if self.taken.final is not None or self.evaluator is None:
            return
        if counts_steps(pl_module) and not is_over(trainer, pl_module):
            return
        # Score the kind of weights that earlier evaluations scored: in validations those are the averages.
        of_average = self.every is None and trainer.enable_validation
        with averages_in_place(trainer, pl_module) if of_average else contextlib.nullcontext():
            if self.num_fake > self.interim_num_fake or self.taken.last_step != step_of(trainer, pl_module):
                self.taken.final = self._score(trainer, pl_module, self.num_fake, "final_", after=True)
            else:
                self.taken.final = self.taken.last
            self._score_classes(trainer, pl_module, after=True)

    def check_data(self, real: ReferenceImages, module: pl.LightningModule) -> None:
        """Raise before training for anything that would make a score fail at an evaluation.

        Args:
            real: the images to compare with.
            module: that is to be scored.

        Raises:
            BadInput: a module without samples, or images that the scores cannot be taken with (`check_reference`).
        """
        sampler(module, self.sample, self.value_range)  # raises for a module without samples
        check_reference(
            real,
            module,
            extractor=self.extractor,
            extractor_weights=self.extractor_weights,
            metrics=self.metrics,
            numbers=(self.interim_num_fake, self.num_fake),
            intra_class=self.intra_class,
        )

    def find_reference(self, trainer: pl.Trainer, split: str) -> ReferenceImages | None:
        """Return the images to compare with; None as long as the trainer's loaders are not there."""
        # A data set's random transforms, and loaders, draw from the global random state, which the training uses.
        with torch.random.fork_rng(devices=[]):
            if self.reference is None:
                return trainer_images(trainer, split, self.value_range)
            trains = registered_name(self.extractor) == EXTRACTORS["classifier"] and self.extractor_weights is None
            training = trains or self.intra_class
            return Processes.current().together(
                lambda: given_images(self.reference, self.value_range, training=training)
            )

    @override
    def prepare(self, trainer: pl.Trainer, module: pl.LightningModule, split: str) -> None:
        origin = None if self.reference is not None else origin_of_images(trainer, split)
        same = self.split == split and self.origin is origin
        if self.evaluator is not None and (same or self.reference is not None):
            return
        real = self.find_reference(trainer, split)
        if real is None:
            return
        self.check_data(real, module)
        if trainer.is_global_zero:
            count = f"{len(real.source)} " if hasattr(real.source, "__len__") else ""
            print(f"preparing the scores: {self.extractor} features of {count}{real.name}", flush=True)
        weights: Any = self.extractor_weights
        if isinstance(real.source, ReferenceStatistics):
            weights_for = partial(real.source.weights_for, registered_name(self.extractor), weights)
            weights = Processes.current().together(weights_for)
        extractor = create_extractor(
            self.extractor,
            metrics=self.metrics,
            labelled=real.labelled,
            weights=weights,
            device=trainer.strategy.root_device,
        )
        self.evaluator = Evaluator(
            extractor,
            real.source,
            metrics=self.metrics,
            reference_name=real.name,
            isc_splits=self.isc_splits,
            batch_size=self.batch_size,
            progress=self._progress(trainer),
        )
        self.real, self.split, self.origin = real, split, origin

    @override
    def evaluate(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Take the scores of one evaluation; after the last step of fit, also those of the whole protocol."""
        fitting = trainer.state.fn == "fit"
        number = self.interim_num_fake if fitting else self.num_fake
        scores = self._score(trainer, module, number)
        self.taken.last, self.taken.last_step = scores, step_of(trainer, module)
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

    def _score(
        self, trainer: pl.Trainer, module: pl.LightningModule, number: int, prefix: str = "", *, after: bool = False
    ) -> Scores:
        """Return the scores of `number` samples, logged and printed; of several weights, the averaged ones'."""
        if self.evaluator is None:
            raise BadInput("there are no images to score against; give FidelityScores a reference")
        two = has_two_weights(module, self.sample)
        for ema in {"ema": (True,), "raw": (False,), "both": (False, True)}[self.weights if two else "ema"]:
            name = "EMA samples" if two and ema else "samples"
            check_finite_weights(module, ema)
            scores = self.evaluator(GeneratedImages(self._sampler(module, ema), number, name))
            assert self.real is not None
            # Of loaders there may be no such split: "train" is then the validation loader's images.
            same_images = self.reference is None and self.real.name.endswith(f"{self.protocol.split} images")
            matches = same_images and number == self.protocol.num_fake
            scores.protocol["name"] = self.protocol.name if matches else "custom"
            kind = "raw_" if self.weights == "both" and two and not ema else ""
            self.score_log.write(trainer, module, scores, prefix + kind, after=after)
        return scores

    def _score_classes(self, trainer: pl.Trainer, module: pl.LightningModule, *, after: bool = False) -> None:
        if not self.intra_class:
            return
        assert self.evaluator is not None and self.real is not None
        ema = self.weights != "raw"
        images = GeneratedImages(self._sampler(module, ema), self.num_fake, "EMA samples" if ema else "samples")
        mean, line = intra_class_scores(
            self.evaluator, images, module, self.real, numbered=takes_first(module, self.sample)
        )
        self.score_log.write_class_mean(trainer, module, mean, line, after=after)

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
