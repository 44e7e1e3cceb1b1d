"""A new length of the axis that kernels share among threads compiles nothing: the length is an argument of the kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numfuse.runtime.cpu import compile as native

import numfuse as nf


def softmax(x: Any) -> Any:
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


CASES: dict[str, tuple[Callable[..., Any], list[tuple[int, ...]], list[tuple[int, ...]]]] = {
    "elements": (lambda x: np.tanh(x) * 2 + 1, [(100,)], [(101,)]),
    "elements of a matrix": (lambda x: np.tanh(x) * 2 - 1, [(64, 1000)], [(65, 1000)]),
    "elements, more axes": (lambda x: np.tanh(x) * 2 - 3, [(8, 64, 100)], [(9, 64, 100)]),
    "a row for all rows": (lambda x, b: x * 2 + b, [(64, 1000), (1000,)], [(65, 1000), (1000,)]),
    "a column for all columns": (lambda x, b: x * 3 + b[:, None], [(64, 1000), (64,)], [(65, 1000), (65,)]),
    "channels of images": (lambda x, m: (x - m) / 5, [(32, 3, 28, 28), (3, 1, 1)], [(33, 3, 28, 28), (3, 1, 1)]),
    "softmax": (softmax, [(64, 100)], [(65, 100)]),
    "softmax, many more": (softmax, [(64, 90)], [(6400, 90)]),
    "sums of rows": (lambda x: (x * x).sum(1), [(64, 1000)], [(65, 1000)]),
    "a layer": (lambda x, w: np.maximum(x @ w, 0) + 1, [(64, 100), (100, 30)], [(65, 100), (100, 30)]),
    "differences": (lambda x: (x[1:] - x[:-1]) * 7, [(100,)], [(101,)]),
    "groups": (lambda x: x.reshape(-1, 10).sum(1) - 2, [(1000,)], [(1010,)]),
    "every other": (lambda x: x[::2] * 1.5, [(100,)], [(102,)]),
    "ramp": (lambda x: x * np.arange(x.size), [(100,)], [(101,)]),
    "outer": (lambda x, y: np.add.outer(x, y) * 2, [(100,), (50,)], [(101,), (50,)]),
}


@pytest.mark.parametrize(("function", "first", "second"), CASES.values(), ids=CASES)
def test_nothing_is_compiled(
    function: Callable[..., Any],
    first: list[tuple[int, ...]],
    second: list[tuple[int, ...]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    jitted = nf.jit(function, target="cpu")
    nf.compile_ahead(jitted, tuple(nf.spec("f8", shape) for shape in first))
    monkeypatch.setattr(native, "compile_sources", None)
    rng = np.random.default_rng(0)
    arguments = [rng.random(shape) for shape in second]
    np.testing.assert_allclose(jitted(*arguments), function(*arguments), rtol=1e-12, atol=1e-15)
