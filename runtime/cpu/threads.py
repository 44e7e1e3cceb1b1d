"""The threads that share a kernel. They wait in a queue, take ranges of rows until none are left, and hold no GIL meanwhile.

The calling thread works too, so a kernel runs on the caller alone while every worker is busy with somebody else's.
"""

from __future__ import annotations

import functools
import itertools
import os
import threading
from collections.abc import Callable
from queue import SimpleQueue


@functools.cache
def thread_count() -> int:
    """NUMBA_NUM_THREADS where it is set, else the processors this process may use."""
    try:
        return max(1, int(os.environ["NUMBA_NUM_THREADS"]))
    except (KeyError, ValueError):
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Task:
    """A kernel's range, cut into pieces that threads take one after another."""

    def __init__(self, call: Callable[..., None], count: int, pieces: int, addresses: tuple[int, ...]) -> None:
        self.call = call
        self.count = count
        self.pieces = pieces
        self.addresses = addresses
        self.next = itertools.count()  # next() is atomic
        self.done: SimpleQueue[BaseException | None] = SimpleQueue()

    def work(self) -> None:
        for piece in self.next:
            if piece >= self.pieces:
                return
            lo, hi = self.count * piece // self.pieces, self.count * (piece + 1) // self.pieces
            self.call(lo, hi, *self.addresses)


class Pool:
    def __init__(self) -> None:
        self.queue: SimpleQueue[Task] = SimpleQueue()
        self.started = 0
        self.lock = threading.Lock()

    def run(self, call: Callable[..., None], count: int, pieces: int, addresses: tuple[int, ...]) -> None:
        """Runs `call(lo, hi, *addresses)` over all of range(count), in `pieces` pieces."""
        helpers = min(thread_count() - 1, pieces - 1)
        self._start(helpers)
        task = Task(call, count, pieces, addresses)
        for _ in range(helpers):
            self.queue.put(task)
        task.work()
        for _ in range(helpers):
            error = task.done.get()
            if error is not None:
                raise error

    def _start(self, wanted: int) -> None:
        if self.started >= wanted:
            return
        with self.lock:
            while self.started < wanted:
                self.started += 1
                threading.Thread(target=self._serve, name=f"numfuse-{self.started}", daemon=True).start()

    def _serve(self) -> None:
        while True:
            task = self.queue.get()
            error: BaseException | None = None
            try:
                task.work()
            except BaseException as failure:
                error = failure
            task.done.put(error)
            del task


_pool = Pool()


def run(call: Callable[..., None], count: int, pieces: int, addresses: tuple[int, ...]) -> None:
    """Runs `call(lo, hi, *addresses)` over all of range(count), in `pieces` pieces, on this thread and the pool's."""
    _pool.run(call, count, pieces, addresses)


def _after_fork() -> None:
    """A child of this process has none of its threads."""
    global _pool
    _pool = Pool()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
