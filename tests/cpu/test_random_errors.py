"""Random numbers on the CPU: what is refused, and the errors that are NumPy's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numfuse as nf

X = np.zeros(5)


REFUSED: list[tuple[Callable[..., Any], str]] = [
    (
        lambda r: r.gamma(2.0, size=3),
        r"Generator.gamma is not supported in a jitted function(.|\n)*test_random_errors.py",
    ),
    (lambda r: r.poisson(3.0), "draw these numbers outside, and pass the array"),
    (lambda r: r.shuffle([1, 2]), "shuffle of a list is not supported"),
    (lambda r: r.spawn(2), "Generator.spawn is not supported"),
    (lambda r: r.bit_generator.state, "Generator.bit_generator is not supported"),
    (
        lambda r: np.random.Generator(np.random.PCG64(3)).random(5),
        r"np.random.PCG64 is not supported(.|\n)*default_rng(.|\n)*test_random_errors.py",
    ),
    (lambda r: np.random.seed(3), "np.random.seed is not supported"),
    (lambda r: np.random.get_state(), "RandomState.get_state is not supported"),
    (lambda r: np.random.binomial(5, 0.5), "RandomState.binomial is not supported"),
    (lambda r: r, "cannot return or keep a random generator"),
]


@pytest.mark.parametrize(("function", "told"), REFUSED)
def test_what_is_not_supported_says_so(function: Callable[..., Any], told: str) -> None:
    with pytest.raises(nf.TraceError, match=told):
        nf.jit(function)(np.random.default_rng(0))


def draws_unseen(x, r=np.random.default_rng(0)):  # noqa: B008
    return x + r.random(5)


def test_draws_that_tracing_does_not_see_are_refused() -> None:
    with pytest.raises(nf.TraceError, match="in a way that is not seen"):
        nf.jit(draws_unseen)(X)


@pytest.mark.parametrize(
    "call",
    [
        lambda r: r.normal(0, -1), lambda r: r.exponential(-1.0, 3), lambda r: r.integers(5, 5), lambda r: r.integers(300, dtype="u1"),
        lambda r: r.integers(5, dtype="f4"), lambda r: r.random(-1), lambda r: r.random(dtype="i4"), lambda r: r.choice(0), lambda r: r.geometric(1.5),
        lambda r: r.normal(np.zeros(3), 1.0, size=2), lambda r: r.normal(np.zeros((1, 3)), 1.0, size=3), lambda r: r.weibull(), lambda r: r.normal(1, 2, 3, 4),
        lambda r: r.normal(sigma=3), lambda r: r.random(2.5), lambda r: r.triangular(3, 2, 1),
        lambda r: r.choice(3, 4, replace=False), lambda r: r.choice(3, p=[0.5, 0.6, 0]),
        lambda r: r.choice(3, p=[0.5, 0.5]), lambda r: r.multivariate_normal([1, 2], [[1.0]]),
    ],
)  # fmt: skip
def test_numpys_errors(call: Callable[..., Any], rng: np.random.Generator) -> None:
    with pytest.raises((ValueError, TypeError)) as expected:
        call(rng)
    with pytest.raises(expected.type, match=None):
        nf.jit(call)(rng)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("uniform", (0.0, 1.0), (1.0, 0.5)), ("uniform", (0.0, 1.0), (0.0, np.inf)), ("normal", (0.0, 0.0), (0.0, -1.0)),
        ("normal", (0.0, np.nan), (0.0, -0.0)),
        ("exponential", (2.0,), (-2.0,)), ("lognormal", (0.0, 1.0), (0.0, -1.0)), ("laplace", (0.0, 1.0), (0.0, -1.0)), ("logistic", (0.0, 1.0), (0.0, -1.0)),
        ("gumbel", (0.0, 1.0), (0.0, -1.0)), ("rayleigh", (1.0,), (-1.0,)), ("weibull", (0.0,), (-1.0,)), ("pareto", (1.0,), (0.0,)), ("power", (1.0,), (0.0,)),
        ("geometric", (1.0,), (1.5,)), ("geometric", (0.5,), (np.nan,)), ("triangular", (0.0, 1.0, 2.0), (0.0, 3.0, 2.0)),
        ("triangular", (0.0, 0.0, 1.0), (1.0, 1.0, 1.0)),
        ("integers", (3, 5), (5, 5)), ("integers", (-3, 5), (3, -5)),
    ],
)  # fmt: skip
def test_numpys_errors_for_parameters_that_only_the_call_knows(name: str, good: Any, bad: Any) -> None:
    numbers, arrays = nf.jit(lambda r, *p: getattr(r, name)(*p)), nf.jit(lambda r, *p: getattr(r, name)(*p))
    for f, convert in (
        (numbers, lambda p: p),
        (arrays, lambda p: [np.array([first, value]) for first, value in zip(good, p, strict=True)]),
    ):
        for parameters in (convert(good), convert(bad), convert(good)):
            try:
                expected = getattr(np.random.default_rng(0), name)(*parameters)
            except (ValueError, OverflowError) as error:
                with pytest.raises(type(error), match=r"test_random_errors\.py"):
                    f(np.random.default_rng(0), *parameters)
                continue
            result = f(np.random.default_rng(0), *parameters)
            assert np.array_equal(np.isnan(result), np.isnan(expected)) and np.shape(result) == np.shape(expected)


def test_bounds_that_the_dtype_does_not_hold() -> None:
    f = nf.jit(lambda r, low, high: r.integers(low, high, dtype="i1"))
    assert -128 <= f(np.random.default_rng(0), -128, 128) <= 127
    for bounds, told in (
        ((-129, 3), "low is out of bounds for int8"),
        ((0, 129), "high is out of bounds for int8"),
        ((3, 3), "low >= high"),
    ):
        with pytest.raises(ValueError, match=told):
            f(np.random.default_rng(0), *bounds)
