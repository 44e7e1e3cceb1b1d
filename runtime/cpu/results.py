"""Memory for large results, kept when an array dies and given to the next result of that size.

The system clears each page of fresh memory before a process may write to it, which takes about as long as the kernel that then writes: a
kernel that adds two arrays of 32 MiB waits 2 ms for its result's. So large results are allocated under a memory handler of our own (NEP 49),
which keeps the last blocks that were freed. The arrays own their memory as any others do; a block is kept or freed when NumPy frees it.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import os
from collections.abc import Callable
from typing import Any

import numpy as np
from numfuse.runtime.cpu.compile import load_ir

LARGE = 2**19
"""Bytes: from here on a result's memory is kept."""
_BLOCKS = 16
_NAME, _SET_HANDLER, _DEFAULT_HANDLER = b"mem_handler", 304, 306
"""The capsule's name, and places in NumPy's table of C functions, which never change."""

Allocate = Callable[[], np.ndarray]


class _Allocator(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in ("context", "malloc", "calloc", "realloc", "free")]


class _Handler(ctypes.Structure):
    """NumPy's PyDataMem_Handler."""

    _fields_ = [("name", ctypes.c_char * 127), ("version", ctypes.c_uint8), ("allocator", _Allocator)]


class _Kept(ctypes.Structure):
    """What the handler's functions know: the blocks, as pairs of address and bytes, and which of them is the oldest."""

    _fields_ = [
        ("locked", ctypes.c_int64),
        ("held", ctypes.c_int64),
        ("limit", ctypes.c_int64),
        ("oldest", ctypes.c_int64),
        ("system", _Allocator),
        ("blocks", ctypes.c_int64 * (2 * _BLOCKS)),
    ]


def allocator(shape: tuple[int, ...], dtype: np.dtype) -> Allocate:
    """A function that makes an uninitialised array."""
    fresh = functools.partial(np.empty, shape, dtype)
    if dtype.itemsize * int(np.prod(shape, dtype=np.int64)) < LARGE or kept_bytes() == 0 or _handler() is None:
        return fresh
    set_handler, handler, numpys = _handler()

    def allocate() -> np.ndarray:
        before = set_handler(handler)
        try:
            if before is not numpys:  # the user has one of their own, which is to be used
                set_handler(before)
            return fresh()
        finally:
            set_handler(before)

    return allocate


@functools.cache
def kept_bytes() -> int:
    """NUMFUSE_KEEP, MiB of memory that are kept for results, in bytes."""
    text = os.environ.get("NUMFUSE_KEEP", "256")
    try:
        return max(0, int(float(text) * 2**20))
    except (ValueError, OverflowError):
        raise ValueError(f"NUMFUSE_KEEP={text!r} is not a number of MiB; 0 keeps no memory for results") from None


@functools.cache
def _handler() -> Any:
    """NumPy's function that sets the memory handler, our handler and NumPy's; None where NumPy has none as we know them."""
    new, pointer = ctypes.pythonapi.PyCapsule_New, ctypes.pythonapi.PyCapsule_GetPointer
    new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    table = (ctypes.c_void_p * (_DEFAULT_HANDLER + 1)).from_address(
        pointer(importlib.import_module("numpy._core.multiarray")._ARRAY_API, None)
    )
    default = ctypes.py_object.from_address(table[_DEFAULT_HANDLER] or 0).value
    system = _Handler.from_address(pointer(default, _NAME))
    if system.version != 1:
        return None
    kept = _Kept(limit=kept_bytes(), system=system.allocator)
    malloc, calloc, realloc, free = load_ir(
        _IR, *(f"numfuse_{name}" for name in ("malloc", "calloc", "realloc", "free"))
    )
    handler = _Handler(b"numfuse", 1, _Allocator(ctypes.addressof(kept), malloc, calloc, realloc, free))
    for lasting in (kept, handler):  # arrays that die after this module point to them
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(lasting))
    capsule = new(ctypes.addressof(handler), _NAME, None)
    return ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object)(table[_SET_HANDLER] or 0), capsule, default


_SYSTEM = _Kept.system.offset
_FIRST = _Kept.blocks.offset


def _load(name: str, kind: str, offset: int) -> str:
    return f"  %{name}_at = getelementptr i8, ptr %kept, i64 {offset}\n  %{name} = load {kind}, ptr %{name}_at"


def _system(name: str) -> str:
    """Loads one of the system's functions, and what it is to be called with."""
    function = _load("function", "ptr", _SYSTEM + getattr(_Allocator, name).offset)
    return function + "\n" + _load("context", "ptr", _SYSTEM)


