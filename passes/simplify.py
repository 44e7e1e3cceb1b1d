"""Algebraic simplification, by the facts in the operator table and a few rules that name their operators.

A rule keeps every value to the last bit but these, which stay within two units in the last place more than NumPy's own
function: powers with a small constant exponent become products, roots and quotients (`x**3` is `x * x * x`).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numfuse.compiler.graph import Graph, Node, constant, is_scalar, make, rewrite
from numfuse.compiler.ops import OPERATORS, operator
from numfuse.compiler.types import broadcast, from_package, kind_of, size_of

Emit = Callable[[Node], Node]
Rule = Callable[[Node, Emit], Node]

LARGEST_EXPONENT = 8
"""Powers up to here are products: of five factors at most, each rounded once."""


def simplify(graph: Graph) -> Graph:
    return rewrite(graph, _simplify)


def _simplify(node: Node, emit: Emit) -> Node:
    elementwise = operator(node.op).kind == "elementwise"
    if elementwise:
        for operand in _unchanged_operands(node):
            if operand.shape == node.shape and operand.dtype == node.dtype:
                return operand
        node = _implicit_broadcasts(node)
    rule = RULES.get(node.op)
    result = rule(node, emit) if rule else node
    if result is not node and result.op != node.op:
        return _simplify(result, emit)
    return _views_last(result, emit) if elementwise else result


def _unchanged_operands(node: Node) -> list[Node]:
    """The operands that the node's value is known to equal, by the facts of its operator."""
    row = operator(node.op)
    found = []
    if len(node.inputs) == 2:
        left, right = node.inputs
        # of complex numbers `(inf + 1j) * 1` is `inf + nan j`
        neutral = None if node.dtype.kind == "c" and row.neutral == 1 else row.neutral
        if neutral is not None and _is(right, neutral):
            found.append(left)
        if neutral is not None and row.commutative and _is(left, neutral):
            found.append(right)
        if row.idempotent and left is right:
            found.append(left)
    elif len(node.inputs) == 1 and node.inputs[0].op == node.op:
        if row.involution:
            found.append(node.inputs[0].inputs[0])
        if row.idempotent:
            found.append(node.inputs[0])
    return found


def _implicit_broadcasts(node: Node) -> Node:
    """Elementwise operators broadcast their operands themselves: no need to spread them, or to put ones before a shape."""
    if len(node.inputs) < 2:
        return node
    inputs = list(node.inputs)
    for place, operand in enumerate(inputs):
        while operand.op == "broadcast_to" or (operand.op == "reshape" and _adds_leading_ones(operand)):
            (source,) = operand.inputs
            others = [other.shape for k, other in enumerate(inputs) if k != place]
            if broadcast(source.shape, *others) != node.shape:
                break
            inputs[place] = operand = source
    return node if tuple(inputs) == node.inputs else node.with_inputs(tuple(inputs))


def _adds_leading_ones(node: Node) -> bool:
    shape = node.inputs[0].shape
    added = len(node.shape) - len(shape)
    return added > 0 and node.shape == (1,) * added + shape


def _views_last(node: Node, emit: Emit) -> Node:
    """`op(reshape(x))` becomes `reshape(op(x))`, so that equal subexpressions meet; so does `op(transpose(x), transpose(y))`, of vectors too."""
    arrays = [operand for operand in node.inputs if not is_scalar(operand)]
    view = next((a for a in arrays if a.op in ("reshape", "transpose") and a.shape == node.shape), None)
    if view is None:
        return node
    sources = {operand: _before(view, operand, emit) for operand in arrays}
    if None in sources.values():
        return node
    inputs = tuple([sources.get(operand) or operand for operand in node.inputs])
    inner = Node(node.op, inputs, node.params, view.inputs[0].shape, node.dtype, node.where)
    return Node(view.op, (emit(_simplify(inner, emit)),), view.params, node.shape, node.dtype, view.where)


