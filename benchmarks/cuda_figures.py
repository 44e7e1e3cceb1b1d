"""What can be told of a CUDA kernel without a GPU: from its machine code, its launch shape, and the addresses that a warp of it touches."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numfuse.compiler.lower.program import Phase
from numfuse.compiler.lowered import Lowered
from numfuse.compiler.types import memory_dtype
from numfuse.runtime.cuda.kernels import compiled_kernel
from numfuse.runtime.cuda.simulator import NAMES
from numfuse.runtime.reference import defined
from rows import Row

import numfuse as nf

ARCH = "sm_90"
PROCESSORS = 132
"""Of an H100 or H200."""
WARP = 32
SECTOR = 32
"""Bytes that memory gives at once."""
SAMPLED = 256
"""Accesses of a thread that are looked at."""
JOIN = re.compile(r"\b(?:warp|block|column)_\w+\(")


def lowered_row(row: Row) -> Lowered:
    """The row's function for a GPU, at the size that a GPU gets. Its arrays are made of nothing."""
    made = row.make(Empty(), row.large or row.size, np.dtype(row.dtype))  # type: ignore[arg-type]
    specs = [nf.spec(array.dtype, array.shape) for array in made]
    return nf.jit(row.bound(np)).lower(*specs, target="cuda", arch=ARCH)


class Empty:
    """Stands for a random generator whose arrays need no memory."""

    @staticmethod
    def standard_normal(size: Any, dtype: Any) -> np.ndarray:
        return _one_element(size, dtype)

    @staticmethod
    def uniform(low: float, high: float, size: Any) -> Any:
        return _one_element(size, "f8")


class _Spread(np.ndarray):
    """An array of one element, broadcast: what is computed from it is as small."""

    def astype(self, dtype: Any, *args: Any, **kwargs: Any) -> Any:
        return _one_element(self.shape, dtype)

    def __truediv__(self, other: Any) -> Any:
        return self


def _one_element(shape: Any, dtype: Any) -> Any:
    return np.broadcast_to(np.ones((), dtype), shape).view(_Spread)


def figures(row: Row) -> dict[str, Any]:
    """The row's kernels, and what its function moves against the least that it could: each argument and each result once."""
    lowered = lowered_row(row)
    program = lowered.program
    values = program.values
    phases = [phase for kernel in program.kernels for phase in kernel.phases]
    kernels = [kernel_figures(phase, values) for phase in phases]
    least = sum(value.nbytes for value in values if value.place == "argument")
    least += sum(values[number].nbytes for number in set(program.results))
    moved = sum(kernel["moved"] for kernel in kernels)
    told = {"label": row.label(row.large), "kernels": kernels, "moved": moved, "least": least}
    return told | (
        {"library_calls": program.library_calls} if program.library_calls else {"ratio": round(moved / least, 3)}
    )


def kernel_figures(phase: Phase, values: Sequence[Any]) -> dict[str, Any]:
    compiled = compiled_kernel(phase.source, ARCH, phase.extents["block"], False)
    resources = compiled.cubin.resources
    accesses = re.findall(r"\b(ld|st)\.global((?:\.\w+)*)", compiled.ptx)
    single = not any(dtype.itemsize == 8 for dtype in (values[number].dtype for number in phase.values))
    return {
        "name": phase.source.name,
        "blocks": phase.extents["grid"],
        "threads": phase.extents["block"],
        "registers": resources["registers"],
        "spill_bytes": resources["spill_bytes"],
        "shared_bytes": resources["shared_bytes"],
        "occupancy": occupancy(resources["registers"], resources["shared_bytes"], phase.extents["block"]),
        "load_bits": max([_bits(kind) for way, kind in accesses if way == "ld"], default=0),
        "store_bits": max([_bits(kind) for way, kind in accesses if way == "st"], default=0),
        "useful": useful_share(phase),
        "float64": len(re.findall(r"\.f64\b", compiled.ptx)) if single else 0,
        "local_memory": compiled.ptx.count(".local"),
        "moved": sum(_passes(phase).get(place, 1) * values[number].nbytes for place, number in _arrays(phase)),
    }


def _bits(kind: str) -> int:
    """`.nc.v4.f32` is 128."""
    many = re.search(r"\.v(\d)", kind)
    size = re.search(r"\.[bfsu](\d+)$", kind)
    return int(size.group(1)) * (int(many.group(1)) if many else 1) if size else 0


