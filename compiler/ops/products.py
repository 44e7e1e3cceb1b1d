"""Matrix products, and the nodes that the compiler itself makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numfuse.compiler.ops.operator import Operator, infer_results, together
from numfuse.compiler.types import Shape, Spec, broadcast

_matmul_dtype: dict[tuple[np.dtype, np.dtype], np.dtype] = {}


def infer_matmul(operands: Sequence[Spec], params: Mapping[str, Any]) -> tuple[Shape, np.dtype]:
    a, b = operands
    if len(a.shape) < 2 or len(b.shape) < 2:
        raise ValueError("matmul takes arrays of two or more axes; reshape vectors first")
    if a.shape[-1] != b.shape[-2]:
        raise ValueError(
            "matmul: Input operand 1 has a mismatch in its core dimension 0, with gufunc signature (n?,k),(k,m?)->(n?,m?) "
            f"(size {b.shape[-2]} is different from {a.shape[-1]})"
        )
    pair = (a.dtype, b.dtype)
    if pair not in _matmul_dtype:
        if a.dtype != b.dtype:
            raise TypeError("matmul takes two arrays of one dtype")
        _matmul_dtype[pair] = np.matmul.resolve_dtypes((*pair, None))[2]
    return (*broadcast(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1]), _matmul_dtype[pair]


def columns_of(part: Any) -> Any:
    """A part of a product's right operand as a matrix: it is one, or lies in panels, (..., number, rows, width)."""
    return np.swapaxes(part, -3, -2).reshape(*part.shape[:-3], part.shape[-2], -1)


def reference_product(a: Any, *parts: Any, panels: tuple[bool, ...], vector: int) -> Any:
    """`vector`: bytes of the vectors in which a kernel computes it."""
    whole = [columns_of(part) if panel else part for part, panel in zip(parts, panels, strict=True)]
    return np.matmul(a, np.concatenate(whole, axis=-1))


def infer_product(operands: Sequence[Spec], params: Mapping[str, Any]) -> tuple[Shape, np.dtype]:
    a, *parts = operands
    columns = 0
    for part, panel in zip(parts, params["panels"], strict=True):
        columns += part.shape[-1] * (part.shape[-3] if panel else 1)
    batch = parts[0].shape[: -3 if params["panels"][0] else -2]
    return infer_matmul([a, Spec((*batch, parts[0].shape[-2], columns), parts[0].dtype)], {})


GELU_FACTORS = 0.5, 0.7978845608028654, 0.044715
"""Of the approximation by tanh: 0.5 * x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3)))."""


def reference_linear(a: Any, b: Any, *bias: Any, epilogue: str) -> Any:
    """`epilogue`: bias, relu, relu_bias, gelu or gelu_bias. A bias has an element for each column."""
    out = np.matmul(a, b)
    for one in bias:
        out = out + one
    if epilogue.startswith("relu"):
        return np.maximum(out, 0)
    if epilogue.startswith("gelu"):
        half, scale, cubic = GELU_FACTORS
        return half * out * (1 + np.tanh(scale * (out + cubic * out * out * out)))
    return out


def infer_linear(operands: Sequence[Spec], params: Mapping[str, Any]) -> tuple[Shape, np.dtype]:
    a, b, *bias = operands
    shape, dtype = infer_matmul([a, b], params)
    if len(shape) != 2 or len(bias) != ("bias" in params["epilogue"]):
        raise ValueError("linear takes two matrices, and a bias where its epilogue has one")
    if any(one != Spec(shape[1:], dtype) for one in bias):
        raise ValueError("the bias has an element for each column, of the product's dtype")
    return shape, dtype


def blas_order(shape: Shape, strides: Shape) -> tuple[bool, int] | None:
    """How BLAS is to read the matrices of an array with these strides, in elements: whether transposed, and the leading dimension. None where it
    cannot: it wants neighbouring elements side by side along one axis, and no two in one place."""
    (rows, columns), (row_step, column_step) = shape[-2:], strides[-2:]
    if not rows or not columns:
        return False, max(columns, 1)
    for transposed, side_by_side, length, lead, count in (
        (False, column_step, columns, row_step, rows),
        (True, row_step, rows, column_step, columns),
    ):
        lead = lead if count > 1 else length
        if (side_by_side == 1 or length == 1) and lead >= length:
            return transposed, lead
    return None


def results_of_fused(operands: Sequence[Spec], params: Mapping[str, Any]) -> list[Spec]:
    body = params["body"]
    if [node.spec for node in body.inputs] != list(operands):
        raise ValueError("a fused node's operands must match the inputs of its body")
    return [node.spec for node in body.outputs]


def infer_get(operands: Sequence[Spec], params: Mapping[str, Any]) -> tuple[Shape, np.dtype]:
    return params["shape"], params["dtype"]


ROWS = [
    Operator(name="matmul", kind="library", reference=np.matmul, infer=infer_matmul, cost=2, total=True),
    Operator(name="linear", kind="library", reference=reference_linear, infer=infer_linear, cost=3, total=True),
    Operator(name="product", kind="product", reference=reference_product, infer=infer_product, cost=2),
    Operator(
        name="fused",
        kind="structure",
        reference=lambda *operands, body, rows: together(body.evaluate(*operands)),
        infer=infer_results(results_of_fused),
        results=results_of_fused,
    ),
    Operator(
        name="get",
        kind="structure",
        reference=lambda several, result, shape, dtype: several[()][result],
        infer=infer_get,
        cost=0,
    ),
]
