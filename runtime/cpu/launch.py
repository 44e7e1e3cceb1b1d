"""Calls kernels with NumPy arrays, without a Python-level loop over their attributes.

A launcher is a C-level Python callable made here from LLVM IR, one for each number of arrays: it reads the address of each array's
data out of the array object (the `data` field of NumPy's `PyArrayObject`, at 16 bytes), releases the GIL where the kernel is long, and
calls the kernel. Where that layout does not hold (it is checked once), ctypes does the same more slowly.
"""

from __future__ import annotations

import ctypes
import struct
import sys
import sysconfig
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numfuse.runtime.cpu.compile import load_ir
from numfuse.runtime.cpu.threads import HELPERS, pool, share_code

Launcher = Callable[..., None]

DATA, DESCR, FLAGS = 16, 56, 64
"""Offsets in PyArrayObject: after `data` come the number of axes, the pointers to extents and strides, the base, the descriptor, and flags."""
WRITEABLE = 0x0400
POINTERS = 512
"""Arrays that one launch takes, at most, where it is machine code for any number of them."""
BYTES_HEADER = bytes.__basicsize__ - 1
_made: dict[str, int] = {}
_alive: list[Any] = []


class _MethodDef(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    ]


def _layout_holds() -> bool:
    """Whether ndarray objects lie in memory as they have since NumPy 1, on the one Python whose objects start as expected here."""
    if sys.implementation.name != "cpython" or sysconfig.get_config_var("Py_GIL_DISABLED"):
        return False
    probe = np.empty((3, 5), np.int8)
    at = id(probe)
    word = ctypes.c_void_p.from_address
    extents = (ctypes.c_int64 * 2).from_address(word(at + DATA + 16).value or 0)
    strides = (ctypes.c_int64 * 2).from_address(word(at + DATA + 24).value or 0)
    flags = ctypes.c_int.from_address(at + FLAGS)
    before = flags.value
    probe.flags.writeable = False
    return (
        before - flags.value == WRITEABLE
        and word(at + DATA).value == probe.ctypes.data
        and ctypes.c_int.from_address(at + DATA + 8).value == 2
        and (tuple(extents), tuple(strides)) == (probe.shape, probe.strides)
        and word(at + DESCR).value == id(probe.dtype)
        and ctypes.c_double.from_address(id(number := 0.1) + float.__basicsize__ - 8).value == number
    )


FAST = _layout_holds()


def launcher(address: int, offsets: Sequence[int], lo: int, hi: int, release_gil: bool) -> Launcher:
    """A callable that runs the kernel at `address` over [lo, hi), with an array for each of `offsets`: the bytes from its start to where the
    kernel's pointer is to point."""
    if not FAST or len(offsets) > 64:
        return _slow_launcher(address, offsets, lo, hi)
    described = struct.pack(f"{3 + len(offsets)}q", address, lo, hi, *offsets)
    name = f"numfuse_launch_{len(offsets)}{'_nogil' if release_gil else ''}"
    return callable_of(address_of(name, _launcher_ir, len(offsets), release_gil), described)


def shared_launcher(
    address: int, offsets: Sequence[int], count: int, pieces: int, call: int | None = None, kept: Any = None
) -> Launcher:
    """A callable like `launcher`'s, over range(count), whose kernel runs in so many pieces on this thread and the pool's. `call`: what calls it, as of
    `call_ir`; `kept`: what has to stay for it."""
    threads, call = pool(), call or address_of(f"numfuse_call_{len(offsets)}", call_ir, len(offsets))
    if FAST and len(offsets) <= POINTERS:
        start = threads.start
        words = (address, count, pieces, threads.address, share_code(), call, id(start), *offsets)
        return callable_of(address_of("numfuse_share", _sharing_ir), struct.pack(f"{len(words)}q", *words), start, kept)
    run = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, *[ctypes.c_int64] * 2, ctypes.c_void_p)(share_code())

    def launch(*values: np.ndarray, kept: Any = kept) -> None:
        threads.start()
        run(threads.address, call, address, count, pieces, _addresses(values, offsets))

    return launch


def _slow_launcher(address: int, offsets: Sequence[int], lo: int, hi: int) -> Launcher:
    call = address_of(f"numfuse_call_{len(offsets)}", call_ir, len(offsets))
    run = ctypes.CFUNCTYPE(None, ctypes.c_void_p, *[ctypes.c_int64] * 2, ctypes.c_void_p)(call)
    return lambda *values: run(address, lo, hi, _addresses(values, offsets))


def _addresses(values: Sequence[np.ndarray], offsets: Sequence[int]) -> ctypes.Array[ctypes.c_void_p]:
    places = [value.ctypes.data + start for value, start in zip(values, offsets, strict=True)]
    return (ctypes.c_void_p * len(places))(*places)


