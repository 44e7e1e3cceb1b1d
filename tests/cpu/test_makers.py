"""Every way to make an array in a jitted function, and to write traced values to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy import array, zeros

import numfuse as nf
from tests.cpu.test_as_numpy import same

X = np.arange(1.0, 6)


def helper(n):
    a = zeros((n, 2))
    return a


MAKERS: dict[str, Callable[[Any], Any]] = {}


def maker(function):
    MAKERS[function.__name__] = function
    return function


@maker
def arange(x):
    a = np.arange(5.0)
    a[2] = x[0]
    return a


@maker
def linspace(x):
    a = np.linspace(0, 1, 5)
    a[1:3] += x[:2]
    return a


@maker
def logspace(x):
    a = np.logspace(0, 1, 5)
    a[1:3] += x[:2]
    return a


@maker
def geomspace(x):
    a = np.geomspace(1, 8, 4)
    a[1:3] += x[:2]
    return a


@maker
def tri(x):
    a = np.tri(3)
    a[0] += x[:3]
    return a


@maker
def indices(x):
    a = np.indices((2, 3))
    return a * x[0]


@maker
def indices_w(x):
    a = np.indices((2, 3)).astype(float)
    a[0, 0] += x[:3]
    return a


@maker
def mgrid(x):
    a = np.mgrid[0:2, 0:3] * 1.0
    a[0, 1] = x[0]
    return a


@maker
def ogrid(x):
    a, b = np.ogrid[0:2, 0:3]
    return a * b * x[0]


@maker
def fromfunction(x):
    a = np.fromfunction(lambda i, j: i + j, (3, 3))
    a[0] = x[:3]
    return a


@maker
def fromfunction2(x):
    return np.fromfunction(lambda i, j: i * x[0] + j, (3, 3))


@maker
def ndarray_(x):
    a = np.ndarray((3,))
    a[...] = x[:3]
    return a


@maker
def arr(x):
    return np.array([[x[0], x[1]], [x[2], 1]])


@maker
def fromimport(x):
    a = zeros(3)
    a[:] = x[:3]
    return a


@maker
def fromimport2(x):
    return array([x[0], 2])


@maker
def helped(x):
    a = helper(3)
    a[:, 0] = x[:3]
    return a


@maker
def diagonal(x):
    a = np.diag(np.arange(3.0))
    a[0] = x[:3]
    return a


@maker
def eye(x):
    a = np.eye(3)
    a[1] = x[:3]
    return a


@maker
def hamming(x):
    a = np.hamming(5)
    a[0] = x[0]
    return a * x


@maker
def rows(x):
    return np.r_[x, 1.0, x[:2]]


@maker
def columns(x):
    return np.c_[x, x * 2]


@maker
def ones_like(x):
    a = np.ones_like(x)
    a[1] = 5
    return a


@maker
def full(x):
    a = np.full((2, 2), x[0])
    a[0, 0] = 1
    return a


@maker
def meshgrid(x):
    a, b = np.meshgrid(np.arange(3.0), np.arange(2.0))
    a[0] += x[:3]
    return a * b


@maker
def lists(x):
    return np.stack([x, x * 2]).sum(), np.hstack([np.zeros(2), x])


@maker
def asfort(x):
    return np.asfortranarray(x) + 1


@maker
def copyarr(x):
    a = np.array(x)
    a[0] = 9
    return a, x


@maker
def asarr(x):
    a = np.asarray(x)
    a[0] = 9
    return a


@maker
def fft(x):
    return np.fft.fftfreq(5) * x


@maker
def bmat(x):
    return np.concatenate([[x[0]], x])


@maker
def shape_assigned(x):
    a = x[:4] * 1
    b = a[::-1]
    a.shape = (2, 2)
    a[0] = 7
    return a, b


@maker
def written_between_reads(x):
    table = np.arange(5.0)
    first = x + table
    table[0] = 1
    return first, x + table


@maker
def known_until_written(x):
    a = np.arange(4)
    total = zeros(3)
    for i in a[1:]:
        total[i - 1] = x[i] * float(a[i])
    if a.sum() == 6:
        total += 1
    return total


@pytest.mark.parametrize("name", MAKERS)
def test_made_in_the_function(name: str) -> None:
    wanted = MAKERS[name](X.copy())
    function = nf.jit(MAKERS[name])
    for _ in range(2):
        same(function(X.copy()), wanted)


def _histogram(x):
    i = (x * 7).astype(int)
    counts = np.zeros((4, 3))
    np.add.at(counts, (i % 4, i % 3), [1, x[0], 2, x[1], 3])
    np.subtract.at(counts, (slice(1, 3), i % 3), x)
    return counts


LISTS = {
    "reduce": lambda x: (np.maximum.reduce([x, x[::-1], x * 0.7]), np.logical_and.reduce([x > 1, x < 4])),
    "reduce an axis": lambda x: (np.add.reduce((x, x[::-1]), axis=1), np.multiply.accumulate([x, x])),
    "elementwise": lambda x: (np.add([x, x[::-1]], [x[0], 1, 2, 3, x[1]]), np.sqrt([x[0], 4.0, x[2]])),
    "outer and at": lambda x: (np.subtract.outer([x[0], 2.0], x), np.add.at(x, [1, 1], [x[0], x[1]]), x)[::2],
    "an index": lambda x: (_histogram(x), np.maximum.reduce([x, x])),
    "functions": lambda x: (np.median([x, x * 2], axis=0), np.clip([x, x[::-1]], 1, 3), np.where(x > 2, [x, x * 2], 0)),
    "products": lambda x: (
        np.dot([x[0], x[1]], [x[2], 2.0]),
        np.matmul([x, x], x),
        np.cross([x[0], 0, 1], [x[1], 1, 2]),
    ),
    "linalg": lambda x: (np.linalg.norm([x[0], x[3]]), np.linalg.solve([[x[0], 1.0], [3.0, x[1]]], [x[2], x[3]])),
    "operators": lambda x: (np.array([[x[0], 1], [0, x[1]]]) @ [x[1], 2], x[:2] * [x[3], x[4]]),
    "enumerated": lambda x: sum(np.ndenumerate(x), ())[1::2],
    "still ufuncs": lambda x: (
        np.maximum.reduce([x, x]) * {np.add: 1, np.maximum: 2}[np.maximum],
        np.array(
            [isinstance(np.add, np.ufunc), np.add.nin == 2, np.add.identity == 0, repr(np.add) == "<ufunc 'add'>"]
        ),
    ),
}


@pytest.mark.parametrize("name", LISTS)
def test_lists_of_traced_arrays(name: str) -> None:
    function = nf.jit(LISTS[name])
    wanted = LISTS[name](X.copy())
    for _ in range(2):
        for got, value in zip(function(X.copy()), wanted, strict=True):
            assert (np.shape(got), np.asarray(got).dtype) == (np.shape(value), np.asarray(value).dtype)
            np.testing.assert_allclose(got, value, rtol=1e-12)


def test_a_list_of_several_shapes() -> None:
    with pytest.raises(ValueError, match=r"same shape(.|\n)*test_makers.py"):
        nf.jit(lambda x: np.maximum.reduce([x, x[1:]]))(X)


def test_what_was_replaced_is_put_back() -> None:
    def names():
        return (np.zeros, np.ndarray, np.r_, np.mgrid, zeros, np.arange, np.add, np.linalg.norm, np.ndenumerate)

    before = names()
    nf.jit(MAKERS["ndarray_"])(X)
    assert all(one is other for one, other in zip(before, names(), strict=True)) and type(X) is np.ndarray


def test_other_threads_are_left_alone() -> None:
    from concurrent.futures import ThreadPoolExecutor

    def slow(x):
        made = []
        with ThreadPoolExecutor(1) as pool:
            made = pool.submit(
                lambda: (type(np.zeros(3)) is np.zeros_like(np.empty(3)).__class__, isinstance(np.eye(2), np.ndarray))
            ).result()
        a = np.ndarray(3)
        a[:] = x[:3]
        return a, made

    a, made = nf.jit(slow)(X)
    assert made == (True, True) and (a == X[:3]).all()


def test_what_cannot_be_made_says_so() -> None:
    def table(x):
        a = np.vectorize(lambda v: v)(np.arange(3.0))
        a[0] = x[0]
        return a

    with pytest.raises(nf.TraceError, match=r"np.zeros(.|\n)*test_makers.py(.|\n)*a\[0\] = x\[0\]"):
        nf.jit(table)(X)
