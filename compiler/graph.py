"""The graph: typed operations in execution order. Its parts, its checker and its meaning, in that order.

A `Node` is one operation and the array it yields; a `Graph` is a flat list of nodes. Both are frozen: a pass makes a
new graph (see `rewrite`). What a graph means is what `evaluate` computes with NumPy; every pass and every kernel is
tested against that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numfuse.compiler.ops import operator
from numfuse.compiler.types import Shape, Spec, type_text

if TYPE_CHECKING:
    import networkx

Params = Mapping[str, Any]
NO_PARAMS: Params = {}


class Location(NamedTuple):
    """A line of the user's code."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        return f"{self.file.rsplit('/', 1)[-1]}:{self.line}"


class Node:
    """One operation: `op` names a row of the operator table. Compared by identity; never changed once made.

    `name` is the user's name for it, where there is one (arguments, hand-written graphs); `where` is the user's line.
    Neither takes part in the graph's meaning.
    """

    __slots__ = ("__weakref__", "dtype", "inputs", "name", "op", "params", "shape", "where")

    def __init__(
        self,
        op: str,
        inputs: tuple[Node, ...],
        params: Params,
        shape: Shape,
        dtype: np.dtype,
        where: Location | None = None,
        name: str | None = None,
    ) -> None:
        self.op = op
        self.inputs = inputs
        self.params = params
        self.shape = shape
        self.dtype = dtype
        self.where = where
        self.name = name

    def with_inputs(self, inputs: tuple[Node, ...]) -> Node:
        return Node(self.op, inputs, self.params, self.shape, self.dtype, self.where, self.name)

    @property
    def spec(self) -> Spec:
        return Spec(self.shape, self.dtype)

    def __repr__(self) -> str:
        return f"<{self.name or self.op}: {type_text(self.shape, self.dtype)}>"


def make(
    op: str, inputs: Iterable[Node], where: Location | None = None, name: str | None = None, **params: Any
) -> Node:
    """A node of the operator `op`, its shape and dtype inferred by the operator's type rule."""
    inputs = tuple(inputs)
    shape, dtype = operator(op).infer([node.spec for node in inputs], params)
    return Node(op, inputs, params or NO_PARAMS, shape, dtype, where, name)


def constant(value: Any, where: Location | None = None, name: str | None = None) -> Node:
    """A node that holds the NumPy array or scalar `value`, in C order (it may be the array itself: do not write to it)."""
    value = np.asarray(value, order="C")
    return Node("constant", (), {"value": value}, value.shape, value.dtype, where, name)


def results_of(node: Node) -> list[Spec]:
    """The specs of what `node` yields; where they are several, each is read through a `get` node."""
    results = operator(node.op).results
    return [node.spec] if results is None else results([source.spec for source in node.inputs], node.params)


def is_scalar(node: Node) -> bool:
    """Whether `node` is a 0-d constant: it prints in place, and kernels hold it as a literal."""
    return node.op == "constant" and not node.shape


def seen_through(node: Node) -> Node:
    """The array that a view is of."""
    while operator(node.op).kind == "view":
        (node,) = node.inputs
    return node


class GraphError(ValueError):
    """A graph that breaks a rule of the operator table."""


