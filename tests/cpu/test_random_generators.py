"""Random numbers on the CPU: where generators and seeds come from, and what a trace leaves as it was."""

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

X = np.zeros(5)
GENERATOR = np.random.default_rng(1)
HELD = {"list": [np.random.default_rng(2)]}


def add(x, rng):
    return x + rng.normal(size=x.shape)


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
