"""Configuration files: YAML that is broken, hostile, or not a configuration."""

from __future__ import annotations

from pathlib import Path

from bad_input_cases.case import Case, command, touch
from bad_input_cases.comparing import ALIASES

__all__ = ["CASES"]

#: what is wrong, the file's text, what the line must say
FILES: list[tuple[str, str | bytes, str]] = [
    ("- 1\n", "of a list", "bad.yaml"),
    ("5\n", "of a number", "bad.yaml"),
    ("", "of nothing", "bad.yaml"),
    ("# nothing\n", "of a comment", "bad.yaml"),
    ("model: [\n", "of broken YAML", "bad.yaml"),
    ("model:\n\tsteps: 2\n", "with a tab", "bad.yaml"),
    (bytes(range(256)), "of random bytes", "bad.yaml"),
    ("# M\u00fcnchen\nmodel: {}\n".encode("latin-1"), "in Latin 1", "bad.yaml"),
    ("model: {wdith: 1}\n", "with an unknown key", "wdith"),
    ("modell: {width: 1}\n", "with an unknown room", "modell"),
    ("model: 5\n", "whose model is a number", "model"),
    ("model: null\n", "whose model is null", "model"),
    ("model: [1]\n", "whose model is a list", "model"),
    ("trainer: 5\n", "whose trainer is a number", "trainer"),
    ("trainer: null\n", "whose trainer is null", "trainer"),
    ("data: 5\n", "whose data are a number", "data"),
    ("data: null\n", "whose data are null", "data"),
    ("data: {class_path: no.such.Data}\n", "whose data are unknown", "no.such"),
    (
        "data: {class_path: gan_convnorm.data.Digits, init_args: {a: 1}}\n",
        "whose data have an unknown argument",
        "\\ba\\b",
    ),
    ("scores: 5\n", "whose scores are a number", "scores"),
    ("scores: null\n", "whose scores are null", "scores"),
    ("model: {architecture: {width: 0.05}}\nmodel: {}\n", "with a key twice", "model.*(twice|again)|twice.*model"),
    (
        "model: {architecture: {width: 0.05, width: 0.1}}\n",
        "with an inner key twice",
        "width.*(twice|again)|twice.*width",
    ),
    ("model: {optimization: {steps: many}}\n", "with steps of words", "steps.*many"),
    ("model: {optimization: {gen_lr: fast}}\n", "with a learning rate of words", "gen_lr.*fast"),
    ("model: {optimization: {gen_lr: -1e-3}}\n", "with a learning rate that YAML reads as a word", "gen_lr"),
    ("model: {architecture: {disc_norm: null}}\n", "with a norm that YAML reads as nothing", "disc_norm"),
    ("model: {architecture: {disc_norm: [spectral]}}\n", "with a norm that is a list", "disc_norm"),
    ("seed_everything: abc\n", "with a seed of words", "seed"),
    ("seed_everything: null\n", "with a seed that is null", "seed"),
    (ALIASES, "with aliases that grow without end", "bad.yaml"),
    ("model: &a [*a]\n", "with an alias of itself", "model|bad.yaml"),
    ("model: " + "[" * 20_000 + "]" * 20_000 + "\n", "with deep nesting", "bad.yaml"),
    ("model: {}\n---\nmodel: {}\n", "of two documents", "bad.yaml"),
    ("trainer: {logger: {class_path: pytorch_lightning.loggers.WandbLogger}}\n", "with Weights & Biases", "wandb"),
    ("trainer: {callbacks: [{class_path: no.such.Callback}]}\n", "with a callback of no module", "no.such"),
    ("model: {arch: resnet8}\n", "of a classifier", "arch"),
    ("ckpt_path: ''\n", "with a checkpoint of no name", "ckpt_path|--resume|checkpoint"),
    ("ckpt_path: none.ckpt\n", "with a checkpoint that is not there", "none.ckpt"),
]
QUICK = ("with a key twice", "whose model is a number", "with aliases that grow without end")


def written(text: str | bytes) -> object:
    return lambda: touch("bad.yaml", text)


def configuration(text: str | bytes, what: str, says: str) -> Case:
    return command("fit", "--config bad.yaml", f"config {what}", says, prepare=written(text), quick=what in QUICK)


def twice() -> None:
    text = Path("trained/config.yaml").read_text()
    touch("bad.yaml", text.replace("width: 0.05", "width: 0.05\n  width: 0.1"))


CASES = [
    *(configuration(*row) for row in FILES),
    *(
        command("classify", "fit --config bad.yaml", f"config {what}", says, prepare=written(text))
        for text, what, says in FILES
        if what in (*QUICK, "of random bytes", "whose trainer is null", "with a seed of words", "with an unknown key")
    ),
    command(
        "fit",
        "--config trained/config.yaml --config bad.yaml",
        "second of two configs of a list",
        "bad.yaml",
        prepare=written("- 1"),
    ),
    command(
        "fit",
        "--config bad.yaml --steps 2 --out again",
        "run's config with a key twice",
        "width.*(twice|again)|twice.*width",
        prepare=twice,
        needs="trained",
    ),
    command(
        "fit",
        "--config trained/config.yaml",
        "run's own config, whose folder is full",
        "trained.*not empty",
        quick=True,
    ),
    command("fit", "--config trained/config.yaml --out again", "run's own config", expect="accepted", writes="again*"),
    command(
        "fit", "--config classifier/config.yaml", "config of a classifier's run", "arch|classifier|evaluation|split"
    ),
    command("classify", "fit --config trained/config.yaml", "config of a GAN's run", "GAN|model|scores"),
    command("fit", "--config plan.yaml", "study in the config's place", "norms|name|grids|plan.yaml"),
    command("fit", "--config trained/metrics.csv", "table in the config's place", "metrics.csv"),
    command("fit", "--config trained/summary.json", "summary in the config's place", "summary.json|seconds|protocol"),
]
