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

ArraySpec = tuple[np.dtype, tuple[int, ...], tuple[int, ...]]
"""dtype, shape, and strides in bytes."""

_DATA, _DESCR = 16, 56
"""Offsets in PyArrayObject: after `data` come the number of axes, the pointers to extents and strides, the base, and the descriptor."""
_BYTES_HEADER = bytes.__basicsize__ - 1
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
    extents = (ctypes.c_int64 * 2).from_address(word(at + _DATA + 16).value or 0)
    strides = (ctypes.c_int64 * 2).from_address(word(at + _DATA + 24).value or 0)
    return (
        word(at + _DATA).value == probe.ctypes.data
        and ctypes.c_int.from_address(at + _DATA + 8).value == 2
        and (tuple(extents), tuple(strides)) == (probe.shape, probe.strides)
        and word(at + _DESCR).value == id(probe.dtype)
    )


FAST = _layout_holds()


def launcher(address: int, offsets: Sequence[int], lo: int, hi: int, release_gil: bool) -> Launcher:
    """A callable that runs the kernel at `address` over [lo, hi), with an array for each of `offsets`: the bytes from its start to where the
    kernel's pointer is to point."""
    if not FAST or len(offsets) > 64:
        return _slow_launcher(address, offsets, lo, hi)
    described = struct.pack(f"{3 + len(offsets)}q", address, lo, hi, *offsets)
    name = f"numfuse_launch_{len(offsets)}{'_nogil' if release_gil else ''}"
    return _callable(_address(name, _launcher_ir, len(offsets), release_gil), described)


def shared_launcher(address: int, offsets: Sequence[int], count: int, pieces: int) -> Launcher:
    """A callable like `launcher`'s, over range(count), whose kernel runs in so many pieces on this thread and the pool's."""

    threads, call = pool(), _address(f"numfuse_call_{len(offsets)}", _call_ir, len(offsets))
    if FAST and len(offsets) <= 64:
        name = f"numfuse_share_{len(offsets)}"
        start = threads.start
        words = (address, count, pieces, threads.address, share_code(), call, id(start), *offsets)
        return _callable(_address(name, _sharing_ir, len(offsets)), struct.pack(f"{len(words)}q", *words), start)
    run = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, *[ctypes.c_int64] * 2, ctypes.c_void_p)(share_code())

    def launch(*values: np.ndarray) -> None:
        threads.start()
        run(threads.address, call, address, count, pieces, _addresses(values, offsets))

    return launch


def _slow_launcher(address: int, offsets: Sequence[int], lo: int, hi: int) -> Launcher:
    call = _address(f"numfuse_call_{len(offsets)}", _call_ir, len(offsets))
    run = ctypes.CFUNCTYPE(None, ctypes.c_void_p, *[ctypes.c_int64] * 2, ctypes.c_void_p)(call)
    return lambda *values: run(address, lo, hi, _addresses(values, offsets))


def _addresses(values: Sequence[np.ndarray], offsets: Sequence[int]) -> ctypes.Array[ctypes.c_void_p]:
    places = [value.ctypes.data + start for value, start in zip(values, offsets, strict=True)]
    return (ctypes.c_void_p * len(places))(*places)


def entry(
    address: int,
    count: int,
    specs: Sequence[ArraySpec],
    order: Sequence[int],
    allocate: Callable[[], Any],
    offsets: Sequence[int],
) -> Callable[..., Any] | None:
    """A whole call in one C-level callable: it checks that the arguments are ndarrays of these specs, allocates the result with `allocate`,
    runs the kernel over [0, count) and returns the result; for other arguments it returns NotImplemented.

    `order` says for each pointer of the kernel which argument it is; len(specs) is the result. `offsets` are bytes, as for `launcher`.
    None where such code cannot be made.
    """
    if not FAST or len(order) > 64:
        return None
    code = _address(f"numfuse_entry_{len(specs)}_{len(order)}", _entry_ir, len(specs), len(order))
    described = [address, 0, count, id(allocate), id(np.ndarray), *order, *offsets]
    for dtype, shape, strides in specs:
        described += [id(dtype), len(shape), *shape, *strides]
    return _callable(code, struct.pack(f"{len(described)}q", *described), allocate)


def _callable(code: int, described: bytes, *kept: Any) -> Callable[..., Any]:
    """A builtin function that runs machine code with the signature of METH_FASTCALL; `described` is its self."""
    definition = _MethodDef(b"numfuse_kernel", code, 0x0080, None)
    _alive.append((definition, kept))
    new = ctypes.pythonapi.PyCFunction_NewEx
    new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p]
    return new(ctypes.addressof(definition), described, None)


def _address(name: str, ir: Callable[..., str], *arguments: Any) -> int:
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


