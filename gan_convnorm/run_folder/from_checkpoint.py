"""Modules that are built from a checkpoint's plain values and weights."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import pytorch_lightning as pl
import torch
from typing_extensions import override

from gan_convnorm.errors import BadInput
from gan_convnorm.files.plain_values import check_arguments
from gan_convnorm.files.trust import check_trusted, code_names
from gan_convnorm.files.weights import check_weights
from gan_convnorm.run_folder.checkpoint_content import read_checkpoint
from gan_convnorm.run_folder.run_settings import RUN, RunSettings, model_record

__all__ = ["FromCheckpoint"]


class FromCheckpoint(pl.LightningModule):
    """A LightningModule whose `load_from_checkpoint` imports nothing that the file names.

    Attributes:
        program: the module's name in checkpoints.
        optimizer_count: how many optimizers it has.
        code_arguments: dotted names of the constructor's arguments that may name code outside this package.
        weight_arguments: dotted names of the constructor's arguments that decide which weights there are.

    >>> FromCheckpoint.load_from_checkpoint("none.ckpt")
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: there is no checkpoint none.ckpt; expected a .ckpt file that a run has written
    """

    program: ClassVar[str]
    optimizer_count: ClassVar[int]
    code_arguments: ClassVar[tuple[str, ...]]
    weight_arguments: ClassVar[tuple[str, ...]]

    @classmethod
    def load_from_checkpoint(  # type: ignore[override]
        cls, checkpoint_path: str | Path, map_location: torch.device | str = "cpu", *, trust: Sequence[str] = ()
    ) -> Self:
        """Return the module of a checkpoint, in evaluation mode.

        Args:
            checkpoint_path: a .ckpt file.
            map_location: device that the module is put on.
            trust: modules that the checkpoint's settings may name, such as one with your own normalization.

        Raises:
            BadInput: no file; a damaged or foreign one; code that is not trusted; weights of another network, or NaN.
        """
        path = Path(checkpoint_path)
        return cls.from_content(read_checkpoint(path), path, map_location, trust=trust)

    @classmethod
    def from_content(
        cls, checkpoint: dict[str, Any], path: Path, map_location: torch.device | str, *, trust: Sequence[str] = ()
    ) -> Self:
        """Return the module of a checkpoint's content, in evaluation mode.

        Args:
            checkpoint: the weights "state_dict", the record `RUN`, and what a subclass keeps beside them.
            path: of the file, for messages.
            map_location: device that the module is put on.
            trust: modules that the settings may name.

        Raises:
            BadInput: as `load_from_checkpoint`, for what is not about the file itself.
        """
        settings = cls.settings_in(checkpoint, path)
        check_trusted(cls.code_in(settings), trust, path)
        try:
            module = cls.from_plain(settings.model)
        except BadInput:
            raise
        except (TypeError, ValueError, RuntimeError, ArithmeticError, MemoryError) as error:
            reason = " ".join(str(error).split())[:200]
            raise BadInput(f"{path} describes a {cls.program} that cannot be built ({reason})") from error
        return module.restore(checkpoint).to(map_location)

    def restore(self, checkpoint: dict[str, Any]) -> Self:
        """Take the weights of a checkpoint, in evaluation mode.

        Args:
            checkpoint: from `read_checkpoint`.

        Returns:
            This module.

        Raises:
            BadInput: it is another network's, or has NaN or infinite weights.
        """
        self.on_load_checkpoint(checkpoint)
        self.load_state_dict(checkpoint["state_dict"])
        return self.eval()

    @classmethod
    def from_plain(cls, arguments: dict[str, Any]) -> Self:
        """Return the module with its constructor's arguments as a record holds them, plain values."""
        return cls(**arguments)

    @classmethod
    def settings_in(cls, checkpoint: dict[str, Any], source: object) -> RunSettings:
        """Return the run's settings in a checkpoint of this kind of module.

        Raises:
            BadInput: another program's checkpoint, or arguments that this module does not take.
        """
        settings = RunSettings.read(checkpoint.get(RUN), source)
        if settings.program != cls.program:
            raise BadInput(f"{source} is a {settings.program[:40]!r} checkpoint; expected one of a {cls.program}")
        check_arguments(cls, settings.model, f"the model's settings in {source}")
        return settings

    @classmethod
    def code_in(cls, settings: RunSettings) -> list[str]:
        """Return the names of code outside this package in a model's settings."""
        return [part for name in cls.code_arguments for part in code_names(_value(settings.model, name) or "")]

    @override
    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        names = inspect.signature(type(self)).parameters  # Lightning keeps its own entries beside them
        arguments = {name: value for name, value in self.hparams.items() if name in names}
        checkpoint[RUN] = {**checkpoint.get(RUN, {}), **model_record(self.program, arguments)}

    @override
    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Check that the weights are of this network, and make it ready for them.

        Raises:
            BadInput: names the first setting or weight that differs.
        """
        settings = self.settings_in(checkpoint, "the checkpoint")
        for name in self.weight_arguments:
            found, expected = _value(settings.model, name), _value(self.hparams, name)
            if found != expected:
                last = name.rpartition(".")[2]
                raise BadInput(f"the checkpoint was trained with {last} {found!r}, and {expected!r} is asked for")
        check_weights(self, checkpoint["state_dict"])
        if self._trainer is not None and self._trainer.precision == "64-true":
            self.double()  # Lightning would convert it after it has read the weights, whose digits would be lost


def _value(arguments: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401
    """Return the value of a dotted name, None where there is none."""
    value: Any = arguments
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
