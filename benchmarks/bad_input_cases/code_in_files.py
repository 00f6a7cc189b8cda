"""Other files that name code or hold it: exports, pickles, YAML, arrays, caches, links."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch

from bad_input_cases.case import call, command, touch
from bad_input_cases.checkpoint_edits import CANARY_PICKLE, lay_over, malicious
from bad_input_cases.code_in_checkpoints import HOW_TO_RUN, READERS, YAML_TAG, load

__all__ = ["CASES"]


def describes(**changes: Any) -> Any:
    """Return a function that changes an export's JSON file."""

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
    call(
        "load",
        lambda: load("exported"),
        "export that names a network",
        "canary.*trust",
        prepare=describes(network="canary:own_networks"),
        needs="exported",
        quick=True,
    ),
    call(
        "load",
        lambda: load("exported"),
        "export that names a norm",
        "canary.*trust",
        prepare=describes(arguments={"norm": "canary:own_norm"}),
        needs="exported",
    ),
    call(
        "load",
        lambda: load("exported/generator.safetensors"),
        "export's file that names a network",
        "canary.*trust",
        prepare=describes(network="canary:own_networks"),
        needs="exported",
    ),
    command(
        "score",
        "exported/generator.safetensors flat --num-fake 20 --extractor classifier --extractor-weights extractor.pt",
        "export that names a network",
        "canary.*trust",
        prepare=describes(network="canary:own_networks"),
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
        lambda: load("trained/last.ckpt"),
        "pickle with code",
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
        "classify",
        "test --ckpt_path classifier/last.ckpt",
        "pickle with code",
        "last.ckpt",
        prepare=malicious("classifier/last.ckpt"),
    ),
    *(
        command(
            "classify",
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
        "classify",
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
        "score",
        "flat flat --extractor inception --extractor-weights evil.pt",
        "extractor's weights with code",
        "evil.pt",
        prepare=malicious("evil.pt"),
    ),
    command(
        "score",
        "flat flat --extractor clip --extractor-weights evil.pt",
        "CLIP's weights with code",
        "evil.pt",
        prepare=malicious("evil.pt", legacy=True),
    ),
    command(
        "score",
        "evil.npz flat --extractor classifier --extractor-weights extractor.pt",
        "fakes that are pickled arrays",
        "evil.npz",
        prepare=object_arrays("evil.npz"),
    ),
    command(
        "score",
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
        "classify",
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