def _call_ir(name: str, arrays: int) -> str:
    """LLVM IR of `void call(kernel, lo, hi, addresses)`."""
    lines = [f"define void @{name}(ptr %kernel, i64 %lo, i64 %hi, ptr %addresses) {{"]
    lines += ["  %result = alloca ptr", "  %error = alloca ptr"]
    for place in range(arrays):
        lines += [f"  %place{place} = getelementptr ptr, ptr %addresses, i64 {place}"]
        lines += [f"  %at{place} = load ptr, ptr %place{place}"]
    passed = "".join(f", ptr %at{place}" for place in range(arrays))
    lines += [f"  call i32 %kernel(ptr %result, ptr %error, i64 %lo, i64 %hi{passed})", "  ret void", "}"]
    return "\n".join(lines)


def _sharing_ir(name: str, arrays: int) -> str:
    """LLVM IR of `shared_launcher`: the words of `self` are kernel, count, pieces, pool, share, call, start, then each offset."""
    lines = [
        f"define ptr @{name}(ptr %self, ptr %args, i64 %n) {{",
        "begin:",
        f"  %addresses = alloca [{arrays} x ptr]",
    ]
    lines += _fields(("kernel", "ptr"), ("count", "i64"), ("pieces", "i64"), ("pool", "ptr"), ("share", "ptr"))
    lines += _fields(("call", "ptr"), ("start", "ptr"), first=5)
    for place in range(arrays):
        lines += [*_data_of(place), *_offset(f"%data{place}", f"%at{place}", 7 + place)]
        lines += [
            f"  %place{place} = getelementptr ptr, ptr %addresses, i64 {place}",
            f"  store ptr %at{place}, ptr %place{place}",
        ]
    lines += [f"  %helpers_at = getelementptr i8, ptr %pool, i64 {HELPERS}", "  %helpers = load i64, ptr %helpers_at"]
    lines += ["  %none = icmp eq i64 %helpers, 0", "  br i1 %none, label %begin_threads, label %run", "begin_threads:"]
    lines += ["  %done = call ptr @PyObject_CallNoArgs(ptr %start)", "  %failed = icmp eq ptr %done, null"]
    lines += ["  br i1 %failed, label %error_out, label %started", "error_out:", "  ret ptr null"]
    lines += ["started:", "  call void @Py_DecRef(ptr %done)", "  br label %run", "run:"]
    lines += ["  %thread = call ptr @PyEval_SaveThread()"]
    lines += ["  call void %share(ptr %pool, ptr %call, ptr %kernel, i64 %count, i64 %pieces, ptr %addresses)"]
    lines += ["  call void @PyEval_RestoreThread(ptr %thread)"]
    lines += ["  call void @Py_IncRef(ptr @_Py_NoneStruct)", "  ret ptr @_Py_NoneStruct", "}"]
    return DECLARED + "\n".join(lines)


def _fields(*fields: tuple[str, str], first: int = 0) -> list[str]:
    """Loads words of `self`."""
    lines = []
    for place, (field, kind) in enumerate(fields, first):
        lines.append(f"  %{field}_at = getelementptr i8, ptr %self, i64 {_BYTES_HEADER + 8 * place}")
        lines.append(f"  %{field} = load {kind}, ptr %{field}_at")
    return lines


def _data_of(place: int) -> list[str]:
    """Loads an argument, and the address of its data."""
    return [
        f"  %arg_at{place} = getelementptr ptr, ptr %args, i64 {place}",
        f"  %array{place} = load ptr, ptr %arg_at{place}",
        f"  %data_at{place} = getelementptr i8, ptr %array{place}, i64 {_DATA}",
        f"  %data{place} = load ptr, ptr %data_at{place}",
    ]


def _offset(pointer: str, moved: str, word: int) -> list[str]:
    """Moves a pointer by the bytes that a word of `self` says."""
    name = moved.removeprefix("%")
    return [
        f"  %{name}_word = getelementptr i8, ptr %self, i64 {_BYTES_HEADER + 8 * word}",
        f"  %{name}_bytes = load i64, ptr %{name}_word",
        f"  {moved} = getelementptr i8, ptr {pointer}, i64 %{name}_bytes",
    ]


