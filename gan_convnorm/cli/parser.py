"""The training verbs' parser: errors in one line, and help that begins with the short flags."""

from __future__ import annotations

from argparse import HelpFormatter
from typing import Any, NoReturn

from pytorch_lightning.cli import LightningArgumentParser
from typing_extensions import override

from gan_convnorm.cli.command_words import suggestion
from gan_convnorm.cli.configuration_errors import in_plain_words
from gan_convnorm.cli.flag import FlagTable
from gan_convnorm.cli.flag_help import key_help
from gan_convnorm.cli.run_errors import is_first_process
from gan_convnorm.errors import fail

__all__ = ["Parser"]


class Parser(LightningArgumentParser):
    """The parser of one training verb.

    >>> parser = Parser(verb="fit")
    >>> _ = parser.add_argument("--steps", type=int)
    >>> parser.parse_args(["--stepz", "9"])  # with the line: error: unrecognized arguments: ...; did you mean --steps?
    Traceback (most recent call last):
    SystemExit: 2

    Args:
        *args: as for Lightning's parser.
        verb: fit, validate, test or predict; "" for the parser of all of them.
        table: the short flags. The parser itself knows the nested arguments alone.
        **kwargs: as for Lightning's parser.
    """

    def __init__(self, *args: Any, verb: str = "", table: FlagTable | None = None, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **kwargs)
        self.verb = verb
        self.table = table

    @override
    def add_method_arguments(self, *args: Any, **kwargs: Any) -> list[str]:
        added: list[str] = super().add_method_arguments(*args, **kwargs)
        if "verbose" in added:  # validate and test print a line of their own
            self.set_defaults({"verbose": False})
        return added

    @override
    def format_help(self, formatter: HelpFormatter | None = None) -> str:
        before, options, after = super().format_help(formatter).partition("\noptions:\n")
        short = "" if self.table is None else "\n" + key_help(self.table, self.verb)
        return before + short + options + after

    @override
    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        if not self.exit_on_error:
            super().error(message, ex)
        if not is_first_process():
            raise SystemExit(2)
        known = {} if self.table is None else self.table.keys(self.verb)
        settings = [*self.get_defaults().keys()]
        flags = [*known, *(f"--{key}" for key in settings)]
        near = suggestion(message, flags) if message.startswith("unrecognized") else ""
        fail(in_plain_words(message, {key: flag for flag, key in known.items()}) + near)
