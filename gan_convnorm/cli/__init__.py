"""The program: gan-convnorm fit|validate|test|predict|score|compare|study|export|demo|classify; one file a verb."""

from __future__ import annotations

import sys

from gan_convnorm.cli.process_state import unchanged_process

__all__ = ["main"]


def main(args: list[str] | None = None) -> None:
    """Run the program; the first word may be left out, fit is meant then.

    It changes nothing that lasts in the process: see `unchanged_process`.

    A verb is imported when it is run: most need no Lightning, or no torch.

    Bad input ends in `SystemExit` with status 2 and one line on standard error. A run that had to stop ends with status
    1, or 128 and a signal's number, and one line.

    Args:
        args: the words after the program's name; `sys.argv` when not given.
    """
    with unchanged_process():
        _run(list(sys.argv[1:] if args is None else args))


def _run(words: list[str]) -> None:
    verb, rest = (words[0], words[1:]) if words else ("", [])
    if verb == "score":
        from gan_convnorm.cli.score import main as score

        score(rest)
    elif verb == "compare":
        from gan_convnorm.cli.compare import main as compare

        compare(rest)
    elif verb == "study":
        from gan_convnorm.cli.study import main as study

        study(rest)
    elif verb == "export":
        from gan_convnorm.cli.export import main as export

        export(rest)
    elif verb == "demo":
        from gan_convnorm.cli.demo import main as demo

        demo(rest)
    elif verb == "classify":
        from gan_convnorm.cli.classify import main as classify

        classify(rest)
    else:
        from gan_convnorm.cli.gan import main as train

        train(words)
