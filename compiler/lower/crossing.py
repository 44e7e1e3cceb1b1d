"""Loads that lie side by side along another loop than the innermost one: of a transposed array, say. Both targets read such arrays by tiles."""

from __future__ import annotations

from collections import Counter

from numfuse.compiler.index import Axis
from numfuse.compiler.kernel import Kernel, Value

SHORTEST = 8
"""Axes of fewer elements are not worth a tile."""
MOST_TILES = 8


def crossing(kernel: Kernel) -> tuple[Axis, list[Value]] | None:
    """The loop along which loads lie side by side that do not along the innermost loop, and these loads; None where there are none, or where
    rows have loops."""
    loops = kernel.loops_over(kernel.rows)
    if kernel.loops or len(loops) < 2 or loops[-1].extent < SHORTEST:
        return None
    found: list[tuple[Axis, Value]] = []
    for value in kernel.scope.statements:
        if isinstance(value, Value) and value.kind == "load":
            assert value.index is not None
            along = [axis for axis in loops[:-1] if kernel.coef(value.index, axis) == 1 and axis.extent >= SHORTEST]
            if along and value.index.affine and kernel.coef(value.index, loops[-1]) not in (0, 1):
                found.append((along[-1], value))
    if not found:
        return None
    ((axis, _),) = Counter(axis for axis, _ in found).most_common(1)
    return axis, [value for along, value in found if along == axis][:MOST_TILES]
