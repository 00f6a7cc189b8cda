"""The training verbs' parser: errors in one line, and help that begins with the short flags."""

from __future__ import annotations

from argparse import HelpFormatter
from collections.abc import Mapping
from typing import Any, NoReturn

from pytorch_lightning.cli import LightningArgumentParser
from typing_extensions import override

from gan_convnorm.cli.command_words import suggestion
from gan_convnorm.cli.configuration_errors import in_plain_words
from gan_convnorm.cli.flag_help import with_short_flags
from gan_convnorm.cli.run_errors import is_first_process
from gan_convnorm.data import DATA
from gan_convnorm.errors import fail

__all__ = ["Parser"]

#: help of short flags whose nested argument has none of its own, or Lightning's, which says other than the program does
OWN_HELP = {
    "--data": f"Data set: {', '.join(DATA)}, or module.Class with the arguments of its constructor.",
    "--batch-size": "Images in a batch. (default: the data set's)",
    "--resolution": "Side of the images in pixels. (default: the data set's)",
    "--out": "Folder of the run. (default: one below checkpoints/runs, named after its data, norm and seed)",
    "--eval-every": "Generator steps between evaluations. (default: 500)",
    "--seed": "Seed of the weights, the batches and the noise. (type: int, default: 0)",
    "--resume": "Checkpoint to go on from, or last for the newest of the run folder.",
}


class Parser(LightningArgumentParser):
    """The parser of one training verb.

    Args:
        *args: as for Lightning's parser.
        verb: fit, validate, test or predict; "" for the parser of all of them.
        flags: short flag -> key of its nested argument. The parser itself knows the nested arguments alone.
        **kwargs: as for Lightning's parser.
    """

    def __init__(self, *args: Any, verb: str = "", flags: Mapping[str, str] | None = None, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **kwargs)
        self.verb = verb
        self.flags = dict(flags or {})

    def all_flags(self) -> dict[str, str]:
        """Return every flag with its key: the parser's own, spelled with hyphens up to the first dot, and the short."""
        keys = ["print_config", *self.get_defaults().keys()]
        own = {f"--{key}" if "." in key else f"--{key.replace('_', '-')}": key for key in keys}
        return own | self.flags

    @override
    def add_method_arguments(self, *args: Any, **kwargs: Any) -> list[str]:
        added: list[str] = super().add_method_arguments(*args, **kwargs)
        if "verbose" in added:  # validate and test print a line of their own
            self.set_defaults({"verbose": False})
        return added

    @override
    def format_help(self, formatter: HelpFormatter | None = None) -> str:
        return with_short_flags(super().format_help(formatter), self.flags, OWN_HELP)

    @override
    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        if not self.exit_on_error:
            super().error(message, ex)
        if not is_first_process():
            raise SystemExit(2)
        short = {key: flag for flag, key in self.flags.items()}
        fail(in_plain_words(message, short) + suggestion(message, self.all_flags()))
