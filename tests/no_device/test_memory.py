"""The memory plan: no two buffers that live at the same time overlap, and the workspace is not much larger than it must be."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from numfuse.compiler.lower.memory import ALIGNMENT, plan


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
