"""Lightning's `sync_batchnorm` on any device."""

from __future__ import annotations

from pytorch_lightning.plugins import LayerSync
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from typing_extensions import override

from gan_convnorm.layers.sync_batch_norm import SyncedBatchNorm

__all__ = ["SyncedBatchNormLayers"]


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
