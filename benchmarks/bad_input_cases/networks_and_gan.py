"""Networks, the GAN and what is loaded of it."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import torch

from bad_input_cases.case import call
from bad_input_cases.function_calls import INF, NAN, refused
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
    *refused(
        "SNGANGenerator",
        networks.SNGANGenerator,
        [
            ("resolution 20", {"resolution": 20}, "20"),
            ("no channels", {"channels": 0}, "channels.*0"),
            ("no noise", {"latent_dim": 0}, "latent_dim.*0"),
            ("width of zero", {"width": 0.0}, "width.*0"),
            ("width NaN", {"width": NAN}, "width.*nan"),
            ("width infinite", {"width": INF}, "width.*inf"),
            ("no class", {"num_classes": 0}, "class"),
            ("attention nowhere", {"attention": 5}, "attention.*5"),
            ("plan of another form", {"plan": {"bottom": 4}}, "plan"),
            ("plan of words", {"plan": {"bottom": "4", "generator": "abc", "discriminator": []}}, "plan"),
            ("plan that is a list", {"plan": [1, 2]}, "plan"),
            (
                "plan with channels below zero",
                {"plan": {"bottom": 4, "generator": [-1, 8, 8, 8], "discriminator": [[8, True]]}},
                "plan|channels|-1",
            ),
        ],
    ),
    *refused(
        "SNGANDiscriminator",
        networks.SNGANDiscriminator,
        [
            ("resolution 20", {"resolution": 20}, "20"),
            ("no channels", {"channels": 0}, "channels.*0"),
            ("width below zero", {"width": -1.0}, "width.*-1"),
            ("unknown norm", {"norm": "foo"}, "foo"),
            ("no class", {"num_classes": -1}, "class"),
        ],
    ),
    call(
        "SNGANGenerator.forward",
        "other noise",
        lambda: networks.SNGANGenerator(32, width=0.05)(torch.randn(2, 5)),
        "5|128|noise",
    ),
    call(
        "SNGANGenerator.forward",
        "labels of no class",
        lambda: networks.SNGANGenerator(32, width=0.05)(torch.randn(2, 128), torch.tensor([0, 1])),
        "label",
    ),
    call(
        "SNGANGenerator.forward",
        "missing labels",
        lambda: networks.SNGANGenerator(32, width=0.05, num_classes=3)(torch.randn(2, 128)),
        "label",
    ),
    call(
        "SNGANGenerator.forward",
        "label 7 of 3",
        lambda: networks.SNGANGenerator(32, width=0.05, num_classes=3)(torch.randn(1, 128), torch.tensor([7])),
        "index out of range",  # nn.Embedding's own
    ),
    *refused(
        "GAN",
        gan_of,
        [
            ("no steps", {"steps": 0}, "steps.*0"),
            ("n_dis of zero", {"n_dis": 0}, "n_dis.*0"),
            ("learning rate below zero", {"gen_lr": -1.0}, "gen_lr.*-1"),
            ("learning rate NaN", {"disc_lr": NAN}, "disc_lr.*nan"),
            ("beta1 of 1.5", {"beta1": 1.5}, "beta1.*1.5"),
            ("beta2 below zero", {"beta2": -0.5}, "beta2.*-0.5"),
            ("decay two", {"ema_decay": 2.0}, "ema_decay.*2"),
            ("decay NaN", {"ema_decay": NAN}, "ema_decay.*nan"),
            ("classes without data's", {"conditional": True}, "class"),
            ("unknown loss", {"loss": "hunge"}, "hunge"),
            ("unknown penalty", {"penalty": "r3"}, "r3"),
            ("penalty's weight below zero", {"penalty": "r1", "penalty_weight": -1.0}, "penalty_weight|weight"),
            ("negative seed", {"seed": -1}, "seed.*-1"),
        ],
        "decay two",
    ),
    *(
        call("GAN.sample", what, lambda o=options: gan_of().sample(**{"n": 2} | o), says)
        for what, options, says in (
            ("images below zero", {"n": -1}, "-1"),
            ("labels of no class", {"labels": 3}, "without classes"),
            ("truncation of zero", {"truncation": 0.0}, "truncation"),
            ("truncation NaN", {"truncation": NAN}, "truncation"),
            ("batch of zero", {"batch_size": 0}, "batch_size"),
            ("negative first", {"first": -1}, "first"),
        )
    ),
    call("GAN.decode", "other noise", lambda: gan_of().decode(torch.randn(2, 5)), "5|128|noise"),
    call("GAN.decode", "noise that is NaN", lambda: gan_of().decode(torch.full((2, 128), NAN)), "NaN|finite"),
    *(
        call("load", what, run, says, needs="trained exported flat")
        for what, run, says in (
            ("no such file", lambda: load("none.ckpt"), "none.ckpt"),
            ("no such export", lambda: load("none.safetensors"), "none.safetensors"),
            ("folder of pictures", lambda: load("flat"), "flat"),
            ("run folder", lambda: load("trained"), "trained"),
            ("empty name", lambda: load(""), "generator.safetensors|no name"),
            ("unknown device", lambda: load("trained/last.ckpt", device="abacus"), "abacus"),
            ("GPU where there is none", lambda: load("trained/last.ckpt", device="cuda"), "cuda|NVIDIA"),
        )
    ),
    *refused(
        "Digits",
        Digits,
        [
            ("batch of zero", {"batch_size": 0}, "batch_size.*0"),
        ],
    ),
]
