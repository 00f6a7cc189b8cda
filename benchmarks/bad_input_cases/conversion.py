"""Networks whose layers are exchanged or fused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from bad_input_cases.case import call
from bad_input_cases.function_calls import BATCH, NAN, accepted, sequence
from gan_convnorm import layers

__all__ = ["CASES"]


def half_converted(hook: Callable[[nn.Conv2d], Any]) -> None:
    """A network with a hook is converted where it can be, or refused and left as it was."""
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3))
    hook(network[2])
    _, report = layers.convert(network, "convnorm")
    assert "2" in report.left, report
    assert "hook" in report.left["2"] or "parametrized" in report.left["2"], report.left
    network(BATCH[:, :3])


def pruned(conv: nn.Conv2d) -> None:
    from torch.nn.utils import prune

    prune.random_unstructured(conv, "weight", 0.5)


def convert(network: Any, *arguments: Any, **options: Any) -> Any:
    return layers.convert(network, *arguments, **options)


class BatchNormAct2d(nn.BatchNorm2d):
    """As timm has it."""


def reasons() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), BatchNormAct2d(4), nn.Conv2d(4, 4, 3), nn.SyncBatchNorm(4))
    _, report = layers.convert(network, "convnorm")
    assert "follows no convolution" not in str(report), report
    assert {"1", "3"} <= set(report.left) | {word for text in report.changed.values() for word in text.split()}, report


CASES = [
    *(
        accepted("convert", f"convolution with {what}", lambda hook=hook: half_converted(hook), quick=what == "pruning")
        for what, hook in (
            ("hook-style spectral norm", nn.utils.spectral_norm),
            ("hook-style weight norm", nn.utils.weight_norm),
            ("pruning", pruned),
        )
    ),
    accepted("convert", "subclasses of BatchNorm2d", reasons),
    *(
        call("convert", what, run, says)
        for what, run, says in (
            ("unknown norm", lambda: convert(sequence(), "foo"), "foo"),
            ("unknown option", lambda: convert(sequence(), "convnorm", options={"a": 1}), "a"),
            ("unknown way with BatchNorm", lambda: convert(sequence(), batch_norm="drop"), "batch_norm.*drop"),
            ("pattern that matches nothing", lambda: convert(sequence(), include="x*"), "x\\*"),
            ("all excluded", lambda: convert(sequence(), exclude="*"), "exclude"),
            ("network without convolutions", lambda: convert(nn.Linear(2, 2)), "no Conv2d"),
        )
    ),
    *(
        call("fuse", what, run, says)
        for what, run, says in (
            ("network without ConvNorm", lambda: layers.fuse(sequence(), BATCH[:, :3]), "ConvNorm"),
            (
                "example of other channels",
                lambda: layers.fuse(nn.Sequential(layers.ConvNorm2d(4, 4, 3, padding=1)), BATCH[:, :3]),
                "channels|3",
            ),
            (
                "tolerance below zero",
                lambda: layers.fuse(nn.Sequential(layers.ConvNorm2d(4, 4, 3, padding=1)), BATCH, tolerance=-1.0),
                "tolerance",
            ),
            (
                "tolerance NaN",
                lambda: layers.fuse(nn.Sequential(layers.ConvNorm2d(4, 4, 3, padding=1)), BATCH, tolerance=NAN),
                "tolerance",
            ),
            (
                "radius of zero",
                lambda: layers.fuse(nn.Sequential(layers.ConvNorm2d(4, 4, 3, padding=1)), BATCH, max_radius=0),
                "max_radius",
            ),
        )
    ),
]
