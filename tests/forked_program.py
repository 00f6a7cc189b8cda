"""Programs in processes of their own that need no start: forked from one that has imported torch and Lightning.

A fresh interpreter takes 7 s of CPU for its imports. Fork where a test is about a process that is killed, stopped, or
one of several; start an interpreter where it is about how a program starts.
"""

import io
import multiprocessing
import os
import sys
import tempfile
import time
from pathlib import Path

__all__ = ["FORKED", "ForkedProgram"]

FORKED = multiprocessing.get_context("forkserver")
#: imported by the first, for all of them; the last two are imported late by a run
FORKED.set_forkserver_preload(["gan_convnorm.cli.gan", "sklearn.datasets", "torch.utils.tensorboard"])
#: set by a trainer of this process, whose port may still be taken
LEFT_BEHIND = {"MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "LOCAL_RANK", "WORLD_SIZE"}


class ForkedProgram:
    """A function in a process of its own, in the current folder.

    Args:
        function: importable by its module's name, for it is pickled.
        words: its arguments.
        environment: changes of the variables.
    """

    def __init__(self, function, *words, **environment):
        self.output = tempfile.NamedTemporaryFile()  # noqa: SIM115 - removed with this object
        variables = {name: value for name, value in os.environ.items() if name not in LEFT_BEHIND} | environment
        arguments = (function, words, Path.cwd(), variables, self.output.name)
        self.process = FORKED.Process(target=_run, args=arguments)
        self.process.start()
        self.pid = self.process.pid

    @property
    def printed(self):
        """Everything that it has printed, to standard output and error."""
        return Path(self.output.name).read_text(errors="replace")

    def wait_for(self, text, timeout=120):
        """Return when the text has been printed; fail when the process ends without it."""
        until = time.monotonic() + timeout
        while text not in self.printed:
            assert self.process.is_alive() and time.monotonic() < until, self.printed[-2000:]
            time.sleep(0.05)

    def end(self, timeout=120):
        """Return the status at its end, negative after a signal; kill it and fail at the timeout."""
        self.process.join(timeout)
        if self.process.exitcode is None:
            self.process.kill()
            raise AssertionError(f"still running after {timeout} s: {self.printed[-2000:]}")
        return self.process.exitcode


def _run(function, words, folder, variables, output):
    file = os.open(output, os.O_WRONLY | os.O_APPEND)
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(file, number)
        setattr(sys, name, io.TextIOWrapper(os.fdopen(number, "wb", closefd=False), line_buffering=True))
        setattr(sys, f"__{name}__", getattr(sys, name))
    os.environ.clear()
    os.environ.update(variables)
    os.chdir(folder)
    function(*words)
