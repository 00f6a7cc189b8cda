"""Configuration files: YAML that is broken, hostile, or means something else than a configuration."""

from __future__ import annotations

from pathlib import Path

from bad_input_cases.case import Case, command, touch
from bad_input_cases.comparing import ALIASES

__all__ = ["CASES"]

#: what is wrong, the file's text, what the line must say
FILES: list[tuple[str, str | bytes, str]] = [
    ("of a list", "- 1\n", "bad.yaml"),
    ("of a number", "5\n", "bad.yaml"),
    ("of nothing", "", "bad.yaml"),
    ("of a comment", "# nothing\n", "bad.yaml"),
    ("of broken YAML", "model: [\n", "bad.yaml"),
    ("with a tab", "model:\n\tsteps: 2\n", "bad.yaml"),
    ("of random bytes", bytes(range(256)), "bad.yaml"),
    ("in Latin 1", "# M\u00fcnchen\nmodel: {}\n".encode("latin-1"), "bad.yaml"),
    ("with an unknown key", "model: {wdith: 1}\n", "wdith"),
    ("with an unknown room", "modell: {width: 1}\n", "modell"),
    ("whose model is a number", "model: 5\n", "model"),
    ("whose model is null", "model: null\n", "model"),
    ("whose model is a list", "model: [1]\n", "model"),
    ("whose trainer is a number", "trainer: 5\n", "trainer"),
    ("whose trainer is null", "trainer: null\n", "trainer"),
    ("whose data are a number", "data: 5\n", "data"),
    ("whose data are null", "data: null\n", "data"),
    ("whose data are unknown", "data: {class_path: no.such.Data}\n", "no.such"),
    (
        "whose data have an unknown argument",
        "data: {class_path: gan_convnorm.data.Digits, init_args: {a: 1}}\n",
        "\\ba\\b",
    ),
    ("whose scores are a number", "scores: 5\n", "scores"),
    ("whose scores are null", "scores: null\n", "scores"),
    ("with a key twice", "model: {architecture: {width: 0.05}}\nmodel: {}\n", "model.*(twice|again)|twice.*model"),
    (
        "with an inner key twice",
        "model: {architecture: {width: 0.05, width: 0.1}}\n",
        "width.*(twice|again)|twice.*width",
    ),
    ("with steps of words", "model: {optimization: {steps: many}}\n", "steps.*many"),
    ("with a learning rate of words", "model: {optimization: {gen_lr: fast}}\n", "gen_lr.*fast"),
    ("with a learning rate that YAML reads as a word", "model: {optimization: {gen_lr: -1e-3}}\n", "gen_lr"),
    ("with a norm that YAML reads as nothing", "model: {architecture: {disc_norm: null}}\n", "disc_norm"),
    ("with a norm that is a list", "model: {architecture: {disc_norm: [spectral]}}\n", "disc_norm"),
    ("with a seed of words", "seed_everything: abc\n", "seed"),
    ("with a seed that is null", "seed_everything: null\n", "seed"),
    ("with aliases that grow without end", ALIASES, "bad.yaml"),
    ("with an alias of itself", "model: &a [*a]\n", "model|bad.yaml"),
    ("with deep nesting", "model: " + "[" * 20_000 + "]" * 20_000 + "\n", "bad.yaml"),
    ("of two documents", "model: {}\n---\nmodel: {}\n", "bad.yaml"),
    ("with Weights & Biases", "trainer: {logger: {class_path: pytorch_lightning.loggers.WandbLogger}}\n", "wandb"),
    ("with a callback of no module", "trainer: {callbacks: [{class_path: no.such.Callback}]}\n", "no.such"),
    ("of a classifier", "model: {arch: resnet8}\n", "arch"),
    ("with a checkpoint of no name", "ckpt_path: ''\n", "ckpt_path|--resume|checkpoint"),
    ("with a checkpoint that is not there", "ckpt_path: none.ckpt\n", "none.ckpt"),
]
QUICK = ("with a key twice", "whose model is a number", "with aliases that grow without end")


def written(text: str | bytes) -> object:
    return lambda: touch("bad.yaml", text)


def configuration(what: str, text: str | bytes, says: str) -> Case:
    return command("fit", "--config bad.yaml", f"config {what}", says, prepare=written(text), quick=what in QUICK)


def twice() -> None:
    text = Path("trained/config.yaml").read_text()
    touch("bad.yaml", text.replace("width: 0.05", "width: 0.05\n  width: 0.1"))


CASES = [
    *(configuration(*row) for row in FILES),
    *(
        command("classify", "fit --config bad.yaml", f"config {what}", says, prepare=written(text))
        for what, text, says in FILES
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
