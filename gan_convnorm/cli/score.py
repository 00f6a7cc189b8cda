"""The verb score: images or a checkpoint against real images."""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gan_convnorm.cli.process_state import importing_libraries
from gan_convnorm.errors import BadInput, OneLineParser, one_line_errors
from gan_convnorm.files.atomic_write import atomic_write, check_replaceable
from gan_convnorm.files.trust import TRUST_HELP, parse_trust
from gan_convnorm.progress import Progress

#: entries of the file that --json writes
KEYS = {"values", "protocol", "ranks"}
#: variables that torchrun sets, without which a process waits for the others without end
TORCHRUN = ("WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


def main(words: list[str] | None = None) -> None:
    """Run the command line.

    Bad input ends in `SystemExit` with status 2 and one line on standard error.

    >>> main(["fakes", "real", "--num-fake", "0"])
    Traceback (most recent call last):
    SystemExit: 2
    """
    warnings.showwarning = lambda message, *_, **__: print(f"warning: {message}", file=sys.stderr)
    with one_line_errors():
        arguments = _parser().parse_args(words)
        _run(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="gan-convnorm score",
        description="IS, FID, KID, precision and recall of images against real ones, by torch-fidelity.",
        epilog="On several processes: torchrun --nproc-per-node 2 -m gan_convnorm score FAKES REAL",
    )
    parser.add_argument("fakes", help="folder of images, .npz or .npy file of uint8 images, or a checkpoint")
    parser.add_argument("real", help="folder of images, a file as above, or an .npz of statistics mu and sigma")
    parser.add_argument("--metrics", default="isc,fid", help="of isc, fid, kid, prc, comma-separated (default isc,fid)")
    parser.add_argument(
        "--extractor", default="inception", help="inception (default), dinov2, clip, vgg16 or classifier"
    )
    parser.add_argument("--extractor-weights", type=Path, help="its weights file, in place of a download")
    parser.add_argument(
        "--num-fake", type=int, default=50_000, help="images to generate from a checkpoint (default 50000)"
    )
    parser.add_argument(
        "--batch-size", type=int, default=64, help="images in one forward of the extractor (default 64)"
    )
    parser.add_argument("--isc-splits", type=int, default=10, help="splits of the Inception Score (default 10)")
    parser.add_argument("--kid-subset-size", type=int, help="images in each subset of KID (default 1000, or fewer)")
    parser.add_argument("--seed", type=int, default=0, help="of the latents of a checkpoint's images")
    parser.add_argument("--resize", help="side in pixels, or HEIGHTxWIDTH, to resize and centre-crop to")
    parser.add_argument("--skip-bad", action="store_true", help="omit unreadable files")
    parser.add_argument("--device", help="cpu, cuda, cuda:1 (default: a GPU where there is one)")
    parser.add_argument("--json", type=Path, help="file to write values and protocol to, - for standard output")
    parser.add_argument(
        "--save-statistics", type=Path, metavar="FILE", help=".npz for the mu and sigma of the real images"
    )
    parser.add_argument("--trust", action="append", default=[], metavar="MODULE", help=TRUST_HELP)
    parser.add_argument(
        "--overwrite", action="store_true", help="let --json and --save-statistics replace a file of any other kind"
    )
    return parser


def _run(arguments: argparse.Namespace) -> None:
    options = vars(arguments)
    trust = parse_trust(options.pop("trust"))
    output: Path | None = options.pop("json")
    if output is not None and str(output) != "-" and not output.absolute().parent.is_dir():
        raise BadInput(f"there is no folder {output.absolute().parent} for --json {output}")
    overwrite = options.pop("overwrite")
    if output is not None and str(output) != "-":
        check_replaceable(output, _is_ours, overwrite)
    for name, least in (("num_fake", 1), ("seed", 0)):
        if not least <= options[name] < 2**63:
            raise BadInput(f"--{name.replace('_', '-')} is {options[name]}, and must be from {least} to below 2**63")
    several = _several_processes()
    with importing_libraries():
        import torch
        import torch.distributed as dist

        from gan_convnorm.fidelity.evaluate import evaluate

    if several:
        dist.init_process_group("gloo")
        if options["device"] is None and torch.cuda.is_available():
            options["device"] = f"cuda:{os.environ['LOCAL_RANK']}"
    first = not several or dist.get_rank() == 0
    try:
        with Progress("scoring", "images") as progress:
            fakes, real = (_source(options.pop(name), options["device"], trust) for name in ("fakes", "real"))
            scores = evaluate(fakes, real, progress=progress.update, overwrite=overwrite, **options)
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
    if options["save_statistics"] is not None:
        print(f"statistics of the real images: {options['save_statistics']}")
    if output is not None:
        with atomic_write(output) as part:
            part.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def _source(word: str, device: str | None, trust: Sequence[str]) -> Any:  # noqa: ANN401
    """Return the sampler in a checkpoint or an exported generator's file; a folder or a file of arrays as it is."""
    path = Path(word)
    if not path.is_file() or path.suffix.lower() in (".npz", ".npy"):
        return word
    from gan_convnorm.devices import usable_device
    from gan_convnorm.gan.loading import load

    return load(path, usable_device(device), trust=trust)


def _is_ours(path: Path) -> bool:
    """Tell whether this command wrote a file."""
    if path.stat().st_size > 1_000_000:  # a checkpoint, say
        return False
    content = json.loads(path.read_text(encoding="utf-8"))
    return isinstance(content, dict) and set(content) == KEYS


def _several_processes() -> bool:
    """Return whether torchrun started several processes, this one among them.

    Raises:
        BadInput: some of torchrun's variables are set, perhaps by another job, and others are not.
    """
    size = os.environ.get("WORLD_SIZE", "1")
    if not size.isdecimal() or int(size) < 1:
        raise BadInput(f"the environment has WORLD_SIZE={size}; expected a number of processes, as torchrun sets it")
    missing = [name for name in TORCHRUN if name not in os.environ]
    if int(size) > 1 and missing:
        raise BadInput(
            f"the environment has WORLD_SIZE={size} and no {', '.join(missing)}: another job has left it; run it as "
            "'env -u WORLD_SIZE ...', or start the processes with torchrun"
        )
    return int(size) > 1
