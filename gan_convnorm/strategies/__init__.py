"""Lightning strategies for several processes and several networks in one module."""

from gan_convnorm.strategies.launch_environment import check_launch_environment
from gan_convnorm.strategies.networks_ddp import NetworksDDP, is_lost_process
from gan_convnorm.strategies.synced_batch_norm import SyncedBatchNormLayers

__all__ = [
    "NetworksDDP",
    "SyncedBatchNormLayers",
    "check_launch_environment",
    "is_lost_process",
]
