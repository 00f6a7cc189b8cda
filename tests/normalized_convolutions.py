"""Normalized convolutions of eight geometries, trained and reloaded, and their dense float64 matrices."""

import math
from itertools import product

import torch
from torch import nn

from gan_convnorm.layers import NORMS, find_normalization, norm_penalty

#: normalizations of weights with a contract of their own: not the layer of 2021
WEIGHTED = [name for name, norm in NORMS.items() if norm.conv is not NORMS["none"].conv and name != "convnorm_2021"]

GEOMETRIES = {
    "3x3": dict(kernel_size=3, padding=1),
    "1x1": dict(kernel_size=1),
    "4x4 stride 2": dict(kernel_size=4, stride=2, padding=1),
    "3x3 stride 2": dict(kernel_size=3, stride=2, padding=1),
    "1x3": dict(kernel_size=(1, 3), padding=(0, 1)),
    "groups, dilation": dict(kernel_size=3, groups=2, dilation=2, padding=2),
    "stride 2, dilation 3": dict(kernel_size=2, stride=2, dilation=3, padding=1),
    "circular": dict(kernel_size=3, padding=1, padding_mode="circular"),
}


STATES = ["start", "trained and reloaded"]


SIZE = (6, 4)


def dense(weight, size, layer, padding_mode=None, padding=None):
    """The layer's matrix entry by entry, from the sum over the taps; rows and columns are (channel, pixel)."""
    weight, groups = weight.detach().double(), layer.groups
    outputs, inputs = weight.shape[0], weight.shape[1] * groups
    blocks = torch.zeros(outputs, inputs, *weight.shape[2:], dtype=torch.float64)
    for k in range(outputs):
        first = k // (outputs // groups) * weight.shape[1]
        blocks[k, first : first + weight.shape[1]] = weight[k]
    circular = (padding_mode or layer.padding_mode) == "circular"
    padding = padding or layer.padding
    count = [
        n // s if circular else (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, p, d, k, s in zip(size, padding, layer.dilation, weight.shape[2:], layer.stride, strict=True)
    ]
    matrix = torch.zeros(outputs, *count, inputs, *size, dtype=torch.float64)
    pixels = torch.unravel_index(torch.arange(math.prod(count)), tuple(count))
    for tap in product(*map(range, weight.shape[2:])):
        sources = [
            s * m + d * t - p for s, m, d, t, p in zip(layer.stride, pixels, layer.dilation, tap, padding, strict=True)
        ]
        if circular:
            sources = [j % n for j, n in zip(sources, size, strict=True)]
        inside = torch.stack([(j >= 0) & (j < n) for j, n in zip(sources, size, strict=True)]).all(0)
        rows, columns = ([axis[inside] for axis in axes] for axes in (pixels, sources))
        matrix[(slice(None), *rows, slice(None), *columns)] += blocks[(..., *tap)]
    return matrix.flatten(3).flatten(0, 2)


def norm_of(matrix):
    """The largest singular value, by the eigenvalues of the smaller Gram matrix."""
    gram = matrix @ matrix.T if matrix.shape[0] < matrix.shape[1] else matrix.T @ matrix
    return torch.linalg.eigvalsh(gram)[-1].sqrt().item()


def applied(layer, size):
    """The matrix of a linear layer by applying it to every basis image."""
    count = layer.in_channels * math.prod(size)
    basis = torch.eye(count, dtype=torch.float64).view(count, layer.in_channels, *size)
    with torch.no_grad():
        return (layer(basis) - layer(torch.zeros_like(basis[:1]))).flatten(1).T


def train(layer, size=SIZE, steps=20, lr=0.02):
    layer.train()
    optimizer = torch.optim.Adam(layer.parameters(), lr)
    target = None
    for _ in range(steps):
        output = layer(torch.randn(8, layer.in_channels, *size, dtype=torch.float64))
        target = 10 * torch.randn_like(output[:1]) if target is None else target
        loss = (output - target).square().mean() + norm_penalty(layer)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def in_state(state, name, options, case, channels=(2, 4), settle=0):
    """A layer of float64 at one point of its life; `settle` forwards let power iterations converge."""

    def fresh(seed):
        torch.manual_seed(seed)
        return find_normalization(name, options).conv(nn.Conv2d(*channels, **GEOMETRIES[case], dtype=torch.float64))

    layer = fresh(0)
    if state != "start":
        train(layer)
    if settle:
        layer.parametrizations.weight[0].n_power_iterations = 50
    for _ in range(settle):
        _ = layer.weight
    layer.eval()
    if state == "trained and reloaded":
        other = fresh(1)
        other.load_state_dict(layer.state_dict())
        assert torch.equal(other.eval().weight, layer.weight)
        layer = other
    return layer


def stored(layer):
    return layer.parametrizations.weight.original.detach()
