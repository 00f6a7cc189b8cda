"""Shared parts of the cases of public functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from bad_input_cases.case import Case, call

__all__ = ["BATCH", "INF", "NAN", "accepted", "refused", "sequence"]

NAN, INF = float("nan"), float("inf")
BATCH = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))


def refused(name: str, run: Callable[..., Any], rows: list[tuple[str, dict[str, Any], str]], *quick: str) -> list[Case]:
    return [call(name, what, lambda o=options: run(**o), says, quick=what in quick) for what, options, says in rows]


def accepted(function: str, what: str, run: Callable[[], Any], **more: Any) -> Case:
    return call(function, what, run, expect="accepted", **more)


def sequence() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
