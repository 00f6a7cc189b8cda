"""Normalized layers: how they are made, and what they are given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from bad_input_cases.case import call
from bad_input_cases.function_calls import BATCH, INF, NAN, accepted, refused
from gan_convnorm import layers

__all__ = ["CASES"]


def convnorm(**options: Any) -> layers.ConvNorm2d:
    return layers.ConvNorm2d(**{"in_channels": 4, "out_channels": 4, "kernel_size": 3, "padding": 1} | options)


CONSTRUCTED = [
    ("kernel of 0", {"kernel_size": 0}, "kernel_size.*0"),
    ("kernel below zero", {"kernel_size": -3}, "kernel_size.*-3"),
    ("kernel of three sides", {"kernel_size": (3, 3, 3)}, "kernel_size"),
    ("stride of 0", {"stride": 0}, "stride.*0"),
    ("stride below zero", {"stride": -1}, "stride.*-1"),
    ("dilation of 0", {"dilation": 0}, "dilation.*0"),
    ("padding below zero", {"padding": -1}, "padding.*-1"),
    ("unknown padding", {"padding": "full"}, "padding.*full"),
    ("unknown padding mode", {"padding_mode": "mirror"}, "padding_mode.*mirror|mirror.*padding_mode"),
    ("groups that do not divide", {"groups": 3}, "groups|divisible"),
    ("no groups", {"groups": 0}, "groups"),
    ("eps below zero", {"eps": -1.0}, "eps.*-1"),
    ("eps NaN", {"eps": NAN}, "eps.*nan"),
    ("eps infinite", {"eps": INF}, "eps.*inf"),
    ("gain NaN", {"gain": NAN}, "gain.*nan"),
    ("gain -1", {"gain": -1.0}, "gain.*-1"),
    ("gain infinite", {"gain": INF}, "gain.*inf"),
    ("unknown gain", {"gain": "high"}, "gain.*high"),
    ("cap without a learned gain", {"max_gain": 2.0}, "max_gain"),
    ("cap of zero", {"gain": "learned", "max_gain": 0.0}, "max_gain.*0"),
    ("cap NaN", {"gain": "learned", "max_gain": NAN}, "max_gain.*nan"),
    ("unknown affine", {"affine": "full"}, "affine.*full"),
    ("unknown gradient", {"gradient": "half"}, "gradient.*half"),
    ("unknown stride's way", {"strided": "skip"}, "strided.*skip"),
    ("unknown boundary", {"boundary": "torus"}, "boundary.*torus"),
    ("tolerance below zero", {"tolerance": -1.0}, "tolerance.*-1"),
    ("tolerance of one", {"tolerance": 1.0}, "tolerance.*1"),
    ("tolerance NaN", {"tolerance": NAN}, "tolerance.*nan"),
    ("radius of zero", {"max_radius": 0}, "max_radius.*0"),
    ("linear boundary of a circle", {"boundary": "linear", "padding_mode": "circular"}, "boundary"),
    ("whole numbers", {"dtype": torch.int32}, "int32|dtype|float"),
]
FORWARDS: list[tuple[str, Callable[[], Any], str]] = [
    ("an image below the kernel", lambda: convnorm(padding=0)(BATCH[:, :, :2, :2]), "below the kernel|smaller"),
    ("an image without pixels", lambda: convnorm(padding=0)(BATCH[:, :, :0, :0]), "pixel|below|0"),
    ("other channels", lambda: convnorm()(BATCH[:, :3]), "3.*4|4.*3|channels"),
    ("a matrix", lambda: convnorm()(BATCH[0, 0]), "2-dimensional|dimension|2D|shape"),
    ("a vector", lambda: convnorm()(BATCH[0, 0, 0]), "1-dimensional|dimension|1D|shape"),
    ("five dimensions", lambda: convnorm()(BATCH[None]), "5-dimensional|dimension|5D|shape"),
    ("bytes", lambda: convnorm()(BATCH.byte()), "uint8|Byte|dtype"),
    ("complex numbers", lambda: convnorm()(BATCH.to(torch.complex64)), "complex|dtype"),
    ("another dtype", lambda: convnorm()(BATCH.double()), "double|float64|dtype"),
]


def empty_batch() -> None:
    assert convnorm()(BATCH[:0]).shape == (0, 4, 8, 8)


def meta() -> None:
    with torch.device("meta"):
        assert convnorm()(torch.empty(2, 4, 8, 8)).shape == (2, 4, 8, 8)


def traced() -> None:
    layer = convnorm().eval()
    assert torch.allclose(torch.jit.trace(layer, BATCH)(BATCH), layer(BATCH), atol=1e-5)


def vmapped() -> None:
    layer = convnorm().eval()
    assert torch.allclose(torch.vmap(layer)(BATCH[None])[0], layer(BATCH), atol=1e-5)


def unbatched() -> None:
    layer = convnorm().eval()
    assert torch.allclose(layer(BATCH[0]), layer(BATCH)[0], atol=1e-5)


def channels_last() -> None:
    layer = convnorm().eval()
    assert torch.allclose(layer(BATCH.to(memory_format=torch.channels_last)), layer(BATCH), atol=1e-5)


def to_empty() -> None:
    with torch.device("meta"):
        layer = convnorm(affine="depthwise", gain="learned")
    layer.to_empty(device="cpu").reset_parameters()
    assert all(bool(p.isfinite().all()) for p in layer.parameters())
    assert layer.affine_weight is not None and layer.affine_weight[:, 1, 1].eq(1).all()


def zero_weights() -> None:
    conv = nn.Conv2d(4, 4, 3, padding=1)
    nn.init.zeros_(conv.weight)
    layer = layers.spectral_conv(conv)
    for _ in range(3):
        assert layer(BATCH).isfinite().all()
    with torch.no_grad():
        layer.parametrizations.weight.original.normal_()
    assert layer(BATCH).isfinite().all()


def original_finite() -> None:
    for seed in range(40):
        torch.manual_seed(seed)
        layer = layers.OriginalConvNorm2d(1, 8, 3, padding=1)
        assert layer(torch.randn(4, 1, 16, 16)).isfinite().all(), f"seed {seed}"


CASES = [
    *refused("ConvNorm2d", convnorm, CONSTRUCTED, "kernel of 0", "gain NaN", "stride of 0"),
    *(call("ConvNorm2d.forward", what, run, says, quick=what == "a matrix") for what, run, says in FORWARDS),
    *(
        call(
            kind.__name__,
            what,
            lambda kind=kind, o=options: kind(**{"in_channels": 4, "out_channels": 4, "kernel_size": 3} | o),
            says,
        )
        for kind in (
            layers.ConvNorm1d,
            layers.ConvNorm3d,
            layers.ConvNormTranspose2d,
            layers.OriginalConvNorm2d,
            layers.CayleyConv2d,
        )
        for what, options, says in (
            ("kernel of 0", {"kernel_size": 0}, "kernel_size.*0"),
            ("stride of 0", {"stride": 0}, "stride.*0"),
        )
    ),
    *(
        call(
            kind.__name__,
            what,
            lambda kind=kind, o=options: kind(**{"in_channels": 4, "out_channels": 4, "kernel_size": 3} | o),
            says,
        )
        for kind in (layers.ConvNormTranspose2d, layers.OriginalConvNorm2d)
        for what, options, says in (("eps below zero", {"eps": -1.0}, "eps.*-1"), ("eps NaN", {"eps": NAN}, "eps.*nan"))
    ),
    *(
        call(
            "LinearRowNorm",
            what,
            lambda o=options: layers.LinearRowNorm(**{"in_features": 4, "out_features": 4} | o),
            says,
        )
        for what, options, says in (
            ("no inputs", {"in_features": 0}, "in_features.*0"),
            ("eps NaN", {"eps": NAN}, "eps.*nan"),
            ("gain -1", {"gain": -1.0}, "gain.*-1"),
        )
    ),
    *(
        call(name, what, lambda name=name, o=options: layers.find_normalization(name, o).conv(nn.Conv2d(4, 4, 3)), says)
        for name, what, options, says in (
            ("spectral", "no iterations", {"n_power_iterations": 0}, "n_power_iterations"),
            ("spectral", "eps NaN", {"eps": NAN}, "eps"),
            ("spectral_conv", "no iterations", {"n_power_iterations": 0}, "n_power_iterations|iterations|option"),
            ("oni", "unknown option", {"nonsense": 1}, "nonsense"),
            ("convnorm", "negative least inputs", {"min_inputs": -1}, "min_inputs"),
            ("convnorm_2021", "options of the layer of 2021", {"gain": "lipschitz"}, "gain"),
            ("weight", "unknown option", {"eps": 1}, "eps"),
        )
    ),
    *(
        call("find_normalization", what, run, says)
        for what, run, says in (
            ("unknown name", lambda: layers.find_normalization("foo"), "foo.*choose"),
            ("empty name", lambda: layers.find_normalization(""), "''"),
            ("plus without a second", lambda: layers.find_normalization("convnorm+"), "''"),
            (
                "three norms",
                lambda: layers.find_normalization("convnorm+batch+layer"),
                "convnorm\\+batch\\+layer|batch\\+layer",
            ),
        )
    ),
    accepted("ConvNorm2d.forward", "empty batch", empty_batch, quick=True),
    accepted("ConvNorm2d.forward", "meta device", meta),
    accepted("ConvNorm2d.forward", "traced by jit", traced),
    accepted("ConvNorm2d.forward", "mapped by vmap", vmapped),
    accepted("ConvNorm2d.forward", "unbatched image", unbatched),
    accepted("ConvNorm2d.forward", "channels last", channels_last),
    accepted("ConvNorm2d", "made on the meta device, then emptied", to_empty),
    accepted("spectral_conv", "weights of zero", zero_weights, quick=True),
    accepted("OriginalConvNorm2d", "one channel, 40 initializations", original_finite),
]
