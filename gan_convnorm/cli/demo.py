"""The verb demo: a page in the browser to play with a trained generator."""

from __future__ import annotations

from pathlib import Path

from gan_convnorm.errors import OneLineParser, one_line_errors
from gan_convnorm.files.trust import TRUST_HELP, parse_trust

__all__ = ["main"]

#: the checkpoint of a run folder that is shown, the first that is there
CHECKPOINTS = ("best.ckpt", "last.ckpt")


def main(words: list[str] | None = None) -> None:
    """Run the command line, until Ctrl-C.

    Bad input ends in `SystemExit` with status 2 and one line on standard error.

    >>> main(["--port", "many", "run"])
    Traceback (most recent call last):
    SystemExit: 2
    """
    parser = OneLineParser(
        prog="gan-convnorm demo",
        description="Serve a page to play with a trained generator: seed, class, truncation, interpolation between two "
        "samples, nearest training images. It needs no network.",
    )
    parser.add_argument("source", type=Path, help="a run's folder, a .ckpt file, or an exported generator or GAN")
    parser.add_argument(
        "--train-images", type=Path, metavar="DIR", help="folder of the training images, where the run's are not found"
    )
    parser.add_argument("--port", type=int, default=7860, help="port of the page (default: 7860)")
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    parser.add_argument("--trust", action="append", default=[], metavar="MODULE", help=TRUST_HELP)
    arguments = parser.parse_args(words)
    with one_line_errors():
        # They need torch, and the help does not.
        from gan_convnorm.cli.demo_images import train_images
        from gan_convnorm.gan.loading import load
        from gan_convnorm.inference.demo_page import serve
        from gan_convnorm.inference.playground import Playground

        source = _checkpoint_in(arguments.source)
        sampler = load(source, trust=parse_trust(arguments.trust))
        train = train_images(sampler, source, arguments.train_images)
        title = f"{arguments.source.name}, step {int(sampler.g_step)}"
        serve(Playground(sampler, train), title, arguments.port, open_browser=arguments.open)


def _checkpoint_in(source: Path) -> Path:
    """Return a run folder's checkpoint, or the source itself."""
    return next((path for name in CHECKPOINTS if (path := source / name).is_file()), source)
