"""Checkpoints that name code. Whoever loads a checkpoint asked for weights, not for a program."""

from __future__ import annotations

from typing import Any

from bad_input_cases.case import Case, call, command
from bad_input_cases.checkpoint_edits import edited, lay_over

__all__ = ["CASES"]

#: how to run, which no file decides: what a checkpoint's configuration may be made to name
HOW_TO_RUN: dict[str, dict[str, Any]] = {
    "callback": {"trainer": {"callbacks": [{"class_path": "canary.Callback"}]}},
    "logger": {"trainer": {"logger": {"class_path": "canary.Callback"}}},
    "profiler": {"trainer": {"profiler": {"class_path": "canary.Callback"}}},
    "profiler's folder": {
        "trainer": {
            "profiler": {
                "class_path": "pytorch_lightning.profilers.SimpleProfiler",
                "init_args": {"dirpath": "elsewhere", "filename": "profile"},
            }
        }
    },
    "plugin": {"trainer": {"plugins": [{"class_path": "canary.Callback"}]}},
    "strategy": {"trainer": {"strategy": {"class_path": "canary.Callback"}}},
    "accelerator": {"trainer": {"accelerator": {"class_path": "canary.Callback"}}},
    "data": {"data": {"class_path": "canary.Data", "init_args": {}}},
    "extractor": {"scores": {"extractor": "canary:norm"}},
    "norm": {"model": {"architecture": {"disc_norm": "canary:norm"}}},
    "generator's norm": {"model": {"architecture": {"gen_norm": "canary:own_norm"}}},
    "network": {"model": {"architecture": {"network": "canary:own_networks"}}},
    "norm among two": {"model": {"architecture": {"disc_norm": "canary:norm+batch"}}},
    "YAML tag": {},
}
#: those that the package has no name for, and a person must trust
NEEDS_TRUST = ("norm", "generator's norm", "network", "norm among two", "data")
READERS = {
    "validate": "--ckpt_path trained/last.ckpt",
    "test": "--ckpt_path trained/last.ckpt",
    "predict": "--ckpt_path trained/last.ckpt --out made",
    "fit": "--resume trained/last.ckpt --out again",
    "score": "trained/last.ckpt flat --num-fake 20 --extractor classifier --extractor-weights extractor.pt",
    "export": "trained/last.ckpt out --no-program",
}
YAML_TAG = "model: !!python/object/apply:canary.norm [1]\n"


def names(kind: str) -> Any:
    """Return a function that makes the checkpoint name a kind of code."""
    if kind != "YAML tag":
        return lay_over(HOW_TO_RUN[kind])
    return edited(lambda checkpoint: checkpoint.update(run=YAML_TAG, config=YAML_TAG))


def in_checkpoints() -> list[Case]:
    found = []
    for kind in HOW_TO_RUN:
        for reader, words in READERS.items():
            if reader == "test" and kind not in ("callback", "norm"):
                continue
            if reader in ("score", "export") and kind not in (*NEEDS_TRUST, "YAML tag"):
                continue
            says = "canary.*--trust|--trust.*canary" if kind in NEEDS_TRUST else ""
            # What says how to run may be passed over; what the weights are of must be trusted or refused.
            expect = "clear" if kind in NEEDS_TRUST and kind != "data" else "clear accepted"
            says = "" if reader in ("score", "export") and kind == "data" else says
            found.append(
                command(
                    reader,
                    words,
                    f"checkpoint that names a {kind}",
                    says,
                    prepare=names(kind),
                    expect=expect,
                    writes="made* again* out*",
                    quick=(reader, kind) in (("validate", "callback"), ("predict", "norm"), ("export", "network")),
                )
            )
    return found


def load(path: str, **options: Any) -> Any:
    import gan_convnorm

    return gan_convnorm.load(path, **options).sample(2)


CASES = [
    *in_checkpoints(),
    call(
        "load",
        lambda: load("trained/last.ckpt"),
        "checkpoint that names a norm",
        "canary.*trust",
        prepare=names("norm"),
        needs="trained",
        quick=True,
    ),
    call(
        "load",
        lambda: load("trained/last.ckpt"),
        "checkpoint that names a network",
        "canary.*trust",
        prepare=names("network"),
        needs="trained",
    ),
    call(
        "load",
        lambda: load("trained/last.ckpt", trust=("canary",)),
        "trusted norm",
        expect="accepted clear",
        trusted=True,
        prepare=names("generator's norm"),
        needs="trained",
    ),
    call(
        "load",
        lambda: load("trained/last.ckpt", trust=("torch",)),
        "trust in another module",
        "canary.*trust",
        prepare=names("norm"),
        needs="trained",
    ),
    command(
        "validate",
        "--ckpt_path trained/last.ckpt --trust canary",
        "norm that is trusted, of other weights",
        "weight",
        trusted=True,
        prepare=names("norm"),
        expect="clear accepted",
    ),
    command("validate", "--ckpt_path own-norm/last.ckpt", "run with a norm of its own, not trusted", "canary.*--trust"),
    command(
        "validate",
        "--ckpt_path own-norm/last.ckpt --trust canary",
        "run with a norm of its own, trusted",
        expect="accepted",
        prints="FID",
        trusted=True,
    ),
    command(
        "predict",
        "--ckpt_path own-norm/last.ckpt --trust canary --out made",
        "run with a norm of its own, trusted",
        expect="accepted",
        trusted=True,
        writes="made*",
    ),
    command(
        "fit",
        "--resume own-norm/last.ckpt --steps 4 --out again",
        "run with a norm of its own, not trusted",
        "canary.*--trust",
    ),
    command(
        "fit",
        "--resume own-norm/last.ckpt --disc-norm canary:norm --steps 4 --out again",
        "run with a norm of its own, which the command line names",
        expect="accepted clear",
        says="canary.*--trust",
        trusted=True,
        writes="again*",
    ),
    command("validate", "--ckpt_path trained/last.ckpt --trust", "trust in nothing", "--trust"),
    command(
        "validate",
        "--ckpt_path trained/last.ckpt --trust no_such_module",
        "trust in no module",
        "no_such_module",
        expect="clear accepted",
    ),
]
