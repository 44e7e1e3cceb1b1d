"""Whole calls in machine code, for programs of small kernels.

The code is one for all programs: what it checks, allocates and runs stands in the words of its `self`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numfuse.runtime.cpu.entry_code import PLACES, entry_ir
from numfuse.runtime.cpu.launch import FAST, POINTERS, address_of, call_ir, callable_of, check_ir, ready_ir, shared_ir
from numfuse.runtime.cpu.threads import pool, share_code
from numpy.lib.array_utils import byte_bounds

ArraySpec = tuple[np.dtype, tuple[int, ...], tuple[int, ...]]
"""dtype, shape, and strides in bytes."""
NumberSpec = tuple[type, np.dtype]
"""A float or an int of Python's, and what it is converted to."""


class ObjectSpec(NamedTuple):
    """An object of that type which has `layout` itself in the slot at one place, and an int, the address of its data, in the slot at another. Places are
    counted in bytes from the start of the object."""

    kind: type
    layout: Any
    layout_place: int
    address_place: int


OBJECT = -6
"""What stands for such an object in place of a number of axes."""
CONVERSIONS = {(float, "d"): -1, (float, "f"): -2, (int, "d"): -3, (int, "f"): -4, (int, "q"): -5, (int, "l"): -5}
"""What stands for numbers in its place."""

Stretch = tuple[int, int, int]
"""Memory: the number of its array, and the bytes from its start to the first one and past the last."""


@dataclass
class Launch:
    """A call of `code(given, 0, count, addresses)`; one that returns other than 0 ends the call. `pointers`: for each address, the number of its array and
    the bytes from its start; arrays are numbered from 1: arguments, results, the workspace. Number 0 starts at address 0. `words`: what is read at
    one of these addresses, and has to stay."""

    code: int
    given: int
    count: int
    pointers: Sequence[tuple[int, int]]
    words: Any = None


def kernel(address: int, count: int, pointers: Sequence[tuple[int, int]], words: Any = None) -> Launch:
    """A kernel over [0, count), on this thread."""
    return Launch(address_of(f"numfuse_call_{len(pointers)}", call_ir, len(pointers)), address, count, pointers, words)


def shared_kernel(
    address: int,
    count: int,
    pointers: Sequence[tuple[int, int]],
    pieces: int,
    call: int | None = None,
    kept: Any = None,
) -> Launch:
    """A kernel that runs in so many pieces on this thread and the pool's, which are to be there: see `ready`. `call`: what calls it, as of `call_ir`;
    `kept`: what has to stay for it."""
    call = call or address_of(f"numfuse_call_{len(pointers)}", call_ir, len(pointers))
    words = np.array([address, pieces, pool().address, share_code(), call], np.int64)
    return Launch(address_of("numfuse_shared", shared_ir), words.ctypes.data, count, pointers, (words, kept))


def ready() -> Launch:
    """Ends the call where the pool's threads have not been started, as in a child of the process that did."""
    return Launch(address_of("numfuse_ready", ready_ir), pool().address, 0, ())


def check(flags: Sequence[tuple[int, int]]) -> Launch:
    """Ends the call where one of these bytes is set."""
    return Launch(address_of(f"numfuse_check_{len(flags)}", check_ir, len(flags)), 0, 0, flags)


def entry(
    specs: Sequence[ArraySpec | NumberSpec | ObjectSpec],
    results: Sequence[Callable[[], Any]],
    workspace: Callable[[], Any] | None,
    launches: Sequence[Launch],
    written: Sequence[int] = (),
    apart: Sequence[tuple[Stretch, Stretch]] = (),
    release_gil: bool = False,
    address_place: int = 0,
) -> Callable[..., Any] | None:
    """A C-level callable that checks that the arguments are ndarrays, numbers and objects of these specs, that those `written` may be written to and that
    the stretches lie `apart`, allocates the results and the workspace (which is used from a multiple of 64 bytes on), runs the kernels, and returns the
    result, or a tuple of several or none; for other arguments, and where a check fails, it returns NotImplemented. None where such code cannot be made.

    `address_place`: where results have their address, as in an `ObjectSpec`; 0 where they are ndarrays.
    """
    made = [*results, *([workspace] if workspace else [])]
    if not FAST or 1 + len(specs) + len(made) > PLACES:
        return None
    if any(len(launch.pointers) > POINTERS for launch in launches):
        return None
    words = [len(specs), id(np.ndarray), len(made), len(results), len(launches), len(written), len(apart), release_gil]
    words += [address_place]
    words += [*written, *[word for pair in apart for stretch in pair for word in stretch]]
    words += [id(allocate) for allocate in made]
    for spec in specs:
        if isinstance(spec, ObjectSpec):
            words += [id(spec.kind), OBJECT, id(spec.layout), spec.layout_place, spec.address_place]
        elif len(spec) == 2:
            conversion = CONVERSIONS.get((spec[0], spec[1].char))
            if conversion is None:
                return None
            words += [id(spec[0]), conversion]
        else:
            dtype, shape, strides = spec
            words += [id(dtype), len(shape), *shape, *strides]
    for launch in launches:
        words += [launch.code, launch.given, launch.count, len(launch.pointers)]
        words += [word for pointer in launch.pointers for word in pointer]
    code, kept = (
        address_of("numfuse_entry", entry_ir),
        [launch.words for launch in launches if launch.words is not None],
    )
    return callable_of(code, struct.pack(f"{len(words)}q", *words), made, list(specs), kept)


def apart(
    specs: Sequence[ArraySpec | NumberSpec], written: Sequence[int], captured: Sequence[np.ndarray]
) -> list[tuple[Stretch, Stretch]]:
    """The pairs of each argument that is `written` with another one, or with an array that the function captured: all of their memory."""
    stretches = {k: _stretch(1 + k, *spec) for k, spec in enumerate(specs) if len(spec) == 3 and 0 not in spec[1]}
    pairs = [
        (stretches[w], other)
        for w in written
        if w in stretches
        for k, other in stretches.items()
        if k > w or (k != w and k not in written)
    ]
    fixed = [(0, *byte_bounds(array)) for array in captured if array.size]
    return pairs + [(stretches[w], other) for w in written if w in stretches for other in fixed]


def _stretch(number: int, dtype: np.dtype, shape: Sequence[int], strides: Sequence[int]) -> Stretch:
    steps = [(extent - 1) * stride for extent, stride in zip(shape, strides, strict=True)]
    return number, sum(min(step, 0) for step in steps), sum(max(step, 0) for step in steps) + dtype.itemsize
