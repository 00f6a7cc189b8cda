"""Attacks and corruptions as functions."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from bad_input_cases.case import Case, call

__all__ = ["CASES"]


def attack(name: str, what: str, run: Any, says: str = "", **more: Any) -> Case:
    return call(name, what, run, says, **more)


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(48, 3)).eval()


def images(value: float = 0.5) -> torch.Tensor:
    return torch.full((2, 3, 4, 4), value)


TRUTH = torch.tensor([0, 1])


def attacks() -> list[Case]:
    from gan_convnorm.robustness.attacks import fgsm, pgd, spsa, square

    random = torch.Generator().manual_seed(0)
    found = []
    for name, run in {
        "fgsm": lambda **o: fgsm(model(), **{"images": images(), "labels": TRUTH, "eps": 0.03} | o),
        "pgd": lambda **o: pgd(
            model(), **{"images": images(), "labels": TRUTH, "eps": 0.03, "step": 0.01, "steps": 2} | o
        ),
        "spsa": lambda **o: spsa(
            model(),
            **{"images": images(), "labels": TRUTH, "eps": 0.03, "steps": 2, "samples": 2, "random": random} | o,
        ),
        "square": lambda **o: square(
            model(), **{"images": images(), "labels": TRUTH, "eps": 0.03, "queries": 3, "random": random} | o
        ),
    }.items():
        for what, options, says in (
            ("normalized images", {"images": images(-1.5)}, r"\[0, 1\]|0 to 1"),
            ("images of bytes", {"images": images().mul(255).byte()}, "uint8|float"),
            ("images up to 255", {"images": images(200.0)}, r"\[0, 1\]|0 to 1"),
            ("images that are NaN", {"images": images(float("nan"))}, "NaN|finite|0, 1"),
            ("negative eps", {"eps": -0.1}, "eps"),
            ("eps that is NaN", {"eps": float("nan")}, "eps"),
            ("labels of another length", {"labels": torch.tensor([0])}, "labels|target"),
            ("labels of floats", {"labels": torch.tensor([0.0, 1.0])}, "labels|dtype"),
            ("labels that are no class", {"labels": torch.tensor([0, 7])}, "labels|target 7|index 7"),
        ):
            found.append(
                attack(name, what, lambda run=run, options=options: run(**options), says, quick=what.startswith("norm"))
            )
    found.append(attack("pgd", "no steps", lambda: pgd(model(), images(), TRUTH, eps=0.1, step=0.1, steps=0), "steps"))
    found.append(
        attack("pgd", "step below zero", lambda: pgd(model(), images(), TRUTH, eps=0.1, step=-1.0, steps=2), "step")
    )

    def flat() -> None:
        import warnings

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            fgsm(lambda x: x.flatten(1)[:, :3] * 0, images(), TRUTH, eps=0.1)
        assert any("zero" in str(warning.message) for warning in caught), "no warning of a gradient that is zero"

    return [*found, attack("fgsm", "gradient of zero", flat, expect="accepted")]


def corruptions() -> list[Case]:
    from gan_convnorm.robustness.corruptions import corrupt

    pixels = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    return [
        call("corrupt", what, run, says)
        for what, run, says in (
            ("unknown name", lambda: corrupt(pixels, "rain", 1), "rain"),
            ("severity 0", lambda: corrupt(pixels, "fog", 0), "severity.*0"),
            ("severity 6", lambda: corrupt(pixels, "fog", 6), "severity.*6"),
            ("severity 1.5", lambda: corrupt(pixels, "fog", 1.5), "severity.*1.5"),  # type: ignore[arg-type]
            ("floats", lambda: corrupt(pixels.float(), "fog", 1), "float|uint8"),
            ("one image", lambda: corrupt(pixels[0], "fog", 1), "shape|\\(3, 8, 8\\)"),
            ("two channels", lambda: corrupt(pixels[:, :2], "fog", 1), "2"),
            ("seed below zero", lambda: corrupt(pixels, "fog", 1, seed=-1), "seed"),
        )
    ]


CASES = [*attacks(), *corruptions()]
