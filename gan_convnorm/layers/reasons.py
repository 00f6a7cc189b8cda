"""Why a layer cannot be exchanged without changing what a network computes."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.utils import parametrize

__all__ = ["hook_of", "is_batch_norm", "why_no_plain_batch_norm", "why_no_plain_convolution"]

HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")


def why_no_plain_convolution(module: nn.Module) -> str | None:
    """Return why a module is not a plain `nn.Conv2d`; None if it is one, or no convolution at all.

    >>> why_no_plain_convolution(nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 8, 3)))
    'parametrized already'
    """
    if isinstance(module, LazyModuleMixin) and isinstance(module, nn.Conv2d):
        return f"is a {type(module).__name__}, whose weights do not exist yet; run the network once first"
    if not isinstance(module, nn.Conv2d):
        quantized = "quantized" in type(module).__module__ and type(module).__name__.endswith("Conv2d")
        return f"is quantized ({_kind(module)})" if quantized else None
    if parametrize.is_parametrized(module):
        return "parametrized already"
    if type(module) is not nn.Conv2d:
        return f"is a {_kind(module)}"
    hook = hook_of(module)
    return None if hook is None else f"has {hook}"


def is_batch_norm(module: nn.Module) -> bool:
    """Return True for BatchNorm2d, SyncBatchNorm, their subclasses, and any module with running_mean and running_var.

    >>> is_batch_norm(nn.BatchNorm2d(8)), is_batch_norm(nn.InstanceNorm2d(8))
    (True, False)
    """
    if isinstance(module, _NormBase):
        return isinstance(module, _BatchNorm) and not isinstance(module, (nn.BatchNorm1d, nn.BatchNorm3d))
    # Not by getattr, which would compute a parametrized weight, and advance its state.
    return all(isinstance(module._buffers.get(name), Tensor) for name in ("running_mean", "running_var"))


def why_no_plain_batch_norm(module: nn.Module) -> str | None:
    """Return why a batch normalization differs from `nn.BatchNorm2d`; None if it does not.

    >>> why_no_plain_batch_norm(nn.SyncBatchNorm(8))
    'is a SyncBatchNorm'
    """
    if not isinstance(module, nn.BatchNorm2d):
        return f"is a {_kind(module)}"
    if type(module).forward is not nn.BatchNorm2d.forward:
        return f"is a {_kind(module)}, whose forward is not BatchNorm2d's and may do more than normalize"
    hook = hook_of(module)
    return None if hook is None else f"has {hook}"


def hook_of(module: nn.Module) -> str | None:
    """Return the hook or forward on a module that a replacement would lose; None if it has none.

    >>> hook_of(nn.Conv2d(3, 8, 3)) is None
    True
    """
    hooks = [hook for name in HOOKS for hook in getattr(module, name).values()]
    names = ", ".join(dict.fromkeys(getattr(hook, "__name__", type(hook).__name__) for hook in hooks))
    if isinstance(getattr(module, "weight", None), Tensor) and not {"weight"} & {*module._parameters, *module._buffers}:
        return f"a hook ({names or 'unknown'}) that computes its weight; remove it first"
    if hooks:
        return f"a hook ({names}), which another layer would lose"
    return "a forward of its own, which another layer would lose" if "forward" in vars(module) else None


def _kind(module: nn.Module) -> str:
    """Return the name of a module's class, with its Python module where the name alone would mislead."""
    kind = type(module)
    return f"{kind.__module__}.{kind.__name__}" if kind.__name__ in ("Conv2d", "BatchNorm2d") else kind.__name__
