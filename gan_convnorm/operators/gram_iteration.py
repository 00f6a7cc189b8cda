"""A certified upper bound on a circular convolution's norm: Gram iteration at every frequency."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gan_convnorm.operators.circular_convolution import CircularConvolution

__all__ = ["gram_iteration"]

#: after which the bound is returned as it is
ITERATIONS = 20


@torch.no_grad()
def gram_iteration(operator: CircularConvolution, *, tolerance: float = 1e-2) -> float:
    """Return a bound that is at least the operator norm, and at most (1 + tolerance) times it.

    With G_1 = K K^* and G_t+1 = G_t G_t^*, ||G_t||_F^(2^-t) falls to sigma(K) from above (Delattre et al., ICML 2023,
    arXiv:2305.16173, theorem 3.2). From below it is at least (||G_t||_F^2 / tr G_t)^(2^-t), an average of eigenvalues:
    a frequency is dropped as soon as its upper bound is below another's lower one. The iteration ends when the
    two bounds of the largest are within the tolerance. No vector is drawn, and the bound holds at every iteration. Only
    rounding (1e-6 relative in float32) is not counted.

    >>> from gan_convnorm.operators.kernel import kernel_of
    >>> layer = torch.nn.Conv1d(1, 1, 2)
    >>> layer.weight.data = torch.tensor([[[1.0, 2.0]]])
    >>> 3.0 <= gram_iteration(CircularConvolution(kernel_of(layer), (6,))) <= 3.03
    True

    Args:
        operator: of a layer, on a circular grid.
        tolerance: relative.

    Returns:
        The bound, zero or above; infinity where a weight is NaN or infinite.
    """
    upper = lower = 0.0
    for block in operator.symbols():
        flat = block.matrices.flatten(0, 1)
        block_upper, lower = _bounds(flat, lower, tolerance)
        upper = max(upper, block_upper)
    return max(upper, lower)


def _bounds(matrices: Tensor, lower: float, tolerance: float) -> tuple[float, float]:
    """Return an upper and a lower bound of the largest norm of a block; the lower is at least the one given."""
    largest = float(matrices.abs().max())
    if not math.isfinite(largest) or largest == 0:
        return (0.0 if largest == 0 else math.inf), lower
    matrices = matrices / largest
    rows, columns = matrices.shape[-2:]
    gram = matrices @ matrices.mH if rows <= columns else matrices.mH @ matrices
    # gram is G_t over exp(scale): its powers would leave the range of floats.
    scale = torch.full((len(gram),), 2 * math.log(largest), dtype=torch.float64, device=gram.device)
    exponent, dropped, iteration = 0.5, 0.0, 0
    while True:
        iteration += 1
        norm = torch.linalg.matrix_norm(gram)
        trace = gram.diagonal(dim1=-2, dim2=-1).real.sum(-1)
        uppers = (exponent * (norm.double().log() + scale)).exp()
        averages = norm.double().square() / trace.double().clamp_min(1e-300)
        lower = max(lower, float((exponent * (averages.log() + scale)).exp().nan_to_num(0).max()))
        kept = uppers > lower
        if not bool(kept.any()):
            return max(dropped, float(uppers.max())), lower
        dropped = max(dropped, float(uppers[~kept].max()) if not bool(kept.all()) else 0.0)
        if float(uppers.max()) <= (1 + tolerance) * lower or iteration == ITERATIONS:
            return max(dropped, float(uppers.max())), lower
        gram = gram[kept] / norm[kept][:, None, None]
        scale = 2 * (scale[kept] + norm[kept].double().log())
        gram = gram @ gram
        exponent /= 2
