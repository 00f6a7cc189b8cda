"""The command line: a LightningCLI with short flags, whose first word may be left out."""

from __future__ import annotations

import argparse
import contextlib
import errno
import logging
import sys
import warnings
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

import yaml
from jsonargparse.typing import NonNegativeInt
from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import Callback, ModelCheckpoint
from pytorch_lightning.cli import ArgsType, LightningArgumentParser, LightningCLI
from pytorch_lightning.strategies import DDPStrategy
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from gan_convnorm.callbacks import (
    FidelityScores,
    FiniteCheck,
    ImageWriter,
    Interruption,
    MetricsFile,
    RunReport,
    SampleGrids,
    SpectrumLog,
    StepProgressBar,
    TensorBoardCurves,
)
from gan_convnorm.checkpoint_files import LAST, CheckpointFiles, last_checkpoint, read_checkpoint
from gan_convnorm.data import DATA, Digits, ImageData
from gan_convnorm.errors import BadInput, RunStopped
from gan_convnorm.fidelity import BETTER
from gan_convnorm.gan import GAN
from gan_convnorm.inference import Prediction
from gan_convnorm.run_folder import RUNS, claim_folder
from gan_convnorm.strategies import NetworksDDP, is_lost_process

__all__ = ["main"]

#: short flag -> the nested argument that it is another name of
FLAGS = {
    "--disc-norm": "model.disc_norm",
    "--gen-norm": "model.gen_norm",
    "--steps": "model.steps",
    "--n-dis": "model.n_dis",
    "--width": "model.width",
    "--network": "model.network",
    "--attention": "model.attention",
    "--conditional": "model.conditional",
    "--loss": "model.loss",
    "--penalty": "model.penalty",
    "--augmentation": "model.augmentation",
    "--seed": "seed_everything",
    "--out": "trainer.default_root_dir",
    "--extractor": "scores.extractor",
    "--extractor-weights": "scores.extractor_weights",
    "--metrics": "scores.metrics",
    "--protocol": "scores.protocol",
    "--eval-every": "trainer.val_check_interval",
    "--num-fake": "scores.num_fake",
    "--accelerator": "trainer.accelerator",
    "--devices": "trainer.devices",
    "--num-nodes": "trainer.num_nodes",
    "--precision": "trainer.precision",
    "--compile": "model.compile_networks",
    "--detect-anomaly": "trainer.detect_anomaly",
}
#: flags that need no value
SWITCHES = ("--compile", "--conditional", "--detect-anomaly")
#: short flag -> argument of the chosen data module
DATA_FLAGS = {"--batch-size": "batch_size", "--resolution": "resolution"}
SHORT_FLAGS = f"short flags: {' '.join([*FLAGS, *DATA_FLAGS, '--data', '--resume', '--spectrum-every'])}"
DESCRIPTION = f"Train and score GANs. The first word may be left out, fit is meant then; {SHORT_FLAGS}; see fit --help."

FILE_SYSTEM_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)

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


