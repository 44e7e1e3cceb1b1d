"""Lazy arrays: values, dtypes and aliasing as NumPy's, run when a value is needed, compiled once."""

from __future__ import annotations

import copy
import gc
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numfuse.compiler.lazy.fallback import listening
from numfuse.compiler.lazy.nodes import Left

import numfuse as nf
import numfuse.numpy as fnp
from tests.cpu.test_as_numpy import EXPRESSIONS, NAMES
from tests.functions import close

X = np.random.default_rng(0).standard_normal((6, 5))


@pytest.fixture
def ran() -> Iterator[list[Any]]:
    """What the test runs: graphs, compiled or found again, and calls that are left to NumPy."""
    with listening() as events:
        yield events


def lazy(value: Any) -> Any:
    return nf.asarray(value) if isinstance(value, np.ndarray) else value


def plain(value: Any) -> Any:
    """What NumPy would have in place of lazy arrays in `value`."""
    if isinstance(value, (list, tuple)):
        parts = [plain(part) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    return value.recorder.lazy.value(value) if type(value).__name__ == "Array" else value


def compare(ours: Any, numpys: Any) -> None:
    if isinstance(numpys, (list, tuple)):
        assert len(ours) == len(numpys)
        for one, other in zip(ours, numpys, strict=True):
            compare(one, other)
        return
    if isinstance(numpys, dict):
        compare(list(ours.items()), list(numpys.items()))
        return
    assert type(ours) is type(numpys)
    assert np.shape(ours) == np.shape(numpys)
    if isinstance(numpys, (np.ndarray, np.generic)):
        assert ours.dtype == numpys.dtype
        close(ours, numpys)
    else:
        assert ours == numpys


# -- when it runs --------------------------------------------------------------------------------------------------------


def test_nothing_runs_before_a_value_is_needed(ran: list[Any]) -> None:
    x = nf.asarray(X)
    y = (x * 2 + 1).sum(axis=0)
    assert not ran
    close(y.numpy(), (X * 2 + 1).sum(axis=0))
    (lowered,) = ran
    assert len(lowered.kernels) == 1
    y.numpy()
    assert len(ran) == 1


@pytest.mark.parametrize(
    "ask",
    [
        float,
        int,
        bool,
        complex,
        repr,
        str,
        hash,
        round,
        np.asarray,
        lambda s: f"{s:.3f}",
        lambda s: s.item(),
        lambda s: s.tolist(),
    ],
)
def test_asking_for_the_value_evaluates(ask: Callable[[Any], Any]) -> None:
    compare(ask(nf.asarray(X).max() + 1), ask(X.max() + 1))


def test_arrays_print_as_numpys() -> None:
    x = nf.asarray(X) + 1
    assert (repr(x), str(x)) == (repr(X + 1), str(X + 1))
    assert repr(x.max()) == repr((X + 1).max())


def test_an_integer_is_an_index() -> None:
    place = nf.asarray(X[0]).argmax()
    assert list(range(9))[place] == X[0].argmax()
    compare(plain(nf.asarray(X)[place]), X[X[0].argmax()])


def test_control_flow_on_values() -> None:
    def newton(np_: Any, a: Any) -> Any:
        x = np_.ones_like(a)
        while np_.abs(x * x - a).max() > 1e-12:
            x = 0.5 * (x + a / x)
        return x

    close(newton(fnp, nf.asarray(X**2 + 1)).numpy(), newton(np, X**2 + 1))


def test_what_two_arrays_share_is_computed_once(ran: list[Any]) -> None:
    x = nf.asarray(X)
    shared = np.exp(x)
    nf.evaluate(shared + 1, shared * 2)
    assert len(ran) == 1
    shared.numpy()  # an array holds it, so it was computed with the others
    assert len(ran) == 1


def test_evaluate_returns_what_it_was_given() -> None:
    x = nf.asarray(X) + 1
    assert nf.evaluate(x) is x
    assert nf.evaluate(x, 3)[1] == 3


# -- compiled once -------------------------------------------------------------------------------------------------------


def test_a_loop_compiles_once(ran: list[Any]) -> None:
    x, y = nf.asarray(X), X
    for _ in range(10):
        x = x * 0.5 + np.sin(x)
        y = y * 0.5 + np.sin(y)
        float(x.sum())
    close(x.numpy(), y)
    assert len(ran) == 10
    assert len({id(lowered) for lowered in ran}) <= 2  # x is an argument at first, later a result


def test_a_number_that_changes_becomes_an_argument(ran: list[Any]) -> None:
    total = 0.0
    for step in range(8):
        total += float((nf.asarray(X) * (0.1 * step) + 3).sum())
    assert total == pytest.approx(sum(float((X * (0.1 * step) + 3).sum()) for step in range(8)))
    assert len({id(lowered) for lowered in ran}) == 2


def test_an_exponent_that_changes_becomes_an_argument() -> None:
    for exponent in (2, 3, 2, 0, 1, 5):
        compare(plain(nf.asarray(X) ** exponent), X**exponent)
        compare(plain(nf.asarray(X) ** float(exponent)), X ** float(exponent))
        compare(plain(nf.asarray(np.arange(9)) ** exponent), np.arange(9) ** exponent)


@pytest.mark.parametrize("value", [0.0, -0.0, np.nan, np.inf])
def test_numbers_are_told_apart_by_their_bits(value: float) -> None:
    for other in (1.0, value, -value, 0.0):
        compare(plain(np.copysign(nf.asarray(X), other)), np.copysign(X, other))
        compare(plain(nf.asarray(X) * other), X * other)


def test_a_long_loop_without_a_look_is_run_in_pieces_of_the_same_shape(ran: list[Any]) -> None:
    def steps(x: Any, v: Any, sin: Any) -> Any:
        for _ in range(200):
            v = v - 0.01 * sin(x)
            x = x + 0.01 * v
        return x, v

    ours = steps(nf.asarray(X), nf.asarray(X), np.sin)
    close(ours[0].numpy(), steps(X, X, np.sin)[0])
    assert len(ran) > 3
    assert len({id(lowered) for lowered in ran}) <= 4


def test_values_that_nobody_holds_are_gone() -> None:
    x = nf.asarray(np.zeros(1000))
    for _ in range(5):
        x = x + 1
        x.numpy()
    gc.collect()
    held = [
        node
        for node in gc.get_objects()
        if type(node).__name__ == "LazyNode" and node.value is not None and node.shape == (1000,)
    ]
    assert len(held) == 1


# -- the same as NumPy ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("group", EXPRESSIONS)
def test_expressions(group: str) -> None:
    ours = {name: lazy(value) for name, value in NAMES.items()}
    for expression in [part.strip() for part in EXPRESSIONS[group].split(";")]:
        if not expression:
            continue
        for namespace in (np, fnp):
            try:
                expected = eval(expression, {"np": np}, NAMES)
            except Exception as error:
                with pytest.raises(type(error)):
                    plain(eval(expression, {"np": namespace}, ours))
                continue
            compare(plain(eval(expression, {"np": namespace}, ours)), expected)


WRITES = """
    a[1] = 7 | a[1:3] += 2 | a[::-2, 1] = a[1::2, 0] | a[1:] = a[:-1] | a[a > 0] = 0 | a[a > 0] *= 2 | a[[0, 2]] = 1 | a[[0, 0], [1, 1]] += 5 | a.fill(3)
    | a.sort() | a.sort(axis=0) | a.T[1] = 4 | a.reshape(-1)[3] = 9 | np.add(a, 1, out=a) | np.add(a, 1, out=a[::-1]) | np.copyto(a, 5, where=a > 0)
    | np.put(a, [1, 2], 7) | np.putmask(a, a > 0, 8) | np.place(a, a > 0, [1, 2, 3]) | np.fill_diagonal(a, 0) | np.add.at(a, [0, 0], 1)
    | np.maximum(a, 0, out=a) | a += 1 | a -= a.mean() | a *= a | a /= 2 | b = a[1]; b += 1 | b = a.T; b[0] = a[0, 0] | b = a.ravel(); b[2] = 5
    | b = a.copy(); b[0] = 9 | a.partition(2) | np.put_along_axis(a, np.array([[0]]), 3, axis=1) | a[np.ix_([0, 1], [2, 3])] = 0 | a[..., np.newaxis][0] = 2
    | b = a[:, 1:3]; a[0] = 1; b *= 2 | s = a.sum(); t = s; s += 1; a[0, 0] = t | a[np.argmin(a, 0), np.arange(5)] = 6 | a[1:3].sort()
    | b = a[::2]; b.sort(axis=0)    | a.put([0, 1], 3) | a.itemset if 0 else a[2:]
    | b = a.T[1:]; np.fill_diagonal(b, 7); a[0] = 1 | a[a.argmax(0)[0]] = a.sum(0)
"""


@pytest.mark.parametrize("statement", [part.strip() for part in WRITES.split("|")])
@pytest.mark.parametrize("evaluated", [False, True])
def test_writes(statement: str, evaluated: bool) -> None:
    ours, numpys = {"a": nf.asarray(X), "np": np}, {"a": X.copy(), "np": np}
    before = ours["a"]
    kept = ours["a"] * 1  # recorded before the write: it does not see it
    if evaluated:
        nf.evaluate(kept, ours["a"])
    exec(statement, ours)
    exec(statement, numpys)
    compare(plain(before), numpys["a"])
    compare(plain(kept), X)
    for name in ("a", "b", "s", "t"):
        if name in numpys:
            compare(plain(ours[name]), numpys[name])


# -- memory --------------------------------------------------------------------------------------------------------------


def test_asarray_copies() -> None:
    source = X.copy()
    x = nf.asarray(source)
    source[0] = 99
    close(x.numpy(), X)
    x[1] = 5
    assert source[1, 0] == X[1, 0]


def test_arrays_of_numpy_are_read_when_they_are_met() -> None:
    other = np.ones(5)
    y = nf.asarray(X) + other
    other[:] = 100
    close(y.numpy(), X + 1)


def test_what_numpy_gets_cannot_be_written_to() -> None:
    x = nf.asarray(X)
    for view in (x.numpy(), np.asarray(x), np.asarray(x[1:3])):
        with pytest.raises(ValueError, match="read-only"):
            view[0] = 1
    writable = np.array(x)
    writable[0] = 1
    close(x.numpy(), X)


def test_numpys_arrays_take_lazy_values() -> None:
    target = np.zeros((6, 5))
    x = nf.asarray(X)
    target[1] = x[1]
    target[0, 0] = x.sum()
    target += x
    expected = np.zeros((6, 5))
    expected[1], expected[0, 0] = X[1], X.sum()
    close(target, expected + X)
    assert np.add(x, 1, out=target) is target
    close(target, X + 1)


def test_a_view_that_numpy_made_is_not_silently_stale() -> None:
    x = nf.asarray(X)
    bits = x.view("i8")
    assert (bits.numpy() == X.view("i8")).all()
    with pytest.raises(nf.UnsupportedFunction, match="view of it lives"):
        x[0] = 1
    del bits
    gc.collect()
    x[0] = 1
    assert x[0, 0] == 1


def test_copies_and_pickles() -> None:
    x = nf.asarray(X) + 1
    for other in (copy.copy(x), copy.deepcopy(x), x.copy(), pickle.loads(pickle.dumps(x))):
        assert type(other) is type(x)
        other[0] = 0
        close(x.numpy(), X + 1)


# -- NumPy on the host ---------------------------------------------------------------------------------------------------


def test_shapes_that_depend_on_values(ran: list[Any]) -> None:
    x = nf.asarray(X)
    compare(plain(x[x > 0] * 2), X[X > 0] * 2)
    compare(plain(fnp.unique(np.round(x))), np.unique(np.round(X)))
    compare(plain(fnp.nonzero(x > 0)), np.nonzero(X > 0))
    left = [event for event in ran if isinstance(event, Left)]
    assert any("depends on values" in event.reason for event in left)
    assert all(event.where is not None and event.where.file == __file__ for event in left)


def test_errors_are_numpys() -> None:
    x = nf.asarray(X)
    for wrong in (
        lambda a: a + np.zeros(4), lambda a: a[7], lambda a: a.sum(axis=5), lambda a: a.reshape(7), lambda a: a @ a, lambda a: bool(a), lambda a: float(a),
        lambda a: a["b"], lambda a: hash(a), lambda a: len(a.sum()), lambda a: np.concatenate([a, a[0]]), lambda a: a.nothing, lambda a: iter(a.sum()),
        lambda a: np.linalg.inv(np.zeros_like(a[:5])), lambda a: a.sum()[0],
    ):  # fmt: skip
        with pytest.raises(Exception) as numpys:
            wrong(X)
        with pytest.raises(type(numpys.value)):
            wrong(x)


def test_iteration() -> None:
    x = nf.asarray(X)
    for row, expected in zip(x, X, strict=True):
        row += 1  # rows are views
        close(row.numpy(), expected + 1)
    close(x.numpy(), X + 1)
    assert sum(float(v) for v in nf.asarray(X[0])) == pytest.approx(X[0].sum())
    assert X[0, 0] in nf.asarray(X)


# -- beside jit ----------------------------------------------------------------------------------------------------------


def test_jitted_functions_of_lazy_arrays_are_recorded() -> None:
    f = nf.jit(lambda x, y: np.where(x > y, x, y * 2))
    made = f(nf.asarray(X), 0.5)
    assert type(made) is type(nf.asarray(X))
    close(made.numpy(), f(X, 0.5))


def test_a_lazy_array_in_a_trace_is_an_error_with_a_way_out() -> None:
    outside = nf.asarray(X)
    with pytest.raises(nf.TraceError, match="pass it"):
        nf.jit(lambda x: x + outside)(X)
    with pytest.raises(nf.TraceError, match="pass it"):
        nf.jit(lambda x: outside + x)(X)


def test_the_namespace_in_a_jitted_function_is_traced() -> None:
    def f(x: Any) -> Any:
        y = fnp.zeros((6, 5))
        y[1:] = fnp.sin(x)[:-1]
        return fnp.linalg.norm(y, axis=1) + fnp.pi

    y = np.zeros((6, 5))
    y[1:] = np.sin(X)[:-1]
    made = nf.jit(f)(X)
    assert type(made) is np.ndarray
    close(made, np.linalg.norm(y, axis=1) + np.pi)


def test_threads() -> None:
    x = nf.asarray(X)
    shared = np.exp(x)

    def work(k: int) -> float:
        return float((shared * k + x).sum())

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(work, range(40)))
    close(np.array(results), np.array([(np.exp(X) * k + X).sum() for k in range(40)]))
