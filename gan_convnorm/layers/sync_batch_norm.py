"""Batch normalization over the batch of all processes, on any device."""

from __future__ import annotations

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from gan_convnorm.fourier.execution import exact_dtype
from gan_convnorm.layers.arguments import check_number

__all__ = ["SyncedBatchNorm", "sync_batch"]


class SyncedBatchNorm(nn.SyncBatchNorm):
    """`nn.SyncBatchNorm` on any device: torch's own on a GPU, elsewhere, where torch's raises, two all-reduces.

    Normalizes (B, C, ...) by mean and variance of the batches of all processes, which must have the same size.

    >>> SyncedBatchNorm(2).train()(torch.tensor([[1.0, 5.0], [3.0, 9.0]])).detach().round()  # one process
    tensor([[-1., -1.],
            [ 1.,  1.]])
    """

    @override
    def forward(self, input: Tensor) -> Tensor:
        if not self.training or input.is_cuda or not dist.is_available() or not dist.is_initialized():
            return super().forward(input)
        count = dist.get_world_size() * input.numel() // input.shape[1]
        if count == 1:
            raise ValueError(f"Expected more than 1 value per channel when training, got input size {input.shape}")
        if count == 0:  # nothing to normalize, nor to track
            return F.batch_norm(input, None, None, self.weight, self.bias, training=True, eps=self.eps)
        dims = [0, *range(2, input.dim())]
        shape = [1, -1, *([1] * (input.dim() - 2))]
        processes = dist.get_world_size()
        # The mean first, then the spread about it: a difference of squares would cancel.
        exact = exact_dtype(input)
        mean = _SumOverProcesses.apply(exact.mean(dims)) / processes
        centred = exact - mean.view(shape)
        variance = _SumOverProcesses.apply(centred.square().mean(dims)) / processes
        if self.track_running_stats:
            self._track(mean.detach(), variance.detach(), count)
        scale = (variance + self.eps).rsqrt()
        if self.affine:
            scaled = centred * (scale * self.weight).view(shape) + self.bias.view(shape)
        else:
            scaled = centred * scale.view(shape)
        output: Tensor = scaled.to(input.dtype)
        return output

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor, count: int) -> None:
        assert self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        weight = self.momentum if self.momentum is not None else 1 / int(self.num_batches_tracked)
        self.running_mean.lerp_(mean, weight)
        self.running_var.lerp_(variance * (count / (count - 1)), weight)


class _SumOverProcesses(torch.autograd.Function):
    """A sum over processes. Every process reads it, so its gradient is the sum of their gradients."""

    @staticmethod
    def forward(ctx: object, value: Tensor) -> Tensor:
        total = value.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        total: Tensor = _SumOverProcesses.apply(gradient)  # so that a gradient penalty can differentiate it
        return total


def sync_batch(channels: int, *, eps: float = 1e-5, momentum: float | None = 0.1) -> nn.Module:
    """Return a batch normalization with the statistics of all processes' batches; it bounds no Lipschitz constant.

    Args:
        channels: of the activations.
        eps: added to the variance.
        momentum: weight of a batch in the running statistics; None averages over all batches.

    Returns:
        A layer that takes and gives activations of shape (B, channels, H, W).

    Raises:
        BadInput: a negative eps, or a momentum that is not between 0 and 1.

    >>> sync_batch(8).num_features
    8
    """
    check_number("sync_batch", "eps", eps, least=0)
    if momentum is not None:
        check_number("sync_batch", "momentum", momentum, least=0, most=1)
    return SyncedBatchNorm(channels, eps=eps, momentum=momentum)
