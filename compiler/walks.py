"""How views lie in memory."""

from __future__ import annotations

from collections.abc import Sequence

from numfuse.compiler.graph import Graph, Node, seen_through
from numfuse.compiler.index import Axis, Index, axis_index, flatten
from numfuse.compiler.layouts import strides_of
from numfuse.compiler.ops import operator
from numfuse.compiler.types import Shape


def walk(view: Node, of: Node, strides: Shape) -> tuple[int, Shape] | None:
    """Where the first element of a view (or of a view of views) is in the memory of the array that it is one `of`, which has these strides, and the
    strides of the view; all in elements. None where it is no walk with constant steps, and has to be copied."""
    axes = [Axis(number, extent) for number, extent in enumerate(view.shape)]
    index: tuple[Index, ...] = tuple([axis_index(axis) for axis in axes])
    node = view
    while node is not of:
        pull = operator(node.op).pull
        assert pull is not None
        (case,) = pull([node.inputs[0].shape], node.params, node.shape, index)
        (node,), index = node.inputs, case.index
    place = flatten(index, strides)
    return (place.const, tuple([place.coef(axis) for axis in axes])) if place.affine else None


def strides_in_memory(view: Node) -> Shape | None:
    """The strides, in elements, of an array or a view of one; None where a view has to be copied."""
    of = seen_through(view)
    found = walk(view, of, of.params.get("strides") or strides_of(of.shape))
    return None if found is None else found[1]


def with_layouts(graph: Graph, layouts: Sequence[Shape | None]) -> Graph:
    """The graph with the strides of its inputs noted where they are not in C order (None: they are)."""
    new: dict[Node, Node] = {}
    for node, strides in zip(graph.inputs, layouts, strict=True):
        if strides is not None and strides != strides_of(node.shape):
            new[node] = Node("input", (), {"strides": strides}, node.shape, node.dtype, node.where, node.name)
    if not new:
        return graph
    for node in graph.nodes:
        inputs = tuple([new.get(source, source) for source in node.inputs])
        new[node] = node if inputs == node.inputs else node.with_inputs(inputs)
    inputs = tuple([new.get(node, node) for node in graph.inputs])
    return Graph(graph.name, inputs, [new[n] for n in graph.nodes], [new.get(n, n) for n in graph.outputs])
