"""Saved states of optimizers and schedules compared with those that they are for: torch itself checks little."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Adam, Optimizer

from gan_convnorm.errors import BadInput

__all__ = ["check_optimizer_states"]

#: entries of a parameter's state that are one number; all others have the parameter's shape
NUMBERS = ("step",)


def check_optimizer_states(checkpoint: dict[str, Any], optimizers: Sequence[Optimizer], schedules: int) -> None:
    """Raise unless a run can go on with the optimizers' states and schedules that a checkpoint has.

    The moments of Adam and SGD are compared, and of others the parameters alone. An optimizer's options are the
    module's own, whatever the file has.

    A fused optimizer reads as many numbers as the parameter has, whatever the state's size is.

    >>> weight = torch.nn.Parameter(torch.ones(3))
    >>> state = {"step": torch.tensor(1.0), "exp_avg": torch.zeros(1), "exp_avg_sq": torch.zeros(3)}
    >>> saved = {"state": {0: state}, "param_groups": [{"params": [0]}]}
    >>> checkpoint = {"optimizer_states": [saved], "lr_schedulers": [], "global_step": 1}
    >>> check_optimizer_states(checkpoint, [Adam([weight])], 0)
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: the checkpoint's optimizer 1 has exp_avg of shape (1,) for a parameter of ...

    Args:
        checkpoint: what `read_checkpoint` gave, after `check_resumable`.
        optimizers: of the module, new.
        schedules: how many schedules of learning rates the module has.

    Raises:
        BadInput: names the first difference.
    """
    advice = "; a run cannot go on exactly from it, so resume from another checkpoint"
    saved_schedules = checkpoint["lr_schedulers"]
    epochs = [state.get("last_epoch") if isinstance(state, dict) else None for state in saved_schedules]
    if len(epochs) != schedules or not all(type(epoch) is int and epoch >= 0 for epoch in epochs):
        raise BadInput(f"the checkpoint has the learning rates' schedules {epochs!s:.60}; expected {schedules}{advice}")
    for number, (saved, optimizer) in enumerate(zip(checkpoint["optimizer_states"], optimizers, strict=True), start=1):
        problem = _difference(saved, optimizer)
        # A parameter without a gradient has no state; before the first step none has, and a gradient scaler may have
        # skipped the first ones.
        began = checkpoint["global_step"] and "MixedPrecision" not in checkpoint
        if isinstance(optimizer, Adam) and began and not saved["state"]:
            problem = "has no moments of the gradients"
        if problem is not None:
            raise BadInput(f"the checkpoint's optimizer {number} {problem}{advice}")


def _difference(saved: dict[str, Any], optimizer: Optimizer) -> str | None:
    """Return how a state differs from what an optimizer can take; None if it does not."""
    groups, states = saved["param_groups"], saved["state"]
    own = [group["params"] for group in optimizer.state_dict()["param_groups"]]
    if not isinstance(groups, list) or [isinstance(g, dict) and g.get("params") for g in groups] != own:
        return f"is of other parameters; expected {sum(map(len, own))}"
    parameters: list[Tensor] = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    if not isinstance(states, dict) or not states.keys() <= set(range(len(parameters))):
        return "has a state of parameters that it does not have"
    for number, state in states.items() if isinstance(optimizer, (Adam, SGD)) else ():
        if not isinstance(state, dict):
            return f"has {type(state).__name__} as the state of parameter {number}; expected a mapping"
        if isinstance(optimizer, Adam) and not {"step", "exp_avg", "exp_avg_sq"} <= state.keys():
            return f"has no moments of the gradients of parameter {number}"
        for name, value in state.items():
            shape = () if name in NUMBERS else tuple(parameters[number].shape)
            if not isinstance(value, Tensor):
                if value is None and name not in NUMBERS:
                    continue
                return f"has {name} {value!r:.40} for parameter {number}; expected a tensor"
            if tuple(value.shape) != shape or not value.is_floating_point():
                found = (
                    f"{name} of shape {tuple(value.shape)}" if value.is_floating_point() else f"{name} of {value.dtype}"
                )
                return f"has {found} for a parameter of shape {tuple(parameters[number].shape)}"
            if not torch.isfinite(value).all():
                return f"has NaN or infinite values in {name} of parameter {number}"
    return None
