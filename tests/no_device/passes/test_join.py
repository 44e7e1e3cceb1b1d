"""Joins of many operands along the innermost axis are written in parts."""

from __future__ import annotations

import numpy as np
from numfuse.compiler.graph import Graph
from numfuse.passes.join import join

import numfuse as nf

WIDE = f"""
graph f(%x: f64[4,3000], %y: f64[4,200]) -> %2 {{
  %1: f64[4,4800] = concatenate(%x, {", ".join(["%y"] * 9)}, axis=1)
  %2: f64[4,4800] = negative(%1)
}}
"""


def test_a_join_of_many_along_the_last_axis_becomes_writes(rng: np.random.Generator) -> None:
    graph = Graph.parse(WIDE)
    after = join(graph).check()
    assert [node.op for node in after.nodes] == ["memory", *["put_slice"] * 10, "negative"]
    x, y = rng.random((4, 3000)), rng.random((4, 200))
    np.testing.assert_array_equal(after.evaluate(x, y)[0], graph.evaluate(x, y)[0])


def test_others_stay_to_be_fused() -> None:
    for text in (
        WIDE.replace("axis=1", "axis=0").replace("y: f64[4,200]", "y: f64[2,3000]").replace("[4,4800]", "[22,3000]"),
        WIDE.replace("3000", "30").replace("200", "20").replace("4800", "210"),
        WIDE.replace(", %y" * 9, ", %y" * 7).replace("4800", "4400"),
    ):
        graph = Graph.parse(text)
        assert join(graph) is graph


def test_many_operands_are_written_one_by_one() -> None:
    lowered = nf.jit(lambda x: np.stack([x] * 500)).lower(nf.spec("f8", 7), target="cpu")
    assert len(lowered.kernels) == 500 and len({kernel.code for kernel in lowered.kernels}) == 1


def test_two_joins_have_memory_each(rng: np.random.Generator) -> None:
    def f(x):
        return np.concatenate([x, x]), np.concatenate([x, -x])

    x = rng.random(3000)
    graph = nf.jit(f).lower(x, target="cpu").graph
    for got, wanted in zip(graph.evaluate(x), f(x), strict=True):
        np.testing.assert_array_equal(got, wanted)
