"""Loops that are cut where guards change: each piece is a plain loop, whatever range of rows a thread is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numfuse.compiler.lower.cuts import PIECES
from numfuse.compiler.schedule import CPU_CHOICES

import numfuse as nf
from tests.guarded import FUNCTIONS, laplacian, padded_stencil
from tests.plain_python import run_program


def code(function: Callable[..., Any], *specs: Any, **options: Any) -> str:
    (kernel,) = nf.jit(function, **options).lower(*specs, target="cpu").kernels
    return kernel.code


PLAIN = {
    "roll": (laplacian, [nf.spec("f4", 500, 400)]),
    "roll in 3 dimensions": (lambda u: np.roll(u, 3, 0) + np.roll(u, -1, 1) * np.roll(u, 1, 2), [nf.spec("f8", 90, 80, 100)]),
    "roll and roll": (lambda u: np.roll(u, (1, -1), (0, 1)) + u, [nf.spec("f4", 500, 400)]),
    "pad": (lambda u: np.pad(u, 2) * 2, [nf.spec("i4", 500, 400)]),
    "pad and stencil": (padded_stencil, [nf.spec("f4", 500, 400)]),
    "edge": (lambda u: np.pad(u, 2, mode="edge") * 2, [nf.spec("f4", 500, 400)]),
    "join": (lambda u, v: np.concatenate([u * 2, v + 1], -1) * 3, [nf.spec("f4", 500, 400), nf.spec("f4", 500, 90)]),
    "sum of joined rows": (lambda u, v: np.concatenate([u, v], -1).sum(1), [nf.spec("f4", 500, 400), nf.spec("f4", 500, 90)]),
}  # fmt: skip


@pytest.mark.parametrize("name", PLAIN)
def test_inner_loops_have_no_tests(name: str) -> None:
    function, specs = PLAIN[name]
    text = code(function, *specs)
    assert not any("[" in line and " if " in line for line in text.splitlines())


def test_a_row_chooses_where_it_reads() -> None:
    text = code(laplacian, nf.spec("f4", 500, 400))
    assert text.count("= 200000 if i < 1 else 0") == 1
    assert text.count("for ") == 2  # one of the rows, one of what is within: its ends are written out


def test_rows_at_an_edge_read_another_one() -> None:
    """The index moves with the rows all the same, so that a sweep knows which rows of it they need."""

    def smooth(u: Any) -> Any:
        p = np.pad(u, 1, mode="edge")
        return p[:-2, 1:-1] + p[2:, 1:-1] + p[1:-1, :-2] + p[1:-1, 2:]

    def twice(u: Any) -> Any:
        return smooth(smooth(u))

    assert code(smooth, nf.spec("f4", 500, 400)).count("for ") == 2
    lowered = nf.jit(twice).lower(nf.spec("f4", 500, 400), target="cpu")
    assert len(lowered.program.kernels) == 2
    (read,) = [touch for touch in lowered.program.kernels[1].phases[0].touches if not touch.written]
    assert (read.step, read.low, read.high) == (1600, -1600, 3200)


DIVIDED = {
    "repeat": (lambda x, y: np.repeat(x, 3) * y, [nf.spec("f4", 1000), nf.spec("f4", 3000)]),
    "tile": (lambda x, y: np.tile(x, 4) * y, [nf.spec("f4", 1000), nf.spec("f4", 4000)]),
    "interleave": (lambda x, y: np.stack([x, y], -1).reshape(-1) * 2, [nf.spec("f8", 1000), nf.spec("f8", 1000)]),
    "twice": (lambda x, y: np.repeat(np.repeat(x, 3), 2) + y, [nf.spec("f4", 1000), nf.spec("f4", 6000)]),
    "columns": (lambda x, y: x.reshape(-1, 4)[:, 1:3].reshape(-1) + y, [nf.spec("f4", 1000), nf.spec("f4", 500)]),
    "steps": (lambda x, y: _every_other(x, y) * 2, [nf.spec("f4", 1000), nf.spec("f4", 500)]),
}


def _every_other(x: Any, y: Any) -> Any:
    result = x + 1
    result[1::2] = y
    return result


@pytest.mark.parametrize("name", DIVIDED)
def test_no_element_costs_a_division(name: str) -> None:
    function, specs = DIVIDED[name]
    text = code(function, *specs)
    assert "//" not in text and "%" not in text and " if " not in text


def test_few_pieces() -> None:
    """Of many tests the longest stretches between them are free; the rest keeps its guards."""

    def f(x: Any) -> Any:
        return sum(np.roll(x, 3 * by) * by for by in range(1, 10))

    text = code(f, nf.spec("f4", 100_000))
    assert 1 < text.count("for ") <= PIECES
    (longest,) = [line for line in text.splitlines() if "max(lo, 27)" in line]
    assert "hi" in longest


@settings(max_examples=1500, deadline=None)
@given(
    st.sampled_from(sorted(FUNCTIONS)),
    st.tuples(st.sampled_from([0, 1, 2, 3, 5, 16, 33]), st.sampled_from([0, 1, 2, 3, 4, 17, 70, 200])),
    st.sampled_from(["f4", "f8", "i4", "u1", "?"]),
    st.sampled_from([None, *CPU_CHOICES]),
    st.sampled_from([1, 7, None]),
)
def test_as_numpy(
    name: str, shape: tuple[int, int], dtype: str, schedule: nf.Schedule | None, rows: int | None
) -> None:
    """In plain Python, with ranges of `rows` rows, every index checked."""
    function = FUNCTIONS[name]
    u = (np.random.default_rng(len(name)).random(shape) * 50).astype(dtype)
    try:
        wanted = function(u)
    except (ValueError, TypeError, IndexError):
        return
    lowered = nf.jit(function, schedule=schedule).lower(u, target="cpu")
    (got,) = run_program(lowered.program, [u], rows)
    assert (got.shape, got.dtype) == (wanted.shape, wanted.dtype)
    np.testing.assert_allclose(got, wanted, rtol=1e-5)
