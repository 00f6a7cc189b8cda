"""Resumed runs: their checkpoint, their folder, and settings that differ from the first run's."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from bad_input_cases.case import Case, command, touch
from bad_input_cases.checkpoint_edits import bytes_changed, cut
from gan_convnorm.files.part_files import part_path

__all__ = ["CASES"]


def fit(words: str, what: str, says: str = "", **more: Any) -> Case:
    return command("fit", words, f"resumed, {what}", says, **more)


def spoil_metrics(text: str | bytes) -> object:
    return lambda: touch("trained/metrics.csv", text)


def both_damaged() -> None:
    bytes_changed("trained/last.ckpt")()
    bytes_changed("trained/previous.ckpt")()


def dead_parts() -> None:
    """Leave half-written files under the name of this process, which has ended when the run is resumed."""
    for name in ("last.ckpt", "metrics.csv"):
        part_path(Path("trained", name)).write_text("half")


CASES = [
    fit(
        "--resume trained/last.ckpt --steps 2",
        "fewer steps than are done",
        "steps.*(2.*4|4.*2)",
        needs="trained",
        quick=True,
    ),
    fit("--resume trained/last.ckpt --steps 0", "no steps", "steps"),
    fit(
        "--resume trained/last.ckpt",
        "run that is finished",
        expect="accepted clear",
        prints="finished|nothing|done|4 of 4",
        says="finished|nothing|done",
        writes="trained/*",
        quick=True,
    ),
    fit("--resume none.ckpt", "checkpoint that is not there", "none.ckpt"),
    fit(
        "--resume trained",
        "run folder in the checkpoint's place",
        "trained",
        expect="clear accepted",
        writes="trained*",
    ),
    fit("--resume last", "last of no run", "last.ckpt"),
    fit("--resume last --out none", "last of a folder that is not there", "none"),
    fit("--resume last --out flat", "last of a folder of pictures", "flat"),
    fit("--resume last --out plan.yaml", "last of a file", "plan.yaml"),
    fit("--resume last --out of-photos --steps 4", "data folder that is gone", "photos"),
    fit(
        "--resume trained/last.ckpt --out of-photos --steps 6",
        "other run's folder",
        "of-photos.*not empty",
        needs="of-photos",
    ),
    fit("--resume trained/last.ckpt --out flat --steps 6", "folder of pictures", "flat.*not empty", needs="flat"),
    fit("--resume last --out trained --steps 6", "both checkpoints damaged", "ckpt", prepare=both_damaged),
    fit(
        "--resume last --out trained --steps 6",
        "last checkpoint damaged",
        expect="accepted",
        prints="warning.*previous.ckpt",
        prepare=cut("trained/last.ckpt"),
        writes="trained/*",
    ),
    *(
        fit(
            "--resume last --out trained --steps 6",
            f"metrics.csv {what}",
            "metrics.csv",
            prepare=spoil_metrics(text),
            expect=expect,
            writes=writes,
            prints="" if what == "with a cut line" else "metrics.csv",
            quick=what == "of words",
        )
        for text, what, expect, writes in (
            ("step,d_loss\none,two\n", "of words", "clear accepted", "trained/*"),
            ("loss\n1\n", "without steps", "clear accepted", "trained/*"),
            (bytes(range(256)), "of random bytes", "clear accepted", "trained/*"),
            ("step,d_loss,g_loss\n1,0.5\n2", "with a cut line", "clear accepted", "trained/*"),
            ("step,d_loss\n1,0.5,7,8\n", "with too many columns", "clear accepted", "trained/*"),
            ("step,d_loss\nnan,0.5\n", "with a step that is NaN", "clear accepted", "trained/*"),
        )
    ),
    fit(
        "--resume last --out trained --steps 6",
        "stray file in samples",
        expect="accepted",
        prepare=lambda: (touch("trained/samples/step-x.png"), touch("trained/samples/notes.txt")),
        holds=lambda: Path("trained/samples/notes.txt").read_text() == "precious",
        writes="trained/*",
        quick=True,
    ),
    fit(
        "--resume last --out trained --steps 6",
        "files of a killed process left behind",
        expect="accepted",
        prepare=dead_parts,
        holds=lambda: not list(Path("trained").glob("*.part")) and not list(Path("trained").glob(".*.part")),
        writes="trained/*",
    ),
    fit(
        "--resume last --out trained --steps 6",
        "samples that are a file",
        "samples",
        expect="accepted clear",
        prepare=lambda: (shutil.rmtree("trained/samples"), touch("trained/samples")),
        holds=lambda: Path("trained/samples").is_dir() or Path("trained/samples").read_text() == "precious",
        writes="trained/*",
    ),
    fit(
        "--resume last --out trained --steps 6",
        "summary.json that is a folder",
        "summary.json",
        expect="accepted clear",
        prepare=lambda: (Path("trained/summary.json").unlink(), Path("trained/summary.json").mkdir()),
        writes="trained/*",
    ),
    *(
        fit(
            f"--resume trained/last.ckpt --steps 6 --out again {flag} {value}",
            f"another {key}",
            expect="accepted clear",
            prints=f"{key}.*({value}|was|differs)",
            says=key,
            writes="again*",
        )
        for flag, value, key in (
            ("--batch-size", 4, "batch_size"),
            ("--n-dis", 2, "n_dis"),
            ("--gen-lr", 0.01, "gen_lr"),
            ("--model.optimization.beta1", 0.5, "beta1"),
            ("--loss", "wasserstein", "loss"),
            ("--seed", 7, "seed"),
        )
    ),
    *(
        fit(f"--resume trained/last.ckpt --steps 6 --out again {flag} {value}", f"another {key}", key)
        for flag, value, key in (
            ("--width", 0.1, "width"),
            ("--disc-norm", "spectral", "disc_norm"),
            ("--resolution", 32, "resolution"),
            ("--model.architecture.latent_dim", 64, "latent_dim"),
            ("--network", "dcgan", "network"),
        )
    ),
]
