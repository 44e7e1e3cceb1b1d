"""The graph: its checker, its meaning, its printed form, its views for other programs."""

from __future__ import annotations

import json

import networkx as nx
import numpy as np
import pytest
from numfuse.compiler.graph import NO_PARAMS, Graph, Node, constant, make
from numfuse.compiler.interchange import graph_as_dot, graph_as_json

import numfuse as nf
from tests.functions import CASES

TEXT = """\
graph affine(%x: f32[2,3], %w: f32[3]) -> (%4, %sums) {
  %1: f32[2,3] = multiply(%x, %w)
  %2: f32[3] = constant(value=[1.0, inf, -2.5])
  %3: f32[2,3] = add(%1, %2)
  %4: f32[2,3] = where(True:bool, %3, 0.1:f32)
  %sums: f32[2] = sum(%4, axis=(1,))
}"""


def test_prints_and_reads_back() -> None:
    graph = nf.Graph.parse(TEXT)
    assert graph.as_text() == TEXT
    assert nf.Graph.parse(graph.as_text()).content_hash == graph.content_hash


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("target", ["cpu", "cuda"])
def test_every_stage_reads_back_with_its_meaning(name: str, target: str, rng: np.random.Generator) -> None:
    arguments = CASES[name].arguments(33, rng)
    lowered = nf.jit(CASES[name].function).trace(*arguments).lower(target=target)
    wanted = lowered.trail.stages[0].graph.evaluate(*arguments)
    for stage in lowered.trail.stages:
        again = nf.Graph.parse(stage.graph.as_text())
        assert again.as_text(locations=False) == stage.graph.as_text(locations=False), stage.name
        for got, value in zip(again.evaluate(*arguments), wanted, strict=True):
            np.testing.assert_allclose(got, value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("grph f() -> %1 {}", "expected 'graph"),
        ("graph f(%x: f32[3]) -> %2 {\n  %1: f32[3] = tanh(%y)\n}", "line 2: %y is used before it is made"),
        ("graph f(%x: f32[3]) -> %1 {\n  %1: f32[4] = tanh(%x)\n}", "line 2: %1 is declared as f32[4], but is f32[3]"),
        ("graph f(%x: f32[3]) -> %1 {\n  %1: f32[3] = tahn(%x)\n}", "line 2: unknown operator 'tahn'"),
        (
            "graph f(%x: f32[3]) -> %1 {\n  %1: f32[3] = add(%x, 1.0:i32)\n}",
            "line 2: add has no loop for (float32, int32)",
        ),
        ("graph f(%x: f33[3]) -> %x {}", "unknown dtype 'f33'"),
        ("", "expected 'graph"),
    ],
)
def test_text_that_is_no_graph_names_the_line(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told.replace("(", r"\(").replace(")", r"\)").replace("[", r"\[")):
        nf.Graph.parse(text)


def test_the_checker_finds_what_is_wrong() -> None:
    x = Node("input", (), NO_PARAMS, (3,), np.dtype("f4"), name="x")
    y = make("tanh", [x])
    wrong = Node("tanh", (x,), NO_PARAMS, (4,), np.dtype("f4"))
    for graph, told in [
        (Graph("f", [x], [wrong], [wrong]), "its rule gives"),
        (Graph("f", [], [y], [y]), "before it is made"),
        (Graph("f", [x], [y, y], [y]), "twice"),
        (Graph("f", [x], [], [y]), "not in the graph"),
        (Graph("f", [y], [], [y]), "not a distinct input"),
    ]:
        with pytest.raises(nf.GraphError, match=told):
            graph.check()


def test_evaluate_refuses_what_is_not_declared() -> None:
    graph = nf.Graph.parse("graph f(%x: f32[3]) -> %1 {\n  %1: f32[3] = tanh(%x)\n}")
    with pytest.raises(TypeError, match="takes 1 arrays"):
        graph.evaluate()
    with pytest.raises(TypeError, match="was given float64"):
        graph.evaluate(np.zeros(3))


def test_hash_is_of_the_content_alone() -> None:
    def one(x):
        return np.tanh(x) + 1

    def other(x):
        return np.tanh(x) + 1

    other.__name__ = "one"
    first, second = (nf.jit(f).trace(nf.spec("f4", 3)).graph for f in (one, other))
    assert first.nodes[0].where != second.nodes[0].where
    assert first.content_hash == second.content_hash
    assert first.content_hash != nf.jit(one).trace(nf.spec("f4", 4)).graph.content_hash


def test_constants_print_so_that_they_read_back_exactly() -> None:
    values = [
        np.float32(0.1),
        np.float64(1 / 3),
        np.float16(1e-7),
        np.complex64(0.1 - 2j),
        np.int8(-128),
        np.uint64(2**64 - 1),
    ]
    values += [np.float64("nan"), np.float32("-inf"), np.float64(5e-324), np.bool_(True), np.float64(-0.0)]
    nodes = [constant(value) for value in values]
    made = [make("reshape", [node], shape=(1,)) for node in nodes]
    graph = Graph("f", [], [*nodes, *made], made)
    for got, value in zip(nf.Graph.parse(graph.as_text()).evaluate(), values, strict=True):
        assert got.dtype == value.dtype
        np.testing.assert_array_equal(got[0], value)
        assert got.tobytes() == value.tobytes() or value != value


def test_networkx_view() -> None:
    graph = nf.Graph.parse(TEXT)
    view = graph.to_networkx()
    assert nx.is_directed_acyclic_graph(view)
    assert view.number_of_nodes() == len(graph.inputs) + len(graph.nodes)
    assert view.number_of_edges() == sum(len(node.inputs) for node in graph.nodes)
    assert {data["op"] for _, data in view.nodes(data=True)} >= {"input", "multiply", "sum"}


def test_json_and_dot() -> None:
    graph = nf.jit(CASES["softmax"].function).lower(nf.spec("f4", 4, 8), target="cpu").graph
    data = json.loads(json.dumps(graph_as_json(graph)))
    assert nf.Graph.parse(data["text"]).content_hash == data["hash"] == graph.content_hash
    assert data["nodes"][0]["params"]["body"]["nodes"][0]["where"]["file"].endswith("functions.py")
    dot = graph_as_dot(graph)
    assert dot.startswith("digraph") and dot.count("->") == 2
