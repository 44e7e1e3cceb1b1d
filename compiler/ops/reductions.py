"""The reduction rows. `axis` is a sorted tuple of axes; the reduced axes are gone from the result (a reshape brings them
back for `keepdims`). The operand already has the result's dtype, but for argmin and argmax.

`block=B` makes partial results: the reduced axis (one) is cut into blocks of B elements and the result has their number
in its place. Reducing that axis again gives the whole; `passes/split.py` does so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numfuse.compiler.ops.operator import Operator
from numfuse.compiler.types import Shape, Spec, kind_of


def lowest(dtype: np.dtype) -> Any:
    if kind_of(dtype) == "f":
        return _infinity(dtype, -1)
    return False if dtype.kind == "b" else np.iinfo(dtype).min


def highest(dtype: np.dtype) -> Any:
    if kind_of(dtype) == "f":
        return _infinity(dtype, 1)
    return True if dtype.kind == "b" else np.iinfo(dtype).max


def _infinity(dtype: np.dtype, sign: int) -> Any:
    """An infinity, or the number furthest from 0 where the type has none: float8_e4m3fn."""
    infinity = dtype.type(sign * np.inf)
    return dtype.type(sign * 448) if infinity != infinity else infinity


def infer_reduction(kinds: str, refuses_empty: str = "") -> Callable[..., tuple[Shape, np.dtype]]:
    def infer(operands: Sequence[Spec], params: Mapping[str, Any]) -> tuple[Shape, np.dtype]:
        (operand,) = operands
        axis, block = params["axis"], params.get("block")
        if kind_of(operand.dtype) not in kinds:
            raise TypeError(f"a reduction of {operand.dtype} arrays that is not defined")
        if refuses_empty and any(operand.shape[a] == 0 for a in axis):
            raise ValueError(f"zero-size array to reduction operation {refuses_empty} which has no identity")
        kept = tuple(n for a, n in enumerate(operand.shape) if a not in axis)
        if block is None:
            return kept, operand.dtype
        if len(axis) != 1 or block < 1:
            raise ValueError("a blocked reduction takes one axis and a block of at least one element")
        return tuple(-(-n // block) if a in axis else n for a, n in enumerate(operand.shape)), operand.dtype

    return infer


def reduction(
    name: str, combine: str, ufunc: np.ufunc, identity: Callable[[np.dtype], Any], kinds: str, refuses_empty: str = ""
) -> Operator:
    def reference(x: Any, axis: tuple[int, ...], block: int | None = None) -> Any:
        if block is not None:
            return ufunc.reduceat(x, np.arange(0, x.shape[axis[0]], block), axis=axis[0], dtype=x.dtype)
        return ufunc.reduce(x, axis=axis, dtype=x.dtype)

    return Operator(
        name=name,
        kind="reduction",
        reference=reference,
        infer=infer_reduction(kinds, refuses_empty),
        combine=combine,
        identity=identity,
    )


def infer_arg(operands: Sequence[Spec], params: Mapping[str, Any]) -> tuple[Shape, np.dtype]:
    (operand,), (axis,) = operands, params["axis"]
    if operand.dtype.kind == "c":
        raise TypeError("argmin and argmax of complex arrays are not supported; take them of the absolute values")
    if operand.shape[axis] == 0:
        raise ValueError("attempt to get argmax/argmin of an empty sequence")
    return operand.shape[:axis] + operand.shape[axis + 1 :], np.dtype("i8")


def arg_reduction(name: str, function: Callable[..., Any]) -> Operator:
    return Operator(
        name=name, kind="reduction", reference=lambda x, axis: function(x, axis=axis[0]), infer=infer_arg, cost=4
    )


ROWS = [
    reduction("sum", "add", np.add, lambda dtype: dtype.type(0), "iufc"),
    reduction("prod", "multiply", np.multiply, lambda dtype: dtype.type(1), "iufc"),
    reduction("max", "maximum", np.maximum, lowest, "biuf", "maximum"),
    reduction("min", "minimum", np.minimum, highest, "biuf", "minimum"),
    reduction(
        "fmax_reduce",
        "fmax",
        np.fmax,
        lambda dtype: dtype.type(np.nan) if kind_of(dtype) == "f" else lowest(dtype),
        "biuf",
        "fmax",
    ),
    reduction(
        "fmin_reduce",
        "fmin",
        np.fmin,
        lambda dtype: dtype.type(np.nan) if kind_of(dtype) == "f" else highest(dtype),
        "biuf",
        "fmin",
    ),
    reduction("any", "logical_or", np.logical_or, lambda dtype: False, "b"),
    reduction("all", "logical_and", np.logical_and, lambda dtype: True, "b"),
    reduction(
        "and_reduce",
        "bitwise_and",
        np.bitwise_and,
        lambda dtype: dtype.type(-1 if dtype.kind == "i" else highest(dtype)),
        "iu",
    ),
    reduction("or_reduce", "bitwise_or", np.bitwise_or, lambda dtype: dtype.type(0), "iu"),
    reduction("xor_reduce", "bitwise_xor", np.bitwise_xor, lambda dtype: dtype.type(0), "iu"),
    arg_reduction("argmax", np.argmax),
    arg_reduction("argmin", np.argmin),
]
