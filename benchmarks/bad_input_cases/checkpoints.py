"""Checkpoints that lack something, hold something else, or are damaged."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from bad_input_cases.case import Case, call, command, touch
from bad_input_cases.checkpoint_edits import bytes_changed, cut, edited, lay_over, replaced, without, zipped

__all__ = ["CASES"]

VALIDATE = "--ckpt_path trained/last.ckpt"
RESUME = "--resume trained/last.ckpt --steps 6 --out again"
#: keys of Lightning's checkpoints and of ours; those that a version does not have are left out
KEYS = (
    "state_dict",
    "hyper_parameters",
    "g_step",
    "run",
    "epoch",
    "global_step",
    "pytorch-lightning_version",
    "loops",
    "callbacks",
    "optimizer_states",
    "lr_schedulers",
    "hparams_name",
)
#: without them there is no generator
NEEDED = ("state_dict", "g_step", "run")
#: without them a run cannot go on as it was
NEEDED_TO_RESUME = (*NEEDED, "global_step", "loops", "callbacks", "optimizer_states")
WRONG: dict[str, tuple[Any, ...]] = {
    "state_dict": (5, [], {"generator.linear.weight": 3}, {}),
    "hyper_parameters": (None, "text", {"resolution": "sixteen"}, {}),
    "g_step": ("four", -1, None, 2.5, [1]),
    "run": (5, "text", [], {}, {"version": 2}, {"version": 99}, None),
    "optimizer_states": ([], "text", [{}, {}], None),
    "callbacks": (5, {"nonsense": {}}, None),
    "loops": (None, {}, {"fit_loop": 5}),
    "global_step": ("x", -1),
    "epoch": ("x",),
    "lr_schedulers": (5,),
    "pytorch-lightning_version": (5, "99.0"),
}


def load(path: str = "trained/last.ckpt") -> Any:
    import gan_convnorm

    return gan_convnorm.load(path).sample(2)


def not_finite(value: float) -> Any:
    def change(checkpoint: dict[str, Any]) -> None:
        for tensor in checkpoint["state_dict"].values():
            if tensor.is_floating_point():
                tensor.fill_(value)

    return edited(change)


def hyper(**values: Any) -> Any:
    """Return a function that changes hyperparameters, in both of their places."""
    group = {"n_dis": "optimization", "resolution": None}
    model: dict[str, Any] = {}
    for name, value in values.items():
        place = group.get(name, "architecture")
        model |= {name: value} if place is None else {place: {name: value}}
    return lay_over({"model": model})


def keys_and_types() -> list[Case]:
    found = []
    for key in KEYS:
        needed = "clear" if key in NEEDED else "clear accepted"
        found += [
            command(
                "validate", VALIDATE, f"checkpoint without {key}", "last.ckpt", prepare=without(key), expect=needed
            ),
            command(
                "fit",
                RESUME,
                f"resumed from a checkpoint without {key}",
                "last.ckpt",
                prepare=without(key),
                expect="clear" if key in NEEDED_TO_RESUME else "clear accepted",
                writes="again*",
                quick=key == "optimizer_states",
            ),
        ]
        if key in NEEDED:
            found.append(call("load", load, f"without {key}", "last.ckpt", prepare=without(key), needs="trained"))
    for key, values in WRONG.items():
        for value in values:
            needed = "clear" if key in NEEDED else "clear accepted"
            what = f"whose {key} is {value!r}"
            if key in NEEDED or value == 5:
                found.append(
                    command("validate", VALIDATE, f"checkpoint {what}", prepare=replaced(key, value), expect=needed)
                )
            if key in NEEDED_TO_RESUME:
                found.append(command("fit", RESUME, f"resumed from a checkpoint {what}", prepare=replaced(key, value)))
    return found


def fifo(path: str) -> None:
    Path(path).unlink()
    os.mkfifo(path)


def smaller(checkpoint: dict[str, Any]) -> None:
    name = "generator_ema.linear.weight"
    checkpoint["state_dict"][name] = checkpoint["state_dict"][name][:5]


def whole_numbers(checkpoint: dict[str, Any]) -> None:
    for name, tensor in checkpoint["state_dict"].items():
        checkpoint["state_dict"][name] = tensor.to(torch.int32)


def more_keys(checkpoint: dict[str, Any]) -> None:
    checkpoint["state_dict"]["generator.extra"] = torch.zeros(1)


CASES = [
    *keys_and_types(),
    *(
        command(
            reader,
            words,
            f"weights that are {value}",
            "NaN|infinite",
            prepare=not_finite(value),
            quick=value != value and reader in ("validate", "fit"),
        )
        for value in (float("nan"), float("inf"))
        for reader, words in (
            ("validate", VALIDATE),
            ("predict", "--ckpt_path trained/last.ckpt --out made"),
            ("fit", RESUME),
            ("export", "trained/last.ckpt out --no-program"),
            (
                "score",
                "trained/last.ckpt flat --num-fake 20 --extractor classifier --extractor-weights extractor.pt",
            ),
        )
    ),
    call("load", load, "weights that are NaN", "NaN", prepare=not_finite(float("nan")), needs="trained", quick=True),
    *(
        command(reader, words, what, says, prepare=prepare, expect=expect)
        for reader, words in (("validate", VALIDATE), ("fit", RESUME))
        for what, says, prepare, expect in (
            ("weight of another shape", "linear.weight", edited(smaller), "clear"),
            ("weights of whole numbers", "", edited(whole_numbers), "clear"),
            ("weight that is not known", "extra", edited(more_keys), "clear"),
            ("checkpoint that is a list", "last.ckpt", edited(lambda checkpoint: [1, 2]), "clear"),
            ("checkpoint that is one tensor", "last.ckpt", edited(lambda checkpoint: torch.zeros(3)), "clear"),
            ("empty checkpoint", "last.ckpt", lambda: touch("trained/last.ckpt", ""), "clear"),
            ("checkpoint of random bytes", "last.ckpt", lambda: touch("trained/last.ckpt", os.urandom(5000)), "clear"),
            ("cut checkpoint", "last.ckpt", cut("trained/last.ckpt"), "clear"),
            ("damaged checkpoint", "last.ckpt", bytes_changed("trained/last.ckpt"), "clear"),
            ("zip file", "last.ckpt", zipped("trained/last.ckpt", {"a.txt": b"text"}), "clear"),
            (
                "folder in the checkpoint's place",
                "last.ckpt",
                lambda: (Path("trained/last.ckpt").unlink(), Path("trained/last.ckpt").mkdir()),
                "clear",
            ),
            ("FIFO in the checkpoint's place", "last.ckpt", lambda: fifo("trained/last.ckpt"), "clear"),
            (
                "link that leads nowhere",
                "last.ckpt",
                lambda: (Path("trained/last.ckpt").unlink(), Path("trained/last.ckpt").symlink_to("nowhere")),
                "clear",
            ),
            (
                "link to itself",
                "last.ckpt",
                lambda: (Path("trained/last.ckpt").unlink(), Path("trained/last.ckpt").symlink_to("last.ckpt")),
                "clear",
            ),
        )
    ),
    command("validate", "--ckpt_path none.ckpt", "checkpoint that is not there", "none.ckpt"),
    command("validate", "--ckpt_path trained", "checkpoint that is a run folder", "trained"),
    command("validate", "--ckpt_path plan.yaml", "checkpoint that is text", "plan.yaml"),
    command("validate", "--ckpt_path flat/00.png", "checkpoint that is a picture", "00.png"),
    command("validate", "--ckpt_path exported/generator.safetensors", "checkpoint that is an export", "safetensors"),
    command("validate", "--ckpt_path arrays.npz", "checkpoint that is an array file", "arrays.npz"),
    command("validate", "--ckpt_path tensors.pt", "checkpoint that is a file of tensors", "tensors.pt"),
    command(
        "validate", "--ckpt_path classifier/last.ckpt", "checkpoint of a classifier", "classifier|last.ckpt", quick=True
    ),
    command("classify", "test --ckpt_path trained/last.ckpt", "checkpoint of a GAN", "GAN|last.ckpt"),
    command("validate", "--ckpt_path /dev/zero", "checkpoint that is a device", "/dev/zero"),
    command("validate", "--ckpt_path ''", "checkpoint of no name", "--ckpt_path"),
    command("validate", "--ckpt_path last", "word that only a resume knows", "last"),
    command("validate", "--ckpt_path best", "word that Lightning knows", "best"),
    command("validate", "--ckpt_path https://example.org/last.ckpt", "address of a checkpoint", "https?:|example"),
    *(
        command(
            "validate",
            VALIDATE,
            f"checkpoint whose {name} is {value!r}",
            f"{name}|{value}|nonsense",
            prepare=hyper(**{name: value}),
        )
        for name, value in (
            ("width", -1),
            ("width", "wide"),
            ("width", float("nan")),
            ("resolution", 20),
            ("latent_dim", "x"),
            ("disc_norm", "nonsense"),
            ("disc_norm", 5),
            ("disc_norm_options", [1]),
            ("disc_norm_options", {"nonsense": 1}),
            ("network", "nonsense"),
            ("plan", [1]),
            ("n_dis", 0),
            ("latent_dim", 10**9),
        )
    ),
]
