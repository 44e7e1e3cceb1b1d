"""Runs what a Ctrl-C must not end halfway.

Python raises KeyboardInterrupt in the main thread, at any point of what that runs. Where that is the middle of a function of Numba's or llvmlite's,
their locks are held for good, and other threads wait for them for ever. So the main thread only waits here.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable


def sheltered(*parts: Callable[[], None], stopped: threading.Event | None = None) -> None:
    """Runs each part in a thread of its own, until all have ended. Where the system refuses threads, as at the end of a process, the first part is
    run here, alone. An interruption, or the first error of a part, sets `stopped`, and is raised when all have ended."""
    stopped = stopped or threading.Event()
    errors: list[BaseException] = []
    begun: queue.SimpleQueue[bool] = queue.SimpleQueue()
    ended: queue.SimpleQueue[None] = queue.SimpleQueue()

    def run(part: Callable[[], None]) -> None:
        try:
            if begun.get():
                part()
        except BaseException as error:
            errors.append(error)
            stopped.set()
        ended.put(None)

    threads = [
        threading.Thread(target=run, args=(part,), name=f"numfuse-compile-{number}", daemon=True)
        for number, part in enumerate(parts)
    ]
    started = 0
    try:
        with contextlib.suppress(RuntimeError):
            for thread in threads:
                thread.start()
                started += 1
        for _ in threads:
            begun.put(True)
        if not started:
            run(parts[0])
        for _ in range(max(started, 1)):
            _take(ended)  # an interrupted join takes the thread for one that has ended
    finally:
        stopped.set()
        for _ in threads:
            begun.put(False)  # to those that an interruption came before
        for thread in threads[:started]:
            thread.join()
    if errors:
        raise errors[0]


def _take(ended: queue.SimpleQueue[None]) -> None:
    """Waits for an item. Looks up now and then: a signal that comes just before the waiting begins does not end it."""
    while True:
        with contextlib.suppress(queue.Empty):
            return ended.get(timeout=0.2)
