"""Calls kernels with NumPy arrays, without a Python-level loop over their attributes.

A launcher is a C-level Python callable made here from LLVM IR, one for each number of arrays: it reads the address of each array's
data out of the array object (the `data` field of NumPy's `PyArrayObject`, at 16 bytes), releases the GIL where the kernel is long, and
calls the kernel. Where that layout does not hold (it is checked once), ctypes does the same more slowly.
"""

from __future__ import annotations

import ctypes
import struct
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

Launcher = Callable[..., None]

_DATA = 16
_BYTES_HEADER = bytes.__basicsize__ - 1
_launchers: dict[tuple[int, bool], int] = {}
_alive: list[Any] = []


class _MethodDef(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("function", ctypes.c_void_p), ("flags", ctypes.c_int), ("doc", ctypes.c_char_p)]  # noqa: RUF012


def _layout_holds() -> bool:
    if hasattr(sys, "_is_gil_enabled") or sys.implementation.name != "cpython":
        import sysconfig

        if sysconfig.get_config_var("Py_GIL_DISABLED") or sys.implementation.name != "cpython":
            return False
    probe = np.empty(3, np.int8)
    return ctypes.c_void_p.from_address(id(probe) + _DATA).value == probe.ctypes.data


FAST = _layout_holds()


def launcher(address: int, arrays: int, lo: int, hi: int, release_gil: bool) -> Launcher:
    """A callable of `arrays` arrays that runs the kernel at `address` over [lo, hi)."""
    if not FAST or arrays > 64:
        return _slow_launcher(address, arrays, lo, hi)
    code = _launcher_code(arrays, release_gil)
    definition = _MethodDef(b"launch", code, 0x0080, None)  # METH_FASTCALL
    _alive.append(definition)
    new = ctypes.pythonapi.PyCFunction_NewEx
    new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p]
    return new(ctypes.addressof(definition), struct.pack("qqq", address, lo, hi), None)


def range_launcher(address: int, arrays: int) -> Callable[..., None]:
    """A callable of (lo, hi, address of each array's data, ...), for the threads that share a kernel."""
    call = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, *[ctypes.c_void_p] * arrays)(address)

    def run(lo: int, hi: int, *addresses: int) -> None:
        unread = (ctypes.c_void_p * 2)()
        call(ctypes.addressof(unread), ctypes.addressof(unread) + 8, lo, hi, *addresses)

    return run


def _slow_launcher(address: int, arrays: int, lo: int, hi: int) -> Launcher:
    call = range_launcher(address, arrays)
    return lambda *values: call(lo, hi, *[value.ctypes.data for value in values])


def _launcher_code(arrays: int, release_gil: bool) -> int:
    key = (arrays, release_gil)
    if key not in _launchers:
        from numfuse.runtime.cpu.compile import load_ir

        name = f"numfuse_launch_{arrays}{'_nogil' if release_gil else ''}"
        _launchers[key] = load_ir(name, _launcher_ir(name, arrays, release_gil))
    return _launchers[key]


def _launcher_ir(name: str, arrays: int, release_gil: bool) -> str:
    """LLVM IR of `PyObject *launch(PyObject *self, PyObject **args, Py_ssize_t n)`; self is bytes of (kernel, lo, hi)."""
    lines = [f"define ptr @{name}(ptr %self, ptr %args, i64 %n) {{", "  %result = alloca ptr", "  %error = alloca ptr"]
    for place, field in enumerate(("kernel", "lo", "hi")):
        kind = "ptr" if field == "kernel" else "i64"
        lines.append(f"  %{field}_at = getelementptr i8, ptr %self, i64 {_BYTES_HEADER + 8 * place}")
        lines.append(f"  %{field} = load {kind}, ptr %{field}_at")
    for place in range(arrays):
        lines.append(f"  %arg_at{place} = getelementptr ptr, ptr %args, i64 {place}")
        lines.append(f"  %array{place} = load ptr, ptr %arg_at{place}")
        lines.append(f"  %data_at{place} = getelementptr i8, ptr %array{place}, i64 {_DATA}")
        lines.append(f"  %data{place} = load ptr, ptr %data_at{place}")
    if release_gil:
        lines.append("  %thread = call ptr @PyEval_SaveThread()")
    passed = "".join(f", ptr %data{place}" for place in range(arrays))
    lines.append(f"  call i32 %kernel(ptr %result, ptr %error, i64 %lo, i64 %hi{passed})")
    if release_gil:
        lines.append("  call void @PyEval_RestoreThread(ptr %thread)")
    lines += ["  call void @Py_IncRef(ptr @_Py_NoneStruct)", "  ret ptr @_Py_NoneStruct", "}"]
    declared = [
        "declare ptr @PyEval_SaveThread()",
        "declare void @PyEval_RestoreThread(ptr)",
        "declare void @Py_IncRef(ptr)",
        "@_Py_NoneStruct = external global i8",
    ]
    return "\n".join([*declared, *lines])
