"""Orthogonal convolutions by a penalty on the kernels' self-convolution."""

from __future__ import annotations

import inspect
import math
from typing import Any

import torch
from torch import Tensor, nn

from gan_convnorm.errors import BadInput
from gan_convnorm.fourier.execution import autocast_off, exact_dtype
from gan_convnorm.layers.arguments import check_number, check_whole, checked_geometry
from gan_convnorm.layers.kernels import KernelLayout, correlations, kernel_layout

__all__ = ["OCNNConv2d", "OCNNConvTranspose2d", "OCNNLinear", "norm_penalty", "ocnn", "self_convolution_penalty"]


def self_convolution_penalty(weight: Tensor, kernels: KernelLayout) -> Tensor:
    """Return ||A A^T - I||_F^2 per output pixel, or ||A^T A - I||_F^2 for more rows than columns: 0 iff orthogonal.

    Orthogonal Convolutional Neural Networks (Wang et al., CVPR 2020, arXiv:1911.12207, eq. 10 and lemma 1):
    ||Conv(K, K, padding = P, stride = S) - I||_F^2 with P = floor((k-1) / S) S. Then lag zero is among the lags, and I
    stands at it. (With another padding I would stand at another lag: a shift of one pixel for stride 2, kernel 3 and
    padding 1.) The two norms differ by rows minus columns, which is subtracted.

    A is the convolution on a circular grid that no two lags share, without the pixels that the stride does not read.
    For a transposed convolution, A is its adjoint.

    Args:
        weight: of the layer.
        kernels: its groups, stride and dilation.

    Returns:
        A scalar, float32 or float64, zero or above but for rounding.

    >>> self_convolution_penalty(torch.tensor([[2.0]]), kernel_layout("ocnn", nn.Linear(1, 1)))  # (2 * 2 - 1)^2
    tensor(9.)
    """
    with autocast_off(weight.device):
        split = kernels.split(exact_dtype(weight))
        # Of the lags d t, those that are multiples of the stride are read.
        step = tuple(s // math.gcd(s, d) for s, d in zip(kernels.stride, kernels.dilation, strict=True))
        found = correlations(split, step).flatten(3)
        outputs, groups, _, lags = found.shape
        identity = torch.eye(outputs, dtype=found.dtype, device=found.device)
        centre = found[..., lags // 2] - identity[:, None]
        squares = found.square().sum() - found[..., lags // 2].square().sum() + centre.square().sum()
        columns = split.shape[2] * math.prod(min(k, s) for k, s in zip(split.shape[3:], step, strict=True))
        return squares - groups * max(0, outputs - columns)


class _Penalized(nn.Module):
    """Base class of layers that the loss keeps near orthogonal."""

    def __init__(self, *arguments: Any, coefficient: float = 0.1, **named: Any) -> None:  # noqa: ANN401
        name = type(self).__name__
        check_number(name, "coefficient", coefficient, least=0)
        given = inspect.signature(super().__init__).bind(*arguments, **named).arguments
        if isinstance(self, nn.Linear):
            for option in ("in_features", "out_features"):
                check_whole(name, option, given[option])
        else:
            geometry = {key: value for key, value in given.items() if key not in ("bias", "device", "dtype")}
            checked_geometry(name, 2, **geometry, transposed=isinstance(self, nn.ConvTranspose2d))
        super().__init__(*arguments, **named)
        self.coefficient = coefficient

    def penalty(self) -> Tensor:
        """Return coefficient * `self_convolution_penalty`, a scalar to add to the loss."""
        return self.coefficient * self_convolution_penalty(self.get_parameter("weight"), kernel_layout("ocnn", self))

    def extra_repr(self) -> str:
        return super().extra_repr() + f", coefficient={self.coefficient:g}"


class OCNNConv2d(_Penalized, nn.Conv2d):
    """A plain `nn.Conv2d` with a method `penalty()`, whose value p alone bounds the norm: ||A||^2 <= 1 + sqrt(L p).

    L is the number of lags, (2 floor((k-1) / s) + 1)^2. p is the penalty over `coefficient`. If A has more rows than
    columns, p includes their difference per output pixel, C_out - s^2 C_in. The reason: A A^T - I is the sum of its
    blocks by lag, and the norm of each is at most its Frobenius norm. The bound holds for zero and circular padding and
    every image size. Nothing is bounded if p is not in the loss.

    >>> OCNNConv2d(3, 8, 3).penalty().shape
    torch.Size([])
    """


class OCNNConvTranspose2d(_Penalized, nn.ConvTranspose2d):
    """A plain `nn.ConvTranspose2d` with a method `penalty()`, whose value p bounds ||A||^2 <= 1 + sqrt(L p).

    >>> layer = OCNNConvTranspose2d(1, 1, 2, stride=2)
    >>> layer.weight.data.fill_(0.5)  # an orthogonal layer
    tensor([[[[0.5000, 0.5000],
              [0.5000, 0.5000]]]])
    >>> layer.penalty().item()
    0.0
    """


class OCNNLinear(_Penalized, nn.Linear):
    """A plain `nn.Linear` with a method `penalty()`, whose value p bounds ||W||^2 <= 1 + sqrt(p).

    >>> layer = OCNNLinear(1, 1, coefficient=0.5)
    >>> layer.weight.data.fill_(2.0)
    tensor([[2.]])
    >>> layer.penalty().item()  # 0.5 (2 * 2 - 1)^2
    4.5
    """


KINDS: dict[type, Any] = {nn.Linear: OCNNLinear, nn.Conv2d: OCNNConv2d, nn.ConvTranspose2d: OCNNConvTranspose2d}


def ocnn(layer: nn.Module, *, coefficient: float = 0.1) -> nn.Module:
    """Return the layer with a penalty p on its weight; p alone bounds ||A||^2 <= 1 + sqrt(L p).

    Args:
        layer: `nn.Linear`, `nn.Conv2d` or `nn.ConvTranspose2d`.
        coefficient: weight in the loss of the squared norm of eq. 10. The authors' code (github.com/samaonline/
            Orthogonal-Convolutional-Neural-Networks, `deconv_orth_dist`) has the norm itself, not squared, so the
            coefficients in its commands, such as 0.5 for ResNet-50 on ImageNet, cannot be compared with this one.

    Returns:
        An `OCNNConv2d`, `OCNNConvTranspose2d` or `OCNNLinear`, which shares weight and bias with `layer`.

    Raises:
        BadInput: another module, or a negative coefficient.

    >>> ocnn(nn.Linear(3, 2), coefficient=0.5)
    OCNNLinear(in_features=3, out_features=2, bias=True, coefficient=0.5)
    """
    if type(layer) not in KINDS:
        raise BadInput(f"ocnn: found {type(layer).__name__}, and can take Linear, Conv2d or ConvTranspose2d")
    names = [n for n in inspect.signature(type(layer)).parameters if n not in ("bias", "device", "dtype")]
    arguments = {name: getattr(layer, name) for name in names}
    # On the meta device nothing is drawn: weight and bias are the layer's.
    found = KINDS[type(layer)](**arguments, bias=layer.bias is not None, device="meta", coefficient=coefficient)
    found.weight, found.bias = layer.weight, layer.bias
    return found.train(layer.training)


def norm_penalty(network: nn.Module) -> Tensor:
    """Return the sum of the penalties of a network's layers, a scalar to add to its loss; 0 where no layer has one.

    A layer has a penalty if it has a method `penalty()`, which returns a scalar.

    >>> norm_penalty(nn.Sequential(nn.Linear(2, 2))).item()
    0.0
    """
    found = [getattr(module, "penalty", None) for module in network.modules()]
    penalties = [penalty() for penalty in found if callable(penalty)]
    if not penalties:
        return next((p.new_zeros(()) for p in network.parameters()), torch.zeros(()))
    return torch.stack(penalties).sum()