class Graph:
    """`inputs` and `nodes` (in execution order, inputs not among them) and the `outputs` picked from both."""

    def __init__(self, name: str, inputs: Sequence[Node], nodes: Sequence[Node], outputs: Sequence[Node]) -> None:
        self.name = name
        self.inputs = tuple(inputs)
        self.nodes = tuple(nodes)
        self.outputs = tuple(outputs)

    # -- the checker -------------------------------------------------------------------------------------------------

    def check(self) -> Graph:
        """Infers every type again and returns the graph itself; raises GraphError naming the node at fault."""
        known: set[Node] = set()
        for node in self.inputs:
            if node.op != "input" or node.inputs or node in known:
                raise GraphError(f"{self.name}: input {node!r} is not a distinct input node")
            known.add(node)
        for node in self.nodes:
            for source in node.inputs:
                if source not in known:
                    raise GraphError(f"{self.name}: {node!r} uses {source!r} before it is made")
            if node in known:
                raise GraphError(f"{self.name}: {node!r} is listed twice")
            known.add(node)
            rule = operator(node.op)
            if node.op == "fused":
                node.params["body"].check()
            try:
                shape, dtype = rule.infer([source.spec for source in node.inputs], node.params)
            except (ValueError, TypeError, KeyError) as error:
                raise GraphError(f"{self.name}: {node!r}: {error}") from error
            if (shape, dtype) != (node.shape, node.dtype):
                raise GraphError(f"{self.name}: {node!r} is declared so, but its rule gives {type_text(shape, dtype)}")
        for node in self.outputs:
            if node not in known:
                raise GraphError(f"{self.name}: output {node!r} is not in the graph")
        return self

    # -- the meaning -------------------------------------------------------------------------------------------------

    def evaluate(self, *args: Any) -> tuple[np.ndarray, ...]:
        """Runs the graph node by node with NumPy. `args`: one array for each input. Returns a tuple of arrays."""
        if len(args) != len(self.inputs):
            raise TypeError(f"{self.name} takes {len(self.inputs)} arrays, not {len(args)}")
        values: dict[Node, Any] = {}
        for node, arg in zip(self.inputs, args, strict=True):
            value = np.asarray(arg)
            if (value.shape, value.dtype) != (node.shape, node.dtype):
                raise TypeError(f"{self.name}: {node!r} was given {value.dtype}{list(value.shape)}")
            values[node] = value
        with np.errstate(all="ignore"):
            for node in self.nodes:
                values[node] = evaluate_node(node, [values[source] for source in node.inputs])
        return tuple(values[node] for node in self.outputs)

    def run(self, feeds: Mapping[str, Any], fetches: Sequence[str] | None = None, **options: Any) -> list[np.ndarray]:
        """Compiles the part that `fetches` needs and runs it: define first, run later.

        `feeds` maps input names to arrays, `fetches` lists names of nodes (default: the outputs), `options` are those
        of `jit`. Returns the fetched arrays in order. Raises KeyError for an unknown name or a missing feed.
        """
        from numfuse.compiler.define import run  # the one call that goes up: a convenience for hand-written graphs

        return run(self, feeds, fetches, **options)

    def part(self, outputs: Sequence[Node]) -> Graph:
        """What these nodes need: a graph of its own, with the inputs and nodes that they depend on."""
        needed = set(outputs)
        for node in reversed(self.nodes):
            if node in needed:
                needed.update(node.inputs)
        inputs = [node for node in self.inputs if node in needed]
        return Graph(self.name, inputs, [node for node in self.nodes if node in needed], outputs)

    def first(self, wanted: Sequence[Node]) -> Graph:
        """The same graph, with what these nodes need before all else."""
        needed = set(self.part(wanted).nodes)
        nodes = sorted(self.nodes, key=lambda node: node not in needed)
        return Graph(self.name, self.inputs, nodes, self.outputs)

    # -- views of it -------------------------------------------------------------------------------------------------

    def as_text(self, *, locations: bool = True) -> str:
        """The printed form; `Graph.parse` reads it back."""
        from numfuse.compiler.text import print_graph

        return print_graph(self, locations=locations)

    @staticmethod
    def parse(text: str) -> Graph:
        """Reads the printed form and checks it. Raises GraphSyntaxError with the line at fault."""
        from numfuse.compiler.text import parse_graph

        return parse_graph(text).check()

    def __str__(self) -> str:
        return self.as_text()

    def __repr__(self) -> str:
        return f"<graph {self.name}: {len(self.inputs)} inputs, {len(self.nodes)} nodes, {len(self.outputs)} outputs>"

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of the printed form without the user's lines: equal for graphs that print alike, in any process."""
        return hashlib.sha256(self.as_text(locations=False).encode()).hexdigest()

    def to_networkx(self) -> networkx.MultiDiGraph:
        """A networkx graph: nodes are `Node`s with `op` and `type`, edges go from producer to user with `operand`."""
        import networkx as nx

        view = nx.MultiDiGraph(name=self.name)
        for node in (*self.inputs, *self.nodes):
            view.add_node(node, op=node.op, type=type_text(node.shape, node.dtype), label=node.name or node.op)
            for operand, source in enumerate(node.inputs):
                view.add_edge(source, node, operand=operand)
        return view

    def users(self) -> dict[Node, list[Node]]:
        """For each node, the nodes that read it, in execution order; a node that reads it twice stands there twice."""
        users: dict[Node, list[Node]] = {node: [] for node in (*self.inputs, *self.nodes)}
        for node in self.nodes:
            for source in node.inputs:
                users[source].append(node)
        return users


def params_key(node: Node) -> Hashable:
    """A node's params as a key: equal for nodes that compute the same of the same operands."""
    if not node.params:
        return ()
    if node.op == "fused":
        return id(node)
    if node.op == "constant":
        return _value_key(node.params["value"])
    return frozenset([(name, _value_key(value)) for name, value in node.params.items()])


def _value_key(value: Any) -> Hashable:
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype, value.tobytes()
    return value


def structure_key(graph: Graph) -> Hashable:
    """Equal for graphs that are the same but for their nodes' identity and the user's lines; cheaper than a hash of the text."""
    number = {node: place for place, node in enumerate((*graph.inputs, *graph.nodes))}
    inputs = tuple([(node.name, node.shape, node.dtype) for node in graph.inputs])
    nodes = [
        (node.op, node.shape, node.dtype, params_key(node), tuple([number[source] for source in node.inputs]))
        for node in graph.nodes
    ]
    return graph.name, inputs, tuple(nodes), tuple([number[node] for node in graph.outputs])


def evaluate_node(node: Node, values: Sequence[Any]) -> np.ndarray:
    """One node's value from its inputs' values, by the operator's NumPy reference."""
    if node.op == "constant":
        return node.params["value"]
    return np.asarray(operator(node.op).reference(*values, **node.params))


Rule = Callable[[Node, Callable[[Node], Node]], Node]


def rewrite(graph: Graph, rule: Rule) -> Graph:
    """The driver of most passes: `rule(node, emit)` returns the node to stand in its place.

    The node comes with its inputs already replaced. New nodes go through `emit`; the node that the rule returns is
    emitted by the driver, unless it is in the graph already. Where nothing changes, the result is `graph` itself.
    """
    new: dict[Node, Node] = {node: node for node in graph.inputs}
    listed: dict[Node, None] = {}
    present = set(graph.inputs)

    def emit(node: Node) -> Node:
        if node not in present:
            present.add(node)
            listed[node] = None
        return node

    for node in graph.nodes:
        inputs = tuple([new[source] for source in node.inputs])
        current = node if inputs == node.inputs else node.with_inputs(inputs)
        new[node] = emit(rule(current, emit))
    if tuple(listed) == graph.nodes and all(new[node] is node for node in graph.outputs):
        return graph
    return Graph(graph.name, graph.inputs, list(listed), [new[node] for node in graph.outputs])
