"""Sweeps: rows of several kernels run in another order than the program's, and never so that one meets memory in another state than it did there."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numfuse.compiler.lower.lying import lying
from numfuse.compiler.lower.sweeps import Stage, Stretch, links_between, stage_of, tables

import numfuse as nf

Row = tuple[int, int]


def bytes_of(stage: Stage, row: int, written: bool) -> set[tuple[int | None, int]]:
    return {
        (memory, stretch.step * row + byte)
        for memory, stretches in stage.touched.items()
        for stretch in stretches
        if stretch.written or not written
        for byte in range(stretch.low, stretch.high)
    }


def conflicts(stages: list[Stage]) -> Iterator[tuple[Row, Row]]:
    """The pairs of rows, the one that is first in the program first, that touch a byte which one of them writes."""
    rows = [(k, row) for k, stage in enumerate(stages) for row in range(stage.count)]
    touched = {(k, row): (bytes_of(stages[k], row, False), bytes_of(stages[k], row, True)) for k, row in rows}
    for one, other in itertools.combinations(rows, 2):
        (reads, writes), (other_reads, other_writes) = touched[one], touched[other]
        if one[0] < other[0] and (writes & other_reads or reads & other_writes):
            yield one, other


def check(stages: list[Stage], tiles: int, bands: int) -> bool:
    """Whether they were cut; where they were, each row runs once, and rows that meet run in order, whatever runs side by side."""
    links = {}
    for j, later in enumerate(stages):
        for i in range(j):
            found = links_between(stages[i], later)
            if found is None:
                return False
            links[i, j] = found
    made = tables(stages, links, tiles, bands)
    if made is None:
        return False
    when: dict[Row, tuple[int, int, int]] = {}
    for part, side_by_side in enumerate(made):
        for number, table in enumerate(side_by_side):
            for moment, (stage, first, last) in enumerate(table.tolist()):
                for row in range(first, last):
                    assert (stage, row) not in when
                    when[stage, row] = part, number, moment
    assert len(when) == sum(stage.count for stage in stages)
    for one, other in conflicts(stages):
        (part, number, moment), (other_part, other_number, other_moment) = when[one], when[other]
        assert part < other_part or (part == other_part and number == other_number and moment < other_moment)
    return True


steps = st.integers(1, 6)
stretches = st.builds(
    lambda step, low, length, written: Stretch(step, low, low + length, written),
    steps, st.integers(-3, 12), st.integers(1, 9), st.booleans(),
)  # fmt: skip
stages_drawn = st.builds(
    Stage,
    st.integers(0, 9),
    st.dictionaries(st.sampled_from([None, 0, 1]), st.lists(stretches, min_size=1, max_size=2), max_size=3),
)


@settings(max_examples=400)
@given(st.lists(stages_drawn, min_size=2, max_size=5), st.integers(1, 3), st.integers(1, 4))
def test_rows_that_meet_run_in_order(stages: list[Stage], tiles: int, bands: int) -> None:
    check(stages, tiles, bands)


@pytest.mark.parametrize("bands", [1, 2, 5, 30])
@pytest.mark.parametrize("tiles", [1, 2, 3])
@pytest.mark.parametrize("shrink", [0, 1])
def test_a_stencil_in_two_buffers(tiles: int, bands: int, shrink: int) -> None:
    """Each step reads three rows of the one before. What was in the first buffer is overwritten by the second step."""
    stages = []
    for step in range(4):
        width = 8 - shrink * step
        reads, writes = (None if step == 0 else (step - 1) % 2), step % 2
        stages.append(
            Stage(40 - 2 * step, {reads: [Stretch(width, 0, 3 * width, False)], writes: [Stretch(8 - shrink * (step + 1), 0, 7, True)]})
        )  # fmt: skip
    assert check(stages, tiles, bands) or (tiles, shrink) == (3, 1)


def test_what_needs_all_is_not_linked() -> None:
    rows = Stage(8, {0: [Stretch(4, 0, 4, True)]})
    backwards = Stage(8, {0: [Stretch(-4, 28, 32, False)]})
    one_for_all = Stage(8, {0: [Stretch(0, 0, 4, False)]})
    elsewhere = Stage(8, {0: [Stretch(4, 32, 36, True)]})
    assert links_between(rows, backwards) is None
    assert links_between(rows, one_for_all) is None
    assert links_between(rows, elsewhere) == ()


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        # u is read one row up and down, two bytes of float32 to either side are of the same row
        (lambda u: np.tanh(u[1:-1, 1:-1] + u[2:, 1:-1] + u[:-2, 1:-1]), {0: [(40, 4, 116, False)], 1: [(32, 0, 32, True)]}),
        (lambda u: np.tanh(u), {0: [(4, 0, 4, False)], 1: [(4, 0, 4, True)]}),
        (lambda u: np.exp(u - u.max(1, keepdims=True)), {0: [(40, 0, 40, False)], 1: [(40, 0, 40, True)]}),
    ],
)  # fmt: skip
def test_what_rows_touch(function, expected) -> None:  # type: ignore[no-untyped-def]
    program = nf.jit(function).lower(nf.spec("f4", 30, 10), target="cpu").program
    (kernel,) = program.kernels
    stage = stage_of(kernel.phases[0], lying(program))
    assert stage is not None
    assert {
        m: [(s.step, s.low, s.high, s.written) for s in stretches] for m, stretches in stage.touched.items()
    } == expected
