"""Batch normalization over all processes, as torch implements it."""

from __future__ import annotations

from torch import Tensor, distributed, nn

from gan_convnorm.errors import BadInput
from gan_convnorm.layers.arguments import check_number

__all__ = ["SyncBatchNorm", "sync_batch"]


class SyncBatchNorm(nn.SyncBatchNorm):
    """torch's layer, which in one process on a CPU works as `nn.BatchNorm2d`.

    >>> import torch
    >>> images = torch.rand(4, 2, 3, 3)
    >>> torch.equal(SyncBatchNorm(2)(images), nn.BatchNorm2d(2)(images))
    True

    Raises:
        BadInput: several processes on CPUs, for which torch has no synchronization.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Return the normalized activations, shape (B, C, H, W)."""
        if self.training and input.device.type == "cpu" and distributed.is_available() and distributed.is_initialized():
            count = distributed.get_world_size(self.process_group)
            if count > 1:
                raise BadInput(
                    f"sync_batch: torch synchronizes statistics on accelerators alone, and {count} processes train on "
                    "CPUs; choose batch, or train in one process"
                )
            return nn.BatchNorm2d.forward(self, input)
        return super().forward(input)


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
    return SyncBatchNorm(channels, eps=eps, momentum=momentum)
