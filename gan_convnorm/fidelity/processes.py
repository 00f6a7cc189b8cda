"""Processes that score together: shares of the images, gathered rows, shared errors."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor

from gan_convnorm.errors import BadInput, RunStopped

__all__ = ["Processes"]

#: timeout of the gloo group that is made when the training's own backend is not gloo
TIMEOUT = datetime.timedelta(minutes=10)
#: interval at which the first process tells the waiting ones that it is still at work (50,000 images take a while)
SIGN_OF_LIFE = 2.0  # seconds

T = TypeVar("T")
_groups: dict[int, Any] = {}


@dataclass(frozen=True)
class Processes:
    """The processes that score together: this one alone, or all of `torch.distributed`.

    They talk over gloo, whatever the training's backend: features lie on the CPU.

    Attributes:
        rank: this process.
        size: number of processes.
    """

    rank: int = 0
    size: int = 1
    group: Any = field(default=None, repr=False)

    @classmethod
    def current(cls) -> Processes:
        """Return the processes of the default group; the first call is collective."""
        if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
            return cls()
        if dist.get_backend() == "gloo":
            return cls(dist.get_rank(), dist.get_world_size())
        key = id(dist.group.WORLD)
        if key not in _groups:
            _groups.clear()
            _groups[key] = dist.new_group(backend="gloo", timeout=TIMEOUT)
        return cls(dist.get_rank(), dist.get_world_size(), _groups[key])

    def share(self, count: int, block: int) -> tuple[int, int]:
        """Return the first and last + 1 of this process's images.

        Shares are consecutive and made of whole blocks. So an image is generated in the same batch on any number of
        processes, and measured in the same one if the extractor's batch size divides the block.

        >>> [Processes(rank, 2).share(10, 4) for rank in (0, 1)]
        [(0, 4), (4, 10)]

        Args:
            count: number of all images.
            block: size of a block.

        Returns:
            The share as (first, last + 1).
        """
        blocks = -(-count // block)
        first, last = (blocks * rank // self.size for rank in (self.rank, self.rank + 1))
        return min(count, first * block), min(count, last * block)

    def collect(self, work: Callable[[], T]) -> list[T]:
        """Return the results of every process's work, in the order of ranks; an error of one is an error of all.

        No process goes on to the next collective call after another has left, so no job hangs.

        Args:
            work: called on every process; its result can be pickled.

        Returns:
            One result for each process.

        A process raises its own error, or else that of another process, as BadInput, RunStopped or RuntimeError.
        """
        found: Any = None
        error: Exception | None = None
        try:
            found = work()
        except Exception as raised:
            error = raised
        if self.size == 1:
            if error is not None:
                raise error
            return [found]
        message = None if error is None else (_kind(error), f"{error}" or type(error).__name__)
        reports: list[Any] = [None] * self.size
        dist.all_gather_object(reports, (found if error is None else None, message), self.group)
        if error is not None:
            raise error
        for rank, (_, failure) in enumerate(reports):
            if failure is not None:
                kind, text = failure
                raise kind(text) if kind else RuntimeError(f"process {rank} failed while scoring: {text}")
        return [result for result, _ in reports]

    def together(self, work: Callable[[], T]) -> T:
        """Return this process's result of the work, which must not `collect`; an error of one is an error of all."""
        found: list[T] = []
        self.collect(lambda: found.append(work()))
        return found[0]

    def from_first(self, work: Callable[[], T]) -> T:
        """Return the first process's result on every process; its error is an error of all."""
        if self.size == 1:
            return work()
        return cast(T, self.collect(partial(self._work_of_first, work))[0])

    def _work_of_first(self, work: Callable[[], T]) -> T | None:
        """Work on the first process while the others wait in short calls, so that a lost machine is soon noticed."""
        flag = torch.zeros((), dtype=torch.uint8)
        if self.rank > 0:
            while not flag:
                dist.broadcast(flag, 0, self.group)
            return None
        with ThreadPoolExecutor(1) as worker:
            result = worker.submit(work)
            while not flag:
                flag.fill_(bool(wait([result], SIGN_OF_LIFE).done))
                dist.broadcast(flag, 0, self.group)
        return result.result()

    def gather_rows(self, rows: Tensor | None, counts: list[int]) -> Tensor | None:
        """Return the rows of all processes in the order of ranks on the first process, None on the others.

        Args:
            rows: shape (counts[rank], ...), contiguous, on the CPU; None where counts[rank] is 0.
            counts: number of rows of every process.

        Returns:
            Shape (sum(counts), ...), or None.
        """
        if self.size == 1:
            return rows
        kinds: list[Any] = [None] * self.size
        kind = None if rows is None else (tuple(rows.shape[1:]), rows.dtype)
        dist.all_gather_object(kinds, kind, self.group)
        if self.rank > 0:
            if rows is not None:
                dist.send(rows, 0, self.group)
            return None
        shape, dtype = next(kind for kind in kinds if kind is not None)
        gathered = torch.empty(sum(counts), *shape, dtype=dtype)
        parts = torch.split(gathered, counts)
        if rows is not None:
            parts[0].copy_(rows)
        for rank in range(1, self.size):
            if counts[rank]:
                dist.recv(parts[rank], rank, self.group)
        return gathered


def _kind(error: Exception) -> type[Exception] | None:
    return next((kind for kind in (BadInput, RunStopped) if isinstance(error, kind)), None)
