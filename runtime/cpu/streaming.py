"""Stores that go past the caches, for results that are too large for them: intrinsics for kernels, and how large that is.

An ordinary store first reads the cache line that it writes to. What the processors call non-temporal stores write whole lines without: a copy
moves two thirds of the bytes. They have to be whole vectors at aligned places, which LLVM's vectoriser makes of no loop, so a kernel
computes a tile of some lines into memory of its own, and `stream` takes that to its place.
"""

from __future__ import annotations

import functools
import platform
from pathlib import Path

LINE = 64
"""Bytes of a cache line, on x86-64 and most others; a wrong one costs time and nothing else."""
X86 = platform.machine().lower() in ("x86_64", "amd64")


@functools.cache
def cache_bytes() -> int:
    """The size of the last cache before memory, as far as the system tells; else 32 MiB."""
    found = [(0, 2**25)]
    for cache in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        try:
            level, size = (cache / "level").read_text(), (cache / "size").read_text().strip()
            found.append((int(level), int(size.removesuffix("K")) * 1024))
        except (OSError, ValueError):
            continue
    return max(found)[1]
