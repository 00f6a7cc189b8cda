"""What Lightning lacks for two networks in one module."""

from gan_convnorm.strategies.networks_ddp import NetworksDDP
from gan_convnorm.strategies.synced_batch_norm import SyncedBatchNorm, SyncedBatchNormLayers

__all__ = ["NetworksDDP", "SyncedBatchNorm", "SyncedBatchNormLayers"]
