"""Every layer of a network, measured in one table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gan_convnorm.errors import BadInput
from gan_convnorm.evaluation_mode import evaluating
from gan_convnorm.operators.certified_bound import certified_bound
from gan_convnorm.operators.convnorm_parts import batch_norm_scale, convnorm_parts
from gan_convnorm.operators.kernel import flattened_norm, is_plain, kernel_of
from gan_convnorm.operators.layer_operator import linear_matrix
from gan_convnorm.operators.linear_operator import LinearOperator, ScaledOutputs
from gan_convnorm.operators.matrix_norm import matrix_norm
from gan_convnorm.operators.operator_norm import measure_operator
from gan_convnorm.operators.recording import Layer, recording
from gan_convnorm.operators.singular_values import circular_size, condition_number

__all__ = ["LayerNorms", "LipschitzReport", "lipschitz_report"]


@dataclass(frozen=True)
class LayerNorms:
    """The figures of one layer in evaluation mode; None where a figure does not exist or is not known.

    >>> linear = nn.Linear(2, 2)
    >>> linear.weight.data = torch.diag(torch.tensor([4.0, 2.0]))
    >>> (layer,) = lipschitz_report(linear, (2,)).layers
    >>> layer.kind, round(layer.operator, 3), round(layer.condition, 3)
    ('Linear', 4.0, 2.0)

    Attributes:
        name: as in `named_modules`.
        kind: the class of torch or of this package, without parametrizations.
        input_size: pixels of the layer's input, nothing for a linear layer.
        flattened: ||W||_2 of the kernel as a matrix (C_out, C_in k_h k_w).
        operator: ||A||_2 of the layer as it acts: padded, strided, with gain and affine.
        bound: at least `operator`, certified.
        condition: of the circular convolution, not the padded one, on the image or the next size of whole strides.
        with_batch_norm: `operator` with the BatchNorm that follows, as in evaluation.
        q: norm of a ConvNorm layer's tight frames alone.
        rq: norm of a ConvNorm layer with gain and affine; of the layer of 2021 without its BatchNorm.
        bn_rq: norm of a ConvNorm layer with the BatchNorm in or after it.
        calls: how often a forward calls the layer with images of this size.
    """

    name: str
    kind: str
    input_size: tuple[int, ...]
    flattened: float | None
    operator: float
    bound: float | None
    condition: float | None
    with_batch_norm: float | None = None
    q: float | None = None
    rq: float | None = None
    bn_rq: float | None = None
    calls: int = 1


@dataclass(frozen=True)
class LipschitzReport:
    """The layers in the order in which they are called.

    `str` of it is a table. The products are over all layers. For a chain of layers and 1-Lipschitz functions they bound
    its Lipschitz constant, `certified_product` with certainty. Where branches are added, as in a residual network, they
    are no such bound.

    >>> network = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1))
    >>> network[0].weight.data = torch.diag(torch.tensor([4.0, 2.0]))
    >>> network[2].weight.data = torch.tensor([[0.3, 0.4]])
    >>> print(lipschitz_report(network, (2,)))
    layer    kind    input  flattened  operator  certified <=  condition (circular)
    0        Linear      -          4         4             4                     2
    2        Linear      -        0.5       0.5           0.5                     1
    product                                   2             2
    """

    layers: tuple[LayerNorms, ...]

    @property
    def product(self) -> float:
        """Return the product of the operator norms, each as often as its layer is called."""
        return math.prod(layer.operator**layer.calls for layer in self.layers)

    @property
    def certified_product(self) -> float | None:
        """Return the product of the certified bounds, each as often as its layer is called; None where one is missing.

        >>> twice = nn.Linear(1, 1)
        >>> twice.weight.data = torch.tensor([[3.0]])
        >>> round(lipschitz_report(nn.Sequential(twice, twice), (1,)).certified_product, 4)
        9.0
        """
        bounds = [layer.bound**layer.calls for layer in self.layers if layer.bound is not None]
        return math.prod(bounds) if len(bounds) == len(self.layers) else None

    def rows(self) -> list[dict[str, Any]]:
        """Return one dictionary a layer, of plain values, for a file."""
        return [asdict(layer) for layer in self.layers]

    def __str__(self) -> str:
        columns = [c for c in TITLES if c in ALWAYS or any(getattr(layer, c) is not None for layer in self.layers)]
        table = [[TITLES[column] for column in columns]]
        for layer in self.layers:
            name = layer.name + (f" (x{layer.calls})" if layer.calls > 1 else "")
            table.append([name, *(_cell(getattr(layer, column)) for column in columns[1:])])
        products = {"name": "product", "operator": self.product, "bound": self.certified_product}
        table.append([_cell(products[column]) if column in products else "" for column in columns])
        widths = [max(map(len, cells)) for cells in zip(*table, strict=True)]
        return "\n".join(
            "  ".join(
                cell.ljust(width) if column in ("name", "kind") else cell.rjust(width)
                for cell, width, column in zip(row, widths, columns, strict=True)
            ).rstrip()
            for row in table
        )


TITLES = {
    "name": "layer",
    "kind": "kind",
    "input_size": "input",
    "flattened": "flattened",
    "operator": "operator",
    "bound": "certified <=",
    "condition": "condition (circular)",
    "with_batch_norm": "BN folded",
    "q": "Q",
    "rq": "RQ",
    "bn_rq": "BN R Q",
}
ALWAYS = ("name", "kind", "input_size", "operator")


def lipschitz_report(
    network: nn.Module, input_size: Sequence[int] | Tensor, *, tolerance: float = 1e-3
) -> LipschitzReport:
    """Measure every convolution and linear layer of a network on the image size that it really sees.

    One forward in evaluation mode tells the sizes. Weights, buffers, modes and the global random state stay unchanged.

    >>> network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 1))
    >>> [(layer.name, layer.kind, layer.input_size) for layer in lipschitz_report(network, (3, 6, 6)).layers]
    [('0', 'Conv2d', (6, 6)), ('3', 'Linear', ())]

    Args:
        network: takes one tensor.
        input_size: of one input without the batch, such as (3, 32, 32), for which zeros are fed; or a batch to feed.
        tolerance: of the operator norms, relative; the certified bounds are within ten times that of the circular norm.

    Returns:
        The layers in the order in which they are called.

    Raises:
        BadInput: a tolerance that is not above 0 and below 1; a network without a layer to measure, or with a layer
            that `fuse` has baked.
    """
    for name, module in network.named_modules():
        if getattr(module, "baked", False):
            raise BadInput(f"{name or 'the network'} is baked by fuse and cannot be measured; measure before fuse")
    if isinstance(input_size, Tensor):
        example = input_size
    else:
        like = next(network.parameters(), torch.zeros(()))
        example = torch.zeros(1, *input_size, dtype=like.dtype, device=like.device)
    with evaluating(network):
        with torch.no_grad(), recording(network) as layers:
            network(example)
        if not layers:
            raise BadInput(f"the network {type(network).__name__} has no convolution or linear layer to measure")
        return LipschitzReport(tuple(_measure(layer, tolerance) for layer in layers))


def _measure(layer: Layer, tolerance: float) -> LayerNorms:
    module, size = layer.module, layer.input_size
    operator = layer.operator()
    flattened, condition, folded = None, None, None
    if isinstance(module, nn.Linear):
        flattened = matrix_norm(linear_matrix(module))
    elif is_plain(module):
        flattened = flattened_norm(module)
    if isinstance(module, nn.Linear) or kernel_of(module) is not None:
        condition = condition_number(module, circular_size(module, size))

    def norm(operator: LinearOperator) -> float:
        return measure_operator(operator, tolerance=tolerance).value

    parts = convnorm_parts(module, size, layer.batch_norm)
    scale = None if layer.batch_norm is None else batch_norm_scale(layer.batch_norm)
    if parts is None and scale is not None and size:
        folded = norm(ScaledOutputs(operator, scale))
    part_norms = {name: norm(part) for name, part in (parts or {}).items()}
    return LayerNorms(
        name=layer.name,
        kind=type(module).__name__.removeprefix("Parametrized"),
        input_size=size,
        flattened=flattened,
        operator=norm(operator),
        bound=certified_bound(module, size, tolerance=min(10 * tolerance, 0.9)),
        condition=condition,
        calls=layer.calls,
        with_batch_norm=folded,
        **part_norms,
    )


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, tuple):
        return "x".join(map(str, value)) or "-"
    return value if isinstance(value, str) else f"{value:.4g}"
