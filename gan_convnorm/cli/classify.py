"""The verb classify: train classifiers and measure their robustness."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from jsonargparse import Namespace
from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import Callback, RichProgressBar
from pytorch_lightning.cli import LightningArgumentParser
from typing_extensions import override

from gan_convnorm.callbacks import FiniteCheck
from gan_convnorm.cli.classify_flags import CLASSIFY_FLAGS
from gan_convnorm.cli.run_command import RunCommand
from gan_convnorm.cli.run_errors import is_first_process
from gan_convnorm.cli.run_outputs import best_and_last, loggers
from gan_convnorm.cli.trainer_settings import check_trainer_settings
from gan_convnorm.errors import BadInput
from gan_convnorm.robustness.classifier import Classifier
from gan_convnorm.robustness.evaluation import RobustnessEvaluation
from gan_convnorm.robustness.report import ClassifierReport
from gan_convnorm.robustness.training_data import LabelledData, TrainingSplit
from gan_convnorm.run_folder import RUNS, RunSettings

__all__ = ["main"]

#: of a run, as far as it wrote them: a run without a validation has no best checkpoint
OUTPUTS = ("best.ckpt", "last.ckpt", "curves.png", "summary.json")
TRAINER_DEFAULTS = {
    "max_epochs": 12,
    "log_every_n_steps": 10,
    "num_sanity_val_steps": 0,
    "enable_model_summary": False,
    "use_distributed_sampler": False,
    "devices": 1,
}


class _Command(RunCommand):
    """LightningCLI with the classifiers' flags, folders and callbacks."""

    table = CLASSIFY_FLAGS
    linked = ("channels", "num_classes", "seed")
    sections = ("split", "evaluation")
    needed = ("ClassifierReport", "ModelCheckpoint")
    default_trainer = TRAINER_DEFAULTS
    runs = RUNS / "robustness"  # of their own, so that --resume last of the GANs does not find a classifier

    @override
    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        super().add_arguments_to_parser(parser)
        parser.add_class_arguments(TrainingSplit, "split")
        parser.add_lightning_class_args(RobustnessEvaluation, "evaluation")
        parser.link_arguments("data.channels", "model.channels", apply_on="instantiate")
        parser.link_arguments("data.num_classes", "model.num_classes", apply_on="instantiate")
        for seeded in ("model.seed", "split.seed", "evaluation.seed", "data.init_args.seed"):
            parser.link_arguments("seed_everything", seeded)

    def _settings(self) -> RunSettings:
        settings = super()._settings()
        for name in ("json", "overwrite"):  # only the user names a file to write or replace
            settings.sections["evaluation"].pop(name, None)
        return settings

    def trained_config(self, command: str) -> dict[str, Any]:
        config = super().trained_config(command)
        if config.get("evaluation", {}).get("json"):
            raise BadInput("the checkpoint names a file for evaluation.json to write, which a checkpoint must not do")
        config.get("evaluation", {}).pop("overwrite", None)
        return config

    def check_resumed(self, checkpoint: dict[str, Any]) -> None:
        epochs, done = self.config.fit.trainer.max_epochs, checkpoint["epoch"] + 1
        if isinstance(epochs, int) and epochs < done:
            raise BadInput(f"--epochs is {epochs}, and the run has {done} epochs already; give {done} or more")
        if epochs == done and is_first_process():
            print(f"the run has its {done} epochs already; nothing is left to train", flush=True)
        super().check_resumed(checkpoint)

    def before_instantiate_classes(self) -> None:
        settings = self.config[self.subcommand].trainer
        epochs = settings.max_epochs
        if not isinstance(epochs, int) or epochs < 1:
            raise BadInput(f"--epochs is {epochs}; expected 1 or more, by which the learning rate is planned")
        clip = settings.gradient_clip_val
        if clip is not None and not clip >= 0:
            raise BadInput(f"trainer.gradient_clip_val is {clip}; expected 0 or more")
        check_trainer_settings(settings)
        if self.subcommand == "validate":
            self._check_validated()

    def _check_validated(self) -> None:
        """Raise if other images would be validated than the run held out: it may have trained on them."""
        config = self.config.validate
        now = {"--seed": config.seed_everything, "split.validation": config.split.validation}
        run = {"--seed": self.settings.seed, "split.validation": self.settings.sections["split"]["validation"]}
        for name, value in now.items():
            if value != run[name]:
                raise BadInput(
                    f"{name} is {value}, and the run's was {run[name]}: validate would measure images that it was "
                    f"trained on. Leave {name} out, or measure the test images with `classify test`"
                )

    def instantiate_classes(self) -> None:
        super().instantiate_classes()
        self.datamodule = LabelledData(self.datamodule, self._get(self.config_init, "split"))

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:  # noqa: ANN401
        config = self.config[self.subcommand]
        self.take_checkpoint()
        # The model and the data are there, and the run has no folder yet.
        self.model.check_data(self.datamodule)
        evaluation = self._get(self.config_init, "evaluation")
        evaluation.check_data(self.datamodule)
        evaluation.check_network(self.model.network)
        if self.subcommand == "fit":
            folder = self._fit_folder(config)
            kwargs["default_root_dir"] = str(folder)
            kwargs["logger"] = loggers(folder, self._get(self.config_init, "trainer")["logger"], [])
            callbacks = self._fit_callbacks(folder)
            if config.trainer.enable_progress_bar is not False:
                callbacks.append(RichProgressBar())
        else:
            callbacks = []
        self.trainer_defaults["callbacks"] = callbacks
        return super().instantiate_trainer(**kwargs)

    def run_name(self, config: Namespace) -> str:
        model, split = config.model, config.split
        name: str = f"{self.datamodule.name}-{model.arch}-{model.norm}"
        name += f"-{model.adversarial}" * (model.adversarial != "none")
        name += f"-noise{split.label_noise:g}" * (split.label_noise > 0)
        name += f"-fraction{split.fraction:g}" * (split.fraction < 1)
        return name

    def _fit_callbacks(self, folder: Path) -> list[Callback]:
        return [
            FiniteCheck(),  # before the checkpoints
            *best_and_last(folder, "val_accuracy", "max", save_on_train_epoch_end=True),
            ClassifierReport(folder, self._config_text(), self._settings(), self._get(self.config_init, "evaluation")),
        ]

    def fit(self, **kwargs: Any) -> None:  # noqa: ANN401
        self.trainer.fit(**kwargs)
        self._print_evaluation()
        if self.trainer.is_global_zero:
            paths = [Path(self.trainer.default_root_dir) / name for name in OUTPUTS]
            print(*(path for path in paths if path.exists()), sep="\n", flush=True)

    def test(self, **kwargs: Any) -> None:  # noqa: ANN401
        self.trainer.test(**kwargs)
        self._print_evaluation()

    def _print_evaluation(self) -> None:
        found = self._get(self.config_init, "evaluation").last
        if found is not None and self.trainer.is_global_zero:
            found.print_table()

    def validate(self, **kwargs: Any) -> None:  # noqa: ANN401
        (values,) = self.trainer.validate(**kwargs)
        count = len(self.datamodule.val_set)
        print(
            f"validation: accuracy {100 * values['val_accuracy']:.2f}%, loss {values['val_loss']:.4f}, {count} images"
        )


def main(words: list[str] | None = None) -> None:
    """Run the command line.

    Bad input ends in `SystemExit` with status 2 and one line on standard error.

    >>> main(["--label-nose", "0.2"])  # with the line: error: unrecognized arguments: ...; did you mean --label-noise?
    Traceback (most recent call last):
    SystemExit: 2

    Args:
        words: the words after the program's name; `sys.argv` when not given.
    """
    for message in (
        ".*does not have many workers",  # the images are in memory
        "The number of training batches .* is smaller than the logging interval",  # epochs are logged all the same
    ):
        warnings.filterwarnings("ignore", message)
    _Command.main(Classifier, words)
