"""Networks whose layers are exchanged or fused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from bad_input_cases.case import accepted, call
from bad_input_cases.function_calls import BATCH, NAN, sequence
from gan_convnorm import layers

__all__ = ["CASES"]


def half_converted(hook: Callable[[nn.Conv2d], Any]) -> None:
    """Assert that a layer with a hook is left, with the reason, and that the network still works."""
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
    """A subclass of BatchNorm2d, as in timm."""


def reasons() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), BatchNormAct2d(4), nn.Conv2d(4, 4, 3), nn.SyncBatchNorm(4))
    _, report = layers.convert(network, "convnorm")
    assert "follows no convolution" not in str(report), report
    assert {"1", "3"} <= set(report.left) | {word for text in report.changed.values() for word in text.split()}, report


CASES = [
    *(
        accepted("convert", lambda hook=hook: half_converted(hook), f"convolution with {what}", quick=what == "pruning")
        for what, hook in (
            ("hook-style spectral norm", nn.utils.spectral_norm),
            ("hook-style weight norm", nn.utils.weight_norm),
            ("pruning", pruned),
        )
    ),
    accepted("convert", reasons, "subclasses of BatchNorm2d"),
    *(
        call("convert", run, what, says)
        for run, what, says in (
            (lambda: convert(sequence(), "foo"), "unknown norm", "foo"),
            (lambda: convert(sequence(), "convnorm", options={"a": 1}), "unknown option", "a"),
            (lambda: convert(sequence(), batch_norm="drop"), "unknown way with BatchNorm", "batch_norm.*drop"),
            (lambda: convert(sequence(), include="x*"), "pattern that matches nothing", "x\\*"),
            (lambda: convert(sequence(), exclude="*"), "all excluded", "exclude"),
            (lambda: convert(nn.Linear(2, 2)), "network without convolutions", "no Conv2d"),
        )
    ),
    *(
        call("fuse", run, what, says)
        for run, what, says in (
            (lambda: layers.fuse(sequence(), BATCH[:, :3]), "network without ConvNorm", "ConvNorm"),
            (
                lambda: layers.fuse(nn.Sequential(layers.ConvNorm2d(4, 4, 3, padding=1)), BATCH[:, :3]),
                "example of other channels",
                "channels|3",
            ),
            (
                lambda: layers.fuse(nn.Sequential(layers.ConvNorm2d(4, 4, 3, padding=1)), BATCH, tolerance=-1.0),
                "tolerance below zero",
                "tolerance",
            ),
            (
                lambda: layers.fuse(nn.Sequential(layers.ConvNorm2d(4, 4, 3, padding=1)), BATCH, tolerance=NAN),
                "tolerance NaN",
                "tolerance",
            ),
            (
                lambda: layers.fuse(nn.Sequential(layers.ConvNorm2d(4, 4, 3, padding=1)), BATCH, max_radius=0),
                "radius of zero",
                "max_radius",
            ),
        )
    ),
]
