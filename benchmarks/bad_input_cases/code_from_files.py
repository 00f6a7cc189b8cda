"""Files that name code or hold it: a person who loads them asked for weights, not for a program."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch

from bad_input_cases.case import Case, call, command, touch
from bad_input_cases.checkpoint_edits import CANARY_PICKLE, edited, lay_over, malicious

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
    "norm": {"model": {"disc_norm": "canary:norm"}},
    "generator's norm": {"model": {"gen_norm": "canary:own_norm"}},
    "network": {"model": {"network": "canary:own_networks"}},
    "norm among two": {"model": {"disc_norm": "canary:norm+batch"}},
    "YAML tag": {},
}
#: those that the package has no name for, and a person must trust
NEEDS_TRUST = ("norm", "generator's norm", "network", "norm among two", "data")
READERS = {
    "validate": "--ckpt_path trained/last.ckpt",
    "test": "--ckpt_path trained/last.ckpt",
    "predict": "--ckpt_path trained/last.ckpt --out made",
    "fit": "--resume trained/last.ckpt --out again",
    "fidelity": "trained/last.ckpt flat --num-fake 20 --extractor classifier --extractor-weights extractor.pt",
    "export": "trained/last.ckpt out --no-program",
}
YAML_TAG = "model: !!python/object/apply:canary.norm [1]\n"


def names(kind: str) -> Any:
    """What makes the checkpoint name that."""
    if kind != "YAML tag":
        return lay_over(HOW_TO_RUN[kind])
    return edited(lambda checkpoint: checkpoint.update(run=YAML_TAG, config=YAML_TAG))


def in_checkpoints() -> list[Case]:
    found = []
    for kind in HOW_TO_RUN:
        for reader, words in READERS.items():
            if reader == "test" and kind not in ("callback", "norm"):
                continue
            if reader in ("fidelity", "export") and kind not in (*NEEDS_TRUST, "YAML tag"):
                continue
            says = "canary.*--trust|--trust.*canary" if kind in NEEDS_TRUST else ""
            # What says how to run may be passed over; what the weights are of must be trusted or refused.
            expect = "clear" if kind in NEEDS_TRUST and kind != "data" else "clear accepted"
            says = "" if reader in ("fidelity", "export") and kind == "data" else says
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


def describes(**changes: Any) -> Any:
    """What changes an export's JSON file."""

    def prepare() -> None:
        path = Path("exported/generator.json")
        description = json.loads(path.read_text())
        for key, value in changes.items():
            if isinstance(value, dict):
                description[key] |= value
            else:
                description[key] = value
        path.write_text(json.dumps(description))

    return prepare


def object_arrays(path: str, **others: Any) -> Any:
    def prepare() -> None:
        import numpy as np

        content = np.array([CANARY_PICKLE()] * 4, dtype=object)
        if path.endswith(".npz"):
            np.savez(path, images=content, **others)
        else:
            touch(path)
            np.save(path, content, allow_pickle=True)

    return prepare


def poisoned_cache() -> None:
    folder = Path(os.environ["XDG_CACHE_HOME"], "gan_convnorm")
    for path in folder.glob("*.pt"):
        torch.save({"count": CANARY_PICKLE()}, path)


def corruption_folder() -> None:
    import numpy as np

    object_arrays("corrupted/fog.npy")()
    np.save("corrupted/labels.npy", np.zeros(20, dtype=np.int64))


def link_out() -> None:
    touch("secret.png", "secretsecretsecretsecret")
    for path in Path("trained/samples").iterdir():
        path.unlink()
        path.symlink_to(Path("secret.png").resolve())