def callable_of(code: int, described: bytes, *kept: Any) -> Callable[..., Any]:
    """A builtin function that runs machine code with the signature of METH_FASTCALL; `described` is its self."""
    definition = _MethodDef(b"numfuse_kernel", code, 0x0080, None)
    _alive.append((definition, kept))
    new = ctypes.pythonapi.PyCFunction_NewEx
    new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p]
    return new(ctypes.addressof(definition), described, None)


def address_of(name: str, ir: Callable[..., str], *arguments: Any) -> int:
    """Where the function is that `ir(name, *arguments)` defines; it is made once."""
    if name not in _made:
        (_made[name],) = load_ir(ir(name, *arguments), name)
    return _made[name]


DECLARED = """
declare ptr @PyEval_SaveThread()
declare void @PyEval_RestoreThread(ptr)
declare void @Py_IncRef(ptr)
declare void @Py_DecRef(ptr)
declare ptr @PyObject_CallNoArgs(ptr)
declare ptr @PyTuple_New(i64)
declare i32 @PyTuple_SetItem(ptr, i64, ptr)
declare i64 @PyLong_AsLongLongAndOverflow(ptr, ptr)
@_Py_NoneStruct = external global i8
@_Py_NotImplementedStruct = external global i8
"""


def _launcher_ir(name: str, arrays: int, release_gil: bool) -> str:
    """LLVM IR of `PyObject *launch(PyObject *self, PyObject **args, Py_ssize_t n)`; self is bytes of (kernel, lo, hi, each offset)."""
    lines = [f"define ptr @{name}(ptr %self, ptr %args, i64 %n) {{", "  %result = alloca ptr", "  %error = alloca ptr"]
    lines += _fields(("kernel", "ptr"), ("lo", "i64"), ("hi", "i64"))
    for place in range(arrays):
        lines += [*_data_of(place), *_offset(f"%data{place}", f"%at{place}", 3 + place)]
    if release_gil:
        lines.append("  %thread = call ptr @PyEval_SaveThread()")
    passed = "".join(f", ptr %at{place}" for place in range(arrays))
    lines.append(f"  call i32 %kernel(ptr %result, ptr %error, i64 %lo, i64 %hi{passed})")
    if release_gil:
        lines.append("  call void @PyEval_RestoreThread(ptr %thread)")
    lines += ["  call void @Py_IncRef(ptr @_Py_NoneStruct)", "  ret ptr @_Py_NoneStruct", "}"]
    return DECLARED + "\n".join(lines)


def call_ir(name: str, arrays: int) -> str:
    """LLVM IR of `int64_t call(kernel, lo, hi, addresses)`, which returns 0."""
    lines = [f"define i64 @{name}(ptr %kernel, i64 %lo, i64 %hi, ptr %addresses) {{"]
    lines += ["  %result = alloca ptr", "  %error = alloca ptr"]
    for place in range(arrays):
        lines += [f"  %place{place} = getelementptr ptr, ptr %addresses, i64 {place}"]
        lines += [f"  %at{place} = load ptr, ptr %place{place}"]
    passed = "".join(f", ptr %at{place}" for place in range(arrays))
    lines += [f"  call i32 %kernel(ptr %result, ptr %error, i64 %lo, i64 %hi{passed})", "  ret i64 0", "}"]
    return "\n".join(lines)


def check_ir(name: str, flags: int) -> str:
    """LLVM IR of a function like `call_ir`'s that calls nothing, and returns whether any of the bytes at the addresses is set."""
    lines = [f"define i64 @{name}(ptr %kernel, i64 %lo, i64 %hi, ptr %addresses) {{", "  %found0 = add i64 0, 0"]
    for place in range(flags):
        lines += [f"  %place{place} = getelementptr ptr, ptr %addresses, i64 {place}"]
        lines += [f"  %at{place} = load ptr, ptr %place{place}", f"  %byte{place} = load i8, ptr %at{place}"]
        lines += [f"  %flag{place} = zext i8 %byte{place} to i64"]
        lines += [f"  %found{place + 1} = or i64 %found{place}, %flag{place}"]
    return "\n".join([*lines, f"  ret i64 %found{flags}", "}"])


def shared_ir(name: str) -> str:
    """LLVM IR of a function like `call_ir`'s for a kernel that the threads share: its first argument points to kernel, pieces, pool, share, and call."""
    lines = [f"define i64 @{name}(ptr %words, i64 %lo, i64 %hi, ptr %addresses) {{"]
    for place, (field, kind) in enumerate(
        {"kernel": "ptr", "pieces": "i64", "pool": "ptr", "share": "ptr", "call": "ptr"}.items()
    ):
        lines += [
            f"  %{field}_at = getelementptr i64, ptr %words, i64 {place}",
            f"  %{field} = load {kind}, ptr %{field}_at",
        ]
    lines += ["  call void %share(ptr %pool, ptr %call, ptr %kernel, i64 %hi, i64 %pieces, ptr %addresses)"]
    return "\n".join([*lines, "  ret i64 0", "}"])