def _before(view: Node, operand: Node, emit: Emit) -> Node | None:
    """What the operand is where `view` is not yet done: None where that is no less work to read."""
    (source,) = view.inputs
    if (operand.op, operand.params, operand.shape) == (view.op, view.params, view.shape):
        return operand.inputs[0] if operand.inputs[0].shape == source.shape else None
    if view.op != "transpose" or size_of(operand.shape) != max(operand.shape, default=1):
        return None
    spread = (1,) * (len(view.shape) - len(operand.shape)) + operand.shape
    turned = tuple([extent for _, extent in sorted(zip(view.params["perm"], spread, strict=True))])
    return emit(_reshape(make("reshape", (operand,), operand.where, shape=turned), emit))


def _is(node: Node, number: float) -> bool:
    """Whether `node` is the 0-d constant `number`, the sign of a float zero included."""
    if not is_scalar(node):
        return False
    value = node.params["value"][()]
    if value != number:
        return False
    return kind_of(node.dtype) not in "fc" or bool(np.signbit(value.real)) == (math.copysign(1, number) < 0)


def _astype(node: Node, emit: Emit) -> Node:
    (source,) = node.inputs
    if source.dtype == node.dtype:
        return source
    if source.op == "astype" and _loses_nothing(source.inputs[0].dtype, source.dtype):
        (origin,) = source.inputs
        if origin.dtype == node.dtype:
            return origin
        if {kind_of(origin.dtype), kind_of(source.dtype), kind_of(node.dtype)} <= {"f"} or {
            origin.dtype.kind,
            source.dtype.kind,
        } <= set("iub"):
            return node.with_inputs((origin,))
    return node


def _loses_nothing(source: np.dtype, target: np.dtype) -> bool:
    """Whether a cast keeps every value. What ml_dtypes calls safe need not: int8 has more digits than a float8."""
    return np.can_cast(source, target, "safe") and (not from_package(target) or source.kind == "b")


def _power(node: Node, emit: Emit) -> Node:
    base, exponent = node.inputs
    if (
        not is_scalar(exponent)
        or node.dtype.kind != "f"
        or from_package(node.dtype)
        or base.shape != node.shape
        or base.dtype != node.dtype
    ):
        return node
    value = float(exponent.params["value"])

    def do(op: str, *inputs: Node) -> Node:
        return emit(make(op, inputs, node.where))

    if value < 0 and -value in (1.0, 1.5, 2.0, 3.0, 4.0):
        if value == -1.5:
            return make("divide", (do("reciprocal", base), do("sqrt", base)), node.where)
        return base_to(do("reciprocal", base), int(-value), node, emit)
    if value == 1.5:
        return make("multiply", (base, do("sqrt", base)), node.where)
    if 2 <= value <= LARGEST_EXPONENT and value == int(value):
        return base_to(base, int(value), node, emit)
    return node


