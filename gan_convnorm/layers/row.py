"""Row normalization of a layer's weight: ConvNorm's scale without its filter."""

from __future__ import annotations

from torch import Tensor, nn
from typing_extensions import override

from gan_convnorm.fourier.roots import inverse_root_above
from gan_convnorm.layers.arguments import check_number, check_whole
from gan_convnorm.layers.kernels import kernel_layout
from gan_convnorm.layers.parametrized import ExactParametrization, parametrize_weight
from gan_convnorm.layers.spectral import spectral

__all__ = ["row"]


def row(layer: nn.Module, *, min_inputs: int = 1, eps: float = 1e-4) -> nn.Module:
    """Divide each output channel's kernels by their 2-norm; this bounds ||w_k|| <= 1 and ||W|| <= sqrt(C_out).

        w_k / sqrt(||w_k||^2 + eps)

    By Parseval's theorem ||w_k||^2 is the mean over frequencies of the channel's power spectrum, by which `convnorm`
    divides frequency by frequency. So a channel has ConvNorm's scale, and its frequencies stay as uneven as they are.
    With weight normalization (Salimans & Kingma, NeurIPS 2016, arXiv:1602.07868, eq. 2) the length would be learned,
    and start at the layer's own. The operator norm of the zero-padded convolution is at most sqrt(k_h k_w) ||W||. There
    is no state.

    Args:
        layer: a linear layer or a (transposed) convolution, parametrized in place.
        min_inputs: convolutions with fewer input channels get spectral normalization, as with `convnorm`; 4, the
            default in a discriminator, selects those that see an image.
        eps: added to ||w_k||^2.

    Returns:
        The layer, whose `weight` is now the normalized one.

    Raises:
        BadInput: another module, or an option value that no layer has.

    >>> layer = row(nn.Conv2d(4, 2, 3), eps=0.0)
    >>> layer.weight.detach().flatten(1).norm(dim=1).round(decimals=4)
    tensor([1., 1.])
    """
    kernel_layout("row", layer)
    check_whole("row", "min_inputs", min_inputs)
    check_number("row", "eps", eps, least=0)
    if isinstance(layer, nn.modules.conv._ConvNd) and layer.in_channels < min_inputs:
        return spectral(layer)
    groups = layer.groups if isinstance(layer, nn.modules.conv._ConvTransposeNd) else None
    return parametrize_weight(layer, _Rows(groups, eps))


class _Rows(ExactParametrization):
    """The division of `row`; the groups are those of a transposed convolution, whose outputs are its second axis."""

    def __init__(self, groups: int | None, eps: float) -> None:
        super().__init__()
        self.groups, self.eps = groups, eps

    @override
    def normalize(self, weight: Tensor) -> Tensor:
        if self.groups is None:
            return self._divide(weight, [*range(1, weight.dim())])
        grouped = weight.unflatten(0, (self.groups, -1))
        return self._divide(grouped, [1, *range(3, grouped.dim())]).flatten(0, 1)

    def _divide(self, weight: Tensor, axes: list[int]) -> Tensor:
        return weight * inverse_root_above(weight.square().sum(axes, keepdim=True), self.eps)

    @override
    def extra_repr(self) -> str:
        return f"eps={self.eps:g}"
