"""Lazy arrays from something else: `asarray`, `array`, `zeros` and their kin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numfuse.compiler.calls import known_array
from numfuse.compiler.lazy.recorder import REFUSALS, LazyRecorder, recorder_of
from numfuse.compiler.lazy.standard import to_device
from numfuse.compiler.trace import creation, shapes
from numfuse.compiler.trace.array import Array, fresh
from numfuse.compiler.trace.ufuncs import broadcast_node
from numfuse.compiler.types import known, supported
from numfuse.runtime.cuda.array import DeviceArray

EXCHANGE = ("__dlpack__", "__cuda_array_interface__")


def asarray(x: Any, dtype: Any = None, *, device: str | None = None, copy: bool | None = None) -> Any:
    """A lazy array: operations on it are recorded, and run as fused kernels when a value is needed.

    x
        An ndarray, a number, a nested list, or an array of another library. It is copied, so that what is written to it later is not seen here
        (arrays in a GPU's memory are taken without a copy). A lazy array is returned as it is.
    dtype
        The element type; by default that of `x`.
    device
        `cpu`, `cuda`, or `cudasim`; by default where `x` is, else a GPU where there is one.
    copy
        True: a lazy array is copied too. False: raises ValueError where a copy is needed.

    Raises UnsupportedDtype for elements that kernels cannot hold (objects, strings, dates).
    """
    made = of(x, dtype, device, copy)
    if not isinstance(made, Array):
        supported(made.dtype)
    return made


def of(x: Any, dtype: Any = None, device: str | None = None, copy: bool | None = None) -> Any:
    """As `asarray`, but where the element type is not supported the result is NumPy's array."""
    if isinstance(x, Array):
        return _again(x, dtype, device, copy)
    if creation.holds_traced(x) and (dtype is None or known(np.dtype(dtype))):
        recorder = first_recorder((x,), device)
        try:
            return creation.array(recorder, np.array, x, dtype)
        except REFUSALS:
            return recorder.on_host(np.array, (x, dtype), {}, "a nested list")
    if not isinstance(x, (np.ndarray, np.generic)) and any(hasattr(x, name) for name in EXCHANGE):
        x = known_array(x)
    if isinstance(x, DeviceArray) and device in (None, "cuda"):
        recorder = recorder_of("cuda")
        array = fresh(recorder, recorder.given(x.copy() if copy else x))
        array.element_strides = x.element_strides
        return array if dtype is None or dtype == x.dtype else array.astype(dtype)
    if copy is False:
        raise ValueError("a lazy array of an ndarray or a number is a copy of it; pass copy=None or copy=True")
    made = np.array(x, dtype, order="C")
    if made.dtype.kind not in "biufcV" or not known(made.dtype.newbyteorder("=")):
        return made
    recorder = recorder_of(device)
    return fresh(recorder, recorder.given(made.astype(made.dtype.newbyteorder("="), copy=False)))


def _again(x: Array, dtype: Any, device: str | None, copy: bool | None) -> Array:
    if device is not None and x.recorder.lazy is not None:
        x = to_device(x)(device)
    if dtype is not None and np.dtype(dtype) != x.dtype:
        if copy is False:
            raise ValueError("another dtype needs a copy; pass copy=None or copy=True")
        return x.astype(dtype)
    return x.copy() if copy else x


def first_recorder(values: Any, device: str | None = None) -> LazyRecorder:
    """The recorder of `device` where it is given, else that of the first lazy array in `values`, else the default one."""
    found = None if device is not None else first_of(values)
    return recorder_of(device) if found is None else found


def first_of(value: Any) -> LazyRecorder | None:
    if isinstance(value, Array):
        return value.recorder.lazy
    parts = value.values() if type(value) is dict else value if type(value) in (list, tuple) else ()
    return next((found for part in parts if (found := first_of(part)) is not None), None)


def array(
    object: Any,
    dtype: Any = None,
    *,
    copy: bool | None = True,
    order: Any = "K",
    subok: bool = False,
    ndmin: int = 0,
    like: Any = None,
    **more: Any,
) -> Any:
    if more or isinstance(copy, str):  # `ndmax`, or an error
        return first_recorder((object,)).on_host(np.array, (object, dtype), {"copy": copy, "ndmin": ndmin, **more})
    x = object
    made = of(x, dtype, None, copy if isinstance(x, Array) or copy is not True else None)
    least = ndmin - made.ndim
    made = made if not isinstance(made, Array) or not made.scalar else made.reshape(made.shape)
    return made.reshape((1,) * least + made.shape) if least > 0 else made


def as_array(
    a: Any,
    dtype: Any = None,
    order: Any = None,
    *,
    device: str | None = None,
    copy: bool | None = None,
    like: Any = None,
) -> Any:
    return _not_scalar(of(a, dtype, device, copy))


def contiguous(order: str) -> Callable[..., Any]:
    """`np.ascontiguousarray` (C) and `np.asfortranarray` (F)."""

    def function(a: Any, dtype: Any = None, *, like: Any = None) -> Any:
        made = np.atleast_1d(of(a, dtype))
        return shapes.contiguous(made.recorder, made, order) if isinstance(made, Array) else original(made)

    original = np.ascontiguousarray if order == "C" else np.asfortranarray
    return function


def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> Any:
    return of(x, None, device, True if copy else None)


def _not_scalar(made: Any) -> Any:
    return made.reshape(made.shape) if isinstance(made, Array) and made.scalar else made


def filled(original: Callable[..., Any], value: Any) -> Callable[..., Any]:
    """`original`, which is `np.zeros`, `np.ones` or `np.empty` (which is zeros here), as lazy arrays."""

    def function(
        shape: Any, dtype: Any = float, order: str = "C", *, device: str | None = None, like: Any = None
    ) -> Any:
        made = np.empty(shape, dtype, order)  # type: ignore[call-overload]
        if not known(made.dtype):
            return original(shape, dtype, order)
        recorder = recorder_of(device)
        return fresh(recorder, broadcast_node(recorder, recorder.constant(value, made.dtype), made.shape))

    return function


def full(
    shape: Any, fill_value: Any, dtype: Any = None, order: str = "C", *, device: str | None = None, like: Any = None
) -> Any:
    recorder = first_recorder((fill_value,), device)
    if isinstance(fill_value, (list, tuple, np.ndarray)):
        return of(np.broadcast_to(np.asarray(fill_value, dtype), np.empty(shape, "b").shape), device=device)
    if not isinstance(fill_value, (bool, int, float, complex, np.generic, Array)):
        return np.full(shape, fill_value, dtype, order)  # type: ignore[call-overload]
    return creation.full(recorder, np.full, shape, fill_value, dtype)
