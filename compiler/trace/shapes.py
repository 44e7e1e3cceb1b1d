"""Functions that rearrange: shapes and axes; and arrays made like another."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numfuse.compiler.graph import Node
from numfuse.compiler.layouts import copied_order, strides_of
from numfuse.compiler.ops import same_axes
from numfuse.compiler.trace.array import Array, fresh
from numfuse.compiler.trace.indexing import reshaped_view, sliced_view
from numfuse.compiler.trace.recorder import Recorder
from numfuse.compiler.trace.ufuncs import as_array, broadcast_node, cast
from numfuse.compiler.types import Shape, size_of, supported

normalize = np.lib.array_utils.normalize_axis_index


def reshape(
    recorder: Recorder, a: Any, /, shape: Any = None, order: str = "C", *, newshape: Any = None, copy: Any = None
) -> Array:
    array = as_array(recorder, a)
    shape = newshape if shape is None else shape
    wanted = [operator.index(n) for n in (shape if isinstance(shape, (tuple, list, np.ndarray)) else (shape,))]
    if wanted.count(-1) > 1:
        raise ValueError("can only specify one unknown dimension")
    if -1 in wanted:
        rest = size_of([n for n in wanted if n != -1])
        if rest == 0 or array.size % rest:
            raise ValueError(f"cannot reshape array of size {array.size} into shape {tuple(wanted)}")
        wanted[wanted.index(-1)] = array.size // rest
    if size_of(wanted) != array.size:
        raise ValueError(f"cannot reshape array of size {array.size} into shape {str(tuple(wanted)).replace(' ', '')}")
    if order == "F" or (order == "A" and lies_in(array, "F") and not lies_in(array, "C")):
        turned = reshaped_view(transpose(recorder, array), tuple(reversed(wanted)))
        made = transpose(recorder, turned)
    elif order in ("C", "A", None):
        made = reshaped_view(array, tuple(wanted))
    else:
        raise ValueError(f"order must be one of 'C', 'F', 'A', or 'K' (got {order!r})")
    if copy is False and made.storage is not array.storage:
        raise ValueError("Unable to avoid creating a copy while reshaping.")
    return fresh(recorder, made.node) if copy and made.storage is array.storage else made


def contiguous(recorder: Recorder, array: Array, order: str) -> Array:
    """The array itself where its elements lie in that order, else a copy."""
    return array if lies_in(array, order) else copy(recorder, array, order)


def ravel(recorder: Recorder, a: Any, order: str = "C") -> Array:
    """A view only of what lies in that order."""
    array = as_array(recorder, a)
    if order == "K":
        array = transpose(recorder, array, sorted(range(array.ndim), key=lambda k: -abs(array.element_strides[k])))
        order = "C"
    order = "F" if order == "A" and lies_in(array, "F") and not lies_in(array, "C") else order
    return reshape(recorder, contiguous(recorder, array, "F" if order == "F" else "C"), (array.size,), order)


def lies_in(array: Array, order: str) -> bool:
    """Whether the elements lie one after another, in C or Fortran order."""
    kept = [(n, stride) for n, stride in zip(array.shape, array.element_strides, strict=True) if n != 1]
    kept = kept if order == "C" else kept[::-1]
    return not array.size or tuple([stride for _, stride in kept]) == strides_of([n for n, _ in kept])


def flatten(recorder: Recorder, a: Any, order: str = "C") -> Array:
    return copy(recorder, ravel(recorder, a, order))


def copy(recorder: Recorder, a: Any, order: str = "K", subok: bool = False) -> Array:
    array = as_array(recorder, a)
    strides = {"K": copied_order(array.shape, array.element_strides), "F": strides_of(array.shape[::-1])[::-1]}.get(
        order
    )
    return fresh(recorder, array.node, strides=strides)


def transpose(recorder: Recorder, a: Any, axes: Any = None) -> Array:
    array = as_array(recorder, a)
    if axes is None:
        perm = tuple(reversed(range(array.ndim)))
    else:
        if len(axes) != array.ndim:
            raise ValueError("axes don't match array")
        perm = tuple(normalize(operator.index(a), array.ndim) for a in axes)
        if len(set(perm)) != len(perm):
            raise ValueError("repeated axis in transpose")
    if perm == tuple(range(array.ndim)):
        return reshaped_view(array, array.shape)
    return array.through("transpose", tuple(array.element_strides[a] for a in perm), perm=perm)


def swapaxes(recorder: Recorder, a: Any, axis1: int, axis2: int) -> Array:
    array = as_array(recorder, a)
    perm = list(range(array.ndim))
    first, second = normalize(axis1, array.ndim), normalize(axis2, array.ndim)
    perm[first], perm[second] = perm[second], perm[first]
    return transpose(recorder, array, perm)


def moveaxis(recorder: Recorder, a: Any, source: Any, destination: Any) -> Array:
    array = as_array(recorder, a)
    origin = np.lib.array_utils.normalize_axis_tuple(source, array.ndim, "source")
    target = np.lib.array_utils.normalize_axis_tuple(destination, array.ndim, "destination")
    if len(origin) != len(target):
        raise ValueError("`source` and `destination` arguments must have the same number of elements")
    perm = [axis for axis in range(array.ndim) if axis not in origin]
    for to, axis in sorted(zip(target, origin, strict=True)):
        perm.insert(to, axis)
    return transpose(recorder, array, perm)


def squeeze(recorder: Recorder, a: Any, axis: Any = None) -> Array:
    array = as_array(recorder, a)
    axes = [k for k, n in enumerate(array.shape) if n == 1] if axis is None else same_axes(axis, array.ndim)
    if any(array.shape[k] != 1 for k in axes):
        raise ValueError("cannot select an axis to squeeze out which has size not equal to one")
    return reshaped_view(array, tuple(n for k, n in enumerate(array.shape) if k not in axes))


def expand_dims(recorder: Recorder, a: Any, axis: Any) -> Array:
    array = as_array(recorder, a)
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    ndim = array.ndim + len(axes)
    places = np.lib.array_utils.normalize_axis_tuple(tuple(axes), ndim)
    extents = iter(array.shape)
    return reshaped_view(array, tuple(1 if k in places else next(extents) for k in range(ndim)))


def at_least(ndim: int) -> Any:
    def function(recorder: Recorder, *arrays: Any) -> Any:
        def widened(a: Any) -> Array:
            array = as_array(recorder, a)
            if array.ndim >= ndim:
                return array
            if ndim == 3 and array.ndim == 2:
                return reshaped_view(array, (*array.shape, 1))
            if ndim == 3 and array.ndim == 1:
                return reshaped_view(array, (1, *array.shape, 1))
            return reshaped_view(array, (1,) * (ndim - array.ndim) + array.shape)

        results = [widened(a) for a in arrays]
        return results[0] if len(results) == 1 else tuple(results)

    return function


def broadcast_to(recorder: Recorder, array: Any, shape: Any, subok: bool = False) -> Array:
    source = as_array(recorder, array)
    wanted = tuple(operator.index(n) for n in (shape if isinstance(shape, (tuple, list)) else (shape,)))
    kept = tuple(0 if n == 1 else stride for n, stride in zip(source.shape, source.element_strides, strict=True))
    return source.through("broadcast_to", (0,) * (len(wanted) - source.ndim) + kept, shape=wanted)


def broadcast_arrays(recorder: Recorder, *args: Any, subok: bool = False) -> tuple[Array, ...]:
    arrays = [as_array(recorder, a) for a in args]
    shape = np.broadcast_shapes(*[a.shape for a in arrays])
    return tuple(broadcast_to(recorder, a, shape) for a in arrays)


def flip(recorder: Recorder, m: Any, axis: Any = None) -> Array:
    array = as_array(recorder, m)
    axes = same_axes(axis, array.ndim)
    if not array.ndim:
        return array[()]
    start = tuple(max(n - 1, 0) if k in axes else 0 for k, n in enumerate(array.shape))
    step = tuple(-1 if k in axes else 1 for k in range(array.ndim))
    return sliced_view(array, start, step, array.shape)


def rot90(recorder: Recorder, m: Any, k: int = 1, axes: Any = (0, 1)) -> Array:
    array = as_array(recorder, m)
    if len(axes) != 2:
        raise ValueError("len(axes) must be 2.")
    first, second = (operator.index(a) % array.ndim if -array.ndim <= a < array.ndim else None for a in axes)
    if first is None or second is None:
        raise ValueError(f"Axes={tuple(axes)} out of range for array of ndim={array.ndim}.")
    if first == second:
        raise ValueError("Axes must be different.")
    k %= 4
    if k == 0:
        return array[...]
    if k == 2:
        return flip(recorder, array, (first, second))
    if k == 1:
        return swapaxes(recorder, flip(recorder, array, second), first, second)
    return flip(recorder, swapaxes(recorder, array, first, second), second)


def one_axis(recorder: Recorder, a: Any, axis: Any) -> Array:
    """`a`; where it has no axes and `axis` is its first or last all the same, one of one element, as some of NumPy's functions take it."""
    array = as_array(recorder, a)
    return reshape(recorder, array, (1,)) if not array.ndim and axis in (0, -1) else array


