"""Graphs written by hand: define first, run later."""

from __future__ import annotations

import numpy as np
import pytest

import numfuse as nf


def affine() -> nf.GraphBuilder:
    g = nf.GraphBuilder("affine")
    x = g.input("x", "f4", 4, 3)
    w = g.constant("w", np.ones((3, 2), "f4"))
    b = g.input("b", nf.spec("f4", 2))
    h = g.name("h", x @ w + b)
    g.apply("tanh", h, name="y")
    g.name("total", np.sum(h, axis=1))
    return g


def test_run_fetches_by_name(rng: np.random.Generator) -> None:
    g = affine()
    x, b = rng.random((4, 3)).astype("f4"), np.ones(2, "f4")
    h, y = g.run({"x": x, "b": b}, ["h", "y"])
    np.testing.assert_allclose(h, x @ np.ones((3, 2), "f4") + b, rtol=1e-6)
    np.testing.assert_allclose(y, np.tanh(h), rtol=1e-6)
    (w,) = g.run({}, ["w"])
    np.testing.assert_array_equal(w, np.ones((3, 2)))


def test_only_what_is_fetched_needs_feeding(rng: np.random.Generator) -> None:
    graph = affine().build()
    with pytest.raises(KeyError, match="no value is fed for the input 'b'"):
        graph.run({"x": rng.random((4, 3))}, ["y"])
    (x,) = graph.run({"x": np.ones((4, 3))}, ["x"])
    np.testing.assert_array_equal(x, np.ones((4, 3)))


def test_outputs_are_the_default_and_text_runs_too(rng: np.random.Generator) -> None:
    graph = nf.Graph.parse(
        "graph f(%x: f64[3]) -> %2 {\n  %1: f64[3] = tanh(%x)\n  %2: f64[3] = multiply(%1, 2.0:f64)\n}"
    )
    x = rng.random(3)
    np.testing.assert_allclose(graph.run({"x": x})[0], 2 * np.tanh(x))
    np.testing.assert_allclose(graph.run({"x": x}, ["1"])[0], np.tanh(x))


def test_mistakes_are_told() -> None:
    g = affine()
    graph = g.build()
    with pytest.raises(KeyError, match="has no node 'z'"):
        graph.run({}, ["z"])
    with pytest.raises(TypeError, match=r"'x' is f32\[4,3\], and was fed float64\[2\]"):
        graph.run({"x": np.ones(2), "b": np.ones(2)}, ["y"])
    with pytest.raises(TypeError, match="was fed complex128"):
        graph.run({"x": np.ones((4, 3), complex), "b": np.ones(2)}, ["y"])
    with pytest.raises(ValueError, match="has a node 'x' already"):
        g.input("x", "f4", 3)
    with pytest.raises(KeyError, match="unknown operator 'relu'"):
        g.apply("relu", g.constant("c", 1.0))
    with pytest.raises(ValueError, match="an identifier"):
        g.input("1x", "f4", 3)
    with pytest.raises(nf.UnsupportedDtype):
        g.constant("s", "text")
    with pytest.raises(TypeError, match="where takes a bool array"):
        g.apply("where", g.constant("d", 1.0), 1.0, 2.0)


def test_constants_are_copied() -> None:
    values = np.ones(3)
    g = nf.GraphBuilder("g")
    g.constant("c", values)
    values[:] = 5
    np.testing.assert_array_equal(g.run({}, ["c"])[0], np.ones(3))


def test_results_are_the_callers() -> None:
    graph = affine().build()
    feeds = {"x": np.ones((4, 3), "f4"), "b": np.ones(2, "f4")}
    first, w = graph.run(feeds, ["h", "w"])
    first[:] = w[:] = 0
    second, w = graph.run(feeds, ["h", "w"])
    assert second.all() and w.all()


def test_0d_inputs() -> None:
    g = nf.GraphBuilder()
    x = g.input("x", "f8")
    (result,) = g.build(g.name("y", np.maximum(x, x))).run({"x": 2}, ["y"])
    assert result.shape == () and result == 2
