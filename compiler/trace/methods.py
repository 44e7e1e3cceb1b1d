"""ndarray's methods and properties on traced arrays, most of them the function of the same name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numfuse.compiler.trace import library, shapes
from numfuse.compiler.trace.array import Array, fresh
from numfuse.compiler.trace.namespace import FUNCTIONS
from numfuse.compiler.trace.ufuncs import as_array, broadcast_node, call_ufunc, cast


def of(function: Any) -> Callable[..., Any]:
    implementation = FUNCTIONS[function]
    return lambda self, *args, **kwargs: implementation(self.recorder, self, *args, **kwargs)


def variadic(function: Callable[..., Any]) -> Callable[..., Any]:
    """Methods that take a tuple or its elements: `x.reshape(2, 3)`."""

    def method(self: Array, *args: Any, **kwargs: Any) -> Any:
        together = args[0] if len(args) == 1 and (args[0] is None or isinstance(args[0], (tuple, list))) else args
        return function(self.recorder, self, together or (() if function is shapes.reshape else None), **kwargs)

    return method


def fill(self: Array, value: Any) -> None:
    node = cast(self.recorder, as_array(self.recorder, value), self.dtype)
    self.write(broadcast_node(self.recorder, node, self.shape))


def swap_bytes(self: Array, inplace: bool = False) -> Array:
    raise TypeError("byteswap is not supported: arrays in a traced function are in native byte order")


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
    "conj": lambda self: call_ufunc(self.recorder, np.conjugate, (self,), {}),
    "conjugate": lambda self: call_ufunc(self.recorder, np.conjugate, (self,), {}),
    "copy": lambda self, order="C": fresh(self.recorder, self.node, self.scalar),
    "fill": fill,
    "sort": library.in_place("sort"),
    "partition": library.in_place("partition"),
    "compress": lambda self, condition, axis=None, out=None: FUNCTIONS[np.compress](self.recorder, condition, self, axis, out),
    "byteswap": swap_bytes,
    "__copy__": lambda self: shapes.copy(self.recorder, self),
    "__deepcopy__": lambda self, memo: shapes.copy(self.recorder, self),
}  # fmt: skip

PROPERTIES: dict[str, Callable[[Array], Any]] = {
    "T": lambda self: shapes.transpose(self.recorder, self),
    "mT": lambda self: shapes.swapaxes(self.recorder, self, -1, -2),
    "real": lambda self: FUNCTIONS[np.real](self.recorder, self),
    "imag": lambda self: FUNCTIONS[np.imag](self.recorder, self),
}
