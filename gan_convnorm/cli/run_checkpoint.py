"""A checkpoint as a training verb meets it: its settings, the code that it names, what a resumed run changes."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gan_convnorm.cli.class_arguments import class_arguments
from gan_convnorm.cli.command_words import values_of
from gan_convnorm.cli.configuration_files import given_values
from gan_convnorm.cli.data_names import OWN_DATA
from gan_convnorm.data import ImageData
from gan_convnorm.errors import BadInput
from gan_convnorm.files.names import listed
from gan_convnorm.files.trust import check_trusted, code_names, parse_trust
from gan_convnorm.files.weights import check_finite
from gan_convnorm.run_folder import RunSettings, check_restorable, read_checkpoint

__all__ = ["RunCheckpoint", "check_same_data", "say_changes"]


@dataclass
class RunCheckpoint:
    """A checkpoint that was read and found usable.

    Args:
        path: the file.
        content: of the file, as torch saved it.
        settings: the configuration that the run had.

    >>> RunCheckpoint.read(Path("none.ckpt"), module=None)
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: there is no checkpoint none.ckpt; expected a .ckpt file that a run has written
    """

    path: Path
    content: dict[str, Any]
    settings: RunSettings

    @classmethod
    def read(cls, path: Path, module: Any) -> RunCheckpoint:  # noqa: ANN401
        """Return a checkpoint of a module's program; raise `BadInput` if it is none, or has NaN or infinite weights."""
        content = read_checkpoint(path)
        settings = module.settings_in(content, path)
        check_restorable(content, path)
        check_finite(content["state_dict"])
        return cls(path, content, settings)

    def check_code(
        self,
        words: Sequence[str],
        files: Iterable[dict[str, Any]],
        module: Any,  # noqa: ANN401
    ) -> None:
        """Check that the person names the code and the data that the checkpoint names.

        Args:
            words: the verb and its flags, without short flags.
            files: content of the configuration files.
            module: the class that says which of its arguments name code.

        Raises:
            BadInput: code that neither the flags nor the files nor --trust name, or no data.
        """
        files = list(files)
        data = given_values(words, files, "data.class_path") + values_of(words, "--data")
        values = list(data)
        for name in module.code_arguments:
            values += given_values(words, files, f"model.{name}")
        given = {part for value in values for part in (value, *code_names(value))}
        names = module.code_in(self.settings)
        names += [self.settings.data] if self.settings.data not in OWN_DATA and self.settings.data else []
        trust = parse_trust(given_values(words, files, "trust"))
        check_trusted([name for name in names if name not in given], trust, self.path)
        if self.settings.data and self.settings.data not in OWN_DATA:
            # The parser would import a text with a dot as the class of an object, or read it as a file about one.
            objects = class_arguments(_imported(self.settings.data))
            for name, value in self.settings.data_arguments.items():
                if name in objects and isinstance(value, (str, list, dict)) and "." in repr(value):
                    raise BadInput(
                        f"{self.path} has data.{name} {value!r:.60}, an object that a checkpoint must not choose; use "
                        "another checkpoint"
                    )
        if not self.settings.data and not data and words[0] != "predict":
            raise BadInput(f"{self.path} does not name the data it was trained on; give them with --data")


def _imported(path: str) -> type:
    """Return a class that a person names or trusts.

    Raises:
        BadInput: there is none.
    """
    module, _, name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise BadInput(f"the data {path[:80]!r} cannot be imported ({error})") from error
    if not isinstance(found, type):
        raise BadInput(f"the data {path[:80]!r} are no class; expected a subclass of gan_convnorm.data.ImageData")
    return found


def say_changes(
    before: dict[str, Any], now: dict[str, Any], omitted: Sequence[str], groups: Sequence[str] = ()
) -> None:
    """Print in one line which settings differ from the run's so far, and warn of those that it cannot bring back.

    Args:
        before: configuration of the run so far.
        now: configuration of the resumed run.
        omitted: settings that a checkpoint does not keep.
        groups: the model's arguments that are mappings of settings, such as "optimization".

    >>> before, now = ({"model": {"width": width}, "seed_everything": 0, "trainer": {}} for width in (0.5, 1))
    >>> say_changes(before, now, [])
    other settings than the run so far: model.width 0.5 -> 1
    """
    past, present = _settings_by_name(before, groups), _settings_by_name(now, groups)
    changed = [f"{name} {past[name]} -> {present.get(name)}" for name in past if past[name] != present.get(name)]
    if changed:
        print(f"other settings than the run so far: {', '.join(changed)}", flush=True)
    if any(change.startswith("scores.") for change in changed):
        warnings.warn(
            "the scores before and after this step are taken in different ways, so they are not comparable; best.ckpt "
            "is still chosen among all of them",
            stacklevel=2,
        )
    if omitted:
        warnings.warn(
            f"a checkpoint does not bring back {', '.join(omitted)}, which the run had; give them "
            "again, or --config with its config.yaml",
            stacklevel=2,
        )


def check_same_data(settings: RunSettings, images: ImageData, *, takes_labels: bool) -> None:
    """Print how a resumed run's data differ from those it has trained on.

    >>> from types import SimpleNamespace
    >>> run = RunSettings("gan", {}, train_images=3)
    >>> check_same_data(run, SimpleNamespace(label_names=[], train_set=range(4)), takes_labels=False)
    other data than the run so far: 3 -> 4 training images

    Args:
        settings: of the run so far.
        images: set up.
        takes_labels: whether the module learns the images' labels.

    Raises:
        BadInput: labels of other names, which would mean other images to the module than before.
    """
    past, present = settings.label_names, images.label_names
    if settings.train_images and past != present and takes_labels:
        raise BadInput(
            f"the run was trained with the labels {listed(past) or 'unnamed'}, and the data have "
            f"{listed(present) or 'unnamed ones'}; give the data that the run had, or start a new run with --out"
        )
    count = len(images.train_set)
    if settings.train_images not in (0, count):
        print(f"other data than the run so far: {settings.train_images} -> {count} training images", flush=True)


def _settings_by_name(config: dict[str, Any], groups: Sequence[str]) -> dict[str, Any]:
    """Return the settings that a run's steps and scores depend on."""
    data = config.get("data") or {}
    settings = {f"model.{name}": value for name, value in config["model"].items() if name not in groups}
    for group in groups:
        settings |= {f"model.{group}.{name}": value for name, value in config["model"].get(group, {}).items()}
    settings |= {"data": data.get("class_path", "").rpartition(".")[2], "seed": config["seed_everything"]}
    settings |= {f"data.{name}": value for name, value in dict(data.get("init_args") or {}).items()}
    for section in ("split", "scores"):
        part = dict(config.get(section) or {})
        settings |= {f"{section}.{name}": value for name, value in part.items() if name != "seed"}
    return settings | {
        name: config["trainer"].get(name) for name in ("devices", "num_nodes", "precision", "max_epochs")
    }
