"""The memory plan: in which order steps run, and where intermediates lie in one workspace, each at an offset that is free while it lives."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence, Set
from typing import NamedTuple

ALIGNMENT = 256
"""Bytes: a cache line on CPUs, and what vector loads and coalescing like on GPUs."""
LONG = 64
"""Steps; a buffer that lives so long is compared with each other one, rather than looked for at each of them."""
NEAR = 1.1
"""An order whose peak is this near to the least that is possible is good enough."""
STATES = 2000
"""How much of the search for an order is affordable: states looked at in turn, over all steps."""
CHOICES = 16
"""Of the steps that could come next, so many are looked at: those that come first in the program."""


class Access(NamedTuple):
    """The memory that a step reads and writes, by number."""

    reads: frozenset[int]
    writes: frozenset[int]


# -- order ---------------------------------------------------------------------------------------------------------------


def order(steps: Sequence[Access], sizes: Mapping[int, int], kept: Set[int] = frozenset()) -> list[int]:
    """The order in which the steps run: that of the program, unless another one needs clearly less memory at its peak.

    `sizes`: bytes of the memory that is planned; what else steps touch is there all the time. `kept`: what is wanted after the last step.
    The search goes on with the best states of each length (a beam): the fewer steps, the more of them, so that short programs are
    searched through.
    """
    given = list(range(len(steps)))
    width = STATES // max(1, len(steps))
    touched = [[number for number in access.reads | access.writes if number in sizes] for access in steps]
    peak = peak_of(given, touched, sizes, kept)
    least = max((sum(sizes[number] for number in numbers) for numbers in touched), default=0)
    if not width or peak <= NEAR * least:
        return given
    return _searched(_before(steps), touched, sizes, kept, int(peak / NEAR), min(width, 64)) or given


def peak_of(
    sequence: Sequence[int], touched: Sequence[Sequence[int]], sizes: Mapping[int, int], kept: Set[int] = frozenset()
) -> int:
    """The most bytes that are alive at once, when the steps run in this sequence."""
    last = {number: place for place, step in enumerate(sequence) for number in touched[step] if number not in kept}
    alive: set[int] = set()
    live = peak = 0
    for place, step in enumerate(sequence):
        for number in touched[step]:
            if number not in alive:
                alive.add(number)
                live += sizes[number]
        peak = max(peak, live)
        live -= sum(sizes[number] for number in touched[step] if last.get(number) == place)
    return peak


def _before(steps: Sequence[Access]) -> list[int]:
    """For each step, those that must have run before it, as bits: what it reads must be written, and what it writes over must be read."""
    before = []
    writer: dict[int, int] = {}
    readers: dict[int, int] = {}
    for place, access in enumerate(steps):
        needed = 0
        for number in access.reads | access.writes:
            needed |= writer.get(number, 0)
        for number in access.writes:
            needed |= readers.pop(number, 0)
            writer[number] = 1 << place
        for number in access.reads:
            readers[number] = readers.get(number, 0) | 1 << place
        before.append(needed & ~(1 << place))
    return before


class _State(NamedTuple):
    """A start of an order: the most bytes alive so far, those alive now, the steps done (as bits), those that may be next, and the way here."""

    peak: int
    live: int
    done: int
    ready: tuple[int, ...]
    way: tuple[object, ...]


def _searched(
    before: Sequence[int],
    touched: Sequence[Sequence[int]],
    sizes: Mapping[int, int],
    kept: Set[int],
    bound: int,
    width: int,
) -> list[int] | None:
    """An order whose peak is at most `bound`, as low as `width` states find one; None where they find none."""
    users = dict.fromkeys(
        kept, 1 << len(before)
    )  # for each memory the steps that touch it, as bits; one more for what is kept
    after: list[list[int]] = [[] for _ in before]
    for place, needed in enumerate(before):
        for number in touched[place]:
            users[number] = users.get(number, 0) | 1 << place
        while needed:
            earlier = needed.bit_length() - 1
            after[earlier].append(place)
            needed ^= 1 << earlier
    states = [_State(0, 0, 0, tuple(place for place, needed in enumerate(before) if not needed), ())]
    for _ in before:
        found: dict[int, _State] = {}
        for state in states:
            for step in state.ready[:CHOICES]:
                done = state.done | 1 << step
                live = state.live + sum(sizes[number] for number in touched[step] if not users[number] & state.done)
                peak = max(state.peak, live)
                if peak > bound or (done in found and found[done].peak <= peak):
                    continue
                live -= sum(sizes[number] for number in touched[step] if not users[number] & ~done)
                ready = [other for other in state.ready if other != step]
                ready += [other for other in after[step] if not before[other] & ~done]
                found[done] = _State(peak, live, done, tuple(sorted(ready)), (state.way, step))
        states = sorted(found.values(), key=lambda state: (state.peak, state.live, state.ready))[:width]
    if not states:
        return None
    sequence: list[int] = []
    way: tuple[object, ...] = states[0].way
    while way:
        way, step = way  # type: ignore[assignment]
        sequence.append(step)
    return sequence[::-1]


# -- places --------------------------------------------------------------------------------------------------------------


def plan(lifetimes: Sequence[tuple[int, int, int]]) -> tuple[list[int], int]:
    """Offsets for buffers of (size in bytes, first step, last step), and the size of the workspace.

    Greedy: in turn, each buffer is placed in the lowest gap among those that live at the same time, the largest first
    (Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020). Sizes are rounded up, so that buffers of about one size take
    each other's place: kernels that go through both can then go together (`sweeps.py`). Where that leaves much between them, other ways are tried:
    sizes as they are, and other turns. The smallest workspace is taken.
    """
    rounded = [(_rounded(size), first, last) for size, first, last in lifetimes]
    ways = (
        (rounded, lambda b: (-rounded[b][0], rounded[b][1])),
        (lifetimes, lambda b: (-lifetimes[b][0], lifetimes[b][1])),
        (lifetimes, lambda b: (-lifetimes[b][0] * (1 + lifetimes[b][2] - lifetimes[b][1]), 0)),
        (lifetimes, lambda b: (lifetimes[b][1], 0)),
    )
    best: tuple[list[int], int] | None = None
    for buffers, turn in ways:
        offsets, total = _placed(buffers, sorted(range(len(buffers)), key=turn))
        if best is None or total < best[1]:
            best = offsets, total
        if best[1] <= NEAR * needed(lifetimes):
            break
    assert best is not None
    return best


def _rounded(size: int) -> int:
    """A size that others are likely to have too, at most a sixteenth larger."""
    unit = max(ALIGNMENT, 1 << max(0, size.bit_length() - 5))
    return -(-size // unit) * unit


def needed(lifetimes: Sequence[tuple[int, int, int]]) -> int:
    """The bytes that are alive at the same time, at most."""
    changes: dict[int, int] = {}
    for size, first, last in lifetimes:
        changes[first] = changes.get(first, 0) + size
        changes[last + 1] = changes.get(last + 1, 0) - size
    return max(itertools.accumulate(change for _, change in sorted(changes.items())), default=0)


def _placed(lifetimes: Sequence[tuple[int, int, int]], turns: Sequence[int]) -> tuple[list[int], int]:
    """Each buffer, in its turn, in the lowest gap that it fits into."""
    offsets = [0] * len(lifetimes)
    alive: dict[
        int, list[int]
    ] = {}  # the buffers placed so far, by each step of their lives, but for those with long ones
    short: list[int] = []
    long: list[int] = []
    for buffer in turns:
        size, first, last = lifetimes[buffer]
        is_short = last - first < LONG
        compared = long if is_short else long + short
        together = {other for other in compared if lifetimes[other][1] <= last and lifetimes[other][2] >= first}
        if is_short:
            together.update([other for step in range(first, last + 1) for other in alive.get(step, ())])
        taken = sorted([(offsets[other], offsets[other] + lifetimes[other][0]) for other in together])
        offset = 0
        for low, high in taken:
            if offset + size <= low:
                break
            offset = max(offset, _aligned(high))
        offsets[buffer] = offset
        (short if is_short else long).append(buffer)
        if is_short:
            for step in range(first, last + 1):
                alive.setdefault(step, []).append(buffer)
    total = max((offset + size for offset, (size, _, _) in zip(offsets, lifetimes, strict=True)), default=0)
    return offsets, _aligned(total)


def _aligned(offset: int) -> int:
    return -(-offset // ALIGNMENT) * ALIGNMENT
