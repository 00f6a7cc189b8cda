"""Operator norms, singular values and reports."""

from __future__ import annotations

from torch import nn

from bad_input_cases.case import accepted, call
from bad_input_cases.function_calls import NAN, sequence
from gan_convnorm import operators

__all__ = ["CASES"]


def filled(value: float) -> nn.Conv2d:
    conv = nn.Conv2d(3, 3, 3, bias=False)
    nn.init.constant_(conv.weight, value)
    return conv


def zero(value: float) -> None:
    assert value == 0, value


CASES = [
    *(
        call(name, run, what, says)
        for name, run, what, says in (
            ("operator_norm", lambda: operators.operator_norm(nn.ReLU(), (8, 8)), "layer without channels", "ReLU"),
            ("operator_norm", lambda: operators.operator_norm(nn.Conv2d(3, 3, 3)), "no size", "input_size"),
            (
                "operator_norm",
                lambda: operators.operator_norm(nn.Conv2d(3, 3, 3), (0, 8)),
                "size of zero",
                "input_size",
            ),
            (
                "operator_norm",
                lambda: operators.operator_norm(nn.Conv2d(3, 3, 5), (2, 2)),
                "size below the kernel",
                "input_size|kernel|smaller",
            ),
            (
                "operator_norm",
                lambda: operators.operator_norm(nn.Conv2d(3, 3, 3), (3, 8, 8)),
                "size with channels",
                "input_size",
            ),
            (
                "operator_norm",
                lambda: operators.operator_norm(nn.Conv2d(3, 3, 3), (8, 8), padding="mirror"),
                "unknown padding",
                "mirror",
            ),
            (
                "operator_norm",
                lambda: operators.operator_norm(nn.Conv2d(3, 3, 3), (8, 8), tolerance=-1.0),
                "tolerance below zero",
                "tolerance",
            ),
            (
                "operator_norm",
                lambda: operators.operator_norm(nn.Conv2d(3, 3, 3), (8, 8), tolerance=NAN),
                "tolerance NaN",
                "tolerance",
            ),
            ("singular_values", lambda: operators.singular_values(nn.ReLU(), (8, 8)), "layer of another kind", "ReLU"),
            (
                "singular_values",
                lambda: operators.singular_values(nn.Conv2d(3, 3, 3, stride=2), (9, 9)),
                "stride that does not divide",
                "stride|divi",
            ),
            (
                "singular_values",
                lambda: operators.singular_values(nn.Conv2d(3, 3, 3), (8,)),
                "size of one number",
                "input_size",
            ),
            (
                "lipschitz_report",
                lambda: operators.lipschitz_report(nn.ReLU(), (3, 8, 8)),
                "network without layers",
                "layer|parameter",
            ),
            (
                "lipschitz_report",
                lambda: operators.lipschitz_report(sequence(), (5, 8, 8)),
                "size of other channels",
                "channels|5",
            ),
            (
                "lipschitz_report",
                lambda: operators.lipschitz_report(sequence(), (8, 8)),
                "size without channels",
                "input_size|\\(8, 8\\)|channels",
            ),
        )
    ),
    call(
        "operator_norm",
        lambda: operators.operator_norm(filled(NAN), (8, 8)),
        "weights that are NaN",
        "NaN|finite",
        expect="clear accepted",
    ),
    accepted("operator_norm", lambda: zero(operators.operator_norm(filled(0.0), (8, 8))), "weights of zero"),
    accepted(
        "singular_values", lambda: zero(float(operators.singular_values(filled(0.0), (8, 8)).max())), "weights of zero"
    ),
]
