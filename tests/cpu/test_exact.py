"""Functions of floats that are exact: every bit is NumPy's, except which NaN it is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import numfuse as nf

WORDS = {"e": "u2", "f": "u4", "d": "u8"}
DIVISIONS = (np.fmod, np.remainder, np.floor_divide, np.divmod)
TWO = (*DIVISIONS, np.nextafter)
ONE = (np.spacing, np.frexp, np.modf)
COMPILED = {ufunc: nf.jit(lambda *operands, ufunc=ufunc: ufunc(*operands)) for ufunc in (*ONE, *TWO, np.ldexp)}


def numbers(char: str, seed: int, count: int = 4000) -> np.ndarray:
    """Floats of any bits, ordinary ones, small whole ones and halves, subnormal ones, and what is special."""
    rng, info = np.random.default_rng(seed), np.finfo(char)
    ends = [0, 1, 2, np.inf, np.nan, info.max, info.tiny, info.smallest_subnormal, 1 + info.eps, 1 - info.epsneg]
    kinds = [
        rng.integers(0, 256, (count, info.dtype.itemsize), np.uint8).view(char).ravel(),
        (rng.standard_normal(count) * 10 ** rng.uniform(-3, 3, count)).astype(char),
        (rng.integers(-40, 40, count) / 2).astype(char),
        rng.integers(0, 2**info.nmant, count).astype(WORDS[char]).view(char),
        rng.choice(np.array([*ends, *(-each for each in ends)], char), count),
    ]
    drawn = np.concatenate(kinds)
    rng.shuffle(drawn)
    return drawn


def assert_same(ufunc: np.ufunc, *operands: np.ndarray) -> None:
    with np.errstate(all="ignore"):
        wanted, got = ufunc(*operands), COMPILED[ufunc](*operands)
    for expected, result in zip(*[each if isinstance(each, tuple) else (each,) for each in (wanted, got)], strict=True):
        assert result.dtype == expected.dtype
        wrong = result != expected
        if expected.dtype.kind == "f":
            wrong = (wrong | (np.signbit(result) != np.signbit(expected))) & ~(np.isnan(result) & np.isnan(expected))
        at = np.flatnonzero(wrong)[:5]
        assert not len(at), [(*(each[k] for each in operands), result[k], expected[k]) for k in at]


@pytest.mark.parametrize("char", WORDS)
@pytest.mark.parametrize("ufunc", TWO)
def test_of_two_numbers(ufunc: np.ufunc, char: str) -> None:
    a, b = numbers(char, 0), numbers(char, 1)
    with np.errstate(all="ignore"):
        multiple = (b * np.arange(len(b)) % 5000).astype(char)
        assert_same(ufunc, np.concatenate([a, multiple, np.nextafter(b * 3, a)]), np.concatenate([b, b, b]))


@pytest.mark.parametrize("char", WORDS)
@pytest.mark.parametrize("ufunc", ONE)
def test_of_one_number(ufunc: np.ufunc, char: str) -> None:
    assert_same(ufunc, numbers(char, 0))


@pytest.mark.parametrize("integer", "il")
@pytest.mark.parametrize("char", WORDS)
def test_ldexp(char: str, integer: str) -> None:
    x = numbers(char, 0)
    rng, most = np.random.default_rng(1), np.iinfo(integer).max
    for low, high in ((-30, 30), (-300, 300), (-2200, 2200), (-most, most)):
        assert_same(np.ldexp, x, rng.integers(low, high, len(x)).astype(integer))
    mantissa, exponent = np.frexp(x)
    near = -np.finfo(char).nmant + np.finfo(char).minexp + rng.integers(-3, 60, len(x))
    assert_same(np.ldexp, mantissa, near.astype(integer))
    assert_same(np.ldexp, mantissa, exponent.astype(integer))


@pytest.mark.parametrize("char", "fd")
@pytest.mark.parametrize("ufunc", DIVISIONS)
def test_quotients_that_round_to_whole_numbers(ufunc: np.ufunc, char: str) -> None:
    rng = np.random.default_rng(2)
    b = rng.uniform(0.5, 8, 20_000).astype(char)
    a = (rng.integers(1, 2 ** rng.integers(1, 21, len(b))) * b).astype(char)
    for near in (a, np.nextafter(a, 0), np.nextafter(a, np.inf)):
        assert_same(ufunc, near, b)
        assert_same(ufunc, -near, b)


@pytest.mark.parametrize("ufunc", TWO)
@settings(deadline=None, max_examples=50)
@given(pairs=st.lists(st.tuples(st.floats(), st.floats()), min_size=1, max_size=20))
def test_drawn(ufunc: np.ufunc, pairs: list[tuple[float, float]]) -> None:
    a, b = np.array(pairs).T.copy()
    assert_same(ufunc, a, b)
    with np.errstate(all="ignore"):
        assert_same(ufunc, a.astype("f4"), b.astype("f4"))