class Parser(LightningArgumentParser):
    """Errors are one line: what was found, what was expected."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        if not self.exit_on_error:
            super().error(message, ex)
        fail(" ".join(message.split()))


class DataFlag(argparse.Action):
    """A short flag for an argument of whichever data module is chosen, where no action of its own exists."""

    def __init__(self, option_strings: list[str], dest: str, argument: str, **kwargs: Any) -> None:
        super().__init__(option_strings, dest, default=argparse.SUPPRESS, **kwargs)
        self.argument = argument

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        parser._option_string_actions["--data"](parser, namespace, values, f"--data.{self.argument}")


class Command(LightningCLI):
    """LightningCLI with this project's flags, folders and callbacks."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_lightning_class_args(FidelityScores, "scores")
        parser.link_arguments("data.resolution", "model.resolution", apply_on="instantiate")
        parser.link_arguments("data.channels", "model.channels", apply_on="instantiate")
        parser.link_arguments("data.num_classes", "model.num_classes", apply_on="instantiate")
        parser.link_arguments("seed_everything", "model.seed")
        parser.link_arguments("seed_everything", "data.init_args.seed")

    def _prepare_subcommand_parser(self, klass: type, subcommand: str, **kwargs: Any) -> LightningArgumentParser:
        parser = super()._prepare_subcommand_parser(klass, subcommand, **kwargs)
        flags = FLAGS | ({"--resume": "ckpt_path"} if subcommand == "fit" else {})
        for flag, nested in flags.items():
            # The nested argument's own action gets a second name: same type, same help, same key in config.yaml.
            action: Any = parser._option_string_actions[f"--{nested}"]
            action.option_strings.append(flag)
            parser._option_string_actions[flag] = action
            if flag in SWITCHES:
                action.nargs, action.const = "?", True
        data: Any = parser._option_string_actions["--data"]
        data.help = f"Data set: {', '.join(DATA)}, or module.Class with the arguments of its constructor."
        for flag, argument in DATA_FLAGS.items():
            parser.add_argument(
                flag, action=DataFlag, argument=argument, metavar="N", help=f"{argument} of --data", dest=argument
            )
        if subcommand == "fit":
            parser.add_argument(
                "--spectrum-every",
                type=NonNegativeInt,
                default=0,
                help="Generator steps between measurements of the discriminator's layers (docs/spectrum.md); 0: none.",
            )
        if subcommand == "predict":
            parser.add_class_arguments(Prediction, help="Images and pictures")
        if subcommand in ("validate", "test"):
            parser.set_defaults({"verbose": False})  # the scores' own line says it
        return parser

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        words = list(sys.argv[1:] if args is None else args)
        if not words or (words[0].startswith("-") and words[0] not in ("-h", "--help")):
            words.insert(0, "fit")
        words = [_data_class_path(words[i - 1] if i else "", word) for i, word in enumerate(words)]
        for flag, word in zip(words, [*words[1:], ""], strict=True):
            name, _, value = flag.partition("=")
            if name in ("-c", "--config"):
                _check_config(Path(value or word))
        # Not a parser's default: its arguments would stay when --data or a file names another class.
        default = [] if words[0] in ("-h", "--help") else [f"--data={Digits.__module__}.{Digits.__qualname__}"]
        self.config = parser.parse_args([words[0], *default, *words[1:]])
        seed = self.config[self.config.subcommand].seed_everything
        if isinstance(seed, bool) or not 0 <= seed < 2**32:
            raise BadInput(f"--seed is {seed}; expected a whole number from 0 to {2**32 - 1}")
        self.run_folder, checkpoint = self._checkpoint()
        if checkpoint is not None:
            # The command line is read again on top of the configuration that the checkpoint was trained with.
            trained = yaml.safe_load(read_checkpoint(checkpoint)["config"])
            trained["trainer"]["default_root_dir"] = None
            if words[0] != "fit":
                trained.pop("spectrum_every", None)
                # Trained on many, scored or sampled on this one.
                trained["trainer"] |= {"devices": 1, "num_nodes": 1, "accelerator": "auto", "strategy": "auto"}
            text = yaml.safe_dump(trained)
            self.config = parser.parse_args([words[0], "--config", text, *words[1:]])
            self.config[words[0]]["ckpt_path"] = str(checkpoint)

    def _parse_ckpt_path(self) -> None:
        """Nothing: `parse_arguments` has done it, and lets the command line win."""

    def _checkpoint(self) -> tuple[Path | None, Path | None]:
        """The folder to write to as far as the command line tells, and the checkpoint to read."""
        command = self.config.subcommand
        config = self.config[command]
        out = Path(config.trainer.default_root_dir) if config.trainer.default_root_dir else None
        if not config.ckpt_path:
            if command != "fit":
                raise BadInput(
                    f"{command} needs a checkpoint: --ckpt_path PATH, such as checkpoints/runs/NAME/best.ckpt"
                )
            return out, None
        resume_last = command == "fit" and config.ckpt_path == "last"
        checkpoint = last_checkpoint(out) if resume_last else Path(config.ckpt_path)
        return out or (checkpoint.parent if command == "fit" else None), checkpoint

    def before_instantiate_classes(self) -> None:
        config = self.config[self.subcommand]
        interval = config.trainer.val_check_interval
        if not isinstance(interval, int) or interval < 1:
            raise BadInput(f"--eval-every is {interval}; expected a number of generator steps, 1 or more")

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        config = self.config[self.subcommand]
        if self.subcommand == "fit":
            folder = self._fit_folder(config)
            kwargs["default_root_dir"] = str(folder)
            chosen = self._get(self.config_init, "trainer")["logger"]
            others = chosen if isinstance(chosen, list) else [] if isinstance(chosen, bool) or not chosen else [chosen]
            if chosen is None and find_spec("tensorboard") is not None:
                others = [TensorBoardCurves(folder)]
            kwargs["logger"] = [MetricsFile(folder / "metrics.csv"), *others]
            callbacks = self._fit_callbacks(folder)
        else:
            kwargs |= {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
            callbacks = []
            if self.subcommand == "predict":
                self.prediction = Prediction(**{field.name: config[field.name] for field in fields(Prediction)})
                self.prediction.check(self.model.num_classes)
                default = Path(config.ckpt_path).parent / "predict"
                self.folder = claim_folder(self.run_folder or default, rename=not self.run_folder)
                callbacks = [ImageWriter(self.folder, self.prediction.format, self.model.num_classes)]
        self.trainer_defaults["callbacks"] = callbacks
        plugins = self._get(self.config_init, "trainer")["plugins"] or []
        kwargs["plugins"] = [CheckpointFiles(), *(plugins if isinstance(plugins, list) else [plugins])]
        if config.trainer.strategy in ("auto", "ddp") and self._has_processes(config.trainer):
            kwargs["strategy"] = NetworksDDP()
        return super().instantiate_trainer(**kwargs)

    @staticmethod
    def _has_processes(config: Any) -> bool:
        """Whether Lightning would train on several processes with these settings and in this environment."""
        settings = {name: config[name] for name in ("accelerator", "devices", "num_nodes")}
        return isinstance(Trainer(**settings, logger=False, enable_model_summary=False).strategy, DDPStrategy)

    def _fit_folder(self, config: Any) -> Path:
        norm = config.model.disc_norm.replace(":", ".")  # package.module:Name, and some file systems take no colon
        name = f"{self.datamodule.name}-{norm}-seed{config.seed_everything}"
        folder = self.run_folder or RUNS / name
        resumed = config.ckpt_path and folder.resolve() == Path(config.ckpt_path).resolve().parent
        if not _is_first_process():
            return folder  # the first process writes, and tells the others where
        if not resumed:
            folder = claim_folder(folder, rename=not self.run_folder)
        print(f"run {folder}" + (f", from {config.ckpt_path}" if config.ckpt_path else ""), flush=True)
        return folder

    def _fit_callbacks(self, folder: Path) -> list[Callback]:
        best = self._get(self.config, "scores").best
        kept: dict[str, Any] = {
            "dirpath": folder,
            "auto_insert_metric_name": False,
            "save_on_train_epoch_end": False,
            "enable_version_counter": False,
        }
        return [
            StepProgressBar(),
            FiniteCheck(),
            SampleGrids(folder / "samples"),
            ModelCheckpoint(filename="best", monitor=best, mode=BETTER[best], **kept),
            # Lightning's own save_last follows the best checkpoint, not the newest.
            ModelCheckpoint(filename=Path(LAST).stem, **kept),
            Interruption(folder / LAST),
            *([SpectrumLog(folder, every)] if (every := self._get(self.config, "spectrum_every")) else []),
            RunReport(folder, self._config_text()),
        ]

    def _config_text(self) -> str:
        config = self.config[self.subcommand].clone()
        # Run again, it starts anew.
        config["ckpt_path"] = None
        return self._parser(self.subcommand).dump(config, skip_unset=False)

    def fit(self, **kwargs: Any) -> None:
        try:
            self.trainer.fit(**kwargs)
        except BadInput:
            with contextlib.suppress(OSError):  # which a folder with files raises
                Path(self.trainer.default_root_dir).rmdir()
            raise

    def predict(self, **kwargs: Any) -> None:
        batches = self.prediction.batches(self.model.num_classes)
        self.trainer.predict(self.model, batches, return_predictions=False, ckpt_path=kwargs["ckpt_path"])
        if self.trainer.is_global_zero:
            scores = self._get(self.config, "scores")
            for path in self.prediction.write_pictures(
                self.model, self.datamodule, scores.extractor, scores.extractor_weights, self.folder
            ):
                print(path, flush=True)


def _data_class_path(flag: str, word: str) -> str:
    """The class path for a data set's short name."""
    name = word.removeprefix("--data=") if word.startswith("--data=") else word if flag == "--data" else None
    if name is None or "." in name or name.startswith("-"):
        return word
    if name not in DATA:
        raise BadInput(f"data {name!r} is not known; choose one of: {', '.join(DATA)}, or give a class as module.Class")
    return word.removesuffix(name) + f"{DATA[name].__module__}.{DATA[name].__qualname__}"


def _check_config(path: Path) -> None:
    """Name the file, which jsonargparse's own messages do not."""
    if not path.is_file():
        raise BadInput(f"there is no configuration file {path}")
    try:
        content = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise BadInput(f"{path} holds {content!r:.60}; expected a mapping with keys such as model, data and trainer")


def _is_first_process() -> bool:
    return getattr(rank_zero_only, "rank", 0) == 0


def fail(message: str, status: int = 2, *, every: bool = False) -> NoReturn:
    """One line on standard error, of the first process or of every one, and the exit status."""
    if every or _is_first_process():
        print(f"error: {message}", file=sys.stderr, flush=True)
    raise SystemExit(status)


def main(args: list[str] | None = None) -> None:
    """Run the command line.

    Args:
        args: the words after the program's name; `sys.argv` when not given.

    Raises:
        SystemExit: status 2 with one line on standard error for bad input; 1, or 128 and a signal's number, with one
            line for a run that had to stop.
    """
    for name in ("pytorch_lightning", "lightning_fabric", "lightning.fabric", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        ".*LeafSpec.* is deprecated",  # between pytorch-lightning 2.6.6 and torch 2.14
        "Checkpoint directory .* exists and is not empty",  # a resumed run's own
        "The dirpath has changed from",  # a resumed run with --out, whose best score counts anew
        "Be aware that when using `ckpt_path`",  # validate and predict need no training callbacks
    ):
        warnings.filterwarnings("ignore", message)
    try:
        Command(
            GAN,
            ImageData,
            subclass_mode_data=True,
            save_config_callback=None,
            trainer_defaults=dict(TRAINER_DEFAULTS),
            seed_everything_default=0,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
            parser_class=Parser,
            parser_kwargs={
                "description": DESCRIPTION,
                **{
                    name: {"usage": f"%(prog)s [--config FILE] [flags]\n{SHORT_FLAGS}"}
                    for name in Command.subcommands()
                },
            },
            args=args,
        )
    except Exception as error:
        # jsonargparse wraps what a constructor raises in an error of its own.
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, (BadInput, RunStopped)):
            cause = cause.__cause__
        if cause is not None:
            fail(" ".join(str(cause).split()), cause.status if isinstance(cause, RunStopped) else 2)
        if is_lost_process(error):
            reason = " ".join(str(error).split())[-160:]
            fail(
                f"another process has ended or does not answer ({reason}); go on with --resume last on all",
                1,
                every=True,
            )
        if isinstance(error, OSError) and error.errno in FILE_SYSTEM_ERRORS:
            what = f"{error.filename or 'a file'} cannot be written ({error.strerror})"
            fail(f"{what}; checkpoints are intact, and a run can go on with --resume last when there is room", 1)
        raise
