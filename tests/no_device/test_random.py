"""Random bits: known answers, and the numbers that the graph, and printed kernels as plain Python, make of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numfuse.compiler.graph import Graph, Node, constant, make
from numfuse.compiler.ops.random import multiply_high, philox, random_bits
from numfuse.compiler.trace.found import places
from numfuse.runtime.reference import NAMES

import numfuse as nf
from tests.draws import DISTRIBUTIONS, distance, surprise
from tests.no_device.test_plain_python import run_program

ONES = 0xFFFFFFFF
KNOWN_ANSWERS = [  # counter, key, result: the lines `philox4x32 10` of Random123's kat_vectors
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((ONES, ONES, ONES, ONES), (ONES, ONES), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


def whole(words: tuple[int, ...]) -> int:
    return sum(word << 32 * place for place, word in enumerate(words))


@pytest.mark.parametrize(("counter", "key", "result"), KNOWN_ANSWERS)
def test_known_answers(counter: tuple[int, ...], key: tuple[int, ...], result: tuple[int, ...]) -> None:
    low, high = philox(np.uint64(whole(key)), np.uint64(whole(counter[:2])), whole(counter[2:]))
    assert (int(low), int(high)) == (whole(result[:2]), whole(result[2:]))


def test_bits_are_cut_from_one_half() -> None:
    key, place = np.uint64(5), np.arange(10)
    low, high = philox(key, place, 3)
    assert np.array_equal(random_bits(key, place, 3, 0, 64), low)
    assert np.array_equal(random_bits(key, place, 3, 64, 64), high)
    assert np.array_equal(random_bits(key, place, 3, 64, 53), high >> np.uint64(11))
    assert np.array_equal(random_bits(key, place, 3, 32, 24), (low & np.uint64(ONES)) >> np.uint64(8))
    assert random_bits(key, place, 3, 0, 24).dtype == np.uint32


def test_high_half_of_a_product(rng: np.random.Generator) -> None:
    a, b = rng.integers(0, 2**64 - 1, (2, 200), dtype="u8", endpoint=True)
    a[:2], b[:2] = 2**64 - 1, (2**64 - 1, 0)
    expected = [int(x) * int(y) >> 64 for x, y in zip(a, b, strict=True)]
    assert multiply_high(a, b).tolist() == expected
    assert [int(NAMES["multiply_high"](x, y)) for x, y in zip(a, b, strict=True)] == expected


@pytest.mark.parametrize("params", [{"first": 40, "count": 40}, {"first": 0, "count": 65}, {"first": 128, "count": 1}])
def test_bits_of_both_halves_are_refused(params: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="one half"):
        make("random_bits", (constant(np.uint64(1)), constant(np.int64(0)), constant(np.int64(0))), **params)


def drawn(function: Any, target: str, key: int) -> tuple[np.ndarray, np.ndarray, Graph]:
    """What the graph and the printed kernels compute for a key."""
    traced = nf.jit(function).trace(np.random.default_rng(0))
    lowered = traced.lower(target=target)
    keys = [np.asarray(key, "u8")] * len(traced.feeds)
    for stage in lowered.trail.stages:
        stage.graph.check()
    (expected,), (result,) = traced.graph.evaluate(*keys), run_program(lowered.program, keys)
    return expected, result, traced.graph


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_printed_kernels_draw_what_the_graph_does(name: str) -> None:
    case = DISTRIBUTIONS[name]
    expected, result, graph = drawn(lambda r: case.call(r, (7, 5)), "cpu", 123456789)
    assert expected.dtype == np.dtype(case.dtype) and expected.shape == (7, 5)
    np.testing.assert_allclose(result, expected, rtol=1e-12 if case.dtype != "f4" else 1e-5)
    assert np.array_equal(Graph.parse(graph.as_text()).evaluate(np.asarray(123456789, "u8"))[0], expected)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_numbers_are_distributed_as_told(name: str) -> None:
    case = DISTRIBUTIONS[name]
    graph = nf.jit(lambda r: case.call(r, 100_000)).trace(np.random.default_rng(0)).graph
    (x,) = graph.evaluate(np.asarray(0x9E3779B97F4A7C15, "u8"))
    if case.cdf is not None:
        assert distance(x, case.cdf) < 1.95
    else:
        assert x.min() >= 0 and x.max() < case.mass.size and surprise(x, case.mass) < 4


def test_draws_are_independent() -> None:
    """Of each other, of the key next to theirs, and from element to element."""
    graph = (
        nf.jit(lambda r: (r.standard_normal(50_000), r.standard_normal(50_000))).trace(np.random.default_rng(0)).graph
    )
    arrays = [array for key in (1, 2, 1 << 32) for array in graph.evaluate(np.asarray(key, "u8"))]
    for k, x in enumerate(arrays):
        others = arrays[k + 1 :] + [np.roll(x, by) for by in (1, 2, 4, 1000)]
        assert max(abs(np.mean(x * other)) for other in others) < 4.5 / np.sqrt(x.size)
        assert max(abs(np.mean((x * x - 1) * (other * other - 1))) for other in others) < 2 * 4.5 / np.sqrt(x.size)


def test_no_bits_come_twice() -> None:
    place = np.arange(1 << 16)
    seen = np.concatenate(
        [philox(np.uint64(key), place, draw)[half] for key in (0, 1) for draw in (0, 1) for half in (0, 1)]
    )
    assert np.unique(seen).size == seen.size
    ones = np.unpackbits(seen.view("u1")).reshape(-1, 64).mean(0)
    assert np.all(np.abs(ones - 0.5) < 5 * 0.5 / np.sqrt(seen.size))


def test_numbers_do_not_depend_on_the_shape_or_the_cut() -> None:
    one, two, part = (
        nf.jit(f).trace(np.random.default_rng(0)).graph.evaluate(np.asarray(7, "u8"))[0]
        for f in (lambda r: r.random(60), lambda r: r.random((3, 20)), lambda r: r.random((3, 20))[1:, ::2])
    )
    assert np.array_equal(one.reshape(3, 20), two) and np.array_equal(two[1:, ::2], part)


def test_unused_draws_cost_nothing_but_count() -> None:
    def skips(r: Any) -> Any:
        r.random(5)
        return r.random(5)

    graph = nf.jit(skips).lower(np.random.default_rng(0), target="cpu").graph
    assert sum(node.op == "random_bits" for node in bodies(graph)) == 1
    first, second = (
        nf.jit(f).trace(np.random.default_rng(0)).graph.evaluate(np.asarray(7, "u8"))[0]
        for f in (lambda r: r.random(5), skips)
    )
    assert not np.any(first == second)


def bodies(graph: Graph) -> list[Node]:
    return [
        inner for node in graph.nodes for inner in ([*bodies(node.params["body"])] if node.op == "fused" else [node])
    ]


class Holder:
    common = "in the class"

    def __init__(self) -> None:
        self.mine = "in the object"

    def method(self) -> Any:
        return HELD


HELD = {"a": ["in a list"]}


def helper(x: Any = "a default") -> Any:
    return HELD, x


def test_what_a_function_reaches() -> None:
    inner, holder = "in the closure", Holder()

    def function() -> Any:
        return helper(), inner, [holder.method() for _ in range(1)]

    found = {
        value
        for _, value in places(
            [function], lambda value: isinstance(value, str) and (value.startswith("in ") or value == "a default")
        )
    }
    assert found == {"in the closure", "in the object", "in the class", "in a list", "a default"}
    for place, value in places([function], lambda value: value == "in a list"):
        place.set("anew")
        assert HELD["a"] == ["anew"] and place.get() == "anew"
        place.set(value)
