"""Random indices and masks against NumPy, by the graphs that they become and by their kernels run as plain Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numfuse.compiler.index import Axis, Index, axis_index

import numfuse as nf
from tests.indexed import CASES
from tests.indices import evaluated, filled, indexed, masked, outcome, same, told_apart
from tests.no_device.test_plain_python import run_program

Drawn = tuple[np.ndarray, tuple[Any, ...]]


@settings(max_examples=400)
@given(indexed(), st.booleans())
def test_random_reads(drawn: Drawn, traced: bool) -> None:
    x, key = drawn
    arrays, parts = told_apart(key, traced)

    def function(x: Any, *arrays: Any) -> Any:
        return x[filled(parts, arrays)]

    same(outcome(evaluated, function, x, *arrays), outcome(function, x, *arrays))


def _set(z: Any, key: Any, value: Any) -> None:
    z[key] = value


def _add(z: Any, key: Any, value: Any) -> None:
    z[key] += value


@settings(max_examples=300)
@given(indexed(), st.booleans(), st.sampled_from([_set, _add, np.add.at]), st.sampled_from(["whole", "row", "one"]))
def test_random_writes(drawn: Drawn, traced: bool, write: Callable[..., None], size: str) -> None:
    x, key = drawn
    arrays, parts = told_apart(key, traced)
    try:
        shape = x[key].shape
    except IndexError:
        shape = ()
    value = (np.arange(np.prod(shape, dtype=int)).reshape(shape) % 5).astype(x.dtype)
    if size == "row" and shape and shape[0]:
        value = value[:1]
    if size == "one":
        value = x.dtype.type(1)

    def function(x: Any, value: Any, *arrays: Any) -> Any:
        z = x.copy()
        write(z, filled(parts, arrays), value)
        return z

    same(outcome(evaluated, function, x, value, *arrays), outcome(function, x, value, *arrays))


STEPS: dict[str, Callable[[Any, Any], Any]] = {
    "as it is": lambda a, b: a,
    "scaled": lambda a, b: a * 2 + 1,
    "joined": lambda a, b: a - b,
    "compared": lambda a, b: a > b,
    "function": lambda a, b: np.sqrt(np.abs(a)),
    "chosen": lambda a, b: np.where(a > b, a, b),
    "in place": lambda a, b: a.__iadd__(b),
    "of a mask": lambda a, b: a[b > 0] if a.ndim == 1 else a,
}


@settings(max_examples=300)
@given(
    masked(),
    st.sampled_from(sorted(STEPS)),
    st.sampled_from(["sum", "prod", "mean", "var", "min", "max", "any", "all", "size", "count_nonzero"]),
    st.integers(-1, 2),
    st.booleans(),
)
def test_random_selections(drawn: Any, step: str, reduce: str, axis: int, keepdims: bool) -> None:
    x, mask, at, y = drawn
    along = None if axis < 0 else axis if axis <= x.ndim - mask.ndim else None

    def function(x: Any, mask: Any, y: Any) -> Any:
        key = (slice(None),) * at
        made = STEPS[step](x[(*key, mask)], y[(*key, mask)])
        if reduce == "size":
            return made.size
        if along is not None and along != at:  # a selection again
            made = getattr(np, reduce)(made, axis=along)
            return np.sum(made) if reduce != "var" else np.max(made, initial=0)
        return getattr(np, reduce)(made, axis=along, keepdims=keepdims)

    got, wanted = outcome(evaluated, function, x, mask, y), outcome(function, x, mask, y)
    if isinstance(wanted, tuple) or isinstance(got, tuple):
        # of no elements at all, NumPy and numfuse may complain of different steps
        assert isinstance(got, tuple) and isinstance(wanted, tuple) and got[0] == wanted[0], (got, wanted)
        return
    assert (np.shape(got), np.asarray(got).dtype, type(got)) == (
        np.shape(wanted),
        np.asarray(wanted).dtype,
        type(wanted),
    )
    # sums of float16 are rounded once, NumPy's of a sum's parts twice
    np.testing.assert_allclose(got, wanted, rtol=1e-3 if np.asarray(wanted).dtype == np.float16 else 1e-12)


@settings(max_examples=200)
@given(masked(), st.sampled_from(["one", "same", "many", "row", "too many"]))
def test_random_masked_writes(drawn: Any, kind: str) -> None:
    x, mask, at, y = drawn
    key = (slice(None),) * at
    chosen = y[(*key, mask)]
    value = {"one": y.dtype.type(3), "many": chosen, "too many": np.concatenate([chosen, chosen, chosen])}.get(kind, y)
    if kind == "row":
        value = chosen[(*key, slice(0, 1))]

    def function(x: Any, mask: Any, value: Any) -> Any:
        z = x.copy()
        z[(*key, mask)] = value[(*key, mask)] if kind == "same" else value
        return z

    try:
        got = evaluated(function, x, mask, value)
    except TypeError:
        assert at, "several values under a mask that is not of the first axes"
        return
    except ValueError as error:
        got = type(error).__name__, str(error).partition("\n")[0].strip()
    wanted = outcome(function, x, mask, value)
    if isinstance(wanted, tuple) and isinstance(got, tuple):
        return
    same(got, wanted)


@pytest.mark.parametrize("name", CASES)
def test_kernels_as_plain_python(name: str) -> None:
    """Every index is checked there: a kernel never reads outside an array, whatever the places are."""
    function, arguments = CASES[name]
    try:
        traced = nf.jit(function).trace(*arguments)
    except (ValueError, IndexError):
        return
    inputs = [feed.captured if feed.leaf is None else arguments[feed.leaf] for feed in traced.feeds]
    wanted = traced.graph.evaluate(*inputs)
    got = run_program(traced.lower(target="cpu").program, inputs)
    flags = len(wanted) - len(traced.checks)
    stopped = any(wanted[flags:])
    for result, value in list(zip(got, wanted, strict=True))[flags if stopped else 0 :]:
        np.testing.assert_allclose(result, value, rtol=1e-12)
    nf.Graph.parse(traced.graph.as_text())


def test_an_index_with_an_element_of_an_array() -> None:
    from numfuse.compiler.index import Element

    i, j = Axis(0, 4), Axis(1, 6)
    place = Index(0, ((Element("places", (axis_index(i),), 5), 1),))
    offset = place * 6 + axis_index(j)
    assert offset.axes == {i, j} and offset.named_axes == {j} and not offset.affine
    assert offset.bounds == (0, 29) and (offset // 6, offset % 6) == (place, axis_index(j))
    moved = offset.substitute({i: axis_index(j), j: Index(0)})
    assert moved.axes == {j} and [element.index for element in moved.elements] == [(axis_index(j),)]


def test_a_cheap_producer_is_computed_where_it_is_read() -> None:
    lowered = nf.jit(lambda x, i: (x * 2)[i % 9] + 1).lower(np.zeros((9, 4)), np.zeros(50, "i8"), target="cpu")
    (kernel,) = lowered.kernels
    assert "out[4 * i_2 + j] = x[4 * remainder_1 + j] * 2.0 + 1.0" in kernel.source
    lowered = nf.jit(lambda x, i: np.exp(x)[i % 9] + 1).lower(np.zeros((9, 4)), np.zeros(50, "i8"), target="cpu")
    assert len(lowered.kernels) == 2 and "at places that only the run knows" in lowered.explain()
