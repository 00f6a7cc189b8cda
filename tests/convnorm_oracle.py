"""A dense float64 construction of ConvNorm layers, P_k A_k, from the definition, and the cases to compare."""

import math

import torch
from dense_operators import (
    circular_convolution_matrix,
    embedding_matrix,
    inverse_square_root,
    selection_matrix,
)
from torch import nn

from gan_convnorm.layers import ConvNorm1d, ConvNorm2d, ConvNorm3d

CLASSES = {1: ConvNorm1d, 2: ConvNorm2d, 3: ConvNorm3d}


def padding_pairs(layer):
    if layer.padding == "same":
        spans = [d * (k - 1) for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
        return [(span // 2, span - span // 2) for span in spans]
    return [(0, 0)] * len(layer.kernel_size) if layer.padding == "valid" else [(p, p) for p in layer.padding]


def geometry(layer, size, pairs):
    """Fine grid, spacing of the response on it, offset, and first pixel, count and step of the output: by definition.

    Zero padding of P = max(padding, d (k - 1)) on both sides, and with strided="fold" P in whole strides; with
    circular padding the image is the grid.
    """
    fine, spacing, offset, first, count, step = [], [], [], [], [], []
    axes = zip(size, layer.kernel_size, layer.dilation, layer.stride, pairs, strict=True)
    for n, k, d, s, (before, after) in axes:
        span = d * (k - 1)
        folded = s if layer.options.strided == "fold" else 1
        reach = max(span, before, after)
        reach += (before - reach) % folded
        response = (n + 2 * reach - span - 1) // folded + 1
        fine.append(n if layer.padding_mode == "circular" else response * folded)
        spacing.append(folded)
        offset.append(before if layer.padding_mode == "circular" else reach)
        first.append(0 if layer.padding_mode == "circular" else (reach - before) // folded)
        count.append((n + before + after - span - 1) // s + 1)
        step.append(s // folded)
    if layer.options.boundary == "linear":
        fine = [2 * n for n in fine]
    return fine, spacing, offset, first, count, step


def tight_frames(layer, fine, spacing, offset):
    """Q_k = (A_k A_k^T + eps)^(-1/2) A_k for every output channel, on the circular grid, and the same for 1/sqrt(S)."""
    coarse = [n // s for n, s in zip(fine, spacing, strict=True)]
    rows = selection_matrix(fine, [0] * len(fine), coarse, spacing)
    frames = []
    for kernels in layer.weight.detach():
        matrix = torch.cat([rows @ circular_convolution_matrix(a, fine, layer.dilation, offset) for a in kernels], 1)
        frames.append(inverse_square_root(matrix @ matrix.T, layer.options.eps) @ matrix)
    return frames, coarse


def oracle(layer, image):
    """The layer's output from dense matrices; affine and gain included."""
    pairs = padding_pairs(layer)
    if layer.padding_mode in ("reflect", "replicate"):
        flat = [p for pair in reversed(pairs) for p in pair]
        image, pairs = nn.functional.pad(image, flat, mode=layer.padding_mode), [(0, 0)] * len(pairs)
    size = tuple(image.shape[2:])
    fine, spacing, offset, first, count, step = geometry(layer, size, pairs)
    frames, coarse = tight_frames(layer, fine, spacing, offset)
    embedding = embedding_matrix(size, fine)
    selection = selection_matrix(coarse, first, count, step)
    gain = math.sqrt(layer.groups / layer.out_channels) if layer.options.gain == "lipschitz" else layer.options.gain
    per_group_in, per_group_out = layer.in_channels // layer.groups, layer.out_channels // layer.groups
    outputs = []
    for k, frame in enumerate(frames):
        group = k // per_group_out
        channels = image[:, group * per_group_in : (group + 1) * per_group_in].double()
        embedded = (channels.flatten(2) @ embedding.T).flatten(1)
        response = embedded @ frame.T
        if layer.affine_weight is not None:
            taps = layer.affine_weight[k].detach()
            centre = tuple((t - 1) // 2 for t in taps.shape)
            response = response @ circular_convolution_matrix(taps, coarse, None, centre).T
        bias = 0.0 if layer.bias is None else layer.bias[k].detach()
        outputs.append((gain * response @ selection.T + bias).unflatten(1, count))
    return torch.stack(outputs, dim=1)


def operator_matrix(layer, size):
    """The layer's linear part as a matrix, column by column."""
    pixels = layer.in_channels * math.prod(size)
    basis = torch.eye(pixels, dtype=layer.weight.dtype).unflatten(1, (layer.in_channels, *size))
    with torch.no_grad():
        return (layer(basis) - layer(torch.zeros_like(basis[:1]))).flatten(1).T


def relative_error(value, expected):
    return ((value - expected).norm() / expected.norm()).item()


CASES = {
    "3x3": dict(kernel_size=3, padding=1),
    "no padding": dict(kernel_size=3),
    "full padding": dict(kernel_size=3, padding=2),
    "wide padding": dict(kernel_size=3, padding=4),
    "mixed padding": dict(kernel_size=(3, 5), padding=(3, 0)),
    "even": dict(kernel_size=2, padding=1),
    "even 4x4 stride 2": dict(kernel_size=4, stride=2, padding=1),
    "4x3": dict(kernel_size=(4, 3), padding=(2, 1)),
    "1x1": dict(kernel_size=1),
    "1x1 padded and strided": dict(kernel_size=1, padding=1, stride=2),
    "1x3": dict(kernel_size=(1, 3), padding=(0, 1)),
    "1x3 padded across": dict(kernel_size=(1, 3), padding=(1, 1)),
    "5x1": dict(kernel_size=(5, 1), padding=(2, 0)),
    "5x5": dict(kernel_size=5, padding=2),
    "stride 2": dict(kernel_size=3, padding=1, stride=2),
    "stride 2x1": dict(kernel_size=3, padding=1, stride=(2, 1)),
    "stride 3": dict(kernel_size=3, padding=2, stride=3),
    "dilation": dict(kernel_size=3, padding=2, dilation=2),
    "dilation 2x1, stride": dict(kernel_size=(2, 3), padding=1, dilation=(2, 1), stride=2),
    "groups": dict(in_channels=4, out_channels=6, kernel_size=3, padding=1, groups=2),
    "depthwise": dict(in_channels=3, out_channels=3, kernel_size=3, padding=1, groups=3),
    "one input channel": dict(in_channels=1, kernel_size=3, padding=1),
    "one output channel": dict(out_channels=1, kernel_size=3, padding=1),
    "same, even": dict(kernel_size=4, padding="same"),
    "same, dilated": dict(kernel_size=(3, 2), padding="same", dilation=2),
    "valid": dict(kernel_size=3, padding="valid"),
    "no bias": dict(kernel_size=3, padding=1, bias=False),
    "circular": dict(kernel_size=3, padding=1, padding_mode="circular"),
    "circular, wide": dict(kernel_size=3, padding=3, padding_mode="circular"),
    "circular, even, stride 2": dict(kernel_size=4, padding=1, stride=2, padding_mode="circular"),
    "circular, dilated": dict(kernel_size=3, padding="same", dilation=2, padding_mode="circular"),
    "reflect": dict(kernel_size=3, padding=1, padding_mode="reflect"),
    "reflect, stride 2": dict(kernel_size=(4, 3), padding=(2, 1), stride=2, padding_mode="reflect"),
    "replicate, dilated": dict(kernel_size=3, padding=2, dilation=2, padding_mode="replicate"),
    "folded": dict(kernel_size=3, padding=1, stride=2, strided="fold"),
    "folded 4x4": dict(kernel_size=4, padding=1, stride=2, strided="fold"),
    "folded, dilated": dict(kernel_size=3, padding=2, stride=(2, 3), dilation=(2, 3), strided="fold"),
    "folded, patches": dict(kernel_size=2, stride=2, strided="fold"),
    "folded, circular": dict(kernel_size=3, padding=1, stride=(2, 5), padding_mode="circular", strided="fold"),
    "linear": dict(kernel_size=3, padding=1, boundary="linear"),
    "linear, stride 2": dict(kernel_size=4, padding=1, stride=2, boundary="linear"),
    "1d": dict(kernel_size=3, padding=1, stride=2, dilation=2),
    "1d circular": dict(kernel_size=4, padding=1, padding_mode="circular"),
    "3d": dict(kernel_size=(2, 3, 1), padding=(1, 0, 1)),
    "3d, folded": dict(kernel_size=2, padding=1, stride=(2, 1, 2), strided="fold"),
}


SIZES = {1: (9,), 2: (6, 5), 3: (3, 4, 2)}


def spatial_of(case):
    return int(case[0]) if case[1:2] == "d" else 2


def make(case, **options):
    torch.manual_seed(0)
    arguments = {"in_channels": 2, "out_channels": 3, "dtype": torch.float64, **CASES[case], **options}
    layer = CLASSES[spatial_of(case)](**arguments)
    if layer.affine_weight is not None:
        nn.init.normal_(layer.affine_weight)
    return layer
