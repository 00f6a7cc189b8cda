"""The training verbs' parser: errors are one line, and short flags reach the chosen data module."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from pytorch_lightning.cli import LightningArgumentParser

from gan_convnorm.cli.command_words import suggestion
from gan_convnorm.cli.configuration_errors import in_plain_words
from gan_convnorm.cli.run_errors import is_first_process
from gan_convnorm.errors import fail

__all__ = ["DataFlag", "Parser"]


class Parser(LightningArgumentParser):
    """A parser whose errors are one line: the value that was found, the values that were expected."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        if not self.exit_on_error:
            super().error(message, ex)
        if not is_first_process():
            raise SystemExit(2)
        actions: dict[str, Any] = self._option_string_actions
        short = {
            action.dest: flag
            for flag, action in actions.items()
            if flag != f"--{action.dest}" and flag.startswith("--") and "." not in flag
        }
        fail(in_plain_words(message, short) + suggestion(message, actions))


class DataFlag(argparse.Action):
    """A short flag for an argument of whichever data module is chosen, where no action of its own exists."""

    def __init__(self, option_strings: list[str], dest: str, argument: str, **kwargs: Any) -> None:
        super().__init__(option_strings, dest, default=argparse.SUPPRESS, **kwargs)
        self.argument = argument

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        parser._option_string_actions["--data"](parser, namespace, values, f"--data.{self.argument}")
