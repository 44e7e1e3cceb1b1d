"""Sweeps: kernels that follow one another go through memory together, a band of rows at a time, so that what passes between them stays in the cache.

Each kernel is a function of a range of rows. Row r of a kernel needs an earlier kernel's rows only as far as both touch the same bytes, one of them
writing: rows before some other row, where both walk the memory in the same direction. So a sweep runs the first kernel over some rows, the second one
over as many as they allow, and so on, again and again. Ten steps of a stencil read and write memory once in place of ten times. For threads, the rows
are cut into tiles, which become narrower from kernel to kernel at their inner ends, so that none needs what another one makes; what is left around
the cuts is computed when all tiles are done (split tiling: Krishnamoorthy et al., "Effective Automatic Parallelization of Stencil Computations", 2007).

All of it is known before anything runs: a sweep is a table of ranges.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numfuse.compiler.lower.lying import Lying
from numfuse.compiler.lower.program import Phase

Rows = np.ndarray
"""Row numbers, as int64."""
LANES = 64
"""Rows of a few bytes are done in such groups: what is left over at the end of a range is done one by one."""


@dataclass(frozen=True)
class Stretch:
    """What row r of a stage touches of an array: bytes from `step * r + low` up to `step * r + high` of that memory."""

    step: int
    low: int
    high: int
    written: bool


@dataclass
class Stage:
    """A phase in a sweep: its number of rows, and what they touch of each array."""

    count: int
    touched: dict[int | None, list[Stretch]]

    @property
    def narrow(self) -> bool:
        """Whether its rows are a few bytes each."""
        steps = [abs(stretch.step) for stretches in self.touched.values() for stretch in stretches]
        return max(steps, default=0) <= LANES and self.count >= LANES * LANES


@dataclass(frozen=True)
class Link:
    """Row p of a stage and row r of a later one touch the same bytes where `back < before * p - after * r < reach`: p comes first. Both factors are
    positive."""

    before: int
    after: int
    back: int
    reach: int

    def needed(self, end: Rows) -> Rows:
        """How many rows of the earlier stage must be done before the later one's rows up to `end`."""
        return -((-(self.after * (end - 1) + self.reach)) // self.before)

    def lowest(self, row: Rows) -> Rows:
        """The first row of the earlier stage that rows from `row` on must wait for."""
        return (self.after * row + self.back) // self.before + 1

    def last(self, done: Rows) -> Rows:
        """How many rows of the later stage can be done where `done` of the earlier one are."""
        return (self.before * done - self.reach) // self.after + 1

    def first(self, start: Rows) -> Rows:
        """The row of the later stage from which on rows need none of the earlier one's before `start`."""
        return -((self.back - self.before * (start - 1)) // self.after)


Links = Mapping[tuple[int, int], tuple[Link, ...]]
"""For each pair of stages that touch the same memory, the earlier one first, how their rows are linked."""


# -- which rows meet -----------------------------------------------------------------------------------------------------


def stage_of(phase: Phase, lying: Mapping[int, Lying]) -> Stage | None:
    """None where it is not known which memory the phase touches."""
    touched: defaultdict[int | None, list[Stretch]] = defaultdict(list)
    for touch in phase.touches:
        place = lying.get(phase.values[touch.pointer])
        parameter = phase.source.parameters[touch.pointer]
        if place is None or parameter.dtype is None:
            return None
        start = place.start + phase.offsets[touch.pointer] * parameter.dtype.itemsize
        touched[place.base].append(Stretch(touch.step, start + touch.low, start + touch.high, touch.written))
    return Stage(phase.extents["count"], dict(touched))


def links_between(earlier: Stage, later: Stage) -> tuple[Link, ...] | None:
    """None where all rows of the earlier stage come before any of the later one's."""
    links: dict[tuple[int, int], tuple[int, int]] = {}
    for memory in earlier.touched.keys() & later.touched.keys():
        for one in earlier.touched[memory]:
            for other in later.touched[memory]:
                if not (one.written or other.written) or _apart(one, earlier.count, other, later.count):
                    continue
                if one.step <= 0 or other.step <= 0:
                    return None
                back, reach = links.get((one.step, other.step), (other.low - one.high, other.high - one.low))
                links[one.step, other.step] = min(back, other.low - one.high), max(reach, other.high - one.low)
    return tuple([Link(before, after, *ends) for (before, after), ends in links.items()])


def _apart(one: Stretch, rows: int, other: Stretch, other_rows: int) -> bool:
    """Whether no row of the one touches what a row of the other does."""
    low, high = _whole(one, rows)
    other_low, other_high = _whole(other, other_rows)
    return high <= other_low or other_high <= low


def _whole(stretch: Stretch, rows: int) -> tuple[int, int]:
    last = stretch.step * (rows - 1)
    return stretch.low + min(0, last), stretch.high + max(0, last)


def footprint(stages: Sequence[Stage]) -> int:
    """Bytes of all memory that the stages touch, each counted once; what lies between two stretches of an array counts too."""
    ends: dict[int | None, tuple[int, int]] = {}
    for stage in stages:
        for memory, stretches in stage.touched.items():
            for stretch in stretches:
                low, high = _whole(stretch, stage.count)
                before = ends.get(memory, (low, high))
                ends[memory] = min(before[0], low), max(before[1], high)
    return sum(high - low for low, high in ends.values())


def lag(links: tuple[Link, ...], earlier: Stage, later: Stage) -> int:
    """By how many rows the earlier stage has to be ahead of the later one, or behind, where both are through the same part of theirs."""
    ends = np.array([1, later.count])
    share = -(-ends * earlier.count // later.count)
    rows = 0
    for link in links:
        ahead = np.minimum(link.needed(ends), earlier.count) - share
        behind = (ends - 1) * earlier.count // later.count - np.maximum(link.lowest(ends - 1), 0)
        rows = max(rows, int(ahead.max()), int(behind.max()))
    return rows


# -- the order in which rows run -----------------------------------------------------------------------------------------


def tables(
    stages: Sequence[Stage], links: Links, tiles: int, bands: int
) -> tuple[list[np.ndarray], list[np.ndarray]] | None:
    """The tables of a sweep, in so many tiles, each of so many bands. None where the stages cannot be cut so often."""
    cut = _cut(stages, links, tiles)
    if cut is None:
        return None
    starts, ends = cut
    made = [_bands(stages, links, starts[:, tile], ends[:, tile], bands) for tile in range(tiles)]
    order = np.arange(len(stages))
    between = [np.stack([order, ends[:, k], starts[:, k + 1]], axis=1) for k in range(tiles - 1)]
    return made, [rows for table in between if len(rows := table[table[:, 1] < table[:, 2]])]


def _cut(stages: Sequence[Stage], links: Links, tiles: int) -> tuple[Rows, Rows] | None:
    """For each stage and tile the first row, and the one after the last. What lies between two tiles is left for later."""
    counts = np.array([stage.count for stage in stages])
    starts = counts[:, None] * np.arange(tiles) // tiles
    starts = np.where([[stage.narrow] for stage in stages], starts // LANES * LANES, starts)
    ends = np.concatenate([starts[:, 1:], counts[:, None]], axis=1)
    for k, stage in enumerate(stages):
        before = [(i, link) for i in range(k) for link in links[i, k]]
        if before:
            first = np.max([link.first(starts[i, 1:]) for i, link in before], axis=0)
            last = np.min([link.last(ends[i, :-1]) for i, link in before], axis=0)
            ends[k, :-1] = np.clip(last, 0, stage.count)
            starts[k, 1:] = np.maximum(np.clip(first, 0, stage.count), ends[k, :-1])
    if (starts > ends).any() or not _cuts_apart(links, starts, ends):
        return None
    return starts, ends


def _cuts_apart(links: Links, starts: Rows, ends: Rows) -> bool:
    """Whether what is left at one cut needs nothing of what is left at another one."""
    for (i, j), between in links.items():
        for link in between:
            below = link.lowest(ends[j, 1:-1]) < starts[i, 1:-1]
            above = link.needed(starts[j, 1:-1]) > ends[i, 1:-1]
            if (below & (ends[j, 1:-1] < starts[j, 2:])).any() or (above & (ends[j, :-2] < starts[j, 1:-1])).any():
                return False
    return True


def _bands(stages: Sequence[Stage], links: Links, starts: Rows, ends: Rows, bands: int) -> np.ndarray:
    """The rows of a tile in order: in each band, those of each stage that the bands of the later ones need."""
    share = np.arange(1, bands + 1)
    until = starts[:, None] + (ends - starts)[:, None] * share // bands
    for j in range(len(stages) - 1, -1, -1):
        if stages[j].narrow:
            until[j] = np.minimum(-(-until[j] // LANES) * LANES, ends[j])
        for i in range(j):
            for link in links[i, j]:
                until[i] = np.maximum(until[i], np.minimum(link.needed(until[j]), ends[i]))
    until[:, -1] = ends
    since = np.concatenate([starts[:, None], until[:, :-1]], axis=1)
    order = np.broadcast_to(np.arange(len(stages))[:, None], until.shape)
    table = np.stack([order, since, until], axis=-1).transpose(1, 0, 2).reshape(-1, 3)
    return table[table[:, 1] < table[:, 2]]
