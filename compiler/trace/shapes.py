"""Functions that rearrange: shapes, axes, joining, splitting, padding; and arrays made like another."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numfuse.compiler.graph import Node
from numfuse.compiler.index import copied_order, strides_of
from numfuse.compiler.ops import same_axes
from numfuse.compiler.trace.array import Array, fresh
from numfuse.compiler.trace.indexing import reshaped_view, sliced_view
from numfuse.compiler.trace.recorder import Recorder
from numfuse.compiler.trace.ufuncs import as_array, broadcast_node, call_ufunc, cast, order_of
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


# -- joining and splitting -----------------------------------------------------------------------------------------------


def concatenate(
    recorder: Recorder, arrays: Any, /, axis: Any = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind"
) -> Array:
    operands = [as_array(recorder, a) for a in arrays]
    if not operands:
        raise ValueError("need at least one array to concatenate")
    to = np.dtype(dtype) if dtype is not None else _joint_dtype(operands)
    if axis is None:
        operands, axis = (
            [ravel(recorder, fresh(recorder, cast(recorder, a, to), strides=a.element_strides)) for a in operands],
            0,
        )
    if any(not a.shape for a in operands):
        raise ValueError("zero-dimensional arrays cannot be concatenated")
    ndim = operands[0].ndim
    for place, a in enumerate(operands[1:], 1):
        if a.ndim != ndim:
            raise ValueError(
                "all the input array dimensions except for the concatenation axis must match exactly, but along dimension 0, the array at "
                f"index 0 has {ndim} dimension(s) and the array at index {place} has {a.ndim} dimension(s)"
            )
    node = recorder.make("concatenate", *[cast(recorder, a, to) for a in operands], axis=normalize(axis, ndim))
    result = fresh(recorder, node, strides=order_of(node.shape, operands))
    if out is None:
        return result
    target = as_array(recorder, out)
    if target.shape != result.shape:
        raise ValueError("Output array is the wrong shape")
    target.write(cast(recorder, result, target.dtype))
    return target


def _joint_dtype(operands: list[Array]) -> np.dtype:
    """What arrays are joined in; Python numbers take the dtype of the others."""
    return np.result_type(*[a.weak(0) if a.weak not in (None, bool) else supported(a.dtype) for a in operands])


def stack(
    recorder: Recorder, arrays: Any, axis: int = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind"
) -> Array:
    operands = [as_array(recorder, a) for a in arrays]
    if len({a.shape for a in operands}) > 1:
        raise ValueError("all input arrays must have the same shape")
    place = normalize(axis, operands[0].ndim + 1)
    return concatenate(
        recorder, [expand_dims(recorder, _strong(recorder, a), place) for a in operands], place, out, dtype=dtype
    )


def _strong(recorder: Recorder, array: Array) -> Array:
    return array if array.weak is None else fresh(recorder, array.node)


def stack_along(axis: int, ndim: int) -> Any:
    """`np.vstack`, `np.hstack` and `np.dstack`."""

    def function(recorder: Recorder, tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Array:
        arrays = [at_least(ndim)(recorder, a) for a in tup]
        along = 0 if axis == 1 and arrays and arrays[0].ndim == 1 else axis
        return concatenate(recorder, arrays, along, dtype=dtype)

    return function


def column_stack(recorder: Recorder, tup: Any) -> Array:
    arrays = [as_array(recorder, a) for a in tup]
    return concatenate(recorder, [reshape(recorder, a, (a.size, 1)) if a.ndim < 2 else a for a in arrays], 1)


def array_split(
    recorder: Recorder, ary: Any, indices_or_sections: Any, axis: int = 0, even: bool = False
) -> list[Array]:
    array = as_array(recorder, ary)
    axis = normalize(axis, array.ndim)
    extent = array.shape[axis]
    if isinstance(indices_or_sections, (int, np.integer)):
        sections = int(indices_or_sections)
        if even and extent % sections:
            raise ValueError("array split does not result in an equal division")
        each, extra = divmod(extent, sections)
        bounds = [0]
        for k in range(sections):
            bounds.append(bounds[-1] + each + (k < extra))
    else:
        bounds = [0, *[operator.index(k) for k in indices_or_sections], extent]
    before = (slice(None),) * axis
    return [array[(*before, slice(low, high))] for low, high in zip(bounds, bounds[1:], strict=False)]


def split(recorder: Recorder, ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Array]:
    return array_split(recorder, ary, indices_or_sections, axis, even=True)


def roll(recorder: Recorder, a: Any, shift: Any, axis: Any = None) -> Array:
    array = as_array(recorder, a)
    if axis is None:
        return reshape(recorder, roll(recorder, ravel(recorder, array), shift, 0), array.shape)
    for by, along in np.broadcast(shift, axis):
        k = normalize(int(along), array.ndim)
        at = -int(by) % max(array.shape[k], 1)
        if at:
            before = (slice(None),) * k
            array = concatenate(recorder, [array[(*before, slice(at, None))], array[(*before, slice(None, at))]], k)
    return copy(recorder, array)


def tile(recorder: Recorder, A: Any, reps: Any) -> Array:
    array = as_array(recorder, A)
    counts = [operator.index(n) for n in (reps if isinstance(reps, (tuple, list)) else (reps,))]
    shape = (1,) * (len(counts) - array.ndim) + array.shape
    counts = [1] * (len(shape) - len(counts)) + counts
    apart = reshape(recorder, array, tuple(k for n in shape for k in (1, n)))
    spread = broadcast_to(recorder, apart, tuple(k for n, count in zip(shape, counts, strict=True) for k in (count, n)))
    result = reshape(recorder, spread, tuple(n * count for n, count in zip(shape, counts, strict=True)))
    return copy(recorder, result, "K" if all(count == 1 for count in counts) else "C")


def repeat(recorder: Recorder, a: Any, repeats: Any, axis: Any = None) -> Array:
    array = as_array(recorder, a)
    if axis is None:
        array, axis = ravel(recorder, array), 0
    k = normalize(axis, array.ndim)
    if not isinstance(repeats, (int, np.integer)):
        places = np.repeat(np.arange(array.shape[k]), repeats)  # traced counts have no values, and say so
        return np.take(array, places, axis=k)  # type: ignore[return-value]
    apart = expand_dims(recorder, array, k + 1)
    spread = broadcast_to(recorder, apart, (*array.shape[: k + 1], int(repeats), *array.shape[k + 1 :]))
    shape = (*array.shape[:k], array.shape[k] * int(repeats), *array.shape[k + 1 :])
    return copy(recorder, reshape(recorder, spread, shape), "C")


def diff(recorder: Recorder, a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Array:
    array = as_array(recorder, a)
    if n == 0:
        return array
    if n < 0:
        raise ValueError(f"order must be non-negative but got {n!r}")
    place = normalize(axis, array.ndim)
    edge = (*array.shape[:place], 1, *array.shape[place + 1 :])
    ends = [None if one is None else as_array(recorder, one) for one in (prepend, append)]
    before, after = [one if one is None or one.ndim else broadcast_to(recorder, one, edge) for one in ends]
    if before is not None or after is not None:
        array = concatenate(recorder, [part for part in (before, array, after) if part is not None], place)
    k = (slice(None),) * place
    for _ in range(n):
        ufunc = np.not_equal if array.dtype.kind == "b" else np.subtract
        array = call_ufunc(recorder, ufunc, (array[(*k, slice(1, None))], array[(*k, slice(None, -1))]), {})
    return array


# -- padding -------------------------------------------------------------------------------------------------------------


def pad(recorder: Recorder, array: Any, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> Any:
    """Constant, edge, reflect, symmetric and wrap fuse; the rest is NumPy's own source, which writes the borders one after the other."""
    source, number = as_array(recorder, array), kwargs.get("constant_values", 0)
    plain = kwargs.keys() <= {"constant_values"} and isinstance(number, (int, float, complex, np.generic))
    fused = plain if mode == "constant" else mode in ("edge", "reflect", "symmetric", "wrap") and not kwargs
    if not fused or isinstance(pad_width, dict):
        from numfuse.compiler.trace.through import python_source, trace_through

        written = python_source(np.pad)
        assert written is not None
        return trace_through(recorder, written, (source, pad_width, mode), kwargs)
    widths = [(int(before), int(after)) for before, after in np.broadcast_to(pad_width, (source.ndim, 2)).tolist()]
    if any(n < 0 for pair in widths for n in pair):
        raise ValueError("index can't contain negative values")
    order = "F" if lies_in(source, "F") and not lies_in(source, "C") else "C"
    if mode == "constant":
        fill = recorder.constant(np.asarray(number).astype(source.dtype)[()], source.dtype)
        before, after = zip(*widths, strict=True) if widths else ((), ())
        padded = recorder.make("pad", source.node, fill, before=tuple(before), after=tuple(after))
        return copy(recorder, fresh(recorder, padded), order)
    for axis, width in enumerate(widths):
        places = np.pad(np.arange(source.shape[axis]), width, mode=mode)
        source = take_runs(recorder, source, places, axis)
    return copy(recorder, source, order)


def take_runs(recorder: Recorder, source: Array, places: np.ndarray, axis: int) -> Array:
    """The elements at `places` along `axis`, as few slices with steps 1, -1 and repeats joined."""
    parts, first, before = [], 0, (slice(None),) * axis
    while first < len(places):
        last = first + 1
        by = int(places[last] - places[first]) if last < len(places) else 1
        by = by if by in (-1, 0, 1) else 1
        while last < len(places) and places[last] - places[last - 1] == by:
            last += 1
        low, count = int(places[first]), last - first
        if by == 0:
            one = source[(*before, slice(low, low + 1))]
            part = broadcast_to(recorder, one, (*source.shape[:axis], count, *source.shape[axis + 1 :]))
        else:
            stop = low + by * count
            part = source[(*before, slice(low, stop if stop >= 0 else None, by))]
        parts.append(part)
        first = last
    return parts[0] if len(parts) == 1 else concatenate(recorder, parts, axis)


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
