"""The code that runs a sweep's tables: for each range of rows the kernel, on its own pointers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numfuse.compiler.lower.program import Sweep
from numfuse.runtime.cpu.launch import address_of, call_ir

WORDS = 5
"""Of a range: what calls the kernel, the kernel, which of the sweep's pointers is its first, its first row, and the one after its last."""


@dataclass(frozen=True)
class Part:
    """Tables that run side by side, as a kernel over their numbers: `words` is what `sweep_call()` has in place of a kernel's address."""

    words: np.ndarray
    count: int


def sweep_call() -> int:
    """A function like `call_ir`'s, which runs the tables [lo, hi)."""
    return address_of("numfuse_sweep", _ir)


def parts_of(sweep: Sweep, addresses: Mapping[int, int]) -> list[Part]:
    """The sweep's tables, those that run side by side together. `addresses`: of each source's code, by its identity."""
    pointers = [len(phase.values) for phase in sweep.phases]
    stages = np.array(
        [
            (address_of(f"numfuse_call_{count}", call_ir, count), addresses[id(phase.source)], first)
            for phase, count, first in zip(sweep.phases, pointers, np.cumsum([0, *pointers]), strict=False)
        ],
        np.int64,
    )
    return [_part(tables, stages) for tables in (sweep.tiles, sweep.cuts) if tables]


def _part(tables: Sequence[np.ndarray], stages: np.ndarray) -> Part:
    head = len(tables) + 1
    starts = head + WORDS * np.cumsum([0, *[len(table) for table in tables]])
    ranges = [np.concatenate([stages[table[:, 0]], table[:, 1:]], axis=1).reshape(-1) for table in tables]
    return Part(np.concatenate([starts, *ranges]).astype(np.int64), len(tables))


def _ir(name: str) -> str:
    """Its first argument points to where each table starts and the last one ends, in words from there, and then the tables."""
    fields = ("call", "ptr"), ("kernel", "ptr"), ("pointer", "i64"), ("first", "i64"), ("last", "i64")
    loads = "\n".join(
        f"  %{field}_at = getelementptr i64, ptr %range, i64 {place}\n  %{field} = load {kind}, ptr %{field}_at"
        for place, (field, kind) in enumerate(fields)
    )
    return f"""
define i64 @{name}(ptr %words, i64 %lo, i64 %hi, ptr %addresses) {{
  %start_at = getelementptr i64, ptr %words, i64 %lo
  %start_word = load i64, ptr %start_at
  %start = getelementptr i64, ptr %words, i64 %start_word
  %end_at = getelementptr i64, ptr %words, i64 %hi
  %end_word = load i64, ptr %end_at
  %end = getelementptr i64, ptr %words, i64 %end_word
  br label %each
each:
  %range = phi ptr [ %start, %0 ], [ %next, %run ]
  %done = icmp eq ptr %range, %end
  br i1 %done, label %all, label %run
run:
{loads}
  %own = getelementptr ptr, ptr %addresses, i64 %pointer
  %stop = call i64 %call(ptr %kernel, i64 %first, i64 %last, ptr %own)
  %next = getelementptr i64, ptr %range, i64 {WORDS}
  br label %each
all:
  ret i64 0
}}
"""
