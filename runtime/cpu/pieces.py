"""How long kernels take, about, and in how many pieces they run."""

from __future__ import annotations

from typing import Protocol

from numfuse.compiler.lower.program import LoweredKernel, Phase
from numfuse.runtime.cpu.threads import thread_count


class Work(Protocol):
    """A phase of a kernel, or a matrix product."""

    @property
    def nbytes(self) -> int: ...
    @property
    def flops(self) -> int: ...
    @property
    def tiled(self) -> bool: ...


BYTES_PER_SECOND, FLOPS_PER_SECOND, TILED_FLOPS_PER_SECOND = 25e9, 20e9, 100e9
"""A cautious guess at one core, to tell kernels that are worth sharing from those that are not."""
SHARED_SECONDS = 40e-6
"""A kernel that takes one core less than this is not shared: waking a thread that sleeps takes about as long."""
PIECE_SECONDS = 5e-6
HELD_SECONDS = 20e-6
"""A kernel that takes less than this keeps the GIL: releasing it costs more than it gives."""


def seconds_of(work: Work) -> float:
    """About how long one core takes."""
    rate = TILED_FLOPS_PER_SECOND if work.tiled else FLOPS_PER_SECOND
    return max(work.nbytes / BYTES_PER_SECOND, work.flops / rate)


def byte_offsets(phase: Phase) -> list[int]:
    """Where each of the kernel's pointers starts in its array."""
    return [
        start * parameter.dtype.itemsize
        for start, parameter in zip(phase.offsets, phase.source.parameters, strict=True)
        if parameter.dtype is not None
    ]


def pieces_of(kernel: LoweredKernel, phase: Phase) -> int:
    """In how many pieces a phase runs: one, on this thread, or more, on all threads."""
    count, seconds, each = phase.extents["count"], seconds_of(phase), kernel.schedule.pieces
    alone = seconds < SHARED_SECONDS if each is None else not each
    if alone or count == 1 or thread_count() == 1:
        return 1
    most = int(seconds / PIECE_SECONDS) if each is None else count
    return max(2, min(count, (each or 4) * thread_count(), most))