_IR = f"""
; a block of that size that is kept, else a new one. Where another thread is here, both ways lead to the system.
define ptr @numfuse_malloc(ptr %kept, i64 %size) {{
start:
  %swapped = cmpxchg ptr %kept, i64 0, i64 1 seq_cst seq_cst
  %mine = extractvalue {{ i64, i1 }} %swapped, 1
  br i1 %mine, label %look, label %new
look:
  %k = phi i64 [ 0, %start ], [ %k_next, %other ]
  %k_next = add i64 %k, 1
  %place = mul i64 %k, 16
  %from_start = add i64 %place, {_FIRST}
  %block = getelementptr i8, ptr %kept, i64 %from_start
  %size_at = getelementptr i8, ptr %block, i64 8
  %block_size = load i64, ptr %size_at
  %fits = icmp eq i64 %block_size, %size
  br i1 %fits, label %found, label %other
other:
  %more = icmp slt i64 %k_next, {_BLOCKS}
  br i1 %more, label %look, label %none
none:
  store atomic i64 0, ptr %kept seq_cst, align 8
  br label %new
found:
  %memory = load ptr, ptr %block
  store i64 0, ptr %size_at
{_load("held", "i64", _Kept.held.offset)}
  %left = sub i64 %held, %size
  store i64 %left, ptr %held_at
  store atomic i64 0, ptr %kept seq_cst, align 8
  ret ptr %memory
new:
{_system("malloc")}
  %fresh = call ptr %function(ptr %context, i64 %size)
  ret ptr %fresh
}}

define ptr @numfuse_calloc(ptr %kept, i64 %count, i64 %size) {{
{_system("calloc")}
  %memory = call ptr %function(ptr %context, i64 %count, i64 %size)
  ret ptr %memory
}}

define ptr @numfuse_realloc(ptr %kept, ptr %memory, i64 %size) {{
{_system("realloc")}
  %moved = call ptr %function(ptr %context, ptr %memory, i64 %size)
  ret ptr %moved
}}

; keeps the block in the place of the oldest, which goes, as do further ones until no more than the limit is held
define void @numfuse_free(ptr %kept, ptr %memory, i64 %size) {{
start:
{_system("free")}
{_load("limit", "i64", _Kept.limit.offset)}
  %is_memory = icmp ne ptr %memory, null
  %not_small = icmp sge i64 %size, {LARGE}
  %not_large = icmp sle i64 %size, %limit
  %some = and i1 %is_memory, %not_small
  %wanted = and i1 %some, %not_large
  br i1 %wanted, label %try, label %give_back
give_back:
  call void %function(ptr %context, ptr %memory, i64 %size)
  ret void
try:
  %swapped = cmpxchg ptr %kept, i64 0, i64 1 seq_cst seq_cst
  %mine = extractvalue {{ i64, i1 }} %swapped, 1
  br i1 %mine, label %make_room, label %give_back
make_room:
{_load("next", "i64", _Kept.oldest.offset)}
{_load("held", "i64", _Kept.held.offset)}
  br label %oldest
oldest:
  %k = phi i64 [ %next, %make_room ], [ %k_next, %room ]
  %holding = phi i64 [ %held, %make_room ], [ %remaining, %room ]
  %first = phi i1 [ true, %make_room ], [ false, %room ]
  %full_after = add i64 %holding, %size
  %too_much = icmp sgt i64 %full_after, %limit
  %go_on = or i1 %first, %too_much
  %place = mul i64 %k, 16
  %from_start = add i64 %place, {_FIRST}
  %block = getelementptr i8, ptr %kept, i64 %from_start
  %size_at = getelementptr i8, ptr %block, i64 8
  %after = add i64 %k, 1
  %k_next = urem i64 %after, {_BLOCKS}
  br i1 %go_on, label %evict, label %keep
evict:
  %old_size = load i64, ptr %size_at
  %is_old = icmp ne i64 %old_size, 0
  br i1 %is_old, label %drop, label %room
drop:
  %old = load ptr, ptr %block
  store i64 0, ptr %size_at
  call void %function(ptr %context, ptr %old, i64 %old_size)
  br label %room
room:
  %remaining = sub i64 %holding, %old_size
  br label %oldest
keep:
  %own_place = mul i64 %next, 16
  %own_from_start = add i64 %own_place, {_FIRST}
  %own = getelementptr i8, ptr %kept, i64 %own_from_start
  %own_size_at = getelementptr i8, ptr %own, i64 8
  store ptr %memory, ptr %own
  store i64 %size, ptr %own_size_at
  store i64 %full_after, ptr %held_at
  %next_after = add i64 %next, 1
  %turn = urem i64 %next_after, {_BLOCKS}
  store i64 %turn, ptr %next_at
  store atomic i64 0, ptr %kept seq_cst, align 8
  ret void
}}
"""
