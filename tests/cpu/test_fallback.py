"""jit(fallback=True): functions that cannot be traced give what NumPy gives, and say once why they are not compiled as a whole."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numfuse as nf
from tests.functions import close

X = np.random.default_rng(3).standard_normal((6, 4))
KEPT: list[Any] = []


def newton(x):
    y = np.ones_like(x)
    while np.abs(y * y * y - x).max() > 1e-9:
        y = y - (y * y * y - x) / (3 * y * y)
    return y


def chosen(x):
    positive = x[x > 0]
    return positive.mean(), np.unique(np.round(positive)), positive * 2


def branch(x, k):
    if x.sum() > 1000:
        return x
    return x * k if k > 0.5 else -x


def into_numpys(x):
    made = np.zeros(4)
    for i in range(4):
        made[i] = x[:, i].max() if x[0, i] > 0 else -1
    return made


def written(x):
    if x[0, 0] < 100:
        x[1:] *= 2
        x[x > 1] = 1


def views(x):
    if x.any():
        a = x + 1
        b = a[1]
        b += 3
        return a, b, x[2], x.T
    return None


def scalars(x):
    s = x.sum()
    return float(s), s, int(x.argmax()), bool(x.any()), s.item(), [s, {"t": s * 2}]


def sorting(x):
    for row in x:
        if row[0] > 0:
            row.sort()
    return x.shape


def containers(d):
    if d["a"].sum() < 1e9:
        d["b"] = d["a"] * 2
    d["list"].append(d["a"].max())


def numpys_own(x):
    return np.array([float(v) for v in x[0]]) + np.array(x[1].tolist())


CASES: list[tuple[Callable[..., Any], Callable[[], tuple[Any, ...]]]] = [
    (newton, lambda: (np.abs(X) + 1,)),
    (chosen, lambda: (X.copy(),)),
    (chosen, lambda: (X.astype("f4"),)),
    (branch, lambda: (X.copy(), 0.25)),
    (branch, lambda: (X.copy(), 0.75)),
    (branch, lambda: (X + 1e5, 2)),
    (into_numpys, lambda: (X.copy(),)),
    (written, lambda: (X.copy(),)),
    (written, lambda: (np.asfortranarray(X),)),
    (written, lambda: (np.repeat(X, 2, axis=1)[:, ::-2],)),
    (written, lambda: (X.astype(">f8"),)),
    (views, lambda: (X.copy(),)),
    (views, lambda: (X[::2, ::-1],)),
    (scalars, lambda: (X.copy(),)),
    (scalars, lambda: (X.astype("f4"),)),
    (sorting, lambda: (X.copy(),)),
    (containers, lambda: ({"a": X.copy(), "list": [1, 2]},)),
    (numpys_own, lambda: (X.copy(),)),
]


def same(ours: Any, numpys: Any) -> None:
    assert type(ours) is type(numpys)
    if isinstance(numpys, (list, tuple)):
        assert len(ours) == len(numpys)
        for one, other in zip(ours, numpys, strict=True):
            same(one, other)
    elif isinstance(numpys, dict):
        same(list(ours.items()), list(numpys.items()))
    elif isinstance(numpys, (np.ndarray, np.generic)):
        assert (ours.dtype, ours.shape) == (numpys.dtype, numpys.shape)
        close(ours, numpys)
        assert ours.flags.writeable == numpys.flags.writeable
    elif isinstance(numpys, float):
        assert ours == pytest.approx(numpys)
    else:
        assert ours == numpys


@pytest.mark.parametrize(("function", "arguments"), CASES, ids=[f.__name__ for f, _ in CASES])
@pytest.mark.filterwarnings("ignore::numfuse.FallbackWarning")
def test_as_numpy(function: Callable[..., Any], arguments: Callable[[], tuple[Any, ...]]) -> None:
    jitted = nf.jit(function, fallback=True)
    for _ in range(3):
        ours, numpys = arguments(), arguments()
        made, expected = jitted(*ours), function(*numpys)
        same(made, expected)
        same(ours, numpys)
        for one, other in zip(_arrays(made), _arrays(expected), strict=True):  # the same memory is shared
            for argument, its in zip(_arrays(ours), _arrays(numpys), strict=True):
                assert np.shares_memory(one, argument) == np.shares_memory(other, its)
            for a, b in zip(_arrays(made), _arrays(expected), strict=True):
                assert np.shares_memory(one, a) == np.shares_memory(other, b)


def _arrays(value: Any) -> list[np.ndarray]:
    if isinstance(value, np.ndarray):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return [array for part in parts for array in _arrays(part)]


def test_without_fallback_it_is_an_error() -> None:
    for function, arguments in CASES:
        if function is not sorting:
            with pytest.raises(nf.TraceError):
                nf.jit(function)(*arguments())
                nf.jit(function)(X)


def test_it_warns_once_and_names_the_line() -> None:
    jitted = nf.jit(branch, fallback=True)
    with pytest.warns(nf.FallbackWarning, match="if x.sum\\(\\) > 1000") as told:
        jitted(X, 0.5)
        jitted(X, 0.5)
        jitted(X[:2], 0.5)
    assert len(told) == 1
    assert told[0].filename == __file__


def test_what_can_be_traced_is_compiled() -> None:
    jitted = nf.jit(lambda x: np.sin(x) + 1, fallback=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        close(jitted(X), np.sin(X) + 1)
    assert len(jitted.lower(X).kernels) == 1


@pytest.mark.filterwarnings("ignore::numfuse.FallbackWarning")
def test_explain_shows_what_ran() -> None:
    argument = X.copy()
    told = nf.jit(chosen, fallback=True).lower(argument).explain()
    assert "np.unique(" in told and "NumPy on the host: operator.getitem" in told and "kernel" in told
    close(argument, X)


@pytest.mark.filterwarnings("ignore::numfuse.FallbackWarning")
def test_errors_come_through_and_writes_before_them_too() -> None:
    @nf.jit(fallback=True)
    def failing(x):
        x[0] = 5
        if x.sum() != 0:
            raise KeyError("told")

    argument = X.copy()
    with pytest.raises(KeyError, match="told"):
        failing(argument)
    assert (argument[0] == 5).all()


@pytest.mark.filterwarnings("ignore::numfuse.FallbackWarning")
def test_arguments_that_share_memory() -> None:
    def shift(a, b):
        if a.any():
            a[1:] = b[:-1] + a[1:]
            b *= 2

    one, other = X.copy(), X.copy()
    nf.jit(shift, fallback=True)(one[1:], one[:-1])
    shift(other[1:], other[:-1])
    close(one, other)


@pytest.mark.filterwarnings("ignore::numfuse.FallbackWarning")
def test_objects_and_methods() -> None:
    class Walk:
        def __init__(self) -> None:
            self.x, self.steps = X.copy(), 0

        @nf.jit(fallback=True)
        def step(self, by):
            while self.x.max() < by:
                self.x = self.x + 1
                self.steps += 1
            return self.x.min()

    walk = Walk()
    assert walk.step(10.0) == walk.x.min()
    assert walk.x.max() >= 10 and type(walk.x) is np.ndarray and walk.steps > 0


@pytest.mark.filterwarnings("ignore::numfuse.FallbackWarning")
def test_arrays_that_outlive_the_call_keep_their_values() -> None:
    def keeping(x):
        if x.any():
            KEPT.append(x * 2)
            KEPT.append(x)
        y = x + 1
        KEPT.append(y)
        return y

    argument = X.copy()
    made = nf.jit(keeping, fallback=True)(argument)
    argument[...] = 0
    made[...] = 0
    doubled, itself, more = KEPT
    close(np.asarray(doubled), X * 2)
    close(np.asarray(itself), X)
    close(np.asarray(more), X + 1)


@pytest.mark.filterwarnings("ignore::numfuse.FallbackWarning")
def test_dtypes_that_kernels_lack_are_numpys() -> None:
    names = np.array(["b", "a"])
    assert nf.jit(lambda names: np.sort(names), fallback=True)(names).tolist() == ["a", "b"]
    assert nf.jit(lambda x: x.astype("datetime64[s]"), fallback=True)(np.arange(3)).dtype == "M8[s]"


def test_writes_reach_arguments_that_kernels_cannot_read_as_they_lie() -> None:
    @nf.jit
    def grow(x):
        x += 1
        return x

    swapped = np.zeros(3, ">f8")
    assert grow(swapped) is swapped
    apart = np.zeros(3, dtype=[("a", "u1"), ("b", "f8")])["b"]
    grow(apart)
    assert (swapped == 1).all() and (apart == 1).all()
