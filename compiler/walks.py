"""How views lie in memory."""

from __future__ import annotations

from numfuse.compiler.graph import Node
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
    """The strides, in elements, of a view of an array in C order; None where it has to be copied."""
    of = view
    while operator(of.op).kind == "view":
        (of,) = of.inputs
    found = walk(view, of, strides_of(of.shape))
    return None if found is None else found[1]
