"""Functions that join and split, repeat and pad."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numfuse.compiler.layouts import copied_order, joined_order
from numfuse.compiler.trace.array import Array, fresh, strong
from numfuse.compiler.trace.recorder import Recorder
from numfuse.compiler.trace.shapes import (
    at_least,
    broadcast_to,
    copy,
    expand_dims,
    lies_in,
    normalize,
    one_axis,
    ravel,
    reshape,
)
from numfuse.compiler.trace.ufuncs import as_array, call_ufunc, cast
from numfuse.compiler.types import supported


def concatenate(
    recorder: Recorder, arrays: Any, /, axis: Any = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind"
) -> Array:
    operands = [as_array(recorder, a) for a in arrays]
    if not operands:
        raise ValueError("need at least one array to concatenate")
    to = np.dtype(dtype) if dtype is not None else _joint_dtype(operands)
    if axis is None:
        numbers = [strong(recorder, a) for a in operands]  # a number wraps around, as an array of it would
        flat = [ravel(recorder, fresh(recorder, cast(recorder, a, to), strides=a.element_strides)) for a in numbers]
        operands, axis = flat, 0
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
    result = fresh(
        recorder, node, strides=joined_order(node.shape, [(one.shape, one.element_strides) for one in operands])
    )
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
        recorder, [expand_dims(recorder, strong(recorder, a), place) for a in operands], place, out, dtype=dtype
    )


def of_parts(recorder: Recorder, parts: list[Array]) -> Array:
    """The array of a list of arrays: as `np.stack`, but in C order."""
    return fresh(recorder, stack(recorder, parts).node)


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
    strides = copied_order(array.shape, array.element_strides)
    for by, along in np.broadcast(shift, axis):
        k = normalize(int(along), array.ndim)
        at = -int(by) % max(array.shape[k], 1)
        if at:
            before = (slice(None),) * k
            array = concatenate(recorder, [array[(*before, slice(at, None))], array[(*before, slice(None, at))]], k)
    return fresh(recorder, array.node, strides=strides)


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
    array = one_axis(recorder, a, axis)
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
    if not array.ndim:
        raise ValueError("diff requires input that is at least one dimensional")
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
