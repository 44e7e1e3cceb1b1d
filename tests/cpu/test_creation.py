"""np.zeros, np.array and their kin in a jitted function: arrays that can be written to, and that hold traced values."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numfuse as nf
from tests.functions import close

X = np.random.default_rng(0).standard_normal((6, 5))


def heat(u):
    new = np.zeros(u.shape)
    new[1:-1, 1:-1] = 0.25 * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:])
    return new


def grad(u):
    g = np.zeros((2, *u.shape), u.dtype)
    g[0, 1:] = u[1:] - u[:-1]
    g[1, :, 1:] = u[:, 1:] - u[:, :-1]
    return g


def loop(x):
    out = np.empty(6)
    for i in range(6):
        out[i] = x[i].sum()
    return out


def acc(x):
    s = np.zeros(5)
    for row in x:
        s += row * row
    return s, s.sum()


def mat(x):
    a = x[0, 0]
    return np.array([[a, 1], [0, a * 2]]) @ np.ones(2)


def rot(th):
    c, s = np.cos(th), np.sin(th)
    return np.array([[c, -s], [s, c]])


def asarr(x):
    return np.asarray(x) + 1


def arr(x):
    y = np.array(x)
    y[0] = 0
    return x, y


def ful(x):
    y = np.full((6, 5), x[0, 0])
    y[1] = 0
    return y


def eye(x):
    y = np.eye(5)
    y[0] = x[0]
    return y


def between(x):
    t = np.zeros(5)
    a = x + t
    t[0] = 1
    return a, x + t


def iadd(x):
    o = np.zeros((6, 5))
    o += x
    return o


def ones_i(x):
    o = np.ones((6, 5), "i4")
    o[0] = 3
    o *= 2
    return o + x


def helper(x):
    def inner(n):
        return np.zeros(n)

    z = inner(5)
    z[:] = x[1]
    return z


def f32(x):
    return np.asarray(x, dtype=np.float32)


def lst(x):
    return np.array([x[0], x[1]])


def of_lists(x):
    return (
        np.mean([x[0], x[1]], axis=0),
        np.sum([x, x * 2]),
        np.max((x[0], x[1], x[2] + 1), axis=0),
        np.sum([1, 2]),
        np.argmax([x[0], x[1]], 0),
    )


def shapes(x):
    z = np.zeros(x.shape[:1])
    z[::2] = x[::2, 0]
    z[1::2] = x[1::2, 1]
    return z


MATRIX = [heat, grad, loop, acc, mat, asarr, arr, ful, eye, between, iadd, ones_i, helper, f32, lst, of_lists, shapes]


@pytest.mark.parametrize("function", MATRIX, ids=lambda function: function.__name__)
@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_as_numpy(function: Callable[..., Any], dtype: str) -> None:
    fused = nf.jit(function)
    for scale in (1, 2):  # what is made in the function is made anew
        x = (X * scale).astype(dtype)
        close(fused(x), function(x))


@pytest.mark.parametrize("angle", [0.3, np.float32(0.3), 2])
def test_arrays_of_traced_numbers(angle: Any) -> None:
    close(nf.jit(rot)(angle), rot(angle))


def test_numpy_is_itself_again() -> None:
    before = {name: getattr(np, name) for name in ("zeros", "array", "full", "asarray")}
    seen = []

    def f(x):
        other = threading.Thread(target=lambda: seen.append(type(np.zeros(3))))
        other.start()
        other.join()
        out = np.zeros(5)
        out[:] = x[0]
        return out

    close(nf.jit(f)(X), X[0])
    assert all(getattr(np, name) is function for name, function in before.items())
    assert seen == [np.ndarray] * 2, "other threads get what NumPy makes"
    with pytest.raises(nf.TracedValueError):
        nf.jit(lambda x: np.zeros(int(x[0, 0])))(X)
    assert all(getattr(np, name) is function for name, function in before.items())


def test_the_first_trace_of_a_process() -> None:
    """Nothing that is imported while NumPy's names are replaced may take them for NumPy's."""
    code = (
        "import numpy as np, numfuse as nf\n"
        "def f(x):\n    out = np.zeros(5)\n    out += x\n    return out.sum()\n"
        "assert nf.jit(f)(np.ones(5)) == 5\n"
        "assert nf.jit(lambda x: np.sum(x) + x.mean())(np.ones(5)) == 6\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_functions_that_do_without_see_ndarrays() -> None:
    kinds = []

    def f(x):
        table = np.zeros(5)
        table[1] = 2
        kinds.append(type(table))
        return x + table

    close(nf.jit(f)(X), f(X))
    assert set(kinds) == {np.ndarray}