def _entry_ir(name: str, arguments: int, pointers: int) -> str:
    """LLVM IR of `entry`: the words of `self` are kernel, lo, hi, allocate, ndarray, the order, the offsets, then each argument's spec."""
    words = 5 + 2 * pointers
    lines = [
        f"define ptr @{name}(ptr %self, ptr %args, i64 %n) {{",
        "start:",
        "  %unread = alloca ptr",
        "  %error = alloca ptr",
    ]
    lines += [f"  %sources = alloca [{arguments + 1} x ptr]"]
    lines += _fields(("kernel", "ptr"), ("lo", "i64"), ("hi", "i64"), ("allocate", "ptr"), ("ndarray", "ptr"))
    lines.append(f"  %spec0 = getelementptr i8, ptr %self, i64 {_BYTES_HEADER + 8 * words}")
    lines += [f"  %as_many = icmp eq i64 %n, {arguments}", "  br i1 %as_many, label %check0, label %other"]
    for k in range(arguments):
        lines += [f"check{k}:", *_data_of(k)]
        lines += [f"  %type_at{k} = getelementptr i8, ptr %array{k}, i64 8", f"  %type{k} = load ptr, ptr %type_at{k}"]
        lines += [
            f"  %is_array{k} = icmp eq ptr %type{k}, %ndarray",
            f"  br i1 %is_array{k}, label %array_check{k}, label %other",
        ]
        lines += [f"array_check{k}:", f"  %next{k} = call ptr @numfuse_same(ptr %array{k}, ptr %spec{k})"]
        lines += [f"  %place{k} = getelementptr ptr, ptr %sources, i64 {k}", f"  store ptr %data{k}, ptr %place{k}"]
        lines += [f"  %spec{k + 1} = getelementptr i8, ptr %next{k}, i64 0", f"  %fits{k} = icmp ne ptr %next{k}, null"]
        lines.append(f"  br i1 %fits{k}, label %{f'check{k + 1}' if k + 1 < arguments else 'run'}, label %other")
    lines += ["run:", "  %made = call ptr @PyObject_CallNoArgs(ptr %allocate)", "  %failed = icmp eq ptr %made, null"]
    lines += ["  br i1 %failed, label %error_out, label %go", "error_out:", "  ret ptr null", "go:"]
    lines += [f"  %made_at = getelementptr i8, ptr %made, i64 {_DATA}", "  %made_data = load ptr, ptr %made_at"]
    lines += [
        f"  %made_place = getelementptr ptr, ptr %sources, i64 {arguments}",
        "  store ptr %made_data, ptr %made_place",
    ]
    for p in range(pointers):
        lines += [
            f"  %which_at{p} = getelementptr i8, ptr %self, i64 {_BYTES_HEADER + 8 * (5 + p)}",
            f"  %which{p} = load i64, ptr %which_at{p}",
        ]
        lines += [
            f"  %from{p} = getelementptr ptr, ptr %sources, i64 %which{p}",
            f"  %pointer{p} = load ptr, ptr %from{p}",
            *_offset(f"%pointer{p}", f"%moved{p}", 5 + pointers + p),
        ]
    passed = "".join(f", ptr %moved{p}" for p in range(pointers))
    lines += [f"  call i32 %kernel(ptr %unread, ptr %error, i64 %lo, i64 %hi{passed})", "  ret ptr %made"]
    lines += [
        "other:",
        "  call void @Py_IncRef(ptr @_Py_NotImplementedStruct)",
        "  ret ptr @_Py_NotImplementedStruct",
        "}",
    ]
    return DECLARED + _SAME + "\n".join(lines)


_SAME = f"""
; the words after the spec, where the array has that descriptor, number of axes, extents and strides; else null
define internal ptr @numfuse_same(ptr %array, ptr %spec) {{
  %descr_at = getelementptr i8, ptr %array, i64 {_DESCR}
  %descr = load ptr, ptr %descr_at
  %wanted_descr = load ptr, ptr %spec
  %same_descr = icmp eq ptr %descr, %wanted_descr
  %nd_at = getelementptr i8, ptr %array, i64 {_DATA + 8}
  %nd32 = load i32, ptr %nd_at
  %nd = sext i32 %nd32 to i64
  %wanted_nd_at = getelementptr i8, ptr %spec, i64 8
  %wanted_nd = load i64, ptr %wanted_nd_at
  %same_nd = icmp eq i64 %nd, %wanted_nd
  %same_kind = and i1 %same_descr, %same_nd
  br i1 %same_kind, label %shape, label %no
shape:
  %dims_at = getelementptr i8, ptr %array, i64 {_DATA + 16}
  %dims = load ptr, ptr %dims_at
  %strides_at = getelementptr i8, ptr %array, i64 {_DATA + 24}
  %strides = load ptr, ptr %strides_at
  %wanted_dims = getelementptr i8, ptr %spec, i64 16
  %wanted_strides = getelementptr i64, ptr %wanted_dims, i64 %nd
  br label %loop
loop:
  %axis = phi i64 [ 0, %shape ], [ %next_axis, %matches ]
  %more = icmp slt i64 %axis, %nd
  br i1 %more, label %compare, label %yes
compare:
  %dim_p = getelementptr i64, ptr %dims, i64 %axis
  %dim = load i64, ptr %dim_p
  %wanted_dim_p = getelementptr i64, ptr %wanted_dims, i64 %axis
  %wanted_dim = load i64, ptr %wanted_dim_p
  %stride_p = getelementptr i64, ptr %strides, i64 %axis
  %stride = load i64, ptr %stride_p
  %wanted_stride_p = getelementptr i64, ptr %wanted_strides, i64 %axis
  %wanted_stride = load i64, ptr %wanted_stride_p
  %same_dim = icmp eq i64 %dim, %wanted_dim
  %same_stride = icmp eq i64 %stride, %wanted_stride
  %same = and i1 %same_dim, %same_stride
  br i1 %same, label %matches, label %no
matches:
  %next_axis = add i64 %axis, 1
  br label %loop
yes:
  %end = getelementptr i64, ptr %wanted_strides, i64 %nd
  ret ptr %end
no:
  ret ptr null
}}
"""
