"""The command of the verbs that train: short flags, a checkpoint's settings below the flags, the run's folder."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import warnings
from pathlib import Path
from typing import Any, ClassVar

import torch
import yaml
from jsonargparse.typing import PositiveInt
from pytorch_lightning import LightningModule
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.cli import ArgsType, LightningArgumentParser, LightningCLI
from pytorch_lightning.loggers import Logger

from gan_convnorm.callbacks.stop_signals import stop_signals
from gan_convnorm.cli.command_words import values_of, with_known_spelling
from gan_convnorm.cli.configuration_errors import foreign_errors, restoring_errors
from gan_convnorm.cli.configuration_files import given_values, read_configurations
from gan_convnorm.cli.parser import DataFlag, Parser
from gan_convnorm.cli.run_errors import is_first_process, run_errors
from gan_convnorm.data import DATA, Digits, ImageData
from gan_convnorm.errors import BadInput
from gan_convnorm.files.trust import TRUST_HELP, check_trusted, code_names, parse_trust
from gan_convnorm.files.weights import check_finite
from gan_convnorm.run_folder import (
    LAST,
    RUNS,
    MetricsFile,
    RunSettings,
    check_restorable,
    check_resumable,
    claim_folder,
    folder_locks,
    last_checkpoint,
    lock_folder,
    read_checkpoint,
    requeue_in_words,
    restarted_folder,
    slurm_job,
)

__all__ = ["RunCommand"]

#: class paths of the package's own data modules: of their files, and of the room
DATA_PATHS = {
    f"{room}.{each.__qualname__}" for each in DATA.values() for room in (each.__module__, "gan_convnorm.data")
}


class RunCommand(LightningCLI):
    """A LightningCLI with short flags, whose checkpoints bring their configuration with them.

    Attributes:
        flags: short flag -> the nested argument that it is another name of.
        data_flags: short flag -> argument of the chosen data module.
        switches: those of the flags that need no value.
        more_flags: those that a subclass adds itself, for the help.
        linked: the module's arguments that follow from the data and the seed.
        groups: the module's arguments that are settings by name.
        sections: parts of the configuration that a checkpoint keeps beside the model, the data and the trainer.
        options: options of the command that a checkpoint keeps.
        needed: callbacks without whose state a run cannot go on.
        default_data: the data module when none is chosen.
        default_trainer: the Trainer's settings where they are not Lightning's.
        verb: the word that chooses this command; "" for the default.
        description: of the program, for its help.
        runs: where run folders are made.
    """

    flags: ClassVar[dict[str, str]]
    data_flags: ClassVar[dict[str, str]]
    switches: ClassVar[tuple[str, ...]] = ()
    more_flags: ClassVar[tuple[str, ...]] = ()
    linked: ClassVar[tuple[str, ...]] = ()
    groups: ClassVar[tuple[str, ...]] = ()
    sections: ClassVar[tuple[str, ...]] = ()
    options: ClassVar[tuple[str, ...]] = ()
    needed: ClassVar[tuple[str, ...]] = ()
    default_data: ClassVar[type] = Digits
    default_trainer: ClassVar[dict[str, Any]]
    verb: ClassVar[str] = ""
    description: ClassVar[str]
    runs: ClassVar[Path] = RUNS
    saved: dict[str, Any] | None = None

    @classmethod
    def main(cls, module: type[LightningModule], args: list[str] | None) -> None:
        """Run the command line for a module; bad input and a run that has to stop end the program in one line."""
        flags = " ".join([*cls.flags, *cls.data_flags, "--data", "--resume", "--threads", *cls.more_flags])
        usage = f"%(prog)s [--config FILE] [flags]\nshort flags: {flags}"
        description = (
            f"{cls.description} The first word may be left out, fit is meant then; short flags: {flags}; "
            "see fit --help."
        )
        with run_errors(), folder_locks(), stop_signals(_tell, _requeue):
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
                    "prog": f"{_program()} {cls.verb}".strip(),
                    "description": description,
                    **{name: {"usage": usage} for name in cls.subcommands()},
                },
                args=args,
            )

    def run_name(self, config: Any) -> str:
        """The name of a new run's folder, without the seed, of its configuration."""
        raise NotImplementedError

    def _prepare_subcommand_parser(self, klass: type, subcommand: str, **kwargs: Any) -> LightningArgumentParser:
        parser = super()._prepare_subcommand_parser(klass, subcommand, **kwargs)
        flags = self.flags | ({"--resume": "ckpt_path"} if subcommand == "fit" else {})
        for flag, nested in flags.items():
            # The nested argument's own action gets a second name: same type, same help, same key in config.yaml.
            action: Any = parser._option_string_actions[f"--{nested}"]
            action.option_strings.append(flag)
            parser._option_string_actions[flag] = action
            if flag in self.switches:
                action.nargs, action.const = "?", True
        parser.add_argument(
            "--threads",
            type=PositiveInt | None,
            default=None,
            help="CPU threads of each process; torch's own number, one a core, when not given.",
        )
        parser.add_argument("--trust", type=str, default="", metavar="MODULE", help=TRUST_HELP)
        data: Any = parser._option_string_actions["--data"]
        data.help = f"Data set: {', '.join(DATA)}, or module.Class with the arguments of its constructor."
        for flag, argument in self.data_flags.items():
            parser.add_argument(
                flag, action=DataFlag, argument=argument, metavar="N", help=f"{argument} of --data", dest=argument
            )
        if subcommand in ("validate", "test"):
            parser.set_defaults({"verbose": False})  # the scores' own line says it
        return parser

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        words = list(sys.argv[1:] if args is None else args)
        if not words or (words[0].startswith("-") and words[0] not in ("-h", "--help")):
            words.insert(0, "fit")
        commands: Any = parser._subcommands_action.choices if parser._subcommands_action else {}
        if words[0] in commands:
            words = with_known_spelling(words, commands[words[0]]._option_string_actions)
        words = [_data_class_path(words[i - 1] if i else "", word) for i, word in enumerate(words)]
        files = read_configurations(words)
        self.run_folder, checkpoint = self._checkpoint(words, files)
        if checkpoint is None:
            # Not a parser's default: its arguments would stay when --data or a file names another class.
            path = f"{self.default_data.__module__}.{self.default_data.__qualname__}"
            default = [] if words[0] in ("-h", "--help") else [f"--data={path}"]
            with foreign_errors("the settings cannot be used"):
                self.config = parser.parse_args([words[0], *default, *words[1:]])
        else:
            # The command line is read on top of the settings that the checkpoint was trained with.
            saved = read_checkpoint(checkpoint)
            module: Any = self._model_class
            self.settings = module.settings_in(saved, checkpoint)
            self.saved = saved
            check_restorable(saved, checkpoint)
            check_finite(saved["state_dict"])
            self._check_code(words, files, checkpoint)
            text = yaml.safe_dump(self.trained_config(words[0]))
            with foreign_errors("the settings cannot be used"):
                self.config = parser.parse_args([words[0], "--config", text, *words[1:]])
            self.config[words[0]]["ckpt_path"] = str(checkpoint)
            if words[0] == "fit":
                check_resumable(saved, checkpoint, module.optimizer_count, self.needed)
                self.check_resumed(saved)
        seed = self.config[self.config.subcommand].seed_everything
        if isinstance(seed, bool) or not 0 <= seed < 2**32:
            raise BadInput(f"--seed is {seed}; expected a whole number from 0 to {2**32 - 1}")

    def trained_config(self, command: str) -> dict[str, Any]:
        """Return the configuration that a command takes from its checkpoint."""
        config = self.settings.to_config(self.linked)
        if command != "fit":
            # Trained on many, scored or sampled on this one.
            config["trainer"] |= {"devices": 1, "num_nodes": 1, "accelerator": "auto", "strategy": "auto"}
        return config

    def check_resumed(self, checkpoint: dict[str, Any]) -> None:
        """Raise when the checkpoint cannot go on with this configuration; say in one line what differs from its run."""
        if not is_first_process():
            return
        configs = (self.trained_config("fit"), self.config.fit.as_dict())
        before, now = (_settings_by_name(each, self.groups) for each in configs)
        changed = [f"{name} {before[name]} -> {now[name]}" for name in before if before[name] != now.get(name)]
        if changed:
            print(f"other settings than the run so far: {', '.join(changed)}", flush=True)
        if self.settings.omitted:
            warnings.warn(
                f"a checkpoint does not bring back {', '.join(self.settings.omitted)}, which the run had; give them "
                "again, or --config with its config.yaml",
                stacklevel=2,
            )

    def _check_code(self, words: list[str], files: list[dict[str, Any]], checkpoint: Path) -> None:
        """Raise for code that the checkpoint names and that neither the person nor --trust does."""
        module: Any = self._model_class
        short = {nested: flag for flag, nested in self.flags.items()}
        data = given_values(words, files, "data", "class_path", "--data")
        values = list(data)
        for name in module.named:
            nested = f"model.{name}"
            section, _, last = nested.rpartition(".")
            values += given_values(words, files, section, last, *([short[nested]] if nested in short else []))
        given = {part for value in values for part in (value, *code_names(value))}
        names = module.code_in(self.settings)
        names += [self.settings.data] if self.settings.data not in DATA_PATHS and self.settings.data else []
        trust = parse_trust(given_values(words, files, "", "trust"))
        check_trusted([name for name in names if name not in given], trust, checkpoint)
        if not self.settings.data and not data and words[0] != "predict":
            raise BadInput(f"{checkpoint} does not name the data it was trained on; give them with --data")

    def _parse_ckpt_path(self) -> None:
        """Nothing: `parse_arguments` has done it, and lets the command line win."""

    def _checkpoint(self, words: list[str], files: list[dict[str, Any]]) -> tuple[Path | None, Path | None]:
        """Return the folder to write to as far as the command line tells, and the checkpoint to read."""
        command = words[0]
        if command not in self.subcommands() or "-h" in words or "--help" in words:
            return None, None
        outs = given_values(words, files, "trainer", "default_root_dir", "--out")
        if "" in values_of(words, "--out"):
            raise BadInput("--out is empty; give a folder")
        out = Path(outs[-1]) if outs and outs[-1] not in ("", "null") else None
        paths = given_values(words, files, "", "ckpt_path", "--resume")
        if not paths and command == "fit" and (own := restarted_folder(out, self.runs)) is not None:
            return own, last_checkpoint(own)
        if not paths or paths[-1] == "null":
            if command != "fit":
                raise BadInput(
                    f"{command} needs a checkpoint: --ckpt_path PATH, such as checkpoints/runs/NAME/best.ckpt"
                )
            return out, None
        if not paths[-1]:
            flag, more = ("--resume", ", or last for the newest run's") if command == "fit" else ("--ckpt_path", "")
            raise BadInput(f"{flag} is empty; give the path of a checkpoint{more}")
        resume_last = command == "fit" and paths[-1] == "last"
        checkpoint = last_checkpoint(out, self.runs) if resume_last else Path(paths[-1])
        return out or (checkpoint.parent if command == "fit" else None), checkpoint

    def check_checkpoint(self) -> None:
        """Raise when the checkpoint is of another network than the one that is asked for, before there is a folder."""
        if self.saved is not None:
            self.model.on_load_checkpoint(self.saved)
            self.saved = None  # Lightning reads it again, and it may be large

    def instantiate_classes(self) -> None:
        _set_threads(self.config[self.subcommand].threads)
        with foreign_errors("the settings cannot be used"):
            super().instantiate_classes()

    def _config_text(self) -> str:
        config = self.config[self.subcommand].clone()
        # Run again, it starts anew, and trusts no file's code.
        config["ckpt_path"], config["trust"] = None, ""
        return self._parser(self.subcommand).dump(config, skip_unset=False)

    def _settings(self) -> RunSettings:
        """Return the record of the configuration that every checkpoint keeps."""
        config = yaml.safe_load(self._config_text())
        module: Any = self._model_class
        return RunSettings.of_configuration(module.program, config, self.sections, self.options)

    def _fit_folder(self, config: Any) -> Path:
        folder = self.run_folder or self.runs / f"{self.run_name(config)}-seed{config.seed_everything}"
        resumed = config.ckpt_path and folder.resolve() == Path(config.ckpt_path).resolve().parent
        if not is_first_process():
            return folder  # the first process writes, and tells the others where
        # Data that cannot be used are refused before the run has a folder. Lightning sets them up again.
        self.datamodule.prepare_data()
        self.datamodule.setup("fit")
        self.check_data()
        if resumed:
            lock_folder(folder)
        else:
            folder = claim_folder(folder, rename=not self.run_folder, lock=True)
        return folder

    def check_data(self) -> None:
        """Raise when the run cannot use its data, which are set up."""

    def default_loggers(self, folder: Path) -> list[Logger]:
        """Beside metrics.csv, where the configuration says nothing of loggers."""
        return []

    def _loggers(self, folder: Path) -> list[Logger]:
        """metrics.csv, and what the configuration names."""
        chosen = self._get(self.config_init, "trainer")["logger"]
        if chosen is None:
            others = self.default_loggers(folder)
        else:
            others = chosen if isinstance(chosen, list) else [] if isinstance(chosen, bool) else [chosen]
        return [MetricsFile(folder / "metrics.csv"), *others]

    @staticmethod
    def _checkpoints(folder: Path, monitor: str, mode: str, **kept: Any) -> list[ModelCheckpoint]:
        """The best and the last."""
        kept |= {"dirpath": folder, "auto_insert_metric_name": False, "enable_version_counter": False}
        return [
            ModelCheckpoint(filename="best", monitor=monitor, mode=mode, **kept),
            # Lightning's own save_last follows the best checkpoint, not the newest.
            ModelCheckpoint(filename=Path(LAST).stem, **kept),
        ]

    def fit(self, **kwargs: Any) -> None:
        if is_first_process():
            source = f", from {kwargs['ckpt_path']}" if kwargs.get("ckpt_path") else ""
            print(f"run {self.trainer.default_root_dir}{source}", flush=True)
        with restoring_errors(kwargs.get("ckpt_path")):
            self.trainer.fit(**kwargs)


