"""Rows that move elements without computing: views, guarded reads (pad, concatenate, a slice written into an array), and
sources. A view costs nothing: `pull` rewrites the index, and the view disappears from the kernel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numfuse.compiler.index import ZERO, Case, Index, Test, reshaped
from numfuse.compiler.ops.operator import Operator
from numfuse.compiler.types import Shape, Spec, broadcast, size_of

Params = Mapping[str, Any]
Indices = tuple[Index, ...]
Inferred = tuple[Shape, np.dtype]


def infer_transpose(operands: Sequence[Spec], params: Params) -> Inferred:
    (operand,), perm = operands, params["perm"]
    if sorted(perm) != list(range(len(operand.shape))):
        raise ValueError("axes don't match array")
    return tuple(operand.shape[a] for a in perm), operand.dtype


def pull_transpose(shapes: Sequence[Shape], params: Params, shape: Shape, index: Indices) -> list[Case]:
    source: list[Index] = [ZERO] * len(index)
    for place, a in enumerate(params["perm"]):
        source[a] = index[place]
    return [Case((), 0, tuple(source))]


def infer_reshape(operands: Sequence[Spec], params: Params) -> Inferred:
    (operand,), shape = operands, params["shape"]
    if size_of(shape) != size_of(operand.shape):
        raise ValueError(f"cannot reshape array of size {size_of(operand.shape)} into shape {shape}")
    return shape, operand.dtype


def pull_reshape(shapes: Sequence[Shape], params: Params, shape: Shape, index: Indices) -> list[Case]:
    return [Case((), 0, reshaped(index, shape, shapes[0]))]


def infer_broadcast(operands: Sequence[Spec], params: Params) -> Inferred:
    (operand,), shape = operands, params["shape"]
    if broadcast(operand.shape, shape) != shape:
        raise ValueError(f"operands could not be broadcast together with remapped shapes {operand.shape} and {shape}")
    return shape, operand.dtype


def broadcast_index(source: Shape, index: Indices) -> Indices:
    """Where an element of the broadcast result stands in an operand of shape `source`."""
    if not source:
        return ()
    tail = index if len(index) == len(source) else index[len(index) - len(source) :]
    if 1 not in source:
        return tail
    return tuple([ZERO if extent == 1 else part for extent, part in zip(source, tail, strict=True)])


def pull_broadcast(shapes: Sequence[Shape], params: Params, shape: Shape, index: Indices) -> list[Case]:
    return [Case((), 0, broadcast_index(shapes[0], index))]


def as_slices(params: Params, shape: Shape) -> tuple[slice, ...]:
    """The basic index that takes `shape` elements from `start` by `step`."""
    slices = []
    for start, step, extent in zip(params["start"], params["step"], shape, strict=True):
        stop = start + step * extent
        slices.append(slice(start, None if stop < 0 else stop, step) if extent else slice(0, 0))
    return tuple(slices)


def check_slice(operand: Shape, params: Params, shape: Shape) -> None:
    start, step = params["start"], params["step"]
    if not len(start) == len(step) == len(operand) == len(shape):
        raise ValueError("slice takes a start and a step for each axis")
    for extent, first, by, count in zip(operand, start, step, shape, strict=True):
        if by == 0 or (count and not (0 <= first < extent and 0 <= first + by * (count - 1) < extent)):
            raise ValueError(f"slice from {first} by {by}, {count} elements, leaves an axis of {extent}")


def infer_slice(operands: Sequence[Spec], params: Params) -> Inferred:
    (operand,), shape = operands, params["shape"]
    check_slice(operand.shape, params, shape)
    return shape, operand.dtype


def pull_slice(shapes: Sequence[Shape], params: Params, shape: Shape, index: Indices) -> list[Case]:
    places = zip(index, params["start"], params["step"], strict=True)
    return [Case((), 0, tuple([part * step + start for part, start, step in places]))]


def reference_slice(x: Any, start: Shape, step: Shape, shape: Shape) -> Any:
    return x[as_slices({"start": start, "step": step}, shape)]


def infer_windows(operands: Sequence[Spec], params: Params) -> Inferred:
    (operand,) = operands
    extents = list(operand.shape)
    for axis, size in zip(params["axis"], params["size"], strict=True):
        extents[axis] -= size - 1
        if extents[axis] < 0:
            raise ValueError("window shape cannot be larger than input array shape")
    return (*extents, *params["size"]), operand.dtype


def pull_windows(shapes: Sequence[Shape], params: Params, shape: Shape, index: Indices) -> list[Case]:
    source = list(index[: len(shapes[0])])
    for axis, within in zip(params["axis"], index[len(shapes[0]) :], strict=True):
        source[axis] = source[axis] + within
    return [Case((), 0, tuple(source))]


def infer_set_slice(operands: Sequence[Spec], params: Params) -> Inferred:
    base, value = operands
    check_slice(base.shape, params, value.shape)
    if base.dtype != value.dtype:
        raise TypeError("set_slice takes two arrays of one dtype")
    return base.shape, base.dtype


def pull_set_slice(shapes: Sequence[Shape], params: Params, shape: Shape, index: Indices) -> list[Case]:
    tests, inside = [], []
    for part, start, step, count in zip(index, params["start"], params["step"], shapes[1], strict=True):
        if step < 0:
            first, by = start + step * (count - 1), -step
        else:
            first, by = start, step
        tests.append(Test(part - first, 0, by * (count - 1) + 1 if count else 0, by))
        place = (part - first) // by
        inside.append(place if step > 0 else place * -1 + (count - 1))
    return [Case(tuple(tests), 1, tuple(inside)), Case((), 0, index)]


def reference_set_slice(base: Any, value: Any, start: Shape, step: Shape) -> Any:
    result = base.copy()
    result[as_slices({"start": start, "step": step}, value.shape)] = value
    return result


def infer_concatenate(operands: Sequence[Spec], params: Params) -> Inferred:
    axis, first = params["axis"], operands[0]
    for operand in operands[1:]:
        if operand.shape[:axis] + operand.shape[axis + 1 :] != first.shape[:axis] + first.shape[axis + 1 :]:
            raise ValueError("all the input array dimensions except for the concatenation axis must match exactly")
        if operand.dtype != first.dtype:
            raise TypeError("concatenate takes arrays of one dtype")
    total = sum(operand.shape[axis] for operand in operands)
    return (*first.shape[:axis], total, *first.shape[axis + 1 :]), first.dtype


def pull_concatenate(shapes: Sequence[Shape], params: Params, shape: Shape, index: Indices) -> list[Case]:
    axis, first, cases = params["axis"], 0, []
    for operand, source in enumerate(shapes):
        place = index[axis] - first
        # earlier cases have taken what stands before; the last operand needs no test
        tests = () if operand == len(shapes) - 1 else (Test(place, -first, source[axis]),)
        cases.append(Case(tests, operand, (*index[:axis], place, *index[axis + 1 :])))
        first += source[axis]
    return cases


def infer_pad(operands: Sequence[Spec], params: Params) -> Inferred:
    operand, fill = operands
    before, after = params["before"], params["after"]
    if not len(before) == len(after) == len(operand.shape) or min((0, *before, *after)) < 0:
        raise ValueError("index can't contain negative values")
    if fill.shape or fill.dtype != operand.dtype:
        raise TypeError("pad takes a 0-d fill value of the array's dtype")
    return tuple(n + a + b for n, a, b in zip(operand.shape, before, after, strict=True)), operand.dtype


def pull_pad(shapes: Sequence[Shape], params: Params, shape: Shape, index: Indices) -> list[Case]:
    inside = tuple(part - before for part, before in zip(index, params["before"], strict=True))
    tests = tuple(Test(part, 0, extent) for part, extent in zip(inside, shapes[0], strict=True))
    return [Case(tests, 0, inside), Case((), 1, ())]


def reference_pad(x: Any, fill: Any, before: Shape, after: Shape) -> Any:
    return np.pad(x, tuple(zip(before, after, strict=True)), constant_values=fill) if x.ndim else x


def infer_iota(operands: Sequence[Spec], params: Params) -> Inferred:
    if params["axis"] >= len(params["shape"]):
        raise ValueError("iota counts along one of its axes")
    return params["shape"], params["dtype"]


def reference_iota(shape: Shape, axis: int, dtype: np.dtype) -> Any:
    along = tuple(n if a == axis else 1 for a, n in enumerate(shape))
    return np.broadcast_to(np.arange(shape[axis], dtype=dtype).reshape(along), shape)


def infer_constant(operands: Sequence[Spec], params: Params) -> Inferred:
    value = params["value"]
    return value.shape, value.dtype


def infer_input(operands: Sequence[Spec], params: Params) -> Inferred:
    return params["shape"], params["dtype"]


def no_reference(*operands: Any, **params: Any) -> Any:
    raise TypeError("an input has no value of its own")


ROWS = [
    Operator(
        name="transpose",
        kind="view",
        cost=0,
        reference=lambda x, perm: x.transpose(perm),
        infer=infer_transpose,
        pull=pull_transpose,
    ),
    Operator(
        name="reshape",
        kind="view",
        cost=0,
        reference=lambda x, shape: x.reshape(shape),
        infer=infer_reshape,
        pull=pull_reshape,
    ),
    Operator(
        name="broadcast_to",
        kind="view",
        cost=0,
        reference=lambda x, shape: np.broadcast_to(x, shape),
        infer=infer_broadcast,
        pull=pull_broadcast,
    ),
    Operator(name="slice", kind="view", cost=0, reference=reference_slice, infer=infer_slice, pull=pull_slice),
    Operator(
        name="windows",
        kind="view",
        cost=0,
        reference=lambda x, axis, size: np.lib.stride_tricks.sliding_window_view(x, size, axis),
        infer=infer_windows,
        pull=pull_windows,
    ),
    Operator(  # an array of its own, with its elements in their order
        name="copy",
        kind="guarded",
        cost=0,
        reference=np.copy,
        infer=lambda operands, params: (operands[0].shape, operands[0].dtype),
        pull=lambda shapes, params, shape, index: [Case((), 0, index)],
    ),
    Operator(
        name="set_slice",
        kind="guarded",
        cost=4,
        reference=reference_set_slice,
        infer=infer_set_slice,
        pull=pull_set_slice,
    ),
    Operator(
        name="put_slice",
        kind="store",
        cost=4,
        reference=reference_set_slice,
        infer=infer_set_slice,
    ),
    Operator(
        name="concatenate",
        kind="guarded",
        cost=4,
        reference=lambda *operands, axis: np.concatenate(operands, axis),
        infer=infer_concatenate,
        pull=pull_concatenate,
    ),
    Operator(name="pad", kind="guarded", cost=4, reference=reference_pad, infer=infer_pad, pull=pull_pad),
    Operator(name="iota", kind="source", reference=reference_iota, infer=infer_iota),
    Operator(
        name="memory",
        kind="source",
        cost=0,
        reference=lambda shape, dtype: np.zeros(shape, dtype),
        infer=infer_input,
    ),
    Operator(name="constant", kind="source", cost=0, reference=lambda value: value, infer=infer_constant),
    Operator(name="input", kind="source", cost=0, reference=no_reference, infer=infer_input),
]
