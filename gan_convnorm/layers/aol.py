"""Almost-orthogonal Lipschitz layers: input channels rescaled by what their kernels have in common."""

from __future__ import annotations

from torch import Tensor, nn

from gan_convnorm.fourier.roots import inverse_root
from gan_convnorm.layers.kernels import KernelLayout, correlations, kernel_layout, phases
from gan_convnorm.layers.parametrized import ExactParametrization, parametrize_weight

__all__ = ["aol"]


def aol(layer: nn.Module) -> nn.Module:
    """Rescale input channels so that the operator norm is ||A|| <= 1 for zero-padded images of every size.

    Almost-Orthogonal Layers (Prach & Lampert, ECCV 2022, arXiv:2208.03160, theorem 2): input channel c of the kernels
    is multiplied by

        d_c = (sum_c' sum_t |sum_k sum_s p_kc[s + t] p_kc'[s]|)^(-1/2)

    This is the bound of I - D P^T P D by diagonal dominance, for the convolution on an infinite grid. Zero padding only
    lowers it, and so does circular padding if the stride divides the image and the output is no larger. Other paddings
    copy pixels, which can raise it. With a stride, every phase of an input channel is a channel, so that the
    correlations are those of the strided convolution; a transposed convolution has its adjoint's rescaling. Nothing but
    the weight is kept.

    Args:
        layer: a linear layer or a (transposed) convolution, parametrized in place.

    Returns:
        The layer, whose `weight` is now the normalized one.

    Raises:
        BadInput: another module.

    >>> layer = aol(nn.Linear(3, 2))
    >>> bool(layer.weight.norm() <= 2**0.5 + 1e-6)
    True
    """
    return parametrize_weight(layer, _Rescaling(kernel_layout("aol", layer)))


class _Rescaling(ExactParametrization):
    """The rescaling of `aol`."""

    def __init__(self, kernels: KernelLayout) -> None:
        super().__init__()
        self.kernels = kernels

    def normalize(self, weight: Tensor) -> Tensor:
        """Return the rescaled weight."""
        kernels = self.kernels.split(weight)
        groups, _, inputs = kernels.shape[:3]
        # Without a stride the correlations of spread kernels are those of the dense ones, spread.
        pairs = zip(self.kernels.stride, self.kernels.dilation, strict=True)
        dilation = tuple(1 if s == 1 else d for s, d in pairs)
        by_phase, phase, _ = phases(kernels, self.kernels.stride, dilation)
        columns = by_phase.flatten(2, 3).transpose(1, 2)
        gram = correlations(columns, (1,) * (columns.dim() - 3))
        sums = gram.flatten(3).abs().sum((0, 3))
        scale = inverse_root(sums).view(groups, 1, inputs, -1)
        # A channel's taps have the scale of the phase that they read.
        return (kernels * scale[..., phase].view(groups, 1, inputs, *kernels.shape[3:])).reshape(weight.shape)