def _program() -> str:
    """Return how the program was started: by its name, or as a module."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if spec is not None and spec.name == f"{spec.parent}.__main__":
        return f"python -m {spec.parent}"
    return Path(sys.argv[0]).name


def _data_class_path(flag: str, word: str) -> str:
    """The class path for a data set's short name."""
    name = word.removeprefix("--data=") if word.startswith("--data=") else word if flag == "--data" else None
    if name is None or "." in name or name.startswith("-"):
        return word
    if name not in DATA:
        raise BadInput(f"data {name!r} is not known; choose one of: {', '.join(DATA)}, or give a class as module.Class")
    return word.removesuffix(name) + f"{DATA[name].__module__}.{DATA[name].__qualname__}"


def _settings_by_name(config: dict[str, Any], groups: tuple[str, ...]) -> dict[str, Any]:
    """Return what a run's steps depend on: the model, the data, the seed and the number of processes."""
    data = config.get("data") or {}
    named = {f"model.{name}": value for name, value in config["model"].items() if name not in groups}
    for group in groups:
        named |= {f"model.{group}.{name}": value for name, value in config["model"].get(group, {}).items()}
    named |= {"data": data.get("class_path", "").rpartition(".")[2], "seed": config["seed_everything"]}
    named |= {f"data.{name}": value for name, value in dict(data.get("init_args") or {}).items()}
    return named | {name: config["trainer"].get(name) for name in ("devices", "num_nodes", "precision")}


def _set_threads(number: int | None) -> None:
    if number is None:
        return
    cores = os.cpu_count() or 1
    if number > cores:
        raise BadInput(f"--threads is {number}, and this machine has {cores} cores; expected 1 to {cores}")
    torch.set_num_threads(number)
    # For the processes that are started, and for Lightning, which otherwise shares out the cores among them.
    os.environ["OMP_NUM_THREADS"] = str(number)


def _requeue(number: signal.Signals) -> str | None:
    """Ask SLURM to start the job again if that is what a signal is for, and return what it says."""
    asked = number.name == "SIGUSR1" and slurm_job() is not None and is_first_process()
    return requeue_in_words()[1] if asked else None


def _tell(line: str) -> None:
    if is_first_process():
        with contextlib.suppress(OSError):
            print(f"error: {line}", file=sys.stderr, flush=True)
