"""The verbs fit, validate, test and predict of GANs."""

from __future__ import annotations

from dataclasses import fields, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from jsonargparse import Namespace
from jsonargparse.typing import NonNegativeInt
from pytorch_lightning import Trainer
from pytorch_lightning.cli import LightningArgumentParser
from typing_extensions import override

from gan_convnorm.callbacks import FidelityScores, ImageWriter, RunReport, TensorBoardCurves
from gan_convnorm.callbacks.reference_images import split_images
from gan_convnorm.cli.data_names import class_path_of
from gan_convnorm.cli.gan_callbacks import fit_callbacks
from gan_convnorm.cli.gan_flags import GAN_FLAGS
from gan_convnorm.cli.parser import Parser
from gan_convnorm.cli.run_command import RunCommand
from gan_convnorm.cli.run_errors import is_first_process
from gan_convnorm.cli.run_outputs import loggers
from gan_convnorm.cli.trainer_settings import check_gan_settings, has_processes
from gan_convnorm.data import ImageData
from gan_convnorm.errors import BadInput
from gan_convnorm.fidelity import EXTRACTORS
from gan_convnorm.gan import GAN
from gan_convnorm.gan.accumulation import check_micro_batches
from gan_convnorm.gan.initial_weights import take_weights
from gan_convnorm.images.size import Size
from gan_convnorm.inference import Prediction
from gan_convnorm.run_folder import RunSettings, claim_folder
from gan_convnorm.strategies import NetworksDDP

__all__ = ["main"]

TRAINER_DEFAULTS = {
    # The GAN counts generator steps and stops the trainer itself.
    "max_epochs": -1,
    "max_steps": -1,
    "val_check_interval": 500,
    "check_val_every_n_epoch": None,
    "num_sanity_val_steps": 0,
    "enable_model_summary": False,
    "use_distributed_sampler": False,
    "devices": 1,
}


