"""Graphs written by hand: define named constants, inputs and operations first, run what is asked for later.

>>> import numpy as np
>>> g = GraphBuilder("affine")
>>> x = g.input("x", "f8", 3)
>>> w = g.constant("w", [1.0, 2.0, 3.0])
>>> y = g.name("y", x * w + 1)
>>> z = g.apply("tanh", y, name="z")
>>> graph = g.build(z)
>>> graph.run({"x": np.ones(3)}, ["y"])
[array([2., 3., 4.])]
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numfuse.compiler.graph import Graph, Node, constant
from numfuse.compiler.lowered import lower_graph
from numfuse.compiler.ops import OPERATORS
from numfuse.compiler.text import names_of
from numfuse.compiler.trace.array import Array, fresh
from numfuse.compiler.trace.recorder import Feed, Recorder
from numfuse.compiler.trace.ufuncs import as_array
from numfuse.compiler.types import Spec, spec, supported, type_text


class GraphBuilder:
    """Builds a graph step by step. What `input`, `constant` and `apply` return are arrays like those of a traced function: NumPy's functions
    and Python's operators work on them and add to the graph."""

    def __init__(self, name: str = "graph") -> None:
        if not name.isidentifier():
            raise ValueError(f"a graph's name is an identifier, not {name!r}")
        self._recorder = Recorder(name)
        self._names: set[str] = set()

    def input(self, name: str, dtype: Any, *shape: Any) -> Array:
        """A named input: `input("x", "f4", 64, 10)`, or with a spec in place of dtype and shape."""
        given = dtype if isinstance(dtype, Spec) else spec(dtype, *shape)
        self._take(name)
        return fresh(
            self._recorder, self._recorder.input(name, given.shape, given.dtype, Feed(len(self._recorder.inputs)))
        )

    def constant(self, name: str, value: Any) -> Array:
        """A named constant; the array is copied."""
        array = np.array(value)
        supported(array.dtype)
        self._take(name)
        node = constant(array, name=name)
        self._recorder.nodes.append(node)
        return fresh(self._recorder, node)

    def apply(self, op: str, *operands: Any, name: str | None = None, **params: Any) -> Array:
        """A node of the operator table: `apply("sum", x, axis=(0,))`. Raises KeyError for an unknown operator, and the operator's own
        ValueError or TypeError where the operands do not fit."""
        if op not in OPERATORS or OPERATORS[op].kind in ("structure", "store") or op in ("input", "constant"):
            raise KeyError(f"unknown operator {op!r}; the operators are {', '.join(sorted(OPERATORS))}")
        node = self._recorder.make(op, *[as_array(self._recorder, operand).node for operand in operands], **params)
        array = fresh(self._recorder, node)
        return array if name is None else self.name(name, array)

    def name(self, name: str, array: Array) -> Array:
        """Gives an array's node a name, to fetch it by."""
        self._take(name)
        node = array.node
        if node.name is not None or node.op == "input":
            raise ValueError(f"{node!r} has a name already")
        node.name = name
        return array

    def build(self, *outputs: Array) -> Graph:
        """The graph with these outputs, checked. The builder can go on after."""
        recorder = self._recorder
        return Graph(recorder.name, recorder.inputs, recorder.nodes, [array.node for array in outputs]).check()

    def run(self, feeds: Mapping[str, Any], fetches: Sequence[str], **options: Any) -> list[np.ndarray]:
        """Runs what the fetched names need: `build` and `Graph.run` in one."""
        return run(self.build(), feeds, fetches, **options)

    def _take(self, name: str) -> None:
        if not name.isidentifier():
            raise ValueError(f"a name is an identifier, not {name!r}")
        if name in self._names:
            raise ValueError(f"the graph has a node {name!r} already")
        self._names.add(name)


_compiled: weakref.WeakKeyDictionary[Graph, dict[Any, tuple[Graph, Callable[..., Any]]]] = weakref.WeakKeyDictionary()


def run(
    graph: Graph,
    feeds: Mapping[str, Any],
    fetches: Sequence[str] | None = None,
    *,
    target: str = "auto",
    fastmath: bool = False,
) -> list[np.ndarray]:
    """Compiles and runs the part of `graph` that `fetches` needs; see `Graph.run`."""
    names = {name.removeprefix("%"): node for node, name in names_of(graph).items()}
    unknown = [name for name in (*feeds, *(fetches or ())) if name.removeprefix("%") not in names]
    if unknown:
        raise KeyError(f"graph {graph.name} has no node {unknown[0]!r}; it has {', '.join(names)}")
    wanted = tuple([names[name.removeprefix("%")] for name in fetches]) if fetches is not None else graph.outputs
    key = (wanted, target, fastmath)
    known = _compiled.setdefault(graph, {})
    if key not in known:
        part = _needed_for(graph, wanted)
        lowered = lower_graph(part, [None] * len(part.inputs), target, None, fastmath=fastmath)
        known[key] = part, lowered.device.compile(lowered.program, {"fastmath": fastmath})
    part, executable = known[key]
    given = {names[name.removeprefix("%")]: value for name, value in feeds.items()}
    return [np.asarray(result) for result in executable([_fed(graph, node, given) for node in part.inputs])]


def _needed_for(graph: Graph, outputs: Sequence[Node]) -> Graph:
    needed = set(outputs)
    for node in reversed(graph.nodes):
        if node in needed:
            needed.update(node.inputs)
    inputs = [node for node in graph.inputs if node in needed]
    return Graph(graph.name, inputs, [node for node in graph.nodes if node in needed], outputs)


def _fed(graph: Graph, node: Node, given: Mapping[Node, Any]) -> np.ndarray:
    """The array for an input: of its shape, and of a dtype that casts to its own without changing kind."""
    if node not in given:
        raise KeyError(
            f"graph {graph.name}: no value is fed for the input {node.name!r} ({type_text(node.shape, node.dtype)})"
        )
    array = np.asarray(given[node])
    if array.shape != node.shape or not np.can_cast(array.dtype, node.dtype, "same_kind"):
        raise TypeError(
            f"graph {graph.name}: {node.name!r} is {type_text(node.shape, node.dtype)}, and was fed {array.dtype}{list(array.shape)}"
        )
    return np.asarray(array, node.dtype, order="C")
