"""Self-attention over all positions of a feature map."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from gan_convnorm.errors import BadInput
from gan_convnorm.layers.registry import Norm

__all__ = ["SelfAttention", "attention_index"]


class SelfAttention(nn.Module):
    """Self-attention of SAGAN (Zhang et al., ICML 2019, arXiv:1805.08318, eqs. 1-3).

    It computes x + gamma v(sum_j softmax_j(<f(x_i), g(x_j)>) h(x_j)), with gamma 0 at first.

    As in the authors' code, f and g have an eighth of the channels and h a half, and g and h are max-pooled to a
    quarter of the positions. The four 1x1 convolutions have no bias and are normalized like all others.

    Args:
        channels: channels of the features.
        norm: the network's normalization.
        initialize: initializes a convolution's weight in place.

    >>> attention = SelfAttention(8, Norm(), nn.init.xavier_uniform_)
    >>> features = torch.rand(2, 8, 4, 4)
    >>> torch.equal(attention(features), features)  # gamma starts at 0
    True
    """

    def __init__(self, channels: int, norm: Norm, initialize: Callable[[Tensor], object]) -> None:
        super().__init__()
        few, half = max(1, channels // 8), max(1, channels // 2)
        self.query, self.key, self.value, self.output = (
            norm.conv(_pointwise(*shape, initialize))
            for shape in ((channels, few), (channels, few), (channels, half), (half, channels))
        )
        # ceil_mode: an odd side loses no row, and a side of 1 remains.
        self.pool = nn.MaxPool2d(2, ceil_mode=True)
        self.gain = nn.Parameter(torch.zeros(()))

    def forward(self, features: Tensor) -> Tensor:
        """Return attended features, (B, channels, H, W) to the same shape."""
        query = self.query(features).flatten(2)
        key = self.pool(self.key(features)).flatten(2)
        value = self.pool(self.value(features)).flatten(2)
        # Not scaled_dot_product_attention: its kernels have no second derivative, which gradient penalties need.
        weights = (query.mT @ key).softmax(dim=2)
        attended: Tensor = self.output((value @ weights.mT).unflatten(2, features.shape[2:]))
        return features + self.gain * attended


def attention_index(network: str, sides: list[int], attention: int | None) -> int | None:
    """Return the number of the first block whose output has the side that is asked for, None for no attention.

    Args:
        network: for the message.
        sides: shorter side of every block's output, in pixels.
        attention: the side; None for no attention.

    Returns:
        A number from 0.

    Raises:
        BadInput: no block has this side.

    >>> attention_index("generator", [8, 16, 32], 16)
    1
    >>> attention_index("generator", [8, 16, 32], 64)
    Traceback (most recent call last):
    gan_convnorm.errors.BadInput: attention is 64, and the generator's feature maps have sides of: 8, 16, 32
    """
    if attention is None:
        return None
    if attention not in sides:
        choices = ", ".join(str(side) for side in dict.fromkeys(sides))
        raise BadInput(f"attention is {attention}, and the {network}'s feature maps have sides of: {choices}")
    return sides.index(attention)


def _pointwise(in_channels: int, out_channels: int, initialize: Callable[[Tensor], object]) -> nn.Conv2d:
    conv = nn.Conv2d(in_channels, out_channels, 1, bias=False)
    initialize(conv.weight)
    return conv