def occupancy(registers: int, shared: int, threads: int) -> float:
    """The share of a multiprocessor's 64 warps that fit, by sm_90's limits."""
    warps = -(-threads // WARP)
    register_warps = 4 * (16384 // (-(-registers * WARP // 256) * 256))  # each quarter has registers of its own
    shared_block = -(-(shared + 1024) // 128) * 128  # 1 KB of each block is the system's
    blocks = min(32, 2048 // (warps * WARP), register_warps // warps, 228 * 1024 // shared_block)
    return round(blocks * warps / 64, 3)


def _arrays(phase: Phase) -> list[tuple[int, int]]:
    """For each array that the kernel touches, the first parameter that points into it."""
    first: dict[int, int] = {}
    for place, number in enumerate(phase.values):
        first.setdefault(number, place)
    return [(place, number) for number, place in first.items()]


def _passes(phase: Phase) -> dict[int, int]:
    """How often each parameter is walked: threads that wait for one another between two loops have lost what they read in the first."""
    parts: dict[int, set[int]] = {}
    part = 0
    for line in phase.source.code.splitlines():
        for place, parameter in enumerate(phase.source.parameters[1:]):
            if re.search(rf"(?:\b{parameter.name}\[|\bload_\d+\(\w+, \d+, {parameter.name},)", line):
                parts.setdefault(place, set()).add(part)
        part += bool(JOIN.search(line))
    return {place: len(parts[place]) for place in parts if not phase.source.parameters[place + 1].output}


# -- the addresses of a warp ---------------------------------------------------------------------------------------------


class Enough(Exception):
    """A thread has made as many accesses as are looked at."""


@dataclass
class Touched:
    """Notes the bytes that threads touch, by parameter."""

    now: dict[str, int] = field(default_factory=dict)
    bytes: dict[int, set[tuple[int, int]]] = field(default_factory=dict)
    left: int = SAMPLED

    def note(self, pointer: Pointer, place: int, count: int = 1) -> None:
        size = pointer.dtype.itemsize
        self.bytes.setdefault(pointer.place, set()).add((place * size, count * size))
        self.left -= 1
        if self.left < 0:
            raise Enough


@dataclass
class Pointer:
    touched: Touched
    place: int
    dtype: np.dtype

    def __getitem__(self, index: int) -> Any:
        self.touched.note(self, int(index))
        return self.dtype.type(1)

    def __setitem__(self, index: int, value: Any) -> None:
        self.touched.note(self, int(index))


def useful_share(phase: Phase) -> float:
    """Of the memory sectors that a warp in the midst of the grid touches, the share of bytes that it asked for."""
    touched = Touched()
    function = defined(phase.source.code, phase.source.name, _names(touched))
    grid, threads = phase.extents["grid"], phase.extents["block"]
    parameters = enumerate(phase.source.parameters[1:])
    pointers = [
        memory_dtype(p.dtype).type(1) if p.number else Pointer(touched, place, memory_dtype(p.dtype))
        for place, p in parameters
        if p.dtype is not None
    ]
    middle = threads // WARP // 2 * WARP
    for member in range(middle, min(middle + WARP, threads)):
        touched.now = {"block": grid // 2, "member": member, "thread": grid // 2 * threads + member}
        touched.left = SAMPLED
        try:
            with np.errstate(all="ignore"):
                function(phase.extents["n"], *pointers)
        except Enough:
            pass
    asked = fetched = 0
    for spans in touched.bytes.values():
        wanted = {byte for start, length in spans for byte in range(start, start + length)}
        asked += len(wanted)
        fetched += SECTOR * len({byte // SECTOR for byte in wanted})
    return round(asked / fetched, 2) if fetched else 1.0


def _names(touched: Touched) -> Mapping[str, Any]:
    """What a kernel calls, for one thread after another: joining values changes none."""

    def moves(width: int, pointer: int, offset: int) -> Callable[..., None]:
        def move(*arguments: Any) -> None:
            touched.note(arguments[pointer], int(arguments[offset]), width)

        return move

    joins = {name: (lambda value, *shape: value) for name in NAMES if JOIN.match(f"{name}(")}
    return {
        **NAMES,
        **joins,
        "thread": lambda: touched.now["thread"],
        "wide_thread": lambda: touched.now["thread"],
        "block": lambda: touched.now["block"],
        "thread_in_block": lambda: touched.now["member"],
        "shared": NAMES["local"],
        "barrier": lambda: None,
        **{f"load_{n}": moves(n, 2, 3) for n in (2, 4, 8, 16)},
        **{f"store_{n}": moves(n, 0, 1) for n in (2, 4, 8, 16)},
    }
