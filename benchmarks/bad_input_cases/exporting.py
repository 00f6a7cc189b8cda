"""Exports: the checkpoint, the folder, and the files that are read again."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from bad_input_cases.case import command, touch
from bad_input_cases.checkpoint_edits import bytes_changed, cut

__all__ = ["CASES"]

export = partial(command, "export")

CASES = [
    export("", "nothing to export", "checkpoint"),
    export("none.ckpt out", "checkpoint that is not there", "none.ckpt"),
    export("plan.yaml out", "checkpoint that is text", "plan.yaml"),
    export("classifier/last.ckpt out", "checkpoint of a classifier", "last.ckpt"),
    export("exported out", "export of an export", "exported"),
    export("trained out", "run folder", "trained"),
    export("trained/last.ckpt flat", "folder of pictures", "flat.*not empty", quick=True),
    export("trained/last.ckpt trained", "the run's own folder", "trained.*not empty"),
    export("trained/last.ckpt plan.yaml", "folder that is a file", "plan.yaml"),
    export("trained/last.ckpt ''", "folder of no name", "folder"),
    export("trained/last.ckpt out --nonsense", "unknown flag", "--nonsense"),
    export("trained/last.ckpt", "no folder", "folder"),
    *(
        command(
            "score",
            "exported/generator.safetensors flat --num-fake 20 --extractor classifier --extractor-weights extractor.pt",
            f"export {what}",
            "generator|exported",
            prepare=prepare,
        )
        for what, prepare in (
            ("without its JSON", lambda: Path("exported/generator.json").unlink()),
            ("with JSON of text", lambda: touch("exported/generator.json", "text")),
            ("with JSON of a list", lambda: touch("exported/generator.json", "[1]")),
            ("with empty JSON", lambda: touch("exported/generator.json", "{}")),
            ("with cut weights", cut("exported/generator.safetensors")),
            ("with damaged weights", bytes_changed("exported/generator.safetensors", 0.01)),
            ("with weights of text", lambda: touch("exported/generator.safetensors", "text")),
        )
    ),
]
