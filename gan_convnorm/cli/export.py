"""The verb export: a checkpoint's generator for other programs."""

from __future__ import annotations

from pathlib import Path

from gan_convnorm.errors import OneLineParser, one_line_errors
from gan_convnorm.files.trust import TRUST_HELP, parse_trust
from gan_convnorm.gan.export import export

__all__ = ["main"]


def main(words: list[str] | None = None) -> None:
    """Run the command line.

    Bad input ends in `SystemExit` with status 2 and one line on standard error.
    """
    parser = OneLineParser(
        prog="gan-convnorm export",
        description="Write a checkpoint's generator as safetensors with a JSON description (gan_convnorm.load reads "
        "the folder) and as a torch.export program, which runs without this package.",
    )
    parser.add_argument("checkpoint", type=Path, help="a .ckpt file of a run")
    parser.add_argument("folder", type=Path, help="where to write; a new or an empty one")
    parser.add_argument("--raw", action="store_true", help="the current weights in place of the averaged ones")
    parser.add_argument("--no-program", action="store_true", help="no generator.pt2")
    parser.add_argument("--trust", action="append", default=[], metavar="MODULE", help=TRUST_HELP)
    arguments = parser.parse_args(words)
    with one_line_errors():
        files = export(
            arguments.checkpoint,
            arguments.folder,
            ema=not arguments.raw,
            program=not arguments.no_program,
            trust=parse_trust(arguments.trust),
        )
    for file in files:
        print(f"{file}  {file.stat().st_size / 1e3:.0f} kB")
