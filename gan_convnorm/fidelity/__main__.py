"""Scores of one folder of images (or a checkpoint) against another: python -m gan_convnorm.fidelity FAKES REAL."""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any

from gan_convnorm.errors import BadInput
from gan_convnorm.one_line_errors import one_line_errors
from gan_convnorm.trust import TRUST_HELP, parse_trust


def main(words: list[str] | None = None) -> None:
    """Run the command line.

    Raises:
        SystemExit: status 2 with one line on standard error for bad input.
    """
    warnings.showwarning = lambda message, *_, **__: print(f"warning: {message}", file=sys.stderr)
    arguments = _parser().parse_args(words)
    with one_line_errors():
        _run(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m gan_convnorm.fidelity",
        description="IS, FID, KID, precision and recall of images against real ones, by torch-fidelity.",
        epilog="On several processes: torchrun --nproc-per-node 2 -m gan_convnorm.fidelity FAKES REAL",
    )
    parser.add_argument("fakes", help="folder of images, or a checkpoint")
    parser.add_argument("real", help="folder of images")
    parser.add_argument("--metrics", default="isc,fid", help="of isc, fid, kid, prc, comma-separated (default isc,fid)")
    parser.add_argument("--extractor", default="inception", help="inception, dinov2, clip, vgg16 or classifier")
    parser.add_argument("--extractor-weights", type=Path, help="its weights file, in place of a download")
    parser.add_argument("--num-fake", type=int, default=50_000, help="images to generate from a checkpoint")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--isc-splits", type=int, default=10)
    parser.add_argument("--kid-subset-size", type=int)
    parser.add_argument("--seed", type=int, default=0, help="of the noise of a checkpoint's images")
    parser.add_argument("--resize", type=int, help="side in pixels to resize and centre-crop to")
    parser.add_argument("--skip-bad", action="store_true", help="leave out unreadable files")
    parser.add_argument("--device", help="cpu, cuda, cuda:1 (default: a GPU where there is one)")
    parser.add_argument("--json", type=Path, help="file to write values and protocol to, - for standard output")
    parser.add_argument("--trust", action="append", default=[], metavar="MODULE", help=TRUST_HELP)
    return parser


def _run(arguments: argparse.Namespace) -> None:
    options = vars(arguments)
    options["trust"] = parse_trust(options["trust"])
    output: Path | None = options.pop("json")
    if output is not None and str(output) != "-" and not output.absolute().parent.is_dir():
        raise BadInput(f"there is no folder {output.absolute().parent} for --json {output}")
    import torch
    import torch.distributed as dist
    from tqdm import tqdm

    from gan_convnorm.fidelity.evaluate import evaluate

    several = int(os.environ.get("WORLD_SIZE", "1")) > 1
    if several:
        dist.init_process_group("gloo")
        if options["device"] is None and torch.cuda.is_available():
            options["device"] = f"cuda:{os.environ['LOCAL_RANK']}"
    first = not several or dist.get_rank() == 0
    try:
        with tqdm(unit="image", leave=False, disable=None if first else True) as bar:

            def progress(done: int, total: int) -> None:
                if done < bar.n:
                    bar.reset(total)
                bar.total = total
                bar.update(done - bar.n)

            scores = evaluate(options.pop("fakes"), options.pop("real"), progress=progress, **options)
    finally:
        if several:
            dist.destroy_process_group()
    if not first:
        return
    found: dict[str, Any] = scores.to_dict()
    if output is not None and str(output) == "-":
        print(json.dumps(found, indent=2))
        return
    print(scores.line())
    print(scores.meaning())
    if output is not None:
        from gan_convnorm.atomic_write import atomic_write

        with atomic_write(output) as part:
            part.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