def base_to(base: Node, exponent: int, node: Node, emit: Emit) -> Node:
    """`base ** exponent` for a small whole exponent, by squaring."""
    if exponent == 1:
        return base
    squared = make("square", (emit(base_to(base, exponent // 2, node, emit)),), node.where)
    return make("multiply", (emit(squared), base), node.where) if exponent % 2 else squared


def _integer_power(node: Node, emit: Emit) -> Node:
    exponent = node.params["exponent"]
    return base_to(node.inputs[0], exponent, node, emit) if 1 <= exponent <= LARGEST_EXPONENT else node


def _divide(node: Node, emit: Emit) -> Node:
    """Division by a power of two is a multiplication, exactly."""
    left, right = node.inputs
    if not is_scalar(right) or node.dtype.kind != "f" or from_package(node.dtype):
        return node
    value = float(right.params["value"])
    if value == 0 or not math.isfinite(value) or abs(math.frexp(value)[0]) != 0.5:
        return node
    limits = np.finfo(node.dtype)
    if not limits.smallest_normal <= abs(1 / value) <= limits.max:
        return node
    return make("multiply", (left, emit(constant(node.dtype.type(1 / value)))), node.where)


def _where(node: Node, emit: Emit) -> Node:
    test, yes, no = node.inputs
    chosen = yes if yes is no else None
    if is_scalar(test):
        chosen = yes if test.params["value"] else no
    return chosen if chosen is not None and chosen.shape == node.shape else node


def _transpose(node: Node, emit: Emit) -> Node:
    (source,), perm = node.inputs, node.params["perm"]
    if perm == tuple(range(len(perm))):
        return source
    if source.op == "transpose":
        composed = tuple(source.params["perm"][a] for a in perm)
        return _transpose(make("transpose", source.inputs, node.where, perm=composed), emit)
    return node


def _reshape(node: Node, emit: Emit) -> Node:
    (source,) = node.inputs
    if source.shape == node.shape:
        return source
    if source.op == "reshape":
        return _reshape(make("reshape", source.inputs, node.where, shape=node.shape), emit)
    if source.op == "broadcast_to" and not source.inputs[0].shape:
        return make("broadcast_to", source.inputs, node.where, shape=node.shape)
    return node


def _broadcast_to(node: Node, emit: Emit) -> Node:
    (source,) = node.inputs
    if source.shape == node.shape:
        return source
    if source.op == "broadcast_to":
        return make("broadcast_to", source.inputs, node.where, shape=node.shape)
    return node


def _slice(node: Node, emit: Emit) -> Node:
    (source,), start, step = node.inputs, node.params["start"], node.params["step"]
    if source.shape == node.shape and all(by == 1 for by in step):
        return source
    if source.op == "slice":
        first, by = source.params["start"], source.params["step"]
        start = tuple(f + b * s for f, b, s in zip(first, by, start, strict=True))
        step = tuple(b * s for b, s in zip(by, step, strict=True))
        return make("slice", source.inputs, node.where, start=start, step=step, shape=node.shape)
    if source.op == "set_slice" and (start, step, node.shape) == (
        source.params["start"],
        source.params["step"],
        source.inputs[1].shape,
    ):
        return source.inputs[1]  # reading back what was just written
    return node


def _set_slice(node: Node, emit: Emit) -> Node:
    base, value = node.inputs
    if value.shape == base.shape and all(by == 1 for by in node.params["step"]):
        return value
    if 0 in value.shape:
        return base
    if base.op == "set_slice" and base.params == node.params and base.inputs[1].shape == value.shape:
        return node.with_inputs((base.inputs[0], value))  # what was written there before is overwritten
    return node


def _concatenate(node: Node, emit: Emit) -> Node:
    axis = node.params["axis"]
    kept = tuple(source for source in node.inputs if source.shape[axis]) or node.inputs[:1]
    if len(kept) == 1:
        return kept[0]
    return node if len(kept) == len(node.inputs) else make("concatenate", kept, node.where, axis=axis)


def _pad(node: Node, emit: Emit) -> Node:
    return node.inputs[0] if node.inputs[0].shape == node.shape else node


def _reduction(node: Node, emit: Emit) -> Node:
    """A reduction along axes of one element, or none, is a reshape."""
    (source,), axis = node.inputs, node.params["axis"]
    if node.params.get("block") is not None or any(source.shape[a] != 1 for a in axis):
        return node
    return _reshape(make("reshape", (source,), node.where, shape=node.shape), emit)


RULES: dict[str, Rule] = {
    "astype": _astype,
    "power": _power,
    "float_power": _power,
    "integer_power": _integer_power,
    "divide": _divide,
    "where": _where,
    "transpose": _transpose,
    "reshape": _reshape,
    "broadcast_to": _broadcast_to,
    "slice": _slice,
    "set_slice": _set_slice,
    "concatenate": _concatenate,
    "pad": _pad,
    **{name: _reduction for name, row in OPERATORS.items() if row.kind == "reduction" and row.combine},
}