class _Command(RunCommand):
    """LightningCLI with this project's flags, folders and callbacks."""

    table = GAN_FLAGS
    linked = ("resolution", "channels", "num_classes", "conditions", "seed")
    groups = ("architecture", "optimization")
    sections = ("scores",)
    options = ("operator_norms_every", "init_from")
    needed = ("RunReport", "FidelityScores", "ModelCheckpoint")
    default_trainer = TRAINER_DEFAULTS

    @override
    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        super().add_arguments_to_parser(parser)
        # Arguments that are objects can be given from Python only.
        parser.add_class_arguments(
            FidelityScores, "scores", skip={"reference", "sample", "value_range", "every", "prefix"}, fail_untyped=False
        )
        parser.callback_keys.append("scores")
        parser.link_arguments("data.resolution", "model.resolution", apply_on="instantiate")
        parser.link_arguments("data.channels", "model.channels", apply_on="instantiate")
        parser.link_arguments("data.num_classes", "model.num_classes", apply_on="instantiate")
        parser.link_arguments("data.conditions", "model.conditions", apply_on="instantiate")
        parser.link_arguments("seed_everything", "model.seed")
        parser.link_arguments("seed_everything", "data.init_args.seed")
        # Of every verb, so that a run's config.yaml works with each.
        parser.add_argument(
            "--operator_norms_every",
            type=NonNegativeInt,
            default=0,
            help="Generator steps between measurements of the discriminator's layers (docs/operators.md); 0: none.",
        )
        parser.add_argument(
            "--init_from",
            type=str | None,
            default=None,
            help="Checkpoint or export whose weights a new run starts from, where they fit; a resumed run has its own.",
        )
        if isinstance(parser, Parser) and parser.verb == "predict":
            parser.add_class_arguments(Prediction, help="Images and pictures")

    def _settings(self) -> RunSettings:
        settings = super()._settings()
        scores = settings.sections["scores"]
        # A weights file, or an extractor that your own code has registered, has to be given again.
        own = ["scores.extractor_weights"] if scores.pop("extractor_weights", None) else []
        own += ["scores.extractor"] if scores["extractor"] not in EXTRACTORS else []
        if "scores.extractor" in own:
            del scores["extractor"]
        return replace(settings, omitted=[*settings.omitted, *own])

    def trained_config(self, command: str) -> dict[str, Any]:
        config = super().trained_config(command)
        scores = config.get("scores", {})
        if scores.get("extractor_weights") or scores.get("extractor", "classifier") not in EXTRACTORS:
            raise BadInput(
                f"the checkpoint names the extractor {str(scores.get('extractor'))[:60]!r} with weights "
                f"{str(scores.get('extractor_weights'))[:60]!r}, which a checkpoint must not choose"
            )
        if command == "predict":
            config.setdefault("data", self._shapes())
        return config

    def check_resumed(self, checkpoint: dict[str, Any]) -> None:
        steps, step = self.config.fit.model.optimization.steps, checkpoint["g_step"]
        if steps < step:
            raise BadInput(
                f"--steps is {steps}, and the run has {step} G steps already; give {step} or more, or a "
                "new run with --out"
            )
        given, own = self.config.fit.init_from, self.settings.options.get("init_from")
        if given != own:
            raise BadInput(f"--init-from is {given}, and a resumed run has weights of its own; leave it out")
        super().check_resumed(checkpoint)
        if steps == step and is_first_process():
            print(f"nothing is left to train: the run has all its {step} G steps; more with --steps", flush=True)

    def before_instantiate_classes(self) -> None:
        config = self.config[self.subcommand]
        check_gan_settings(config.trainer)
        if self.subcommand == "predict" and not (config.nearest or config.project):
            shapes = self._shapes()
            asked, own = (Size.of(each).plain for each in (self._resolution(config), shapes["init_args"]["resolution"]))
            if asked != own:
                raise BadInput(f"--resolution is {asked}, and the generator makes images of {own}; leave it out")
            config["data"] = Namespace(class_path=shapes["class_path"], init_args=Namespace(shapes["init_args"]))

    def _resolution(self, config: Namespace) -> int | str:
        found = config.data.init_args.get("resolution") if config.get("data") else None
        return self.settings.model["resolution"] if found is None else found

    def _shapes(self) -> dict[str, Any]:
        """Return the configuration of data with the checkpoint's shapes and no images: sampling needs none."""
        shapes = {name: self.settings.model[name] for name in ("resolution", "channels", "num_classes")}
        if conditions := self.settings.model.get("conditions"):
            shapes["conditions"] = conditions
        return {"class_path": class_path_of(ImageData), "init_args": {**shapes, "batch_size": 1, "seed": 0}}

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:  # noqa: ANN401
        config = self.config[self.subcommand]
        self.take_checkpoint()
        if self.subcommand == "fit":
            if config.init_from and not config.ckpt_path:
                line = take_weights(self.model, Path(config.init_from))
                if is_first_process():
                    print(line, flush=True)
            folder = self._fit_folder(config)
            kwargs["default_root_dir"] = str(folder)
            curves = [TensorBoardCurves(folder)] if find_spec("tensorboard") is not None else []
            kwargs["logger"] = loggers(folder, self._get(self.config_init, "trainer")["logger"], curves)
            scoring: FidelityScores = self._get(self.config_init, "scores")
            callbacks = fit_callbacks(
                folder,
                scoring,
                RunReport(folder, self._config_text(), self._settings(), scoring.taken, self.defaults_text()),
                progress_bar=config.trainer.enable_progress_bar is not False,
                operator_norms_every=config.operator_norms_every,
            )
        else:
            callbacks = []
            if self.subcommand == "predict":
                self.prediction = Prediction(**{field.name: config[field.name] for field in fields(Prediction)})
                names = self.model.hparams.get("conditions") if self.model.condition_size else None
                self.prediction.check(self.model.num_classes, names)
                default = Path(config.ckpt_path).parent / "predict"
                self.folder = claim_folder(self.run_folder or default, rename=not self.run_folder, restart=True)
                callbacks = [ImageWriter(self.folder, self.prediction.format, self.model.num_classes)]
        self.trainer_defaults["callbacks"] = callbacks
        if config.trainer.strategy in ("auto", "ddp") and has_processes(config.trainer):
            kwargs["strategy"] = NetworksDDP()
        return super().instantiate_trainer(**kwargs)

    def check_data(self) -> None:
        chosen = self.model.optimization
        for count in {self.datamodule.batch_size, chosen.gen_batch_size or self.datamodule.batch_size}:
            check_micro_batches(count, chosen.accumulate)
        scoring: FidelityScores = self._get(self.config_init, "scores")
        scoring.check_data(split_images(self.datamodule, scoring.protocol.split), self.model)

    def run_name(self, config: Namespace) -> str:
        # package.module:Name, and some file systems take no colon
        norm = config.model.architecture.disc_norm.replace(":", ".")
        return f"{self.datamodule.name}-{norm}"

    def predict(self, **kwargs: Any) -> None:  # noqa: ANN401
        batches = self.prediction.batches(self.model.num_classes)
        self.trainer.predict(self.model, batches, return_predictions=False)
        if self.trainer.is_global_zero:
            scores = self._get(self.config, "scores")
            for path in self.prediction.write_pictures(
                self.model, self.datamodule, scores.extractor, scores.extractor_weights, self.folder
            ):
                print(path, flush=True)


def main(words: list[str] | None = None) -> None:
    """Run the command line.

    Bad input ends in `SystemExit` with status 2 and one line on standard error. A run that had to stop ends with status
    1, or 128 and a signal's number, and one line.

    >>> main(["--disc-nrom", "none"])  # with the line: error: unrecognized arguments: ...; did you mean --disc-norm?
    Traceback (most recent call last):
    SystemExit: 2

    Args:
        words: the words after the program's name; `sys.argv` when not given.
    """
    _Command.main(GAN, words)
