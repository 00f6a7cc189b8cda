"""The command of the verbs that train: from the words of a command line to a module, its data and a trainer."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, cast

import torch
import yaml
from jsonargparse import Namespace
from jsonargparse.typing import PositiveInt
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.cli import ArgsType, LightningArgumentParser, LightningCLI
from typing_extensions import override

from gan_convnorm.callbacks.stop_signals import stop_signals
from gan_convnorm.cli.checkpoint_choice import chosen_checkpoint
from gan_convnorm.cli.configuration_errors import foreign_errors, restoring_errors
from gan_convnorm.cli.configuration_files import read_configurations
from gan_convnorm.cli.data_names import class_path_of, with_class_paths
from gan_convnorm.cli.flag import FlagTable
from gan_convnorm.cli.flag_help import program_name
from gan_convnorm.cli.parser import Parser
from gan_convnorm.cli.run_checkpoint import RunCheckpoint, check_same_data, say_changes
from gan_convnorm.cli.run_errors import is_first_process, requeue, run_errors, tell
from gan_convnorm.cli.threads import set_threads
from gan_convnorm.cli.typed_words import asks_for_all, nested_words
from gan_convnorm.data import Digits, ImageData
from gan_convnorm.errors import BadInput
from gan_convnorm.files.trust import TRUST_HELP
from gan_convnorm.report.run_about import argument_defaults
from gan_convnorm.run_folder import (
    RUNS,
    CheckpointFiles,
    RunSettings,
    check_newest,
    check_optimizer_states,
    check_resumable,
    claim_folder,
    folder_locks,
    lock_folder,
    repeat_advice,
    resume_advice,
)

__all__ = ["RunCommand"]


class RunCommand(LightningCLI):
    """A LightningCLI with short flags, whose checkpoints bring their configuration with them.

    >>> from gan_convnorm.cli.gan_flags import GAN_FLAGS
    >>> class Train(RunCommand):
    ...     table = GAN_FLAGS
    >>> Train.main(LightningModule, ["fit", "--stpes", "5"])  # with the line: error: ... did you mean --steps?
    Traceback (most recent call last):
    SystemExit: 2

    Attributes:
        table: the verbs and flags.
        linked: the module's arguments that follow from the data and the seed.
        groups: the module's arguments that are mappings of settings, such as "optimization".
        sections: parts of the configuration that a checkpoint keeps beside the model, the data and the trainer.
        options: options of the command that a checkpoint keeps.
        needed: callbacks without whose state a run cannot go on.
        default_data: the data module when none is chosen.
        default_trainer: the Trainer's settings where they are not Lightning's.
        runs: folder in which run folders are made.
        settings: the configuration of the run whose checkpoint is read.
        checkpoint: that checkpoint; None again after `take_checkpoint`.
    """

    table: ClassVar[FlagTable]
    linked: ClassVar[tuple[str, ...]] = ()
    groups: ClassVar[tuple[str, ...]] = ()
    sections: ClassVar[tuple[str, ...]] = ()
    options: ClassVar[tuple[str, ...]] = ()
    needed: ClassVar[tuple[str, ...]] = ()
    default_data: ClassVar[type] = Digits
    default_trainer: ClassVar[dict[str, Any]]
    runs: ClassVar[Path] = RUNS
    settings: RunSettings
    checkpoint: RunCheckpoint | None = None

    @classmethod
    def main(cls, module: type[LightningModule], args: list[str] | None) -> None:
        """Run the command line for a module; bad input and a run that has to stop end the program in one line."""
        words = nested_words(sys.argv[1:] if args is None else args, cls.table)
        verb = words[0]
        advice = resume_advice if verb == "fit" else repeat_advice
        with run_errors(), folder_locks(advice), stop_signals(tell, requeue):
            cls(
                module,
                ImageData,
                subclass_mode_data=True,
                save_config_callback=None,
                trainer_defaults=dict(cls.default_trainer),
                seed_everything_default=0,
                auto_configure_optimizers=False,
                load_from_checkpoint_support=False,
                parser_class=Parser,
                parser_kwargs={
                    "prog": program_name(cls.table.word),
                    verb: {"usage": "%(prog)s [flags]", "verb": verb, "table": cls.table},
                },
                args=words,
            )

    @override
    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]  # Lightning asks an object
        """Return the verb of the command line alone: building the parser of each takes time."""
        return {verb: skipped for verb, skipped in super().subcommands().items() if verb in self.parser_kwargs}

    def run_name(self, config: Namespace) -> str:
        """Return the name of a new run's folder, without the seed."""
        raise NotImplementedError

    @override
    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument(
            "--threads",
            type=PositiveInt | None,
            default=None,
            help="CPU threads of each process; torch's own number, one a core, when not given.",
        )
        parser.add_argument("--trust", type=str, default="", metavar="MODULE", help=TRUST_HELP)

    @override
    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        words = with_class_paths(cast("list[str]", args))
        verb, *rest = words
        if asks_for_all(rest):
            parser.parse_args([verb, "--help"])
        files = read_configurations(rest)
        self.run_folder, path = chosen_checkpoint(words, files, self.runs)
        if path is None:
            # Not a parser's default: its arguments would stay when --data or a file names another class.
            given = ["--data", class_path_of(self.default_data)]
        else:
            # The command line is read on top of the settings that the checkpoint was trained with.
            self.checkpoint = checkpoint = RunCheckpoint.read(path, self._model_class)
            self.settings = checkpoint.settings
            checkpoint.check_code(words, files, self._model_class)
            given = ["--config", yaml.safe_dump(self.trained_config(verb))]
        with foreign_errors("the settings cannot be used"):
            self.config = parser.parse_args([verb, *given, *rest])
        if path is not None:
            self.config[verb]["ckpt_path"] = str(path)
            if verb == "fit":
                module: Any = self._model_class
                check_resumable(checkpoint.content, path, module.optimizer_count, self.needed)
                self.check_resumed(checkpoint.content)
        seed = self.config[verb].seed_everything
        if isinstance(seed, bool) or not 0 <= seed < 2**32:
            raise BadInput(f"--seed is {seed}; expected a whole number from 0 to {2**32 - 1}")

    def trained_config(self, command: str) -> dict[str, Any]:
        """Return the configuration that a command takes from its checkpoint."""
        config = self.settings.to_config(self.linked, self.sections, self.options)
        if command != "fit":
            # The run may have used many machines; scores and samples need one device of this one.
            config["trainer"] |= {"devices": 1, "num_nodes": 1, "accelerator": "auto", "strategy": "auto"}
        return config

    def check_resumed(self, checkpoint: dict[str, Any]) -> None:
        """Print what differs from the run so far; a subclass raises if the run cannot go on with these settings."""
        if is_first_process():
            configs = self.trained_config("fit"), self.config.fit.as_dict()
            say_changes(*configs, self.settings.omitted, self.groups)

    def _parse_ckpt_path(self) -> None:
        """Do nothing: `parse_arguments` has read the checkpoint, and lets the command line win."""

    def take_checkpoint(self) -> None:
        """Give the module its checkpoint's weights; a resumed run is checked, before there is a folder.

        Lightning restores a resumed run, which is more than a module's weights, when it trains.

        Raises:
            BadInput: the checkpoint is of another network than the one that is asked for.
        """
        if self.checkpoint is None:
            return
        if self.subcommand == "fit":
            self.model.on_load_checkpoint(self.checkpoint.content)
            configured: Any = self.model.configure_optimizers()
            optimizers, schedules = configured if isinstance(configured, tuple) else ([configured], [])
            check_optimizer_states(self.checkpoint.content, optimizers, len(schedules))
        else:
            self.model.restore(self.checkpoint.content)
            self.config_init[self.subcommand].ckpt_path = None  # Lightning would read and restore it again
        self.checkpoint = None  # it may be large

    @override
    def instantiate_classes(self) -> None:
        set_threads(self.config[self.subcommand].threads)
        with foreign_errors("the settings cannot be used"):
            super().instantiate_classes()

    @override
    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        config = self.config[self.subcommand]
        if self.subcommand != "fit":
            kwargs |= {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
        kwargs["plugins"] = [CheckpointFiles(), *self.own_plugins()]
        # The data repeat the batches themselves: Lightning would end the epoch, leave out the evaluations, and replace
        # the order of the images by one that has no batches.
        self.datamodule.overfit_batches, kwargs["overfit_batches"] = int(config.trainer.overfit_batches or 0), 0.0
        return super().instantiate_trainer(**kwargs)

    def _config_text(self) -> str:
        config = self.config[self.subcommand].clone()
        # A run that is started from this text is a new one, and trusts no code that a file names.
        config["ckpt_path"], config["trust"] = None, ""
        text: str = self._parser(self.subcommand).dump(config, skip_unset=False)
        return text

    def defaults_text(self) -> str:
        """Return the configuration of a command without flags, YAML; the data's settings are their class's own."""
        parser = self._parser(self.subcommand)
        defaults = yaml.safe_load(parser.dump(parser.get_defaults(), skip_unset=False, skip_validation=True))
        arguments = argument_defaults(type(self.datamodule))
        defaults["data"] = {"class_path": class_path_of(self.default_data), "init_args": arguments}
        return yaml.safe_dump(defaults)

    def _settings(self) -> RunSettings:
        """Return the record of the configuration, and of the data that are set up, which every checkpoint keeps."""
        config = yaml.safe_load(self._config_text())
        module: Any = self._model_class
        settings = RunSettings.of_configuration(module.program, config, self.sections, self.options)
        data = cast("ImageData", self.datamodule)
        # Only the first process has set them up, and only it writes.
        count = len(data.train_set) if is_first_process() else 0
        return replace(settings, train_images=count, label_names=data.label_names)

    def _fit_folder(self, config: Namespace) -> Path:
        folder = self.run_folder or self.runs / f"{self.run_name(config)}-seed{config.seed_everything}"
        resumed = config.ckpt_path and folder.resolve() == Path(config.ckpt_path).resolve().parent
        if not is_first_process():
            return folder  # the first process writes, and tells the others where
        # Data that cannot be used are refused before the run has a folder. Lightning sets them up again.
        self.datamodule.prepare_data()
        self.datamodule.setup("fit")
        if config.ckpt_path:
            data = cast("ImageData", self.datamodule)
            check_same_data(self.settings, data, takes_labels=getattr(self.model, "takes_labels", True))
        self.check_data()
        if resumed:
            lock_folder(folder)
            check_newest(Path(config.ckpt_path))
        else:
            folder = claim_folder(folder, rename=not self.run_folder, restart=True)
        return folder

    def own_plugins(self) -> list[Any]:
        """Return the Trainer's plugins that the configuration names."""
        plugins = self._get(self.config_init, "trainer")["plugins"] or []
        return plugins if isinstance(plugins, list) else [plugins]

    def check_data(self) -> None:
        """Raise when the run cannot use its data, which are set up."""

    def fit(self, **kwargs: Any) -> None:  # noqa: ANN401
        """Train, after a line with the run's folder and device."""
        if is_first_process():
            source = f", from {kwargs['ckpt_path']}" if kwargs.get("ckpt_path") else ""
            print(f"run {self.trainer.default_root_dir}{source}, on {_devices(self.trainer)}", flush=True)
        with restoring_errors(kwargs.get("ckpt_path")):
            self.trainer.fit(**kwargs)


def _devices(trainer: Trainer) -> str:
    """Say what a trainer computes on."""
    device = trainer.strategy.root_device
    if device.type == "cpu":
        threads = torch.get_num_threads()
        found = f"the CPU ({threads} thread{'s' * (threads > 1)})"
    else:
        found = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return found if trainer.world_size == 1 else f"{found}, {trainer.world_size} processes"
