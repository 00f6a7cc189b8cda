"""The operators that a ConvNorm layer is made of: tight frames Q, then R Q with gain and affine, then BN R Q."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from gan_convnorm.operators.layer_operator import layer_operator, variant
from gan_convnorm.operators.linear_operator import LinearOperator, ScaledOutputs

__all__ = ["batch_norm_scale", "convnorm_parts"]


def batch_norm_scale(batch_norm: _BatchNorm) -> Tensor | None:
    """Return what a BatchNorm in evaluation multiplies channel k by: gamma_k / sqrt(var_k + eps).

    Returns:
        Shape (C,); None where the BatchNorm has no running statistics.

    >>> batch_norm_scale(nn.BatchNorm2d(2, eps=0.0)).tolist()
    [1.0, 1.0]
    """
    if batch_norm.running_var is None:
        return None
    scale = (batch_norm.running_var + batch_norm.eps).rsqrt()
    return scale if batch_norm.weight is None else scale * batch_norm.weight


def convnorm_parts(
    layer: nn.Module, input_size: Sequence[int], batch_norm: _BatchNorm | None
) -> dict[str, LinearOperator] | None:
    """Return the operators of a ConvNorm layer's parts, cropped and strided as the layer is.

    A ConvNorm layer is known by its `affine_weight`, that of 2021 by its modules `affine` and `batch_norm`.

    >>> from gan_convnorm.layers import ConvNorm2d
    >>> parts = convnorm_parts(ConvNorm2d(3, 8, 3, gain=0.5), (6, 6), nn.BatchNorm2d(8))
    >>> {name: part.output_shape for name, part in parts.items()}
    {'q': (8, 4, 4), 'rq': (8, 4, 4), 'bn_rq': (8, 4, 4)}

    Args:
        layer: any layer.
        input_size: pixels of its input.
        batch_norm: the BatchNorm that follows it, if one does.

    Returns:
        "q": without gain and affine, of norm sqrt(C_out / groups) at most. "rq": with both, the layer as it is.
        "bn_rq": with the BatchNorm in evaluation, where there is one. None for a layer that is not ConvNorm's.
    """
    if hasattr(layer, "affine_weight") and hasattr(layer, "transfer_function"):
        given: Any = layer.options  # its options, without those of gain and affine
        options = replace(given, affine=None, gain=1.0, max_gain=None)
        frames, whole = variant(layer, options=options, affine_weight=None, gain_logit=None), layer
    elif isinstance(getattr(layer, "affine", None), nn.Module) and hasattr(layer, "running_preconditioner"):
        whole = variant(layer, batch_norm=nn.Identity())
        frames = variant(whole, affine=nn.Identity())
        inner = getattr(layer, "batch_norm", None)
        batch_norm = inner if isinstance(inner, _BatchNorm) else batch_norm
    else:
        return None
    parts: dict[str, LinearOperator] = {
        "q": layer_operator(frames, input_size),
        "rq": layer_operator(whole, input_size),
    }
    scale = None if batch_norm is None else batch_norm_scale(batch_norm)
    if scale is not None:
        parts["bn_rq"] = ScaledOutputs(parts["rq"], scale)
    return parts
