"""All GPU measurements in under 9 minutes: a table, and JSON with --json.

    python benchmarks/gpu_suite.py --folder cifar10 --json suite.json
    python benchmarks/gpu_suite.py --smoke       # on any machine, in seconds: small sizes, whose numbers mean nothing

- speed: generator steps a second of SNGAN-32 with default settings, by norm, precision and compilation, and beside
  torch-mimicry's loop (throughput.py);
- layers: forward and backward of the normalized convolutions (convnorm_cost.py), also in TF32 and bfloat16, channels
  last, compiled; both ways of ConvNorm and the radius of a truncated filter, from which its choices are made; and
  convolutions that are one with a resampling beside two operations;
- equality: the losses of the same training again, compiled, in bf16-mixed, and on two processes, beside float32's;
- training: a short run on the digits and its FID; with --folder SNGAN-32 at full width on a folder of images, for as
  many steps as the time carries.

A part that fails, or for which no time is left, is a line of the table; the others go on. The exit status is 1 then,
and where losses are further apart than their tolerance.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import convnorm_cost
import torch
from environment import environment, in_words
from gpu_layers import Rows, layer_costs, path_costs, precision_costs, radius_costs, resampling_costs, row
from gpu_training import beside_mimicry, equality, folder_training, speed, training, two_processes
from throughput import quiet


def parts(smoke: bool) -> dict[str, Callable[[argparse.Namespace], Rows]]:
    """Return the parts, the most useful first and the longest last."""
    norms = ("convnorm",) if smoke else ("spectral", "convnorm")
    found: dict[str, Callable[[argparse.Namespace], Rows]] = {}
    for norm in norms:
        found[f"{norm}, float32, beside mimicry"] = beside_mimicry(norm)
    for norm in norms:
        for precision in ("32-true", "bf16-mixed"):
            found[f"{norm}, {precision}"] = speed(norm, precision, False)
    found["layer, precisions"] = precision_costs(compiled=False)
    found["ways of ConvNorm"] = path_costs
    found["radius of a truncated filter"] = radius_costs
    found["resampling"] = resampling_costs
    found["layer"] = layer_costs
    for norm in norms:
        found[f"training, {norm}"] = training(norm)
    for norm in norms:
        runs = ("again", "32-true", False), ("bf16-mixed", "bf16-mixed", False)
        found[f"equality, {norm}"] = equality(norm, *runs)
    if not smoke:
        found["two processes"] = two_processes
    # A third of what is left for each norm; compilers, which take minutes, have the rest.
    for norm, share in zip(norms, (1 / 3, 1 / 2), strict=False):
        found[f"folder, {norm}"] = folder_training(norm, share)
    if not smoke:
        for norm in norms:
            for precision in ("32-true", "bf16-mixed"):
                found[f"{norm}, {precision}, compiled"] = speed(norm, precision, True)
        found["layer, precisions, compiled"] = precision_costs(compiled=True)
        for norm in norms:
            found[f"equality, {norm}, compiled"] = equality(norm, ("compiled", "32-true", True))
    return found


@contextlib.contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Raise TimeoutError inside the block when the time is over."""

    def stop(*arguments: object) -> None:
        raise TimeoutError("no time was left")

    if seconds <= 0:
        stop()
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", choices=("cpu", "cuda"))
    parser.add_argument("--smoke", action="store_true", help="small sizes")
    parser.add_argument("--only", nargs="*", help="only the parts whose names contain one of these words")
    parser.add_argument("--minutes", type=float, default=8.5, help="minutes after which unfinished parts are given up")
    parser.add_argument("--folder", type=Path, help="images to train SNGAN-32 on, such as cifar10 with train/CLASS/*")
    parser.add_argument("--mimicry", type=Path, help="folder with the installed package torch_mimicry")
    parser.add_argument("--json", type=Path, help="file for the results")
    arguments = parser.parse_args(words)
    sizes = {"batch": 64, "width": 1.0, "steps": 60, "window": 10, "images": 50_000, "workers": 4, "small_width": 0.25}
    if arguments.smoke:
        sizes = {"batch": 2, "width": 0.05, "steps": 1, "window": 1, "images": 64, "workers": 0, "small_width": 0.05}
    vars(arguments).update(sizes)
    if arguments.smoke:
        convnorm_cost.BATCH = 2
    quiet()
    found = environment(arguments.device)
    print(f"{in_words(found)}\n\n| part | result | s |\n|---|---|---|")
    results: Rows = []
    start = time.monotonic()
    arguments.end = start + 60 * arguments.minutes
    for name, part in parts(arguments.smoke).items():
        if arguments.only and not any(word in name for word in arguments.only):
            continue
        began = time.monotonic()
        try:
            with deadline(arguments.end - began):
                rows = part(arguments)
        except Exception as error:
            message = " ".join(str(error).split())[:200]
            rows = [row("", f"FAILED: {type(error).__name__}: {message}", good=False)]
        seconds = time.monotonic() - began
        for each in rows:
            each["part"] = name
            what = ", ".join(filter(None, (name, each["what"])))
            print(f"| {what} | {each['result']} | {seconds:.1f} |", flush=True)
        results += rows
    if arguments.json:
        text = json.dumps({"environment": found, "sizes": sizes, "results": results}, indent=2)
        arguments.json.write_text(text + "\n")
    return 0 if all(each.get("good", True) for each in results) else 1


if __name__ == "__main__":
    sys.exit(main())
