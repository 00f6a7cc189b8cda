"""A stopped process is named, and so is one that goes on."""

import os
import signal
import threading
import time
from datetime import timedelta

import pytest
import torch.distributed as dist
from beating_process import beat
from forked_program import ForkedProgram

from gan_convnorm.strategies.heartbeats import Heartbeats


def wait_for(told, word):
    until = time.monotonic() + 60
    while not any(word in line for line in told):
        assert time.monotonic() < until, told
        time.sleep(0.05)


@pytest.mark.slow
def test_a_stopped_process_is_named_until_it_goes_on():
    store = dist.TCPStore("127.0.0.1", 0, 2, True, timedelta(seconds=60), wait_for_workers=False)
    told = []
    second = ForkedProgram(beat, store.port)
    until = time.monotonic() + 60
    while not store.check(["alive/1"]):
        assert time.monotonic() < until
        time.sleep(0.05)
    first = Heartbeats(store, 0, 2, told.append, every=0.1, patience=1)
    try:
        time.sleep(1.5)
        assert not told
        os.kill(second.pid, signal.SIGSTOP)
        wait_for(told, f"waiting for process 1 (number {second.pid} on ")
        assert len(told) == 1
        os.kill(second.pid, signal.SIGCONT)
        wait_for(told, "answers again")
    finally:
        first.stop()
        second.process.kill()


class Stuck:
    """A store whose process is stopped."""

    def __init__(self):
        self.free = threading.Event()

    def set(self, key, value):
        self.free.wait()


def test_the_second_process_names_the_first_which_keeps_the_store():
    told, silent = [], []
    stuck = Stuck()
    beats = [Heartbeats(stuck, rank, 3, to.append, every=0.05, patience=0.5) for rank, to in ((1, told), (2, silent))]
    wait_for(told, "waiting for process 0, which has not answered for ")
    stuck.free.set()
    wait_for(told, "process 0 answers again")
    assert not silent
    for each in beats:
        each.stop()
