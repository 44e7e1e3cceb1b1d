"""NumPy's functions that read and write at computed places: take, put, choose and their kin, the ufuncs' `at`, diagonals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numfuse.compiler.graph import Node
from numfuse.compiler.layouts import copied_order, strides_of
from numfuse.compiler.ops.gather import INTP
from numfuse.compiler.trace import advanced, masks
from numfuse.compiler.trace.array import Array, fresh, strong
from numfuse.compiler.trace.checks import check
from numfuse.compiler.trace.creation import holds_traced
from numfuse.compiler.trace.errors import UnsupportedFunction
from numfuse.compiler.trace.indexing import basic_view, is_basic, sliced_view
from numfuse.compiler.trace.places import held, iota, pick_mode, range_of
from numfuse.compiler.trace.recorder import Recorder
from numfuse.compiler.trace.shapes import moveaxis, normalize, one_axis, ravel
from numfuse.compiler.trace.ufuncs import NUMPYS, as_array, broadcast_node, cast, resolve, store
from numfuse.compiler.types import broadcast, size_of


def integers(recorder: Recorder, value: Any, strictly: bool = False) -> Array:
    """An array of places that a function is given, as NumPy converts it: bools too, but no floats, and `strictly` no uint64."""
    if isinstance(value, (list, tuple, range)) and not any(isinstance(one, Array) for one in value):
        made = np.asarray(value)
        value = held(recorder, made if made.size else made.astype(INTP))
    array = as_array(recorder, value)
    if array.dtype.kind not in "biu" or (strictly and array.dtype == np.uint64):
        kind = "scalar" if not array.shape else "array data"
        raise TypeError(f"Cannot cast {kind} from {array.dtype!r} to {INTP!r} according to the rule 'safe'")
    return fresh(recorder, cast(recorder, array, INTP), array.scalar)


# -- reading -------------------------------------------------------------------------------------------------------------


def take(recorder: Recorder, a: Any, indices: Any, axis: Any = None, out: Any = None, mode: str = "raise") -> Array:
    array, places = as_array(recorder, a), integers(recorder, indices)
    if axis is None:
        array, axis = ravel(recorder, array), 0
    if not array.shape:
        array = array.reshape(1)
    k = normalize(axis, array.ndim)
    if not size_of(array.shape[:k]):  # nothing is read, and NumPy looks at no place
        shape = array.shape[:k] + places.shape + array.shape[k + 1 :]
        return put_out(
            recorder, fresh(recorder, broadcast_node(recorder, recorder.constant(0, array.dtype), shape)), out
        )
    if places.size and not array.shape[k]:
        raise IndexError("cannot do a non-empty take from an empty axes.")
    node = pick_mode(recorder, places, array.shape[k], mode, k)
    result = fresh(recorder, recorder.make("gather", array.node, node, axes=(k,), at=k), scalar=True)
    return put_out(recorder, result, out)


def _along(recorder: Recorder, array: Array, places: Array, axis: int) -> list[Any]:
    """The index that pairs each place along `axis` with its own row."""
    if places.dtype.kind not in "iu":
        raise IndexError("`indices` must be an integer array")
    if places.ndim != array.ndim:
        raise ValueError("`indices` and `arr` must have the same number of dimensions")
    return [
        places if k == axis else fresh(recorder, iota(recorder, n, k, array.ndim)) for k, n in enumerate(array.shape)
    ]


def take_along_axis(recorder: Recorder, arr: Any, indices: Any, axis: Any = -1) -> Array:
    array, places = as_array(recorder, arr), as_array(recorder, indices)
    if axis is None:
        if places.ndim != 1:
            raise ValueError("when axis=None, `indices` must have a single dimension.")
        array, axis = ravel(recorder, array), 0
    return advanced.read(array, _along(recorder, array, places, normalize(axis, array.ndim)), False)


def choose(recorder: Recorder, a: Any, choices: Any, out: Any = None, mode: str = "raise") -> Array:
    from numfuse.compiler.trace.namespace import where

    number = integers(recorder, a, strictly=True)
    options = [as_array(recorder, choice) for choice in choices]
    if not options:
        raise ValueError("need at least one array to choose from")
    dtype = np.result_type(*[option.dtype if option.weak is None else option.weak(0) for option in options])
    count = len(options)
    node = number.node
    if mode == "raise":
        low, high = range_of(node)
        if low < 0 or high >= count:
            outside: Any = (number < 0) | (number >= count)
            check(recorder, outside.node, outside.node, lambda value: ValueError("invalid entry in choice array"))
    else:
        node = pick_mode(recorder, number, count, mode, 0)
    shape = broadcast(node.shape, *[option.shape for option in options])
    options = [strong(recorder, option) for option in options]
    result = fresh(recorder, cast(recorder, options[-1], dtype))
    for k in reversed(range(count - 1)):
        chosen = fresh(recorder, recorder.make("equal", node, recorder.constant(k, INTP)))
        result = where(recorder, chosen, fresh(recorder, cast(recorder, options[k], dtype)), result)
    made = fresh(recorder, broadcast_node(recorder, result.node, shape), scalar=True)
    return put_out(recorder, made, out)


def put_out(recorder: Recorder, result: Array, out: Any) -> Array:
    return result if out is None else store(recorder, np.positive, result, out)


def compress(recorder: Recorder, condition: Any, a: Any, axis: Any = None, out: Any = None) -> Any:
    array = one_axis(recorder, a, axis)
    if axis is None:
        array, axis = ravel(recorder, array), 0
    k = normalize(axis, array.ndim)
    if not isinstance(condition, Array) and not isinstance(condition, np.ndarray):
        flags = np.asarray(condition)
        if flags.ndim != 1:
            raise ValueError("condition must be a 1-d array")
        return take(recorder, array, held(recorder, flags.astype(bool).nonzero()[0]), k, out)
    chosen = as_array(recorder, condition)
    if chosen.ndim != 1:
        raise ValueError("condition must be a 1-d array")
    if chosen.shape[0] > array.shape[k] or out is not None:
        raise UnsupportedFunction(
            "np.compress with a computed condition takes one that is no longer than the axis, and no out="
        )
    key: list[Any] = [slice(None)] * k + [slice(chosen.shape[0])]
    return array[tuple(key)][(*key[:-1], chosen.astype(bool))]


def extract(recorder: Recorder, condition: Any, arr: Any) -> Any:
    flags = condition if isinstance(condition, (Array, np.ndarray)) else np.asarray(condition)
    return compress(recorder, ravel(recorder, flags), ravel(recorder, arr))


def unravel_index(recorder: Recorder, indices: Any, shape: Any, order: str = "C") -> tuple[Array, ...]:
    places, extents = as_array(recorder, indices), tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    if order == "F":
        return unravel_index(recorder, indices, extents[::-1])[::-1]
    if order != "C":
        raise ValueError("only 'C' or 'F' order is permitted")
    if places.dtype.kind not in "iu":
        raise TypeError("only int indices permitted")
    total, node = size_of(extents), cast(recorder, places, INTP)
    low, high = range_of(node)
    if places.size and (low < 0 or high >= total):
        outside: Any = (places < 0) | (places >= total)

        def error(value: np.ndarray) -> Exception:
            wrong = value[(value < 0) | (value >= total)][0]
            return ValueError(f"index {wrong} is out of bounds for array with size {total}")

        check(recorder, outside.node, node, error)
    made: list[Array] = []
    for stride, extent in zip(strides_of(extents), extents, strict=True):
        part = recorder.make("floor_divide", node, recorder.constant(stride, INTP)) if stride != 1 else node
        part = (
            recorder.make("remainder", part, recorder.constant(extent, INTP))
            if stride * extent < total or not made
            else part
        )
        made.append(fresh(recorder, part, places.scalar or not places.shape))
        made[-1].element_strides = tuple(
            [step * len(extents) for step in copied_order(places.shape, places.element_strides)]
        )
    return tuple(made)


# -- writing -------------------------------------------------------------------------------------------------------------


def writable(recorder: Recorder, a: Any, name: str) -> Array:
    if not isinstance(a, (Array, np.ndarray)):
        raise TypeError(f"{name}: argument must be numpy array, not {type(a).__name__}")
    return as_array(recorder, a)


def repeated(recorder: Recorder, value: Any, count: int, dtype: np.dtype) -> Node:
    """`count` elements of `value`, taken in turn."""
    array = as_array(recorder, value)
    node = cast(recorder, array, dtype)
    if array.size == 1:
        return broadcast_node(recorder, recorder.make("reshape", node, shape=()), (count,))
    flat = recorder.make("reshape", node, shape=(array.size,))
    if array.size >= count:
        return recorder.make("slice", flat, start=(0,), step=(1,), shape=(count,))
    turn = held(recorder, np.arange(array.size)).node
    rounds = recorder.make("remainder", iota(recorder, count, 0, 1), recorder.constant(array.size, INTP))
    return recorder.make("gather", flat, recorder.make("gather", turn, rounds, axes=(0,), at=0), axes=(0,), at=0)


def put(recorder: Recorder, a: Any, ind: Any, v: Any, mode: str = "raise") -> None:
    array, places, given = (
        writable(recorder, a, "put"),
        integers(recorder, ind, strictly=np.ndim(ind) > 0),
        as_array(recorder, v),
    )
    if not places.size or not given.size:
        return
    if not array.size:
        raise IndexError("cannot replace elements of an empty array")
    flat = recorder.make("reshape", array.node, shape=(array.size,))
    node = pick_mode(recorder, places, array.size, mode, 0)
    node = recorder.make("reshape", node, shape=(places.size,))
    values = repeated(recorder, given, places.size, array.dtype)
    flat = advanced.scattered(recorder, flat, values, [node], (0,), 0)
    array.write(recorder.make("reshape", flat, shape=array.shape))


def put_along_axis(recorder: Recorder, arr: Any, indices: Any, values: Any, axis: Any) -> None:
    array, places = writable(recorder, arr, "put_along_axis"), as_array(recorder, indices)
    if axis is None:
        if places.ndim != 1:
            raise ValueError("when axis=None, `indices` must have a single dimension.")
        array, axis = ravel(recorder, array), 0
    parts = _along(recorder, array, places, normalize(axis, array.ndim))
    advanced.write(array, parts, values)


def putmask(recorder: Recorder, a: Any, mask: Any, values: Any) -> None:
    array, flags = writable(recorder, a, "putmask"), as_array(recorder, mask)
    if isinstance(values, (list, tuple)) and not holds_traced(values):
        values = held(recorder, np.array(values, array.dtype))
    given = as_array(recorder, values)
    if flags.size != array.size:
        raise ValueError("putmask: mask and data must be the same size")
    _check_safe(values, array)
    if not given.size:
        return
    spread = recorder.make("reshape", repeated(recorder, given, array.size, array.dtype), shape=array.shape)
    test = recorder.make("reshape", cast(recorder, flags, np.dtype(bool)), shape=array.shape)
    array.write(recorder.make("where", test, spread, array.node))


def _check_safe(values: Any, array: Array) -> None:
    """Arrays must be of a dtype that is cast safely; numbers and lists are cast whatever they are."""
    if isinstance(values, np.ndarray) and not np.can_cast(values.dtype, array.dtype, "safe"):
        raise TypeError(f"Cannot cast array data from {values.dtype!r} to {array.dtype!r} according to the rule 'safe'")


def place(recorder: Recorder, arr: Any, mask: Any, vals: Any) -> None:
    array, flags, given = writable(recorder, arr, "place"), as_array(recorder, mask), as_array(recorder, vals)
    if flags.size != array.size:
        raise ValueError("place: mask and data must be the same size")
    _check_safe(vals, array)
    test = recorder.make("reshape", cast(recorder, flags, np.dtype(bool)), shape=array.shape)
    if not given.size:
        check(recorder, test, test, lambda value: ValueError("Cannot insert from an empty array!"))
        return
    values = repeated(recorder, given, given.size, array.dtype)
    array.write(recorder.make("where", test, masks.in_turn(recorder, test, values), array.node))


def fill_diagonal(recorder: Recorder, a: Any, val: Any, wrap: bool = False) -> None:
    array, given = writable(recorder, a, "fill_diagonal"), as_array(recorder, val)
    if array.ndim < 2:
        raise ValueError("array must be at least 2-d")
    end = array.size
    if array.ndim == 2:
        step = array.shape[1] + 1
        end = end if wrap else min(end, array.shape[1] ** 2)
    else:
        if len(set(array.shape)) > 1:
            raise ValueError("All dimensions of input must be of equal length")
        step = 1 + int(np.cumprod(array.shape[:-1]).sum())
    count = len(range(0, end, step))
    if not count:
        return
    if not given.size:
        raise ValueError("Error setting single item of array.")
    flat = recorder.make("reshape", array.node, shape=(array.size,))
    values = repeated(recorder, given, count, array.dtype)
    flat = recorder.make("set_slice", flat, values, start=(0,), step=(step,))
    array.write(recorder.make("reshape", flat, shape=array.shape))


def ufunc_at(recorder: Recorder, ufunc: np.ufunc, inputs: Sequence[Any]) -> None:
    """`ufunc.at(a, indices, b)`: what stands twice among the indices is done twice."""
    inputs = inputs[:2] if len(inputs) == 3 and inputs[2] is None else inputs
    if not isinstance(inputs[0], (Array, np.ndarray)):
        raise TypeError("first operand must be array")
    if ufunc.nout != 1 or ufunc.signature is not None:
        raise ValueError("Only single output ufuncs supported at this time")
    if len(inputs) != ufunc.nin + 1:
        raise ValueError(
            f"second operand {'needed for' if ufunc.nin == 2 else 'provided when'} ufunc{'' if ufunc.nin == 2 else ' is unary'}"
        )
    array, key, given = as_array(recorder, inputs[0]), inputs[1], [as_array(recorder, one) for one in inputs[2:]]
    loop = resolve(ufunc, (array.dtype, *[one.dtype for one in given]), None)  # NumPy's TypeError, where there is none
    if NUMPYS.get(ufunc.__name__) is not ufunc:
        raise UnsupportedFunction(
            f"{ufunc.__name__}.at is not supported: it is not a function of NumPy's main namespace"
        )
    keys = key if isinstance(key, tuple) else (key,)
    parts = [] if all(map(is_basic, keys)) else advanced.entries(array, key)
    if any(map(masks.is_traced, parts)):
        array[key] = _done(recorder, ufunc, array[key], given, array.dtype)
        return
    if not any(map(advanced.is_places, parts)):
        view = basic_view(array, tuple(parts) if parts else key)
        made = cast(recorder, _done(recorder, ufunc, view, given, view.dtype), view.dtype)
        view.write(advanced.fitted(recorder, made, view.shape, AT_SHAPE))
        return
    plan = advanced.planned(array, parts)
    values = (
        given[0].node if given else recorder.make("gather", plan.view.node, *plan.places, axes=plan.axes, at=plan.at)
    )
    values = advanced.fitted(recorder, values, plan.shape, AT_SHAPE)
    if given and set(loop) == {array.dtype}:
        values = cast(recorder, fresh(recorder, values), array.dtype)
    base = plan.view.node
    plan.view.write(advanced.scattered(recorder, base, values, plan.places, plan.axes, plan.at, combine=ufunc.__name__))


AT_SHAPE = "array is not broadcastable to correct shape"


def _done(recorder: Recorder, ufunc: np.ufunc, what: Any, given: list[Array], dtype: np.dtype) -> Any:
    made = ufunc(what, *[fresh(recorder, one.node) for one in given])
    return made if made.dtype == dtype else made.astype(dtype)


# -- diagonals -----------------------------------------------------------------------------------------------------------


def diagonal(recorder: Recorder, a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Array:
    """A view that is read only, as in NumPy."""
    view = diagonal_view(recorder, as_array(recorder, a), offset, axis1, axis2)
    return view.through("broadcast_to", view.element_strides, shape=view.shape)


def diagonal_view(recorder: Recorder, array: Array, offset: int, axis1: int, axis2: int) -> Array:
    """Of the two axes as one, every (columns + 1)th element; it comes last."""
    if array.ndim < 2:
        raise ValueError("diag requires an array of at least two dimensions")
    first, second = normalize(axis1, array.ndim), normalize(axis2, array.ndim)
    if first == second:
        raise ValueError("axis1 and axis2 cannot be the same")
    view = moveaxis(recorder, array, (first, second), (-2, -1))
    *others, rows, columns = view.shape
    start = offset if offset >= 0 else -offset * columns
    count = max(0, min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns))
    *before, down, right = view.element_strides
    flat = view.through("reshape", (*before, right), shape=(*others, rows * columns))
    start = start if count else 0
    diagonals = sliced_view(flat, (*[0] * len(others), start), (*[1] * len(others), columns + 1), (*others, count))
    diagonals.element_strides = (*before, down + right)
    return diagonals


def trace(
    recorder: Recorder, a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: Any = None
) -> Array:
    return diagonal(recorder, a, offset, axis1, axis2).sum(-1, dtype=dtype, out=out)


def diag(recorder: Recorder, v: Any, k: int = 0) -> Array:
    array = as_array(recorder, v)
    if array.ndim == 2:
        return diagonal(recorder, array, k)
    if array.ndim != 1:
        raise ValueError("Input must be 1- or 2-d.")
    extent = array.size + abs(k)
    zero = recorder.constant(0, array.dtype)
    longer = recorder.make("pad", array.node, zero, before=(max(-k, 0),), after=(max(k, 0),))
    row = recorder.make("reshape", longer, shape=(extent, 1))
    down, right = iota(recorder, extent, 0, 2), iota(recorder, extent, 1, 2)
    here = recorder.make("equal", right, recorder.make("add", down, recorder.constant(k, INTP)))
    return fresh(recorder, recorder.make("where", here, row, zero))


def diagflat(recorder: Recorder, v: Any, k: int = 0) -> Array:
    return diag(recorder, ravel(recorder, v), k)


FUNCTIONS: dict[Any, Any] = {
    np.take: take, np.take_along_axis: take_along_axis, np.choose: choose, np.compress: compress, np.extract: extract,
    np.unravel_index: unravel_index,
    np.put: put, np.put_along_axis: put_along_axis, np.putmask: putmask, np.place: place, np.fill_diagonal: fill_diagonal,
    np.diagonal: diagonal, np.trace: trace, np.diag: diag, np.diagflat: diagflat,
}  # fmt: skip
