"""The verb export: a checkpoint's generator for other programs."""

from __future__ import annotations

from pathlib import Path

from gan_convnorm.errors import OneLineParser, one_line_errors
from gan_convnorm.files.trust import TRUST_HELP, parse_trust

__all__ = ["main"]


def main(words: list[str] | None = None) -> None:
    """Run the command line.

    Bad input ends in `SystemExit` with status 2 and one line on standard error.

    >>> main(["--license", "mit", "best.ckpt", "exported"])  # a line of the model card, without --pretrained
    Traceback (most recent call last):
    SystemExit: 2
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
    parser.add_argument(
        "--onnx", action="store_true", help="also generator.onnx, latents to float images in [-1, 1], any batch size"
    )
    parser.add_argument(
        "--pretrained",
        action="store_true",
        help="in place of these, the whole GAN with a model card, as GAN.from_pretrained and the Hugging Face Hub read "
        "it; scores are those of the run in the checkpoint's folder",
    )
    parser.add_argument("--license", help="of the weights, for the model card, such as mit")
    parser.add_argument("--trust", action="append", default=[], metavar="MODULE", help=TRUST_HELP)
    arguments = parser.parse_args(words)
    trust = parse_trust(arguments.trust)
    if arguments.pretrained and (arguments.raw or arguments.no_program or arguments.onnx):
        parser.error("--pretrained writes the whole GAN; leave out --raw, --no-program and --onnx")
    if arguments.license and not arguments.pretrained:
        parser.error("--license is a line of the model card; add --pretrained")
    with one_line_errors():
        # They need torch, and the help does not.
        from gan_convnorm.gan.export import export
        from gan_convnorm.gan.loading import load_gan

        if arguments.pretrained:
            gan = load_gan(arguments.checkpoint, trust=trust)
            run = arguments.checkpoint.parent
            recorded = run if (run / "config.yaml").is_file() else None
            files = gan.save_pretrained(arguments.folder, run=recorded, license=arguments.license)
        else:
            files = export(
                arguments.checkpoint,
                arguments.folder,
                ema=not arguments.raw,
                program=not arguments.no_program,
                onnx=arguments.onnx,
                trust=trust,
            )
        for file in files:
            print(f"{file}  {file.stat().st_size / 1e3:.0f} kB", flush=True)
