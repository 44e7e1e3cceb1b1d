"""How views lie in memory."""

from __future__ import annotations

from numfuse.compiler.graph import Node
from numfuse.compiler.index import Axis, Index, axis_index, flatten
from numfuse.compiler.layouts import strides_of
from numfuse.compiler.ops import operator
from numfuse.compiler.types import Shape


def strides_in_memory(node: Node) -> Shape | None:
    """The strides, in elements, of a view (or of views of views) of an array in C order; None where it is no walk with constant steps, and has to be
    copied."""
    axes = [Axis(number, extent) for number, extent in enumerate(node.shape)]
    index: tuple[Index, ...] = tuple([axis_index(axis) for axis in axes])
    while operator(node.op).kind == "view":
        pull = operator(node.op).pull
        assert pull is not None
        (case,) = pull([node.inputs[0].shape], node.params, node.shape, index)
        (node,), index = node.inputs, case.index
    place = flatten(index, strides_of(node.shape))
    return tuple([place.coef(axis) for axis in axes]) if place.affine else None
