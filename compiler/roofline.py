"""What bounds each kernel, and how near it comes: bytes and operations against what this machine moves and does (Williams, Waterman and
Patterson, Roofline, 2009).

The limits are measured: memory by kernels that do nothing but read and write as many bytes as the one at hand, arithmetic by one that stays in
registers. A kernel whose data lies in a cache may be faster than such a limit.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numfuse.compiler.compiled import arguments_to_measure
from numfuse.compiler.jit import jit
from numfuse.compiler.lower.program import LoweredKernel
from numfuse.compiler.lowered import Lowered

CHAINS, LENGTH = 6, 12
"""Of each element in the kernel that measures arithmetic: it is one kernel, and its values stay in registers."""
MOST_BYTES = 2**28
"""The largest array of the measuring kernel: what larger ones take is in proportion."""


@dataclass(frozen=True)
class Line:
    """A kernel of a program: `nbytes` moved at least, `flops` as additions' worth of work, and seconds: what memory and arithmetic alone
    would take, and what the kernel took."""

    name: str
    nbytes: int
    flops: int
    memory: float
    arithmetic: float
    taken: float

    @property
    def least(self) -> float:
        return max(self.memory, self.arithmetic)

    @property
    def bound(self) -> str:
        return "memory" if self.memory >= self.arithmetic else "arithmetic"


class Roofline(list[Line]):
    """A line for each launch of a kernel, in order. `str` of it is a table."""

    def __str__(self) -> str:
        heads = ("kernel", "MB", "Mflop", "bound by", "at least", "took", "of the bound")
        rows = [
            (
                line.name,
                f"{line.nbytes / 1e6:.3g}",
                f"{line.flops / 1e6:.3g}",
                line.bound,
                _told(line.least),
                _told(line.taken),
                f"{line.least / line.taken:.0%}",
            )
            for line in self
        ]
        widths = [max(len(row[k]) for row in (heads, *rows)) for k in range(len(heads))]
        text = [
            "  ".join(
                cell.ljust(w) if k in (0, 3) else cell.rjust(w)
                for k, (cell, w) in enumerate(zip(row, widths, strict=True))
            )
            for row in (heads, *rows)
        ]
        return "\n".join(line.rstrip() for line in text)


def _told(seconds: float) -> str:
    return f"{seconds * 1e6:.3g} us" if seconds < 1e-3 else f"{seconds * 1e3:.3g} ms"


def measured(lowered: Lowered, leaves: Sequence[Any]) -> Roofline:
    """Runs the kernels on copies of a call's arguments. Raises TypeError for a device on which time means nothing."""
    if lowered.device.identity() is None or lowered.traced is None:
        raise TypeError(f"{lowered.device.describe()}: there is no such device here to measure")
    target = lowered.device.name
    executable = lowered.device.compile(lowered.program, lowered.options)
    taken = executable.profile(arguments_to_measure(lowered.traced, leaves))
    return Roofline(
        Line(
            kernel.name,
            kernel.nbytes,
            kernel.flops,
            memory_seconds(target, kernel.nbytes - kernel.written, kernel.written),
            kernel.flops / flops_per_second(target, "f8" if widest(kernel) > 4 else "f4"),
            seconds,
        )
        for kernel, seconds in zip(lowered.program.kernels, taken, strict=True)
    )


def widest(kernel: LoweredKernel) -> int:
    """Bytes of the widest number that is computed."""
    return max(node.dtype.itemsize for fused in kernel.nodes for node in fused.params["body"].nodes)


def memory_seconds(target: str, read: int, written: int) -> float:
    """How long it takes to move so many bytes: as those of a copy as far as there are both, the others as those of a sum or a fill."""
    both = min(read, written)
    return (
        _in_proportion(target, "copy", 2 * both)
        + _in_proportion(target, "sum", read - both)
        + _in_proportion(target, "fill", written - both)
    )


def _in_proportion(target: str, way: str, nbytes: int) -> float:
    """From a measured size near it: powers of 2, up to MOST_BYTES."""
    size = min(max(2 ** max(0, nbytes - 1).bit_length(), 2**12), MOST_BYTES)
    return _moved(target, way, size) * nbytes / size if nbytes else 0.0


@functools.cache
def _moved(target: str, way: str, nbytes: int) -> float:
    if way == "copy":
        return _least(target, lambda x: -x, np.ones(nbytes // 8, "f4"))
    if way == "sum":
        return _least(target, lambda x: x.sum(), np.ones(nbytes // 4, "f4"))
    return _least(target, lambda x: x + np.broadcast_to(x, (nbytes // 4,)), np.ones((), "f4"))


@functools.cache
def flops_per_second(target: str, dtype: str) -> float:
    """Additions and multiplications of this float, in chains that do not wait for one another."""
    number = np.dtype(dtype).type

    def function(x: Any) -> Any:
        parts = [x * number(k) for k in range(1, CHAINS + 1)]
        for _ in range(LENGTH):
            parts = [part * number(0.999) + number(0.001) for part in parts]
        return sum(parts[1:], parts[0])

    x = np.ones(2**20, dtype)
    return 2 * CHAINS * (LENGTH + 1) * x.size / _least(target, function, x)


def _least(target: str, function: Any, x: np.ndarray) -> float:
    lowered = jit(function, target=target).lower(x)
    return sum(lowered.device.compile(lowered.program, {}).profile([x], rounds=15))
