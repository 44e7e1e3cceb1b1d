"""Device memory that is kept when an array dies and given to the next array of that size.

All work goes to one stream, so a block may be written anew as soon as what uses it has been queued. The blocks come from the driver's
stream-ordered pool; to take one from here needs no call of the driver.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

GRAIN = 512
KEPT_BYTES = 2**30
"""Of blocks that nobody uses, at most."""


class Block:
    """A stretch of device memory, from `handle` on. It goes back to its pool when it is dropped."""

    __slots__ = ("_memory", "_pool", "handle", "nbytes")

    def __init__(self, pool: Pool, memory: Any, nbytes: int) -> None:
        self.handle = int(memory.handle)
        self.nbytes = nbytes
        self._memory = memory
        self._pool = pool

    def __del__(self) -> None:
        self._pool.give(self._memory, self.nbytes)


class Pool:
    """Blocks by size. `allocate` gets a block from the driver: something with a `handle` that is free when it is dropped."""

    def __init__(self, allocate: Callable[[int], Any], kept_bytes: int = KEPT_BYTES) -> None:
        self._allocate = allocate
        self._free: dict[int, list[Any]] = {}
        self._kept = 0
        self.kept_bytes = kept_bytes

    def take(self, nbytes: int) -> Block:
        """Memory for so many bytes, of contents that are not defined. Where the driver has no more, what is kept is freed first."""
        size = -(-max(nbytes, 1) // GRAIN) * GRAIN
        try:
            memory = self._free[size].pop()
        except (KeyError, IndexError):
            return Block(self, self._fresh(size), size)
        self._kept -= size
        return Block(self, memory, size)

    def give(self, memory: Any, nbytes: int) -> None:
        """Takes a block back. Where too much would be kept, what was kept before is freed; a block that is larger than that is freed itself, as the last to
        hold it is its caller."""
        if nbytes > self.kept_bytes:
            return
        if self._kept + nbytes > self.kept_bytes:
            self.clear()
        self._kept += nbytes
        self._free.setdefault(nbytes, []).append(memory)

    def clear(self) -> None:
        """Frees what is kept."""
        self._free.clear()
        self._kept = 0

    def _fresh(self, size: int) -> Any:
        try:
            return self._allocate(size)
        except Exception:
            if not self._kept:
                raise
            self.clear()
            return self._allocate(size)
