"""A ConvNorm layer whose filter is computed once, for images of one size."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan_convnorm.errors import BadInput
from gan_convnorm.fourier.execution import autocast_off, exact_dtype
from gan_convnorm.layers.arguments import check_images
from gan_convnorm.layers.convnorm.geometry import Geometry
from gan_convnorm.layers.convnorm.methods import filter_exactly
from gan_convnorm.layers.convnorm.preconditioned import Preconditioned

__all__ = ["BakedConvNorm"]


class BakedConvNorm(nn.Module):
    """A ConvNorm layer whose preconditioner is a constant: exact for images of one size.

    >>> from gan_convnorm.layers import ConvNorm2d
    >>> layer, images = ConvNorm2d(3, 8, 3), torch.rand(1, 3, 6, 6)
    >>> baked = BakedConvNorm(layer, layer.respond(images)[1])
    >>> torch.allclose(baked(images), layer(images), atol=1e-4)
    True

    Raises:
        BadInput: an image of another size.
    """

    transfer: Tensor
    #: `operators.lipschitz_report` asks this: such a layer cannot be measured
    baked = True

    def __init__(self, layer: Preconditioned, geometry: Geometry) -> None:
        super().__init__()
        self.layer, self.grid = layer, geometry.grid
        transfer = layer.transfer_function(geometry.grid)
        # Real and imaginary parts: a network that is taken to another dtype would drop the latter.
        self.complex = transfer.is_complex()
        self.register_buffer("transfer", torch.view_as_real(transfer) if self.complex else transfer)

    def reset_parameters(self) -> None:
        """Draw the layer's weights anew, and bake them."""
        self.layer.reset_parameters()
        with torch.no_grad():
            transfer = self.layer.transfer_function(self.grid)
            self.transfer.copy_(torch.view_as_real(transfer) if self.complex else transfer)

    def forward(self, input: Tensor) -> Tensor:
        """Return the layer's output for an image of the size that was baked."""
        check_images(type(self.layer).__name__, input, self.layer.in_channels, len(self.grid))
        if input.dim() == len(self.grid) + 1:
            return self.forward(input.unsqueeze(0)).squeeze(0)
        response, geometry = self.layer.respond(input)
        if geometry.grid != self.grid:
            raise BadInput(f"BakedConvNorm: fused for a grid of {self.grid}, found {geometry.grid}; fuse at this size")
        with autocast_off(input.device):
            transfer = exact_dtype(self.transfer)
            transfer = torch.view_as_complex(transfer) if self.complex else transfer
            return filter_exactly(response, transfer, self.layer.bias, geometry)
