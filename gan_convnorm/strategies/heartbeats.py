"""A watch over several processes, which names the one that does not answer while the others wait for it."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Protocol

__all__ = ["Heartbeats"]


class _Store(Protocol):
    """The part of `torch.distributed.Store` that heartbeats need."""

    def set(self, key: str, value: str, /) -> None:
        """Write a value."""

    def get(self, key: str, /) -> bytes:
        """Return a value, waiting until it is there."""

    def check(self, keys: list[str], /) -> bool:
        """Return True if all values are there."""


class Heartbeats:
    """A count of this process, in a store that all processes share, and a watch over the counts of the others.

    A process that is stopped, swapped out or cut off keeps the others waiting in their next exchange of gradients until
    the timeout ends the run. The first process watches the others. It hosts the store, so when it stops the second
    process notices that the store does not answer.

    >>> import torch.distributed as dist
    >>> store = dist.HashStore()
    >>> heartbeats = Heartbeats(store, rank=0, world_size=1, tell=print, every=0.01)
    >>> words = store.get("alive/0").decode().split()  # "COUNT NUMBER on HOST", of the process with this number
    >>> heartbeats.stop()
    >>> int(words[1]) == os.getpid()
    True

    Args:
        store: a `torch.distributed.Store`, hosted by the first process.
        rank: this process.
        world_size: number of processes.
        tell: takes a line for the user; it is called from a thread.
        every: seconds between two counts.
        patience: seconds without an answer after which a process is named.
    """

    def __init__(
        self,
        store: _Store,
        rank: int,
        world_size: int,
        tell: Callable[[str], None],
        *,
        every: float = 2.0,
        patience: float = 10.0,
    ) -> None:
        self.store, self.rank, self.world_size = store, rank, world_size
        self.tell, self.every, self.patience = tell, every, patience
        self.stopped = threading.Event()
        self.answered = time.monotonic()  # the store
        # The last words of every process, and when they were new.
        self.said: dict[int, bytes] = {}
        self.heard: dict[int, float] = {}
        self.silent: set[int] = set()
        for work in (self._beat, self._watch):
            threading.Thread(target=work, daemon=True).start()

    def stop(self) -> None:
        """End both threads within a count."""
        self.stopped.set()

    def _beat(self) -> None:
        count = 0
        try:
            while not self.stopped.wait(self.every):
                count += 1
                self.store.set(f"alive/{self.rank}", f"{count} {os.getpid()} on {socket.gethostname()}")
                if self.rank == 0:
                    self._listen()
                self.answered = time.monotonic()
        except Exception:  # the store is gone, at the end of a run or with its process: the next exchange says so
            self.stopped.set()

    def _listen(self) -> None:
        for rank in range(1, self.world_size):
            key = f"alive/{rank}"
            # A get would wait for a process that has not counted yet.
            said = self.store.get(key) if self.store.check([key]) else b""
            if said != self.said.get(rank):
                self.said[rank], self.heard[rank] = said, time.monotonic()

    def _watch(self) -> None:
        before = time.monotonic()
        while not self.stopped.wait(self.every):
            now = time.monotonic()
            paused, before = now - before > 2 * self.every, now
            if paused:
                # This process itself was stopped, so it cannot tell how long the others were silent.
                self.answered = now
                self.heard = dict.fromkeys(self.heard, now)
            elif self.rank == 0:
                for rank, heard in list(self.heard.items()):
                    self._compare(rank, now - heard)
            elif self.rank == 1:
                self._compare(0, now - self.answered)

    def _compare(self, rank: int, silence: float) -> None:
        _, _, place = self.said.get(rank, b"").decode().partition(" ")
        name = f"process {rank}" + (f" (number {place})" if place else "")
        if silence > self.patience and rank not in self.silent:
            self.silent.add(rank)
            self.tell(f"waiting for {name}, which has not answered for {silence:.0f} s: is it stopped or cut off?")
        elif silence <= self.patience and rank in self.silent:
            self.silent.remove(rank)
            self.tell(f"{name} answers again")
