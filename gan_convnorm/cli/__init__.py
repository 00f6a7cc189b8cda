"""The program: gan-convnorm fit|validate|test|predict|score|compare|study|export|demo|classify; one file a verb."""

from __future__ import annotations

import sys
from collections.abc import Callable

from gan_convnorm.cli.classify_flags import CLASSIFY_FLAGS
from gan_convnorm.cli.flag_help import program_name
from gan_convnorm.cli.gan_flags import GAN_FLAGS
from gan_convnorm.cli.process_state import importing_libraries, unchanged_process
from gan_convnorm.cli.short_flags import hyphenated
from gan_convnorm.cli.typed_words import nested_words, refuse_verb
from gan_convnorm.errors import fail

__all__ = ["main"]

#: the verbs with a file of their own; the others train a GAN or use its checkpoint
VERBS = {
    "score": "Score images or a checkpoint against real images.",
    "compare": "Write one page with several runs side by side.",
    "study": "Run many norms, seeds and rates, and write a report.",
    "export": "Write a checkpoint's generator for other programs.",
    "demo": "Serve a page to play with a trained generator.",
    "classify": "Train classifiers and measure their robustness.",
}


def main(args: list[str] | None = None) -> None:
    """Run the program; the first word may be left out, fit is meant then.

    It changes nothing that lasts in the process: see `unchanged_process`.

    A verb is imported when it is run: most need no Lightning, or no torch. Help and most slips of the finger are
    answered before that.

    Bad input ends in `SystemExit` with status 2 and one line on standard error. A run that had to stop ends with status
    1, or 128 and a signal's number, and one line.

    Args:
        args: the words after the program's name; `sys.argv` when not given.

    >>> main(["fitt"])  # with the line: error: there is no verb 'fitt'; choose from ...
    Traceback (most recent call last):
    SystemExit: 2
    """
    with unchanged_process():
        try:
            _run(list(sys.argv[1:] if args is None else args))
        except KeyboardInterrupt:  # before a run listens to signals
            fail("stopped by SIGINT", 130)


def _run(words: list[str]) -> None:
    verb, rest = (words[0], words[1:]) if words else ("", [])
    if verb in ("-h", "--help"):
        print(_help(), end="")
        raise SystemExit(0)
    if verb == "classify":
        rest = nested_words(rest, CLASSIFY_FLAGS)
    elif verb in VERBS:
        rest = hyphenated(rest)
    elif verb in GAN_FLAGS.verbs or verb.startswith("-") or not verb:
        rest = nested_words(words, GAN_FLAGS)
        if "--print_config" in rest:
            from gan_convnorm.cli.plain_config import print_plain_config

            print_plain_config(rest)
    else:
        refuse_verb(verb, [*GAN_FLAGS.verbs, *VERBS])
    with importing_libraries():
        program = _program(verb)
    program(rest)


def _program(verb: str) -> Callable[[list[str]], None]:
    """Import the program of a verb."""
    match verb:
        case "score":
            from gan_convnorm.cli.score import main as program
        case "compare":
            from gan_convnorm.cli.compare import main as program
        case "study":
            from gan_convnorm.cli.study import main as program
        case "export":
            from gan_convnorm.cli.export import main as program
        case "demo":
            from gan_convnorm.cli.demo import main as program
        case "classify":
            from gan_convnorm.cli.classify import main as program
        case _:
            from gan_convnorm.cli.gan import main as program
    return program


def _help() -> str:
    """Return the help of the program: its verbs."""
    name = program_name()
    verbs = GAN_FLAGS.verbs | VERBS
    lines = [
        f"usage: {name} [VERB] [flags]",
        "",
        "Train SNGAN-family GANs, with the discriminator's normalization as one flag.",
        "",
        *(f"  {verb:10}{about}" for verb, about in verbs.items()),
        "",
        f"{name} VERB --help lists the flags of a verb.",
        "Hyphens and underscores in a flag mean the same.",
        "",
    ]
    return "\n".join(lines)
