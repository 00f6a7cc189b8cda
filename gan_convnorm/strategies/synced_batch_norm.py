"""BatchNorm over the batch of all processes, on any device."""

from __future__ import annotations

import torch
import torch.distributed as dist
from pytorch_lightning.plugins import LayerSync
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from typing_extensions import override

__all__ = ["SyncedBatchNorm", "SyncedBatchNormLayers"]


class SyncedBatchNorm(nn.SyncBatchNorm):
    """`nn.SyncBatchNorm` on any device: torch's own on a GPU, elsewhere, where torch's raises, two all-reduces.

    Normalizes (B, C, ...) by mean and variance of the batches of all processes, which must have the same size.

    >>> SyncedBatchNorm(2).train()(torch.tensor([[1.0, 5.0], [3.0, 9.0]])).detach().round()  # one process
    tensor([[-1., -1.],
            [ 1.,  1.]])
    """

    @override
    def forward(self, input: Tensor) -> Tensor:
        if not self.training or input.is_cuda or not dist.is_initialized():
            return super().forward(input)
        dims = [0, *range(2, input.dim())]
        shape = [1, -1, *([1] * (input.dim() - 2))]
        processes = dist.get_world_size()
        # The mean first, then the spread about it: a difference of squares would cancel.
        exact = input.to(torch.promote_types(input.dtype, torch.float32))
        mean = _SumOverProcesses.apply(exact.mean(dims)) / processes
        centred = exact - mean.view(shape)
        variance = _SumOverProcesses.apply(centred.square().mean(dims)) / processes
        if self.track_running_stats:
            self._track(mean.detach(), variance.detach(), processes * input.numel() // input.shape[1])
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
        total = value.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        total = gradient.contiguous()
        dist.all_reduce(total)
        return total


class SyncedBatchNormLayers(LayerSync):
    """Lightning's `sync_batchnorm` with `SyncedBatchNorm`; afterwards every layer is back as it was.

    >>> network, layers = nn.Sequential(nn.BatchNorm2d(2)), SyncedBatchNormLayers()
    >>> type(layers.apply(network)[0]).__name__, type(layers.revert(network)[0]).__name__
    ('SyncedBatchNorm', 'BatchNorm2d')
    """

    def __init__(self) -> None:
        self.replaced: list[tuple[nn.Module, str, nn.Module]] = []

    @override
    def apply(self, model: nn.Module) -> nn.Module:
        for parent in list(model.modules()):
            for name, layer in list(parent.named_children()):
                if isinstance(layer, _BatchNorm) and not isinstance(layer, nn.SyncBatchNorm):
                    setattr(parent, name, _synced(layer))
                    self.replaced.append((parent, name, layer))
        return model

    @override
    def revert(self, model: nn.Module) -> nn.Module:
        for parent, name, layer in self.replaced:
            # Parameters and buffers are shared unless the module was moved meanwhile.
            layer._parameters, layer._buffers = getattr(parent, name)._parameters, getattr(parent, name)._buffers
            setattr(parent, name, layer)
        self.replaced.clear()
        return model


def _synced(layer: _BatchNorm) -> SyncedBatchNorm:
    synced = SyncedBatchNorm(layer.num_features, layer.eps, layer.momentum, layer.affine, layer.track_running_stats)
    synced._parameters, synced._buffers = layer._parameters, layer._buffers
    return synced.train(layer.training)
