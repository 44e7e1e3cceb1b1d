"""Which stretches of memory the rows of a kernel read and write: what tells whether rows of two kernels may run in another order."""

from __future__ import annotations

from numfuse.compiler.index import Axis, Index
from numfuse.compiler.kernel import Kernel, Touch


def touches(kernel: Kernel, shared: Axis | None, rows: int = 1) -> tuple[Touch, ...]:
    """`shared`: the loop that threads share; `rows`: so many of its steps are one row."""
    numbers = {buffer: number for number, buffer in enumerate(kernel.buffers)}
    found = set()
    for buffer, index in kernel.accesses:
        step, low, high = _stretch(kernel, index, shared)
        if rows > 1:
            low, high = low + min(0, step * (rows - 1)), high + max(0, step * (rows - 1))
        size = buffer.dtype.itemsize
        found.add(Touch(numbers[buffer], step * rows * size, low * size, (high + 1) * size, buffer.output))
    return _joined(found)


def _stretch(kernel: Kernel, index: Index, shared: Axis | None) -> tuple[int, int, int]:
    """How far the index moves with the shared loop, and the least and the greatest place in its first step, in elements."""
    if shared is None:
        return 0, *index.bounds
    walked = {axis for axis, loop in kernel.collapsed.items() if loop == shared}
    rest = Index(index.const, tuple([(atom, coef) for atom, coef in index.terms if atom not in walked]))
    return kernel.coef(index, shared), *rest.bounds


def _joined(found: set[Touch]) -> tuple[Touch, ...]:
    """With those that overlap as one: a stencil reads one stretch."""
    joined: list[Touch] = []
    for touch in sorted(found, key=lambda t: (t.pointer, t.written, t.step, t.low)):
        last = joined[-1] if joined else None
        if (
            last is not None
            and (last.pointer, last.written, last.step) == (touch.pointer, touch.written, touch.step)
            and touch.low <= last.high + abs(last.step)
        ):
            joined[-1] = Touch(last.pointer, last.step, last.low, max(last.high, touch.high), last.written)
        else:
            joined.append(touch)
    return tuple(joined)
