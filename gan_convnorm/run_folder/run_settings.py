"""The run's settings in a checkpoint: one typed, versioned record of plain values."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from gan_convnorm.errors import BadInput
from gan_convnorm.files.plain_values import check_arguments, is_plain
from gan_convnorm.files.plain_yaml import may_have_key

__all__ = ["RUN", "RunSettings", "model_record"]

#: the checkpoint's key that holds the record
RUN = "run"
VERSION = 3

#: The Trainer's settings that a checkpoint brings back: the numbers and switches that a step or an evaluation depends
#: on. A person gives callbacks, loggers, plugins, profilers, strategies and folders anew each time.
TRAINER = (
    "accumulate_grad_batches",
    "benchmark",
    "check_val_every_n_epoch",
    "detect_anomaly",
    "deterministic",
    "enable_progress_bar",
    "gradient_clip_algorithm",
    "gradient_clip_val",
    "inference_mode",
    "limit_predict_batches",
    "limit_test_batches",
    "limit_train_batches",
    "limit_val_batches",
    "log_every_n_steps",
    "max_epochs",
    "max_steps",
    "min_epochs",
    "min_steps",
    "num_nodes",
    "num_sanity_val_steps",
    "overfit_batches",
    "precision",
    "sync_batchnorm",
    "val_check_interval",
)
#: settings of which a checkpoint brings back only these values
CHOICES: dict[str, tuple[Any, ...]] = {
    "accelerator": ("auto", "cpu", "gpu", "cuda", "mps", "tpu"),
    "strategy": ("auto", "ddp", "ddp_find_unused_parameters_true"),
    "logger": (None, False, True),
}
#: the key by which a command line's parser imports a class and calls it
CLASS = "class_path"
#: settings that can name code, and are reported when a checkpoint does not bring them back
CODE = ("callbacks", "logger", "plugins", "profiler", "strategy")


def model_record(program: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the part of the record that a module writes itself.

    >>> model_record("gan", {"width": 0.5})
    {'version': 3, 'program': 'gan', 'model': {'width': 0.5}}

    Args:
        program: "gan" or "classifier".
        arguments: of the module's constructor; plain values.
    """
    return {"version": VERSION, "program": program, "model": arguments}


@dataclass(frozen=True)
class RunSettings:
    """A run as its checkpoints describe it.

    >>> RunSettings.read({"version": 3, "program": "gan", "model": {}}, "a.ckpt").seed
    0

    Attributes:
        program: "gan" or "classifier".
        model: arguments of the module's constructor.
        version: of this record's form.
        seed: the run's seed.
        data: class path of the data module; empty where the run was not the command line's.
        data_arguments: arguments of its constructor.
        trainer: the settings of `TRAINER` that are plain values.
        sections: arguments of the command's other parts by name, such as "scores".
        options: the command's own options by name, such as "operator_norms_every".
        train_images: number of the data's training images; 0 where it is not known.
        label_names: names of the data's classes, or of the numbers in its vectors; empty where they are not known.
        omitted: settings of the run that a checkpoint does not bring back, such as "trainer.callbacks".
    """

    program: str
    model: dict[str, Any]
    version: int = VERSION
    seed: int = 0
    data: str = ""
    data_arguments: dict[str, Any] = field(default_factory=dict)
    trainer: dict[str, Any] = field(default_factory=dict)
    sections: dict[str, dict[str, Any]] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    train_images: int = 0
    label_names: list[str] = field(default_factory=list)
    omitted: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, saved: object, source: object) -> RunSettings:
        """Return the record that a checkpoint holds.

        Args:
            saved: the checkpoint's entry `RUN`.
            source: the file, for messages.

        Raises:
            BadInput: an entry that is missing or of another type, or another version's.
        """
        version = saved.get("version") if isinstance(saved, dict) else None
        if version != VERSION:
            raise BadInput(
                f"{source} holds no run settings of version {VERSION}; expected a .ckpt file that a run of this "
                "version has written"
            )
        settings = cls(**check_arguments(cls, saved, f"the run settings in {source}"))
        for name, section in settings.sections.items():
            if not isinstance(section, dict):
                raise BadInput(f"the run settings in {source} have {name[:60]} {section!r:.60}; expected a mapping")
        for name, value in settings.trainer.items():
            if not _allowed(name, value):
                raise BadInput(
                    f"the run settings in {source} have trainer.{name[:60]} {value!r:.60}, which a checkpoint must not "
                    "set; give it on the command line"
                )
        for part in ("model", "data_arguments", "trainer", "sections", "options"):
            for name, value in getattr(settings, part).items():
                if may_have_key({name: value}, CLASS):
                    raise BadInput(
                        f"the run settings in {source} have a {CLASS} in {part}.{name[:60]}, which a checkpoint must "
                        "not name"
                    )
        return settings

    @classmethod
    def of_configuration(
        cls, program: str, config: dict[str, Any], sections: tuple[str, ...], options: tuple[str, ...] = ()
    ) -> RunSettings:
        """Return the record of a command's complete configuration, but for the model, which its module adds.

        Args:
            program: "gan" or "classifier".
            config: the configuration as plain values, by section.
            sections: names of the sections to keep beside the data and the trainer.
            options: names of the command's own options to keep.
        """
        trainer = {name: value for name, value in config["trainer"].items() if _allowed(name, value)}
        omitted = [f"trainer.{name}" for name in CODE if name not in trainer and config["trainer"].get(name)]
        data = config["data"]
        arguments = dict(data.get("init_args") or {})
        # A checkpoint does not name them, and `read` would refuse it.
        classes = [name for name, value in arguments.items() if may_have_key({name: value}, CLASS)]
        omitted += [f"data.{name}" for name in classes]
        return cls(
            program=program,
            model={},
            seed=config["seed_everything"],
            data=data["class_path"],
            data_arguments={name: value for name, value in arguments.items() if name not in classes},
            trainer=trainer,
            sections={name: dict(config[name]) for name in sections},
            options={name: config[name] for name in options},
            omitted=omitted,
        )

    def to_config(
        self, linked: tuple[str, ...], sections: tuple[str, ...] = (), options: tuple[str, ...] = ()
    ) -> dict[str, Any]:
        """Return the configuration that the command line reads, but for the model's arguments in `linked`.

        Args:
            linked: arguments that the command takes from the data and the seed.
            sections: names of the sections that the command has.
            options: names of the options that the command has.

        Raises:
            BadInput: another section or option, such as one that takes the place of the trainer's settings.
        """
        for kind, found, known in (("section", self.sections, sections), ("option", self.options, options)):
            if unknown := [name for name in found if name not in known]:
                expected = ", ".join(known) or "none"
                raise BadInput(f"the checkpoint's run settings have the {kind} {unknown[0]!r:.60}; expected {expected}")
        config: dict[str, Any] = {
            "seed_everything": self.seed,
            "trainer": self.trainer,
            "model": {name: value for name, value in self.model.items() if name not in linked},
            **self.sections,
            **self.options,
        }
        if self.data:
            # A checkpoint says where data are read, and has nothing fetched and written there.
            arguments = {name: value for name, value in self.data_arguments.items() if name != "download"}
            config["data"] = {"class_path": self.data, "init_args": arguments}
        return config

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain values, as `read` takes it."""
        return asdict(self)


def _allowed(name: str, value: object) -> bool:
    if name in CHOICES:
        return value is None or (isinstance(value, (bool, str)) and value in CHOICES[name])
    if name == "devices" and isinstance(value, list):
        return all(isinstance(each, int) for each in value)
    return name in (*TRAINER, "devices") and isinstance(value, (bool, int, float, str, type(None))) and is_plain(value)
