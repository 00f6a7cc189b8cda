"""Programs work in a locale that is not UTF-8, and with file names that are no text."""

import ast
import io
import os
import sys
from pathlib import Path

import pytest
import pytorch_lightning as pl
from short_training import small_gan

from gan_convnorm.any_text import print_any_text
from gan_convnorm.callbacks import StepProgressBar
from gan_convnorm.cli.run_errors import run_errors
from gan_convnorm.data import Digits

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.quick


@pytest.mark.parametrize(
    "encoding, text, expected",
    [
        ("ascii", "12/100 \u2022 0:01", b"12/100 ? 0:01"),
        # a file's name as Python reads it in an ASCII locale
        ("ascii", "caf\u00e9".encode().decode("ascii", "surrogateescape"), "caf\u00e9".encode()),
        ("utf-8", os.fsdecode(b"bad\xff.png"), b"bad\xff.png"),
        ("utf-8", "caf\u00e9 \u00b1", "caf\u00e9 \u00b1".encode()),
        ("utf-8", "half \ud83d of a character", b"half ? of a character"),
        ("latin-1", "\u00e9 \u2022", b"\xe9 ?"),
    ],
)
def test_any_text_is_printed(monkeypatch, encoding, text, expected):
    streams = [io.BytesIO(), io.BytesIO()]
    for name, stream in zip(("stdout", "stderr"), streams, strict=True):
        monkeypatch.setattr(sys, name, io.TextIOWrapper(stream, encoding))
    print_any_text()
    for stream in (sys.stdout, sys.stderr):
        print(text, end="", file=stream, flush=True)
    assert [stream.getvalue() for stream in streams] == [expected] * 2


def test_a_stream_that_is_none_or_another_object(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    print_any_text()


def test_a_training_whose_output_is_ascii(monkeypatch):
    """Lightning's progress bar prints a bullet."""

    class Terminal(io.TextIOWrapper):
        def isatty(self):
            return True

    output = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", Terminal(output, "ascii"))
    with run_errors():
        quiet = {"logger": False, "enable_checkpointing": False, "enable_model_summary": False}
        trainer = pl.Trainer(
            max_epochs=-1, limit_val_batches=0, accelerator="cpu", callbacks=[StepProgressBar()], **quiet
        )
        trainer.fit(small_gan(steps=2), Digits(batch_size=8))
    sys.stdout.flush()
    assert b" ? " in output.getvalue()


def reads_and_writes(path):
    """Calls that open text, with the names of their arguments."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        owner = node.func.value.id if isinstance(getattr(node.func, "value", None), ast.Name) else ""
        mode = next((a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)), "r")
        if name in ("read_text", "write_text") and isinstance(node.func, ast.Attribute):
            yield node
        elif name == "open" and owner not in ("os", "Image", "PIL", "tarfile", "zipfile") and "b" not in mode:
            number = node.args and isinstance(node.args[0], ast.Name)  # a picture's, such as pictures.open(index)
            if node.keywords or (node.args and not number):
                yield node


@pytest.mark.parametrize("path", sorted((ROOT / "gan_convnorm").rglob("*.py")), ids=lambda p: p.stem)
def test_every_file_is_utf8_whatever_the_locale(path):
    for call in reads_and_writes(path):
        assert any(keyword.arg == "encoding" for keyword in call.keywords), f"line {call.lineno}"
