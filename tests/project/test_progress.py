"""Progress: plain lines where there is no terminal, and the first of several processes alone."""

import io

import pytest

from gan_convnorm import progress


@pytest.mark.parametrize(("rank", "expected"), [("0", "scoring: 2 of 9 images\n"), ("1", "")])
def test_a_piped_task_has_plain_lines_of_the_first_process(monkeypatch, rank, expected):
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setattr(progress, "EVERY", 0.0)
    stream = io.StringIO()
    with progress.Progress("scoring", "images", stream=stream) as bar:
        bar.update(2, 9)
    assert stream.getvalue() == expected


def test_a_short_task_says_nothing():
    stream = io.StringIO()
    with progress.Progress("scoring", "images", 9, stream) as bar:
        bar.update(9)
    assert stream.getvalue() == ""


def test_a_terminal_has_a_bar_that_goes_away(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    with progress.Progress("scoring", "images", 9, stream) as bar:
        bar.update(9)
        bar.print("a line [not markup]")
    assert "9/9" in stream.getvalue() and "a line [not markup]" in stream.getvalue()
