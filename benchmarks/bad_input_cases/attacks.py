"""Attacks and corruptions as functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from bad_input_cases.case import Case, accepted, calls

__all__ = ["CASES"]


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(48, 3)).eval()


def images(value: float = 0.5) -> torch.Tensor:
    return torch.full((2, 3, 4, 4), value)


TRUTH = torch.tensor([0, 1])


def attacks() -> list[Case]:
    from gan_convnorm.robustness.attacks import fgsm, pgd, spsa, square

    rng = torch.Generator().manual_seed(0)
    given = {"images": images(), "labels": TRUTH, "eps": 0.03}
    functions: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
        "fgsm": (fgsm, given),
        "pgd": (pgd, {**given, "step": 0.01, "steps": 2}),
        "spsa": (spsa, {**given, "steps": 2, "samples": 2, "rng": rng}),
        "square": (square, {**given, "queries": 3, "rng": rng}),
    }
    rows = [
        ({"images": images(-1.5)}, "normalized images", r"\[0, 1\]|0 to 1"),
        ({"images": images().mul(255).byte()}, "images of bytes", "uint8|float"),
        ({"images": images(200.0)}, "images up to 255", r"\[0, 1\]|0 to 1"),
        ({"images": images(float("nan"))}, "images that are NaN", "NaN|finite|0, 1"),
        ({"eps": -0.1}, "negative eps", "eps"),
        ({"eps": float("nan")}, "eps that is NaN", "eps"),
        ({"labels": torch.tensor([0])}, "labels of another length", "labels|target"),
        ({"labels": torch.tensor([0.0, 1.0])}, "labels of floats", "labels|dtype"),
        ({"labels": torch.tensor([0, 7])}, "labels that are no class", "labels|target 7|index 7"),
    ]
    more = {"pgd": [({"steps": 0}, "no steps", "steps"), ({"step": -1.0}, "step below zero", "step")]}
    found = []
    for name, (function, options) in functions.items():

        def run(function: Any = function, options: Any = options, **changes: Any) -> Any:
            return function(model(), **options | changes)

        found += calls(name, run, [*rows, *more.get(name, [])], "normalized images")

    def flat() -> None:
        import warnings

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            fgsm(lambda x: x.flatten(1)[:, :3] * 0, images(), TRUTH, eps=0.1)
        assert any("zero" in str(warning.message) for warning in caught), "no warning of a gradient that is zero"

    return [*found, accepted("fgsm", flat, "gradient of zero")]


def corruptions() -> list[Case]:
    from gan_convnorm.robustness.corruptions import corrupt

    pixels = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    return calls(
        "corrupt",
        lambda **changes: corrupt(**{"images": pixels, "name": "fog", "severity": 1} | changes),
        [
            ({"name": "rain"}, "unknown name", "rain"),
            ({"severity": 0}, "severity 0", "severity.*0"),
            ({"severity": 6}, "severity 6", "severity.*6"),
            ({"severity": 1.5}, "severity 1.5", "severity.*1.5"),
            ({"images": pixels.float()}, "floats", "float|uint8"),
            ({"images": pixels[0]}, "one image", "shape|\\(3, 8, 8\\)"),
            ({"images": pixels[:, :2]}, "two channels", "2"),
            ({"seed": -1}, "seed below zero", "seed"),
        ],
    )


CASES = [*attacks(), *corruptions()]