def ready_ir(name: str) -> str:
    """LLVM IR of a function like `call_ir`'s, whose first argument is the pool; it returns 1 where no threads have been started."""
    lines = [f"define i64 @{name}(ptr %pool, i64 %lo, i64 %hi, ptr %addresses) {{"]
    lines += [f"  %helpers_at = getelementptr i8, ptr %pool, i64 {HELPERS}", "  %helpers = load i64, ptr %helpers_at"]
    lines += ["  %none = icmp eq i64 %helpers, 0", "  %stop = zext i1 %none to i64", "  ret i64 %stop", "}"]
    return "\n".join(lines)


def _sharing_ir(name: str) -> str:
    """LLVM IR of `shared_launcher`: the words of `self` are kernel, count, pieces, pool, share, call, start, then each offset."""
    lines = [
        f"define ptr @{name}(ptr %self, ptr %args, i64 %n) {{",
        "begin:",
        f"  %addresses = alloca [{POINTERS} x ptr]",
    ]
    lines += _fields(("kernel", "ptr"), ("count", "i64"), ("pieces", "i64"), ("pool", "ptr"), ("share", "ptr"))
    lines += _fields(("call", "ptr"), ("start", "ptr"), first=5)
    return (
        DECLARED
        + "\n".join(lines)
        + f"""
  br label %each
each:
  %place = phi i64 [ 0, %begin ], [ %next, %more ]
  %all = icmp eq i64 %place, %n
  br i1 %all, label %look, label %more
more:
  %arg_at = getelementptr ptr, ptr %args, i64 %place
  %array = load ptr, ptr %arg_at
  %data_at = getelementptr i8, ptr %array, i64 {DATA}
  %data = load ptr, ptr %data_at
  %word = add i64 %place, 7
  %words = getelementptr i8, ptr %self, i64 {BYTES_HEADER}
  %offset_at = getelementptr i64, ptr %words, i64 %word
  %offset = load i64, ptr %offset_at
  %moved = getelementptr i8, ptr %data, i64 %offset
  %address_at = getelementptr ptr, ptr %addresses, i64 %place
  store ptr %moved, ptr %address_at
  %next = add i64 %place, 1
  br label %each
look:
  %helpers_at = getelementptr i8, ptr %pool, i64 {HELPERS}
  %helpers = load i64, ptr %helpers_at
  %none = icmp eq i64 %helpers, 0
  %several = icmp ugt i64 %pieces, 1
  %wanted = and i1 %none, %several
  br i1 %wanted, label %begin_threads, label %run
begin_threads:
  %done = call ptr @PyObject_CallNoArgs(ptr %start)
  %failed = icmp eq ptr %done, null
  br i1 %failed, label %error_out, label %started
error_out:
  ret ptr null
started:
  call void @Py_DecRef(ptr %done)
  br label %run
run:
  %thread = call ptr @PyEval_SaveThread()
  br i1 %several, label %together, label %alone
together:
  call void %share(ptr %pool, ptr %call, ptr %kernel, i64 %count, i64 %pieces, ptr %addresses)
  br label %ran
alone:
  call void %call(ptr %kernel, i64 0, i64 %count, ptr %addresses)
  br label %ran
ran:
  call void @PyEval_RestoreThread(ptr %thread)
  call void @Py_IncRef(ptr @_Py_NoneStruct)
  ret ptr @_Py_NoneStruct
}}
"""
    )


def _fields(*fields: tuple[str, str], first: int = 0) -> list[str]:
    """Loads words of `self`."""
    lines = []
    for place, (field, kind) in enumerate(fields, first):
        lines.append(f"  %{field}_at = getelementptr i8, ptr %self, i64 {BYTES_HEADER + 8 * place}")
        lines.append(f"  %{field} = load {kind}, ptr %{field}_at")
    return lines


def _data_of(place: int) -> list[str]:
    """Loads an argument, and the address of its data."""
    return [
        f"  %arg_at{place} = getelementptr ptr, ptr %args, i64 {place}",
        f"  %array{place} = load ptr, ptr %arg_at{place}",
        f"  %data_at{place} = getelementptr i8, ptr %array{place}, i64 {DATA}",
        f"  %data{place} = load ptr, ptr %data_at{place}",
    ]


def _offset(pointer: str, moved: str, word: int) -> list[str]:
    """Moves a pointer by the bytes that a word of `self` says."""
    name = moved.removeprefix("%")
    return [
        f"  %{name}_word = getelementptr i8, ptr %self, i64 {BYTES_HEADER + 8 * word}",
        f"  %{name}_bytes = load i64, ptr %{name}_word",
        f"  {moved} = getelementptr i8, ptr {pointer}, i64 %{name}_bytes",
    ]
