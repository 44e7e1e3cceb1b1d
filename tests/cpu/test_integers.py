"""Functions of integers whose kernels compute in another way than one by one: against NumPy, where quotients are nearly whole numbers, and at the ends."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import numfuse as nf

CHARS = "bBhHiIlL"
DIVISIONS = (np.floor_divide, np.remainder, np.fmod, np.divmod)


def assert_same(ufunc: np.ufunc, a: np.ndarray, b: np.ndarray) -> None:
    with np.errstate(all="ignore"):
        wanted = ufunc(a, b)
    np.testing.assert_array_equal(nf.jit(lambda a, b: ufunc(a, b))(a, b), wanted, strict=True)


def pairs(char: str) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of any size and by any number, products of two and what is next to them, and the ends."""
    info, rng = np.iinfo(char), np.random.default_rng(0)
    ends = np.unique(
        np.array([0, 1, 2, 3, 7, info.max, info.max - 1, info.max // 2, info.min, info.min + 1, info.min // 2], char)
    )
    ends = np.append(ends, np.array([-1, -2, -7]).astype(char))
    sizes = [
        rng.integers(info.min, info.max, 5000, char, endpoint=True) >> rng.integers(0, info.bits, 5000).astype(char)
        for _ in range(2)
    ]
    quotient, divisor = (each[: len(each) // 2] for each in sizes)
    with np.errstate(all="ignore"):
        product = (quotient >> char_half(info)) * (divisor >> char_half(info))
    near = [product + np.array(step).astype(char) for step in (-1, 0, 1)]
    first, second = (each.ravel() for each in np.meshgrid(ends, ends))
    return np.concatenate([sizes[0], *near, first]), np.concatenate(
        [sizes[1], *[divisor >> char_half(info)] * 3, second]
    )


def char_half(info: np.iinfo) -> np.integer:
    return info.dtype.type(info.bits // 2)


@pytest.mark.parametrize("char", CHARS)
@pytest.mark.parametrize("ufunc", DIVISIONS)
def test_divisions(ufunc: np.ufunc, char: str) -> None:
    assert_same(ufunc, *pairs(char))
    small = [each[np.abs(each.astype("f8")) < 2**51] for each in pairs(char)]
    count = min(map(len, small))
    assert_same(ufunc, small[0][:count], small[1][:count])  # none of them is too large for float64


@pytest.mark.parametrize("char", CHARS)
@pytest.mark.parametrize("ufunc", [np.gcd, np.lcm])
def test_common_divisors(ufunc: np.ufunc, char: str) -> None:
    a, b = pairs(char)
    assert_same(ufunc, a, b)
    assert_same(ufunc, a, np.roll(b, 1) * a)
    assert_same(ufunc, a % np.array(100).astype(char), b % np.array(100).astype(char))
    np.testing.assert_array_equal(nf.jit(lambda a: ufunc.reduce(a))(a[:50]), ufunc.reduce(a[:50]), strict=True)


@pytest.mark.parametrize("char", "bB")
@pytest.mark.parametrize("ufunc", (*DIVISIONS, np.gcd, np.lcm))
def test_every_pair_of_bytes(ufunc: np.ufunc, char: str) -> None:
    each = np.arange(256, dtype=np.uint8).view(char)
    assert_same(ufunc, *[side.ravel() for side in np.meshgrid(each, each)])


@pytest.mark.parametrize("char", CHARS)
@pytest.mark.parametrize("number", [1, 2, 3, 7, 100, -1, -3, 0])
def test_divisions_by_a_constant(char: str, number: int) -> None:
    if number < 0 and np.dtype(char).kind == "u":
        return
    a, _ = pairs(char)
    with np.errstate(all="ignore"):
        for function in (lambda a: a // number, lambda a: a % number, lambda a: np.fmod(a, number)):
            np.testing.assert_array_equal(nf.jit(function)(a), function(a), strict=True)


def test_whole_multiples_of_large_numbers() -> None:
    """The quotient of the number before a multiple is next to a whole number."""
    rng = np.random.default_rng(1)
    for top in (2**32, 2**52, 2**63 - 1):
        b = rng.integers(1, int(top**0.5), 20_000)
        a = b * rng.integers(1, top // b) - rng.integers(0, 2, len(b))
        for ufunc in DIVISIONS:
            assert_same(ufunc, a, b)
            assert_same(ufunc, -a, b)
            assert_same(ufunc, a.astype("u8"), b.astype("u8"))


@pytest.mark.parametrize("char", CHARS)
def test_powers(char: str) -> None:
    base, _ = pairs(char)
    info, rng = np.iinfo(char), np.random.default_rng(2)
    for top in (8, 64, 100, info.max):
        exponent = rng.integers(0, min(top, info.max), len(base), char, endpoint=True)
        assert_same(np.power, base, exponent)
    for exponent in (0, 1, 2, 7, 63, 64, 100):
        np.testing.assert_array_equal(nf.jit(lambda x, n=exponent: x**n)(base), base**exponent, strict=True)


@pytest.mark.parametrize(
    "function",
    [
        lambda a, b: a**b,
        lambda a, b: np.power.outer(a, b),
        lambda a, b: np.power.accumulate(b),
        lambda a, b: np.power.reduce(b),
        lambda a, b: np.power.reduceat(b, [0, 1]),
        lambda a, b: (a := a.copy(), np.power.at(a, [0, 1, 1], b), a)[-1],
    ],
)
def test_negative_powers_are_refused(function: Callable[..., np.ndarray]) -> None:
    a = np.array([2, 3, 4])
    compiled = nf.jit(function)
    for b in (np.array([2, 1, 3]), np.array([2, -1, 3])):
        try:
            wanted = function(a, b)
        except ValueError:
            with pytest.raises(ValueError, match="Integers to negative integer powers"):
                compiled(a, b)
        else:
            np.testing.assert_array_equal(compiled(a, b), wanted, strict=True)
