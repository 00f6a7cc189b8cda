"""Operator norms, singular values and reports."""

from __future__ import annotations

from torch import nn

from bad_input_cases.case import call
from bad_input_cases.function_calls import NAN, accepted, sequence
from gan_convnorm import operators as spectrum

__all__ = ["CASES"]


def filled(value: float) -> nn.Conv2d:
    conv = nn.Conv2d(3, 3, 3, bias=False)
    nn.init.constant_(conv.weight, value)
    return conv


def zero(value: float) -> None:
    assert value == 0, value


CASES = [
    *(
        call(name, what, run, says)
        for name, what, run, says in (
            ("operator_norm", "layer without channels", lambda: spectrum.operator_norm(nn.ReLU(), (8, 8)), "ReLU"),
            ("operator_norm", "no size", lambda: spectrum.operator_norm(nn.Conv2d(3, 3, 3)), "input_size"),
            ("operator_norm", "size of zero", lambda: spectrum.operator_norm(nn.Conv2d(3, 3, 3), (0, 8)), "input_size"),
            (
                "operator_norm",
                "size below the kernel",
                lambda: spectrum.operator_norm(nn.Conv2d(3, 3, 5), (2, 2)),
                "input_size|kernel|smaller",
            ),
            (
                "operator_norm",
                "size with channels",
                lambda: spectrum.operator_norm(nn.Conv2d(3, 3, 3), (3, 8, 8)),
                "input_size",
            ),
            (
                "operator_norm",
                "unknown padding",
                lambda: spectrum.operator_norm(nn.Conv2d(3, 3, 3), (8, 8), padding="mirror"),
                "mirror",
            ),
            (
                "operator_norm",
                "tolerance below zero",
                lambda: spectrum.operator_norm(nn.Conv2d(3, 3, 3), (8, 8), tolerance=-1.0),
                "tolerance",
            ),
            (
                "operator_norm",
                "tolerance NaN",
                lambda: spectrum.operator_norm(nn.Conv2d(3, 3, 3), (8, 8), tolerance=NAN),
                "tolerance",
            ),
            ("singular_values", "layer of another kind", lambda: spectrum.singular_values(nn.ReLU(), (8, 8)), "ReLU"),
            (
                "singular_values",
                "stride that does not divide",
                lambda: spectrum.singular_values(nn.Conv2d(3, 3, 3, stride=2), (9, 9)),
                "stride|divi",
            ),
            (
                "singular_values",
                "size of one number",
                lambda: spectrum.singular_values(nn.Conv2d(3, 3, 3), (8,)),
                "input_size",
            ),
            (
                "lipschitz_report",
                "network without layers",
                lambda: spectrum.lipschitz_report(nn.ReLU(), (3, 8, 8)),
                "layer|parameter",
            ),
            (
                "lipschitz_report",
                "size of other channels",
                lambda: spectrum.lipschitz_report(sequence(), (5, 8, 8)),
                "channels|5",
            ),
            (
                "lipschitz_report",
                "size without channels",
                lambda: spectrum.lipschitz_report(sequence(), (8, 8)),
                "input_size|\\(8, 8\\)|channels",
            ),
        )
    ),
    call(
        "operator_norm",
        "weights that are NaN",
        lambda: spectrum.operator_norm(filled(NAN), (8, 8)),
        "NaN|finite",
        expect="clear accepted",
    ),
    accepted("operator_norm", "weights of zero", lambda: zero(spectrum.operator_norm(filled(0.0), (8, 8)))),
    accepted(
        "singular_values", "weights of zero", lambda: zero(float(spectrum.singular_values(filled(0.0), (8, 8)).max()))
    ),
]