# -- arrays like another, conversion -------------------------------------------------------------------------------------


def full_node(recorder: Recorder, value: Node, shape: Shape) -> Array:
    return fresh(recorder, broadcast_node(recorder, value, shape))


def like(fill: Any) -> Any:
    """`np.zeros_like`, `np.ones_like` and `np.empty_like` (which is zeros here)."""

    def function(
        recorder: Recorder,
        a: Any,
        dtype: Any = None,
        order: str = "K",
        subok: bool = True,
        shape: Any = None,
        *,
        device: Any = None,
    ) -> Array:
        return full_like(recorder, a, fill, dtype, order, subok, shape)

    return function


def full_like(
    recorder: Recorder,
    a: Any,
    fill_value: Any,
    dtype: Any = None,
    order: str = "K",
    subok: bool = True,
    shape: Any = None,
    *,
    device: Any = None,
) -> Array:
    array = as_array(recorder, a)
    to = supported(array.dtype if dtype is None else dtype)
    extents = array.shape if shape is None else tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    made = full_node(recorder, cast(recorder, as_array(recorder, fill_value), to), extents)
    if order == "K" and extents == array.shape:
        made.element_strides = copied_order(extents, array.element_strides)
    return made


def astype(recorder: Recorder, x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Array:
    array = as_array(recorder, x)
    to = supported(dtype)
    if not copy and array.dtype == to:
        return array
    return fresh(recorder, cast(recorder, array, to), array.scalar, copied_order(array.shape, array.element_strides))
