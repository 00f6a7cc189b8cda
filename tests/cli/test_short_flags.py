"""Short flags become nested arguments before a parser reads them."""

import pytest

from gan_convnorm.cli.short_flags import rewrite

FLAGS = {
    "--disc-norm": "model.disc_norm",
    "--compile": "model.compile_networks",
    "--penalty": "model.penalty_weight",
    "--batch-size": "data.init_args.batch_size",
    "--ckpt-path": "ckpt_path",
    "--resume": "ckpt_path",
}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], []),
        (["--disc-norm", "convnorm"], ["--model.disc_norm", "convnorm"]),
        (["--disc-norm=convnorm"], ["--model.disc_norm=convnorm"]),
        (["--disc_norm", "a_b-c"], ["--model.disc_norm", "a_b-c"]),
        (["--disc_norm=a=b"], ["--model.disc_norm=a=b"]),
        (["--disc-norm="], ["--model.disc_norm="]),
        (["--model.disc-norm", "x"], ["--model.disc_norm", "x"]),
        (["--model.disc_norm", "disc-norm"], ["--model.disc_norm", "disc-norm"]),
        # switches
        (["--compile"], ["--model.compile_networks=true"]),
        (["--compile", "--disc-norm", "x"], ["--model.compile_networks=true", "--model.disc_norm", "x"]),
        (["--compile", "-c", "x"], ["--model.compile_networks=true", "--config", "x"]),
        (["--compile", "false"], ["--model.compile_networks", "false"]),
        (["--compile=false"], ["--model.compile_networks=false"]),
        (["--compile", "-1"], ["--model.compile_networks", "-1"]),
        (["--compile", "--", "x"], ["--model.compile_networks=true", "--", "x"]),
        # values
        (["--penalty", "-1"], ["--model.penalty_weight", "-1"]),
        (["--penalty", "-1e-3"], ["--model.penalty_weight", "-1e-3"]),
        (["--condition", "-1,0.5", "--penalty", "-.5,-1"], ["--condition=-1,0.5", "--model.penalty_weight=-.5,-1"]),
        (["--disc-norm=--compile"], ["--model.disc_norm=--compile"]),
        (["--disc-norm", "--compile is a text"], ["--model.disc_norm", "--compile is a text"]),
        (["--", "--disc-norm", "-c"], ["--", "--disc-norm", "-c"]),
        # of the data
        (["--batch-size", "32"], ["--data.init_args.batch_size", "32"]),
        (["--data.test-fraction", "0"], ["--data.test_fraction", "0"]),
        # of the parser itself
        (["--ckpt-path=x-y_z"], ["--ckpt_path=x-y_z"]),
        (["--resume", "last"], ["--ckpt_path", "last"]),
        (["-c", "file"], ["--config", "file"]),
        (["-cfile"], ["--config=file"]),
        (["-c=file"], ["--config=file"]),
        (["--trainer.callbacks+=x.Y"], ["--trainer.callbacks+=x.Y"]),
        (["-h"], ["-h"]),
        # unknown flags, which an error names as they were typed
        (["--other_flag", "--disc-nrom"], ["--other_flag", "--disc-nrom"]),
    ],
)
def test_a_command_line_is_rewritten(words, expected):
    assert rewrite(words, FLAGS, ["--compile"]) == expected
