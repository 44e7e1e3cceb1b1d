"""The memory plan: no two buffers that live at the same time overlap, the workspace is not much larger than it must be, and the order of
the steps is near the best one, which is found here by trying all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numfuse.compiler.lower.memory import ALIGNMENT, Access, order, peak_of, plan
from numfuse.compiler.lower.program import LibraryStep, ViewStep

import numfuse as nf


@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 9), st.integers(0, 9)), max_size=12))
def test_plan(drawn: list[tuple[int, int, int]]) -> None:
    lifetimes = [(size, min(a, b), max(a, b)) for size, a, b in drawn]
    offsets, total = plan(lifetimes)
    for i, (size, first, last) in enumerate(lifetimes):
        assert offsets[i] % ALIGNMENT == 0 and offsets[i] + size <= total
        for j, (other, begin, end) in enumerate(lifetimes[:i]):
            apart = end < first or last < begin or offsets[i] + size <= offsets[j] or offsets[j] + other <= offsets[i]
            assert apart or not size or not other
    rounded = [(-(-size // ALIGNMENT) * ALIGNMENT, first, last) for size, first, last in lifetimes]
    needed = max((sum(s for s, a, b in rounded if a <= step <= b) for step in range(10)), default=0)
    assert total <= 2 * needed


def orders(steps: Sequence[Access], done: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    """Every order in which each step reads and overwrites what it does in the given one."""
    if len(done) == len(steps):
        yield done
    for place, step in enumerate(steps):
        if place in done:
            continue
        earlier = [other for other in range(place) if other not in done]
        if not any(
            steps[other].writes & (step.reads | step.writes) or steps[other].reads & step.writes for other in earlier
        ):
            yield from orders(steps, (*done, place))


def least_peak(steps: Sequence[Access], sizes: Mapping[int, int], kept: frozenset[int]) -> int:
    touched = [[number for number in step.reads | step.writes if number in sizes] for step in steps]
    return min(peak_of(way, touched, sizes, kept) for way in orders(steps))


@st.composite
def programs(draw: st.DrawFn) -> tuple[list[Access], dict[int, int], frozenset[int]]:
    """Steps that each make a value from some of those before, and now and then write over one."""
    steps = []
    for place in range(draw(st.integers(2, 7))):
        reads = draw(st.frozensets(st.integers(0, place - 1), max_size=3)) if place else frozenset()
        over = draw(st.sampled_from(sorted(reads))) if reads and draw(st.integers(0, 4)) == 0 else place
        steps.append(Access(reads, frozenset({over})))
    sizes = {number: draw(st.integers(1, 1000)) for number in range(len(steps))}
    return steps, sizes, draw(st.frozensets(st.integers(0, len(steps) - 1), max_size=2))


@settings(max_examples=300)
@given(programs())
def test_the_order_is_near_the_best(program: tuple[list[Access], dict[int, int], frozenset[int]]) -> None:
    steps, sizes, kept = program
    found = order(steps, sizes, kept)
    assert tuple(found) in set(orders(steps))
    touched = [list(step.reads | step.writes) for step in steps]
    assert peak_of(found, touched, sizes, kept) <= 1.1 * least_peak(steps, sizes, kept)


def drawn_function(rng: np.random.Generator, steps: int) -> Any:
    """A function of library calls, which stay steps of their own, and on a GPU have places in the workspace.

    Each sorts the end of one array, or the joined parts of two."""
    plans = [
        (rng.integers(0, k + 1, 2), rng.integers(1, 40, 2) * 64, bool(rng.integers(0, 2))) for k in range(steps - 1)
    ]

    def function(x: Any) -> Any:
        made = [x]
        for (one, other), (first, second), joined in plans:
            left, right = made[one][:first], made[other][:second]
            made.append(np.sort(left) if not joined else np.convolve(left, right))
        return np.convolve(made[-1][:64], made[-2][:64])

    return function


@pytest.mark.parametrize("target", ["cpu", "cuda"])
def test_the_memory_of_a_program_is_near_the_least(target: str) -> None:
    """On the CPU library calls make arrays of their own, on a GPU they write to the workspace."""
    rng = np.random.default_rng(7)
    reordered = 0
    for _ in range(60):
        lowered = nf.jit(drawn_function(rng, int(rng.integers(3, 9)))).lower(nf.spec("f8", 2560), target=target)
        program = lowered.program
        calls = [step for step in program.steps if isinstance(step, LibraryStep)]
        views = {step.output: step.input for step in program.steps if isinstance(step, ViewStep)}

        def memory_of(number: int, views: dict[int, int] = views) -> int:
            return memory_of(views[number], views) if number in views else number

        steps = [
            Access(
                frozenset(map(memory_of, call.inputs)),
                frozenset(number for number in call.outputs if number is not None),
            )
            for call in calls
        ]
        place, unit = ("library", 1) if target == "cpu" else ("workspace", ALIGNMENT)
        sizes = {
            number: -(-value.nbytes // unit) * unit
            for number, value in enumerate(program.values)
            if value.place == place
        }
        least = least_peak(steps, sizes, frozenset(map(memory_of, program.results)))
        assert least <= lowered.memory_analysis()[place] <= 1.1 * least
        reordered += [call.node for call in calls] != [
            node for node in program.graph.nodes if node.op in ("sort", "convolve")
        ]
    assert reordered > 5
