"""How a program begins, and that a library does not begin like one."""

import contextlib
import os
import platform
import subprocess
import sys

import pytest
import torch

from gan_convnorm.cli import main
from gan_convnorm.gan import GAN
from gan_convnorm.program_start import check_ranks, is_program, spin_briefly

#: takes and frees 64 MiB, more than glibc learns to keep, again and again, and prints the page faults
FREE_AGAIN = """
import resource
for _ in range(20):
    bytearray(2**26)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("python train_gan.py --steps 5", True),
        ("/usr/bin/python3 -u -X dev /home/me/train_gan.py", True),
        ("python /venv/bin/gan-convnorm fit", True),
        ("python -m gan_convnorm", True),
        ("python -W ignore -m gan_convnorm.robustness test", True),
        ("python -mgan_convnorm.fidelity A B", True),
        ("python mine.py -m gan_convnorm", False),
        ("python -m mine gan_convnorm", False),
        ("python -m gan_convnorm_of_mine", False),
        ("python -c pass", False),
        ("python", False),
    ],
)
def test_a_program_of_ours_is_told_from_one_that_imports_us(words, expected):
    assert is_program(words.split()) == expected


def test_what_the_environment_says_of_waiting_threads_stays():
    for given in ({"GOMP_SPINCOUNT": "5"}, {"OMP_WAIT_POLICY": "ACTIVE"}):
        environment = dict(given)
        spin_briefly(environment)
        assert environment == given
    environment = {}
    spin_briefly(environment)
    assert environment == {"GOMP_SPINCOUNT": "10000"}


def test_it_is_set_before_torch_is_loaded_and_inherited_and_a_broken_rank_is_one_line():
    clean = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    clean = {k: v for k, v in clean.items() if not k.startswith(("MALLOC_", "GLIBC_"))}
    look = "import os, sys, gan_convnorm; print(os.environ.get('GOMP_SPINCOUNT'), 'torch' in sys.modules)\n"
    look += "import resource; before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt"
    ours = "import sys; sys.orig_argv[:] = ['python', '-m', 'gan_convnorm']; " + look
    faults = []
    for code, said in ((ours, "10000 False\n"), (look, "None False\n")):
        done = subprocess.run(
            [sys.executable, "-c", code + FREE_AGAIN], env=clean, capture_output=True, text=True, check=True
        )
        said_of_it, taken = done.stdout.splitlines()
        assert said_of_it + "\n" == said
        faults.append(int(taken))
    # A program keeps the memory that it frees; a library's process does as it did.
    if sys.platform == "linux" and platform.libc_ver()[0] == "glibc":
        assert 3 * faults[0] < faults[1]
    done = subprocess.run(
        [sys.executable, "-m", "gan_convnorm"],
        env={**clean, "LOCAL_RANK": "abc"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == (
        "error: LOCAL_RANK is 'abc'; expected a whole number; unset LOCAL_RANK where another job has left it\n"
    )


def test_ranks_that_are_numbers_are_taken():
    check_ranks({"RANK": "0", "LOCAL_RANK": "1"})


@pytest.mark.parametrize(("number", "status"), [("1", 0), ("0", 2), ("100000", 2)])
def test_threads(number, status, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "0")
    before, seen = torch.get_num_threads(), []
    step = GAN.training_step

    def look(self, *args):
        seen.append((torch.get_num_threads(), os.environ["OMP_NUM_THREADS"]))
        return step(self, *args)

    monkeypatch.setattr(GAN, "training_step", look)
    words = ["--steps", "1", "--eval-every", "1", "--width", "0.05", "--batch-size", "4", "--num-fake", "20"]
    try:
        torch.set_num_threads(2)
        with pytest.raises(SystemExit) if status else contextlib.nullcontext():
            main([*words, "--threads", number, "--out", "run"])
        assert seen == ([(1, "1")] if status == 0 else [])
        assert torch.get_num_threads() == 2 and os.environ["OMP_NUM_THREADS"] == "0"
        assert status == 0 or "--threads" in capsys.readouterr().err
    finally:
        torch.set_num_threads(before)
