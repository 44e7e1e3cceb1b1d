"""Blocks of device memory that are kept for the next array of their size."""

from __future__ import annotations

import weakref

import pytest
from numfuse.runtime.cuda.pool import GRAIN, Pool


class Memory:
    def __init__(self, nbytes: int, handle: int) -> None:
        self.nbytes, self.handle = nbytes, handle


class Driver:
    """Gives memory until there are `limit` bytes of it."""

    def __init__(self, limit: int = 2**40) -> None:
        self.alive: weakref.WeakSet[Memory] = weakref.WeakSet()
        self.limit, self.calls = limit, 0

    def allocate(self, nbytes: int) -> Memory:
        if sum(memory.nbytes for memory in self.alive) + nbytes > self.limit:
            raise MemoryError
        self.calls += 1
        made = Memory(nbytes, 4096 * self.calls)
        self.alive.add(made)
        return made


def test_a_block_is_given_to_the_next_of_its_size() -> None:
    driver = Driver()
    pool = Pool(driver.allocate)
    first = pool.take(1000)
    second = pool.take(1001)
    assert first.handle != second.handle and first.nbytes == 2 * GRAIN
    place = first.handle
    del first
    other = pool.take(GRAIN)
    assert other.handle not in (place, second.handle)
    assert pool.take(1024).handle == place
    assert driver.calls == 3


def test_no_more_is_kept_than_allowed() -> None:
    driver = Driver()
    pool = Pool(driver.allocate, kept_bytes=4 * GRAIN)
    blocks = [pool.take(GRAIN) for _ in range(6)]
    large = pool.take(5 * GRAIN)
    assert len(driver.alive) == 7
    del large
    assert len(driver.alive) == 6
    blocks.clear()
    assert len(driver.alive) == 2  # the first four were freed for the others
    pool.clear()
    assert not driver.alive


def test_what_is_kept_is_freed_where_memory_ends() -> None:
    driver = Driver(limit=10 * GRAIN)
    pool = Pool(driver.allocate)
    kept = [pool.take(k * GRAIN) for k in (1, 2, 3)]
    kept.clear()
    assert pool.take(9 * GRAIN).nbytes == 9 * GRAIN
    with pytest.raises(MemoryError):
        pool.take(11 * GRAIN)
