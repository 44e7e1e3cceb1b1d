"""The memory plan: intermediates share one workspace, each at an offset that is free while it lives."""

from __future__ import annotations

from collections.abc import Sequence

ALIGNMENT = 256
"""Bytes: a cache line on CPUs, and what vector loads and coalescing like on GPUs."""


def plan(lifetimes: Sequence[tuple[int, int, int]]) -> tuple[list[int], int]:
    """Offsets for buffers of (size in bytes, first step, last step), and the size of the workspace.

    Greedy by size: the largest buffers are placed first, each in the lowest gap among those that live at the same time
    (Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020).
    """
    offsets = [0] * len(lifetimes)
    alive: dict[int, list[int]] = {}  # the buffers placed so far, by each step of their lives
    placed: list[int] = []
    for buffer in sorted(range(len(lifetimes)), key=lambda b: -lifetimes[b][0]):
        size, first, last = lifetimes[buffer]
        if last - first < len(placed):
            together = {other for step in range(first, last + 1) for other in alive.get(step, ())}
        else:
            together = {other for other in placed if lifetimes[other][1] <= last and lifetimes[other][2] >= first}
        taken = sorted([(offsets[other], offsets[other] + lifetimes[other][0]) for other in together])
        offset = 0
        for low, high in taken:
            if offset + size <= low:
                break
            offset = max(offset, _aligned(high))
        offsets[buffer] = offset
        placed.append(buffer)
        for step in range(first, last + 1):
            alive.setdefault(step, []).append(buffer)
    total = max((offset + size for offset, (size, _, _) in zip(offsets, lifetimes, strict=True)), default=0)
    return offsets, _aligned(total)


def _aligned(offset: int) -> int:
    return -(-offset // ALIGNMENT) * ALIGNMENT