CASES = [
    *in_checkpoints(),
    call(
        "load",
        "checkpoint that names a norm",
        lambda: load("trained/last.ckpt"),
        "canary.*trust",
        prepare=names("norm"),
        needs="trained",
        quick=True,
    ),
    call(
        "load",
        "checkpoint that names a network",
        lambda: load("trained/last.ckpt"),
        "canary.*trust",
        prepare=names("network"),
        needs="trained",
    ),
    call(
        "load",
        "trusted norm",
        lambda: load("trained/last.ckpt", trust=("canary",)),
        expect="accepted clear",
        trusted=True,
        prepare=names("generator's norm"),
        needs="trained",
    ),
    call(
        "load",
        "trust in another module",
        lambda: load("trained/last.ckpt", trust=("torch",)),
        "canary.*trust",
        prepare=names("norm"),
        needs="trained",
    ),
    call(
        "load",
        "export that names a network",
        lambda: load("exported"),
        "canary.*trust",
        prepare=describes(network="canary:own_networks"),
        needs="exported",
        quick=True,
    ),
    call(
        "load",
        "export that names a norm",
        lambda: load("exported"),
        "canary.*trust",
        prepare=describes(arguments={"norm": "canary:own_norm"}),
        needs="exported",
    ),
    call(
        "load",
        "export's file that names a network",
        lambda: load("exported/generator.safetensors"),
        "canary.*trust",
        prepare=describes(network="canary:own_networks"),
        needs="exported",
    ),
    command(
        "fidelity",
        "exported/generator.safetensors flat --num-fake 20 --extractor classifier --extractor-weights extractor.pt",
        "export that names a network",
        "canary.*trust",
        prepare=describes(network="canary:own_networks"),
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
    *(
        command(
            reader,
            words,
            f"checkpoint that is a pickle with code{' of old form' * legacy}",
            "last.ckpt",
            prepare=malicious("trained/last.ckpt", legacy=legacy),
            needs="trained",
            quick=reader == "test",
        )
        for reader, words in READERS.items()
        for legacy in (False, True)
        if not legacy or reader in ("validate", "fit")
    ),
    call(
        "load",
        "pickle with code",
        lambda: load("trained/last.ckpt"),
        "last.ckpt",
        prepare=malicious("trained/last.ckpt"),
    ),
    command(
        "fit",
        "--resume last --out trained",
        "last.ckpt and previous.ckpt that are pickles with code",
        "ckpt",
        prepare=lambda: (malicious("trained/last.ckpt")(), malicious("trained/previous.ckpt", legacy=True)()),
    ),
    command(
        "robustness",
        "test --ckpt_path classifier/last.ckpt",
        "pickle with code",
        "last.ckpt",
        prepare=malicious("classifier/last.ckpt"),
    ),
    *(
        command(
            "robustness",
            f"{reader} classifier/last.ckpt{more}",
            f"checkpoint that names a {kind}, {reader.split()[0]}",
            prepare=lay_over(changes, Path("classifier/last.ckpt")),
            expect=expect,
            says=says,
            writes="again*",
        )
        for reader, more in (
            ("test --ckpt_path", ""),
            ("validate --ckpt_path", ""),
            ("fit --resume", " --out again --epochs 1"),
        )
        for kind, changes, expect, says in (
            ("callback", HOW_TO_RUN["callback"], "clear accepted", ""),
            ("norm", {"model": {"norm": "canary:norm"}}, "clear", "canary.*--trust|--trust.*canary"),
            ("data set", HOW_TO_RUN["data"], "clear accepted", ""),
        )
    ),
    command(
        "fit",
        "--config evil.yaml",
        "config with a YAML tag",
        "evil.yaml",
        prepare=lambda: touch("evil.yaml", YAML_TAG),
        quick=True,
    ),
    command(
        "study", "evil.yaml --report", "plan with a YAML tag", "evil.yaml", prepare=lambda: touch("evil.yaml", YAML_TAG)
    ),
    command(
        "robustness",
        "fit --config evil.yaml",
        "config with a YAML tag",
        "evil.yaml",
        prepare=lambda: touch("evil.yaml", YAML_TAG),
    ),
    command(
        "compare",
        "trained",
        "run whose config has a YAML tag",
        "config.yaml",
        prepare=lambda: touch("trained/config.yaml", YAML_TAG),
    ),
    command(
        "fit",
        "--data gan_convnorm.data.Arrays --data.path evil.npz",
        "array file with pickles",
        "evil.npz",
        prepare=object_arrays("evil.npz"),
        quick=True,
    ),
    command(
        "fit",
        "--data gan_convnorm.data.Arrays --data.path evil.pt",
        "tensor file with code",
        "evil.pt",
        prepare=malicious("evil.pt"),
    ),
    command(
        "fit",
        "--data gan_convnorm.data.Arrays --data.path evil.pt",
        "tensor file of old form with code",
        "evil.pt",
        prepare=malicious("evil.pt", legacy=True),
    ),
    command(
        "fit", "--extractor-weights evil.pt", "extractor's weights with code", "evil.pt", prepare=malicious("evil.pt")
    ),
    command(
        "fidelity",
        "flat flat --extractor inception --extractor-weights evil.pt",
        "extractor's weights with code",
        "evil.pt",
        prepare=malicious("evil.pt"),
    ),
    command(
        "fidelity",
        "flat flat --extractor clip --extractor-weights evil.pt",
        "CLIP's weights with code",
        "evil.pt",
        prepare=malicious("evil.pt", legacy=True),
    ),
    command(
        "fidelity",
        "evil.npz flat --extractor classifier --extractor-weights extractor.pt",
        "fakes that are pickled arrays",
        "evil.npz",
        prepare=object_arrays("evil.npz"),
    ),
    command(
        "fidelity",
        "evil.npy flat --extractor classifier --extractor-weights extractor.pt",
        "fakes that are a pickled array",
        "evil.npy",
        prepare=object_arrays("evil.npy"),
    ),
    command(
        "fit",
        "",
        "cache whose files are pickles with code",
        prepare=poisoned_cache,
        expect="accepted",
        prints="warning: .*computed again",
        writes="checkpoints*",
        quick=True,
    ),
    command(
        "robustness",
        "fit --corruption-folder corrupted",
        "corrupted images that are pickles",
        "fog.npy",
        prepare=corruption_folder,
    ),
    command(
        "compare",
        "trained",
        "sample grid that is a link out of the run",
        "step-|link",
        prepare=link_out,
        needs="plan.yaml",
        expect="clear accepted",
        hides="secret",
        writes="compare.html",
        holds=lambda: "c2VjcmV0" not in Path("compare.html").read_text(),
    ),
]
