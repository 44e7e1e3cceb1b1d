"""Random generators in jitted functions: where they come from, what they draw at each call, and what is refused."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.random import default_rng, standard_normal
from numpy.random import rand as drawn_by_name

import numfuse as nf
from tests.draws import DISTRIBUTIONS, distance, surprise

X = np.zeros(5)
GENERATOR = np.random.default_rng(1)
HELD = {"list": [np.random.default_rng(2)]}


def add(x, rng):
    return x + rng.normal(size=x.shape)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_numbers_are_distributed_as_told(name: str) -> None:
    case = DISTRIBUTIONS[name]
    x = nf.jit(lambda r: case.call(r, 400_000))(np.random.default_rng(8))
    assert x.dtype == np.dtype(case.dtype)
    assert (distance(x, case.cdf) < 1.95) if case.cdf is not None else (surprise(x, case.mass) < 4)


@pytest.mark.parametrize("kind", [np.random.PCG64, np.random.MT19937, np.random.Philox, np.random.SFC64])
def test_a_generator_as_an_argument_goes_on_at_each_call(kind: type) -> None:
    f = nf.jit(add)
    first, second = (np.random.Generator(kind(3)) for _ in range(2))
    one, two = f(X, first), f(X, first)
    assert not np.any(one == two)
    assert np.array_equal(one, f(X, second)) and np.array_equal(two, f(X, second))
    assert first.random() == second.random() != np.random.Generator(kind(3)).random()


def test_tracing_draws_nothing() -> None:
    """Not even where the trace starts again: for an integer that is needed as a value, and for arrays of np.zeros."""

    def f(n, rng):
        table = np.zeros(4)
        table[1:] = rng.random(n - 1)
        return table

    jitted, rng, other = nf.jit(f), np.random.default_rng(5), np.random.default_rng(5)
    jitted.lower(4, rng)
    state = rng.bit_generator.state
    assert state == other.bit_generator.state
    jitted(4, rng)
    other.integers(0, 2**64 - 1, dtype="u8", endpoint=True)
    assert rng.bit_generator.state == other.bit_generator.state
    assert np.array_equal(
        jitted(4, np.random.default_rng(5))[1:], nf.jit(lambda r: r.random(3))(np.random.default_rng(5))
    )


@dataclass
class Model:
    rng: Any
    scale: Any


class Walker:
    def __init__(self, rng: Any) -> None:
        self.rng = rng
        self.options = {"rng": rng}

    @nf.jit
    def step(self, x):
        return x + self.rng.normal(size=x.shape)

    @nf.jit
    def deep(self, x):
        return x + self.options["rng"].normal(size=x.shape)


class Slotted:
    __slots__ = ("rng",)

    def __init__(self, rng: Any) -> None:
        self.rng = rng

    def noise(self) -> Any:
        return self.rng.normal(size=5)


PAIRS: Any = defaultdict(list)


class Pair(NamedTuple):
    first: Slotted
    number: int


@pytest.mark.parametrize(
    "call",
    [
        lambda rng: nf.jit(lambda x, s: x + s.noise())(X, Slotted(rng)),
        lambda rng: nf.jit(lambda x: x + PAIRS["a"][0].first.noise())(X) if not PAIRS.update(a=[Pair(Slotted(rng), 1)]) else None,
        lambda rng: nf.jit(lambda x, m: x + m.rng.normal(size=5) * m.scale)(X, Model(rng, 1.0)),
        lambda rng: nf.jit(lambda x, d: x + d["r"][0].normal(size=5))(X, {"r": [rng]}),
        lambda rng: nf.jit(lambda x: x + rng.normal(size=5))(X),
        lambda rng: nf.jit(lambda x, r: x + r.normal(size=5), static_argnames="r")(X, rng),
        lambda rng: Walker(rng).step(X),
        lambda rng: Walker(rng).deep(X),
        lambda rng: nf.jit(partial(add, rng=rng)).function and nf.jit(lambda x, r: x + nf.jit(add)(x, r))(X, rng),
        lambda rng: nf.jit(add).lower(X, np.random.default_rng(0)).compile()(X, rng),
        lambda rng: nf.jit(lambda x, r: x + np.random.default_rng(r).normal(size=5))(X, rng),
    ],
)  # fmt: skip
def test_wherever_it_comes_from(call: Callable[[Any], Any]) -> None:
    expected = nf.jit(add)(X, np.random.default_rng(3))
    rng = np.random.default_rng(3)
    assert np.array_equal(call(rng), expected)
    assert not np.array_equal(call(rng), expected)


def helper(x):
    return x + GENERATOR.normal(size=x.shape) + HELD["list"][0].normal(size=x.shape)


def test_globals_of_helpers() -> None:
    global GENERATOR
    f = nf.jit(lambda x: helper(x))
    GENERATOR, HELD["list"][0] = np.random.default_rng(1), np.random.default_rng(2)
    known = GENERATOR, HELD["list"][0]
    one, two = f(X), f(X)
    assert not np.any(one == two)
    assert (GENERATOR, HELD["list"][0]) == known and type(GENERATOR) is np.random.Generator
    keyed = nf.jit(add)
    assert np.allclose(one, keyed(X, np.random.default_rng(1)) + keyed(X, np.random.default_rng(2)))
    with pytest.raises(ZeroDivisionError):
        nf.jit(lambda x: helper(x) + 1 // 0)(X)
    assert type(GENERATOR) is np.random.Generator and type(HELD["list"][0]) is np.random.Generator


def test_made_inside_from_a_seed() -> None:
    @nf.jit
    def fixed(x):
        return x + np.random.default_rng(3).normal(size=x.shape)

    @nf.jit
    def seeded(x, seed):
        return x + default_rng(seed).normal(size=x.shape)

    @nf.jit
    def sequence(x):
        return x + np.random.default_rng([3, 4]).normal(size=x.shape)

    expected = nf.jit(add)(X, np.random.default_rng(3))
    for result in (fixed(X), fixed(X), seeded(X, 3), seeded(X, np.int64(3)), seeded(X, np.array(3))):
        assert np.array_equal(result, expected)
    assert np.array_equal(sequence(X), nf.jit(add)(X, np.random.default_rng([3, 4])))
    assert not np.any(seeded(X, 4) == expected)
    assert np.array_equal(seeded(X, 4), nf.jit(add)(X, np.random.default_rng(4)))
    assert len(seeded._known) == 3, "one kernel serves all seeds"


def test_a_computed_seed_is_a_static_one() -> None:
    f = nf.jit(lambda x, seed: x + np.random.default_rng(seed + 1).normal(size=5))
    assert np.array_equal(f(X, 2), nf.jit(add)(X, np.random.default_rng(3)))
    assert np.array_equal(f(X, 3), nf.jit(add)(X, np.random.default_rng(4)))


def test_without_a_seed_each_call_is_fresh() -> None:
    f = nf.jit(lambda x: (x + np.random.default_rng().random(5), x + np.random.default_rng().random(5)))
    results = [*f(X), *f(X)]
    assert len({array.tobytes() for array in results}) == 4


@pytest.mark.parametrize(
    "function",
    [
        lambda: np.random.rand(5),
        lambda: np.random.randn(2, 3),
        lambda: np.random.random(5),
        lambda: np.random.random_sample(5),
        lambda: np.random.ranf(5),
        lambda: np.random.normal(1, 2, 5),
        lambda: np.random.standard_normal(5),
        lambda: np.random.randint(0, 100, 5),
        lambda: np.random.uniform(size=5),
        lambda: np.random.choice(100, 5),
        lambda: standard_normal(5),
        lambda: drawn_by_name(5),
    ],
)
def test_the_functions_of_numpy_random(function: Callable[..., Any]) -> None:
    """They draw their key from the global generator."""
    f, like = nf.jit(lambda: function()), function()
    np.random.seed(3)
    one, two = f(), f()
    np.random.seed(3)
    assert np.array_equal(f(), one) and not np.array_equal(one, two)
    assert one.shape == like.shape and one.dtype == like.dtype
    assert type(np.random.rand).__name__ == "method" and isinstance(np.random.Generator, type)


def test_older_generators() -> None:
    f = nf.jit(lambda r: (r.rand(3), r.randint(5, size=(2, 2)), r.randn()))
    got = f(np.random.RandomState(3))
    assert got[0].shape == (3,) and got[1].dtype == np.int64 and type(got[2]) is float
    inside = nf.jit(lambda seed: np.random.RandomState(seed).rand(3))
    assert np.array_equal(inside(3), got[0]) and not np.array_equal(inside(4), got[0])
    with pytest.raises(
        nf.TraceError, match=r"RandomState\.integers is not supported in a jitted function; draw these numbers outside"
    ):
        nf.jit(lambda r: r.integers(5))(np.random.RandomState(3))


def test_types_and_shapes_are_numpys(rng: np.random.Generator) -> None:
    calls: list[Callable[[Any], Any]] = [
        lambda r: r.random(), lambda r: r.random(()), lambda r: r.random(3), lambda r: r.random((2, 0)), lambda r: r.random(dtype="f4"),
        lambda r: r.normal(), lambda r: r.normal(np.zeros(())), lambda r: r.normal(np.zeros(3), np.ones((2, 1))), lambda r: r.normal(size=(2, 1)),
        lambda r: r.normal(np.float32(1), size=2), lambda r: r.integers(5), lambda r: r.integers(5, dtype=int), lambda r: r.integers(5, dtype="i4"),
        lambda r: r.integers(5, size=()), lambda r: r.integers(2, dtype=bool), lambda r: r.integers([1, 5], [[6], [9]]), lambda r: r.choice(5),
        lambda r: r.choice(5, 2), lambda r: r.geometric(0.5), lambda r: r.geometric(0.5, 3), lambda r: r.standard_exponential(),
        lambda r: np.float32(2) * r.random(3, dtype="f4"), lambda r: np.ones(2, "f4") * r.random(),
    ]  # fmt: skip
    for number, call in enumerate(calls):
        expected, result = call(rng), nf.jit(call)(rng)
        assert type(result) is type(expected), number
        assert np.shape(result) == np.shape(expected) and np.asarray(result).dtype == np.asarray(expected).dtype, number


def test_parameters_that_are_traced() -> None:
    f = nf.jit(lambda r, m, s: (r.normal(m, s), r.uniform(m, m + s), r.exponential(s)))
    mean, scale = np.array([[0.0], [1e6]]), np.array([1.0, 1e-3, 0.0], "f4")
    normal, uniform, exponential = f(np.random.default_rng(0), mean, scale)
    assert normal.shape == (2, 3) and normal.dtype == np.float64 and exponential.shape == (3,)
    assert np.all(np.abs(normal - mean) <= 8 * scale) and np.array_equal(normal[:, 2], mean[:, 0])
    assert np.all((uniform >= mean) & (uniform <= mean + scale))
    number = nf.jit(lambda r, m: r.normal(m, 0, size=2))
    assert number(np.random.default_rng(0), 3).tolist() == [3, 3] and number(
        np.random.default_rng(0), 2.5
    ).tolist() == [2.5, 2.5]
    with pytest.raises(TypeError, match="complex"):
        number(np.random.default_rng(0), 1j)


def test_integers_stay_in_their_bounds() -> None:
    f = nf.jit(
        lambda r, low, high: (
            r.integers(low, high),
            r.integers(low, high, endpoint=True),
            r.integers(low, high, dtype="i8", size=(5000, 4)),
        )
    )
    low = np.array([-5, 0, -(2**62), 2**62])
    high = low + np.array([1, 3, 2**63 - 1, 2])
    one, two, many = f(np.random.default_rng(0), low, high)
    assert np.all((one >= low) & (one < high)) and np.all((two >= low) & (two <= high))
    assert np.all((many >= low) & (many < high))
    assert set(many[:, 1]) == {0, 1, 2} and many[:, 2].max() > 2**61 and many[:, 2].min() < -(2**61)
    g = nf.jit(
        lambda r: (r.integers(-3, 4, 5000, dtype="i1"), r.integers(2**40, 2**40 + 3, 5000), r.integers(0, 2**33, 5000))
    )
    small, high_up, wide = g(np.random.default_rng(0))
    assert set(small) == set(range(-3, 4)) and set(high_up) == {2**40, 2**40 + 1, 2**40 + 2}
    assert distance(wide, lambda x: x / 2**33) < 1.95


def test_out() -> None:
    def f(r, given):
        made = np.empty(4)
        assert r.random(out=made) is made
        r.standard_normal(out=given)
        return made, r.random(out=given[:2])

    given = np.zeros(4)
    made, part = nf.jit(f)(np.random.default_rng(0), given)
    assert np.all(made > 0) and np.all(given != 0) and np.array_equal(part, given[:2])
    with pytest.raises(TypeError, match="wrong type"):
        nf.jit(lambda r, x: r.random(out=x))(np.random.default_rng(0), np.zeros(4, "f4"))
    with pytest.raises(ValueError, match=r"must match out\.shape"):
        nf.jit(lambda r, x: r.random(3, out=x))(np.random.default_rng(0), np.zeros(4))


def test_the_count_of_threads_does_not_matter() -> None:
    n = 3_000_000
    f = nf.jit(lambda r: r.standard_normal(n))
    whole, parts = f(np.random.default_rng(4)), nf.jit(lambda r: r.standard_normal(n)[-7:])(np.random.default_rng(4))
    np.testing.assert_allclose(whole[-7:], parts, rtol=1e-13)
    assert abs(nf.jit(lambda r: r.standard_normal(n).mean())(np.random.default_rng(4)) - whole.mean()) < 1e-9


def test_one_kernel_holds_all() -> None:
    """Nothing is put in memory on the way from the bits to the mean."""

    def price(rng, spot, volatility):
        paths = spot * np.exp(-0.5 * volatility**2 + volatility * rng.standard_normal(1_000_000))
        return np.maximum(paths - 1.0, 0.0).mean()

    lowered = nf.jit(price).lower(np.random.default_rng(0), 1.0, 0.2, target="cpu")
    assert lowered.program.workspace <= 1 << 16
    assert abs(nf.jit(price)(np.random.default_rng(0), 1.0, 0.2) - 0.0796557) < 5e-4  # Black and Scholes


def test_choices_and_orders() -> None:
    @nf.jit
    def f(r):
        p = [0.1, 0.0, 0.6, 0.3]
        return (
            r.choice(4, 20_000, p=p),
            r.choice(50, 10, replace=False),
            r.choice(4, 3, replace=False, p=p),
            r.permutation(100),
            r.choice(9, p=np.eye(9)[5]),
        )

    chosen, some, weighted, order, one = f(np.random.default_rng(0))
    assert surprise(chosen, np.array([0.1, 0.0, 0.6, 0.3])) < 4 and not np.any(chosen == 1)
    assert np.unique(some).size == 10 and some.max() < 50 and sorted(weighted) == [0, 2, 3]
    assert sorted(order) == list(range(100)) and not np.array_equal(order, np.arange(100))
    assert one == 5 and type(one) is int
    pair, rng = nf.jit(lambda r: r.choice(3, 2, replace=False, p=[0.5, 0.3, 0.2])), np.random.default_rng(4)
    pairs = np.stack([pair(rng) for _ in range(4000)])
    assert np.all(pairs[:, 0] != pairs[:, 1]) and surprise(pairs[:, 0], np.array([0.5, 0.3, 0.2])) < 4
    second = [sum(p * q / (1 - p) for p in (0.5, 0.3, 0.2) if p != q) for q in (0.5, 0.3, 0.2)]
    assert surprise(pairs[:, 1], np.array(second)) < 4


def test_correlated_normal_numbers() -> None:
    mean, covariance = np.array([1.0, -2.0, 0.5]), np.array([[2.0, 0.6, 0.1], [0.6, 1.0, -0.3], [0.1, -0.3, 0.5]])
    f = nf.jit(lambda r, mean, covariance: r.multivariate_normal(mean, covariance, 200_000))
    for x in (
        f(np.random.default_rng(0), mean, covariance),
        nf.jit(lambda r: r.multivariate_normal(mean, covariance, 200_000))(np.random.default_rng(1)),
    ):
        np.testing.assert_allclose(x.mean(0), mean, atol=0.02)
        np.testing.assert_allclose(np.cov(x.T), covariance, atol=0.03)


def test_choices_and_orders_of_arrays() -> None:
    table = np.arange(12.0).reshape(4, 3)

    @nf.jit
    def f(r, x):
        r.shuffle(x)
        return (
            r.choice(table, 5),
            r.choice([5, 7, 9], 4, replace=True),
            r.permutation(table, axis=1),
            r.permuted(table, axis=1),
            r.permuted(table),
            r.choice(table, axis=1),
        )

    x = np.arange(50)
    rows, picked, columns, within, all_of, column = f(np.random.default_rng(0), x)
    assert sorted(x) == list(range(50)) and not np.array_equal(x, np.arange(50))
    assert {tuple(row) for row in rows} <= {tuple(row) for row in table} and set(picked) <= {5, 7, 9}
    assert {tuple(line) for line in columns.T} == {tuple(line) for line in table.T}
    assert np.array_equal(np.sort(within, axis=1), table) and np.array_equal(np.sort(all_of, axis=None), table.ravel())
    assert tuple(column) in {tuple(line) for line in table.T}


REFUSED: list[tuple[Callable[..., Any], str]] = [
    (lambda r: r.gamma(2.0, size=3), r"Generator.gamma is not supported in a jitted function(.|\n)*test_random.py"),
    (lambda r: r.poisson(3.0), "draw these numbers outside, and pass the array"),
    (lambda r: r.shuffle([1, 2]), "shuffle of a list is not supported"),
    (lambda r: r.spawn(2), "Generator.spawn is not supported"),
    (lambda r: r.bit_generator.state, "Generator.bit_generator is not supported"),
    (
        lambda r: np.random.Generator(np.random.PCG64(3)).random(5),
        r"np.random.PCG64 is not supported(.|\n)*default_rng(.|\n)*test_random.py",
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
                with pytest.raises(type(error), match=r"test_random\.py"):
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


def test_a_generator_looks_like_one() -> None:
    @nf.jit
    def f(x, rng):
        made = np.random.default_rng(rng)
        assert made is rng and isinstance(rng, np.random.Generator) and not isinstance(rng, np.random.RandomState)
        assert isinstance(GENERATOR, np.random.Generator)
        return x + made.random(5)

    assert np.all(f(X, np.random.default_rng(0)) > 0)


def test_other_threads_keep_numpys_names() -> None:
    """While one thread traces, others draw as always."""
    rng = np.random.default_rng(9)
    seen: list[Any] = []

    def elsewhere() -> None:
        seen.append(
            (type(rng.random()), type(np.random.default_rng(3).random()), type(np.random.Generator(np.random.PCG64(3))))
        )

    @nf.jit
    def f(x):
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        return x + np.random.default_rng(4).random(5)

    f(X)
    assert seen == [(float, float, np.random.Generator)]


def test_the_first_use_of_numpy_random_may_be_in_a_jitted_function() -> None:
    code = """
