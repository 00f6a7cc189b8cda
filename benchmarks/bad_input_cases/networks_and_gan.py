"""Networks, the GAN, and its checkpoints loaded in Python."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import torch

from bad_input_cases.case import call, calls
from bad_input_cases.function_calls import INF, NAN
from gan_convnorm import networks
from gan_convnorm.data import Digits
from gan_convnorm.gan import GAN, Architecture, Optimization

__all__ = ["CASES"]


def gan_of(**options: Any) -> GAN:
    """Return a narrow GAN with options by their own names."""
    options = {"width": 0.05} | options
    groups: dict[str, Any] = {"architecture": Architecture, "optimization": Optimization}
    for name, group in groups.items():
        known = [field.name for field in fields(group) if field.name in options]
        options[name] = group(**{each: options.pop(each) for each in known})
    return GAN(**options)


def load(path: Any, **options: Any) -> Any:
    import gan_convnorm

    return gan_convnorm.load(path, **options)


CASES = [
    *calls(
        "SNGANGenerator",
        networks.SNGANGenerator,
        [
            ({"resolution": 20}, "resolution 20", "20"),
            ({"channels": 0}, "no channels", "channels.*0"),
            ({"latent_dim": 0}, "no noise", "latent_dim.*0"),
            ({"width": 0.0}, "width of zero", "width.*0"),
            ({"width": NAN}, "width NaN", "width.*nan"),
            ({"width": INF}, "width infinite", "width.*inf"),
            ({"num_classes": 0}, "no class", "class"),
            ({"attention": 5}, "attention nowhere", "attention.*5"),
            ({"plan": {"bottom": 4}}, "plan of another form", "plan"),
            ({"plan": {"bottom": "4", "generator": "abc", "discriminator": []}}, "plan of words", "plan"),
            ({"plan": [1, 2]}, "plan that is a list", "plan"),
            (
                {"plan": {"bottom": 4, "generator": [-1, 8, 8, 8], "discriminator": [[8, True]]}},
                "plan with channels below zero",
                "plan|channels|-1",
            ),
        ],
    ),
    *calls(
        "SNGANDiscriminator",
        networks.SNGANDiscriminator,
        [
            ({"resolution": 20}, "resolution 20", "20"),
            ({"channels": 0}, "no channels", "channels.*0"),
            ({"width": -1.0}, "width below zero", "width.*-1"),
            ({"norm": "foo"}, "unknown norm", "foo"),
            ({"num_classes": -1}, "no class", "class"),
        ],
    ),
    call(
        "SNGANGenerator.forward",
        lambda: networks.SNGANGenerator(32, width=0.05)(torch.randn(2, 5)),
        "other noise",
        "5|128|noise",
    ),
    call(
        "SNGANGenerator.forward",
        lambda: networks.SNGANGenerator(32, width=0.05)(torch.randn(2, 128), torch.tensor([0, 1])),
        "labels of no class",
        "label",
    ),
    call(
        "SNGANGenerator.forward",
        lambda: networks.SNGANGenerator(32, width=0.05, num_classes=3)(torch.randn(2, 128)),
        "missing labels",
        "label",
    ),
    call(
        "SNGANGenerator.forward",
        lambda: networks.SNGANGenerator(32, width=0.05, num_classes=3)(torch.randn(1, 128), torch.tensor([7])),
        "label 7 of 3",
        "index out of range",  # nn.Embedding's own
    ),
    *calls(
        "GAN",
        gan_of,
        [
            ({"steps": 0}, "no steps", "steps.*0"),
            ({"n_dis": 0}, "n_dis of zero", "n_dis.*0"),
            ({"gen_lr": -1.0}, "learning rate below zero", "gen_lr.*-1"),
            ({"disc_lr": NAN}, "learning rate NaN", "disc_lr.*nan"),
            ({"beta1": 1.5}, "beta1 of 1.5", "beta1.*1.5"),
            ({"beta2": -0.5}, "beta2 below zero", "beta2.*-0.5"),
            ({"ema_decay": 2.0}, "decay two", "ema_decay.*2"),
            ({"ema_decay": NAN}, "decay NaN", "ema_decay.*nan"),
            ({"conditional": True}, "classes without data's", "class"),
            ({"loss": "hunge"}, "unknown loss", "hunge"),
            ({"penalty": "r3"}, "unknown penalty", "r3"),
            ({"penalty": "r1", "penalty_weight": -1.0}, "penalty's weight below zero", "penalty_weight|weight"),
            ({"seed": -1}, "negative seed", "seed.*-1"),
        ],
        "decay two",
    ),
    *calls(
        "GAN.sample",
        lambda **o: GAN(width=0.05).sample(**{"n": 2} | o),
        [
            ({"n": -1}, "images below zero", "-1"),
            ({"labels": 3}, "labels of no class", "without classes"),
            ({"truncation": 0.0}, "truncation of zero", "truncation"),
            ({"truncation": NAN}, "truncation NaN", "truncation"),
            ({"batch_size": 0}, "batch of zero", "batch_size"),
            ({"first": -1}, "negative first", "first"),
        ],
    ),
    call("GAN.decode", lambda: GAN(width=0.05).decode(torch.randn(2, 5)), "other noise", "5|128|noise"),
    call("GAN.decode", lambda: GAN(width=0.05).decode(torch.full((2, 128), NAN)), "noise that is NaN", "NaN|finite"),
    *(
        call("load", run, what, says, needs="trained exported flat")
        for run, what, says in (
            (lambda: load("none.ckpt"), "no such file", "none.ckpt"),
            (lambda: load("none.safetensors"), "no such export", "none.safetensors"),
            (lambda: load("flat"), "folder of pictures", "flat"),
            (lambda: load("trained"), "run folder", "trained"),
            (lambda: load(""), "empty name", "generator.safetensors|no name"),
            (lambda: load("trained/last.ckpt", device="abacus"), "unknown device", "abacus"),
            (lambda: load("trained/last.ckpt", device="cuda"), "GPU where there is none", "cuda|NVIDIA"),
        )
    ),
    *calls(
        "Digits",
        Digits,
        [({"batch_size": 0}, "batch of zero", "batch_size.*0")],
    ),
]
