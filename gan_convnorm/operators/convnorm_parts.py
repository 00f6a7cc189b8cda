"""ConvNorm's operators one by one: the tight frames Q, with what is learned R Q, with the BatchNorm after it BN R Q."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from gan_convnorm.operators.linear_map import variant
from gan_convnorm.operators.operator_norm import operator_norm

__all__ = ["FoldedBatchNorm", "convnorm_norms"]


class FoldedBatchNorm(nn.Module):
    """A layer and the BatchNorm after it as one linear layer: channel k times gamma_k / sqrt(var_k + eps).

    Of the running statistics, as in evaluation; of none where BatchNorm tracks none.
    """

    def __init__(self, layer: nn.Module, batch_norm: _BatchNorm) -> None:
        super().__init__()
        self.layer = layer
        self.in_channels, self.groups = layer.in_channels, 1
        self.batch_norm = batch_norm

    def forward(self, image: Tensor) -> Tensor:
        norm = self.batch_norm
        output = self.layer(image)
        assert norm.running_var is not None
        scale = (norm.running_var + norm.eps).rsqrt()
        scale = scale if norm.weight is None else scale * norm.weight
        return output * scale.view(-1, *[1] * (output.dim() - 2))


def convnorm_norms(
    layer: nn.Module, input_size: Sequence[int], batch_norm: _BatchNorm | None, *, tolerance: float
) -> dict[str, float] | None:
    """Operator norms of a ConvNorm layer's parts, on the image and cropped and strided as the layer does.

    ConvNorm layers are known by their `affine_weight`, that of 2021 by its modules `affine` and `batch_norm`.

    Args:
        layer: any layer.
        input_size: pixels of its input.
        batch_norm: the BatchNorm that follows it, if one does.
        tolerance: relative.

    Returns:
        "q": without gain and affine, sqrt(C_out / groups) at most. "rq": with both, the layer as it is. "bn_rq": with
        the BatchNorm of evaluation, where there is one. None for a layer that is no ConvNorm.
    """
    parts: Any = layer
    if hasattr(layer, "affine_weight") and hasattr(layer, "transfer_function"):
        frames, whole = variant(layer, affine=None, affine_weight=None, gain=1.0), layer
    elif isinstance(getattr(layer, "affine", None), nn.Module) and hasattr(layer, "running_preconditioner"):
        whole = variant(layer, batch_norm=nn.Identity())
        frames = variant(whole, affine=nn.Identity())
        if isinstance(parts.batch_norm, _BatchNorm):
            batch_norm = parts.batch_norm
    else:
        return None
    norms = {
        "q": operator_norm(frames, input_size, tolerance=tolerance),
        "rq": operator_norm(whole, input_size, tolerance=tolerance),
    }
    if batch_norm is not None and batch_norm.running_var is not None:
        norms["bn_rq"] = operator_norm(FoldedBatchNorm(whole, batch_norm), input_size, tolerance=tolerance)
    return norms