import sys
import numpy as np
import numfuse as nf
x = np.zeros(3)
f = nf.jit(lambda x, m: x + np.random.default_rng().normal(m, size=3))
assert "numpy.random" not in sys.modules
assert f(x, x).tolist() != f(x, x).tolist()
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_drawn_places_need_no_check() -> None:
    """They are known to lie within the axis, so a call has nothing to look at."""
    x = np.arange(20.0)
    for function in (
        lambda x, r: x[r.integers(0, 20, (5, 20))].mean(1),
        lambda x, r: r.choice(x, 30),
        lambda x, r: r.permutation(x),
    ):
        assert len(nf.jit(function).trace(x, np.random.default_rng(0)).graph.outputs) == 1
    outside = nf.jit(lambda x, r: x[r.integers(20, 23, 4)])
    with pytest.raises(IndexError, match="out of bounds"):
        outside(x, np.random.default_rng(0))


def test_threads_that_draw_while_others_trace() -> None:
    """What other threads draw is no draw of the traced function."""
    wrong: list[Any] = []

    @nf.jit
    def f(x: Any, y: Any) -> Any:
        z = np.zeros_like(x)
        for k in range(5):
            z[k:] += x[: len(x) - k] * y
        return z

    def work(n: int) -> None:
        try:
            for k in range(20):
                x, y = np.random.rand(10 + 20 * n + k), np.random.rand()
                np.testing.assert_allclose(f(x, y), f.__wrapped__(x, y))
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
