"""ndarray's methods and properties on traced arrays, most of them the function of the same name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numfuse.compiler.layouts import strides_of
from numfuse.compiler.trace import joining, library_calls, shapes
from numfuse.compiler.trace.array import Array, fresh, weak
from numfuse.compiler.trace.checks import check_fits
from numfuse.compiler.trace.errors import UnsupportedFunction
from numfuse.compiler.trace.indexing import reshaped_view
from numfuse.compiler.trace.namespace import FUNCTIONS
from numfuse.compiler.trace.ufuncs import as_array, broadcast_node, call_ufunc, cast


def of(function: Any) -> Callable[..., Any]:
    implementation = FUNCTIONS[function]
    return lambda self, *args, **kwargs: implementation(self.recorder, self, *args, **kwargs)


def variadic(function: Callable[..., Any]) -> Callable[..., Any]:
    """Methods that take a tuple or its elements: `x.reshape(2, 3)`."""

    def method(self: Array, *args: Any, **kwargs: Any) -> Any:
        together = (
            args[0] if len(args) == 1 and (args[0] is None or isinstance(args[0], (tuple, list, np.ndarray))) else args
        )
        if together is None or len(together) == 0:
            together = () if function is shapes.reshape else None
        return function(self.recorder, self, together, **kwargs)

    return method


def fill(self: Array, value: Any) -> None:
    given = as_array(self.recorder, value)
    check_fits(self.recorder, given, self.dtype)
    node = cast(self.recorder, given, self.dtype)
    self.write(broadcast_node(self.recorder, node, self.shape))


def conjugate(self: Array, out: Any = None) -> Array:
    """The array itself where it is not complex."""
    if self.dtype.kind != "c" and out is None:
        return self
    if self.weak is not None and out is None:
        return weak(self.recorder, complex, self.recorder.make("conjugate", self.node))
    return call_ufunc(self.recorder, np.conjugate, (self,), {} if out is None else {"out": (out,)})


def view(self: Array, dtype: Any = None, type: Any = None) -> Array:
    if type is not None or (dtype is not None and np.dtype(dtype) != self.dtype):
        raise UnsupportedFunction("view as another dtype or type is not supported; x.astype(...) converts the values")
    return reshaped_view(self, self.shape)


def swap_bytes(self: Array, inplace: bool = False) -> Array:
    raise UnsupportedFunction("byteswap is not supported: arrays in a traced function are in native byte order")


METHODS: dict[str, Callable[..., Any]] = {
    **{
        name: of(getattr(np, name))
        for name in (
            "sum", "prod", "max", "min", "any", "all", "mean", "var", "std", "argmax", "argmin", "swapaxes", "squeeze", "clip", "round",
            "dot", "repeat", "ravel", "cumsum", "cumprod", "argsort", "argpartition", "searchsorted", "take", "choose", "put",
            "diagonal", "trace", "nonzero",
        )
    },
    "reshape": variadic(shapes.reshape),
    "transpose": variadic(shapes.transpose),
    "flatten": lambda self, order="C": shapes.flatten(self.recorder, self, order),
    "astype": lambda self, dtype, order="K", casting="unsafe", subok=True, copy=True: shapes.astype(self.recorder, self, dtype, copy=copy),
    "conj": conjugate,
    "conjugate": conjugate,
    "copy": lambda self, order="C": fresh(self.recorder, self.node, self.scalar),
    "fill": fill,
    "view": view,
    "sort": library_calls.in_place("sort"),
    "partition": library_calls.in_place("partition"),
    "compress": lambda self, condition, axis=None, out=None: FUNCTIONS[np.compress](self.recorder, condition, self, axis, out),
    "byteswap": swap_bytes,
}  # fmt: skip


class Flags:
    """ndarray.flags of a traced array: as its strides say."""

    def __init__(self, array: Array) -> None:
        extents = [(n, s) for n, s in zip(array.shape, array.element_strides, strict=True) if n != 1]
        self.c_contiguous = array.size == 0 or [s for _, s in extents] == list(
            strides_of(tuple([n for n, _ in extents]))
        )
        turned = [(n, s) for n, s in reversed(extents)]
        self.f_contiguous = array.size == 0 or [s for _, s in turned] == list(strides_of(tuple([n for n, _ in turned])))
        self.contiguous = self.c_contiguous
        self.fnc = self.f_contiguous and not self.c_contiguous
        self.forc = self.f_contiguous or self.c_contiguous
        self.writeable = not any(op == "broadcast_to" for op, _ in array.steps)
        self.owndata = not array.steps
        self.aligned = True

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name.lower())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Flags) and vars(self) == vars(other)


class Flat:
    """ndarray.flat of a traced array: its elements in C order."""

    def __init__(self, array: Array) -> None:
        self.array = array

    def __len__(self) -> int:
        return self.array.size

    def __iter__(self) -> Any:
        return iter(shapes.ravel(self.array.recorder, self.array))

    def __getitem__(self, key: Any) -> Any:
        return shapes.flatten(self.array.recorder, self.array)[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        """A value with fewer elements is repeated."""
        recorder = self.array.recorder
        elements = shapes.flatten(recorder, self.array)
        wanted, given = elements[key].size, as_array(recorder, value)
        if given.shape and wanted:
            if not given.size:
                raise ValueError("Cannot copy from an empty array")
            row = shapes.ravel(recorder, given)
            value = joining.tile(recorder, row, -(-wanted // row.size))[:wanted]
        if wanted:
            elements[key] = value
            self.array.write(shapes.reshape(recorder, elements, self.array.shape).node)


PROPERTIES: dict[str, Callable[[Array], Any]] = {
    "flags": Flags,
    "flat": Flat,
    "T": lambda self: shapes.transpose(self.recorder, self),
    "mT": lambda self: shapes.swapaxes(self.recorder, self, -1, -2),
    "real": lambda self: FUNCTIONS[np.real](self.recorder, self),
    "imag": lambda self: FUNCTIONS[np.imag](self.recorder, self),
}
